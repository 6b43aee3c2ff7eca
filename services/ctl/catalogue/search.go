package catalogue

import (
	"slices"
	"strings"
)

// Query is a search and the kind of product that answers it: it is a hit where any
// product of that kind, or of its twin in the other language, is among the first TopK
// results.
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
func SearchSet() []Query {
	var queries []Query
	for _, language := range languages {
		for _, k := range assortments()[language].Kinds {
			if k.Query != "" {
				queries = append(queries, Query{Language: language, Text: k.Query, Kind: k.Key})
			}
		}
	}
	return queries
}

// Hit says whether the first TopK of the results, given as kinds of products in
// the order of the search, hold an answer to the query.
func (q Query) Hit(kinds []string) bool {
	return slices.ContainsFunc(kinds[:min(TopK, len(kinds))], func(kind string) bool { return Thing(kind) == Thing(q.Kind) })
}

// Thing returns what a kind of product is, whatever the language of its texts: a model
// that reads both may well answer with a tent that is described in Chinese.
func Thing(kind string) string { return strings.TrimPrefix(kind, string(Chinese)+"-") }
