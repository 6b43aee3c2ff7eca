package catalogue

import "slices"

// Query is a search and the kind of product that answers it: it is a hit where
// any product of that kind is among the first TopK results.
type Query struct {
	Language Language
	Text     string
	Kind     string // as Product.Kind
}

// TopK is how many results of a query are looked at.
const TopK = 5

// SearchSet returns the queries, English ones first. None shares a content word
// (Chinese: a pair of neighbouring characters) with the text of any product of
// its kind, so that only meaning can find it. The caller owns the slice.
func SearchSet() []Query { return slices.Concat(englishQueries, chineseQueries) }

// Hit says whether the first TopK of the results, given as kinds of products in
// the order of the search, hold an answer to the query.
func (q Query) Hit(kinds []string) bool {
	return slices.Contains(kinds[:min(TopK, len(kinds))], q.Kind)
}
