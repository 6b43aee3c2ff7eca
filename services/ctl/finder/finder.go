// Package finder searches an installation by meaning, for `freshet search`, the console and `freshet dev`.
package finder

import (
	"cmp"
	"context"
	"fmt"
	"regexp"

	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/weaviate"
	"github.com/freshet-io/freshet/services/embed/providers"
)

// Finder searches with the embeddings that the pipeline file's space has. It is safe for concurrent use, and owns none of
// its parts.
type Finder struct {
	Index    *weaviate.Client
	Provider providers.Provider
	File     *pipeline.File
}

// Query says what is searched for.
type Query struct {
	Text       string
	Collection string // the pipeline file's first one if empty
	Tenant     string // where the collection is divided by tenants
	Limit      int    // of items; at least 1
	Where      []weaviate.Filter
}

// Find returns the items nearest to a text, nearest first. It pays the provider for one text.
func (f *Finder) Find(ctx context.Context, q Query) ([]weaviate.Hit, error) {
	vector, err := f.Vector(ctx, q.Text)
	if err != nil {
		return nil, err
	}
	return f.Near(ctx, vector, q)
}

// Near returns the items nearest to a vector; the query's text counts for nothing.
func (f *Finder) Near(ctx context.Context, vector []float32, q Query) ([]weaviate.Hit, error) {
	collection := cmp.Or(q.Collection, f.File.Pipelines[0].Collection)
	return f.Index.Search(ctx, collection, q.Tenant, vector, q.Limit, q.Where)
}

// Vector embeds the text of a query.
func (f *Finder) Vector(ctx context.Context, text string) ([]float32, error) {
	answer, err := f.Provider.Embed(ctx, []string{f.File.Space.Prefix + text})
	if err != nil {
		return nil, fmt.Errorf("embedding the query: %w", err)
	}
	return answer.Vectors[0], nil
}

var condition = regexp.MustCompile(`^\s*([A-Za-z_][A-Za-z0-9_]*)\s*(<=|>=|!=|=|<|>)\s*(.*?)\s*$`)

// Condition reads a condition on a property, as price<100.
func Condition(text string) (weaviate.Filter, error) {
	m := condition.FindStringSubmatch(text)
	if m == nil {
		return weaviate.Filter{}, fmt.Errorf("condition %q: write a property, one of = != < <= > >=, and a value", text)
	}
	return weaviate.Filter{Property: m[1], Op: m[2], Value: m[3]}, nil
}
