package pipeline

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
)

// Collection says how the items of a collection are kept. What the file leaves out is as
// Weaviate has it by default. The keys are Weaviate's own: its documentation explains them.
type Collection struct {
	Name         string   `yaml:"name"`         // as the pipelines call it
	Distance     Distance `yaml:"distance"`     // between vectors; cosine if empty
	Vector       string   `yaml:"vector"`       // name of the vector; the collection's only one has none
	Index        Index    `yaml:"index"`        // of the vectors
	Replication  int      `yaml:"replication"`  // copies of each item; the server's minimum if 0
	MultiTenancy bool     `yaml:"multiTenancy"` // each tenant's items apart from those of others
}

// Distance is how far two vectors are from each other.
type Distance string

// The distances that a collection can have.
const (
	Cosine    Distance = "cosine"
	Dot       Distance = "dot"        // negative dot product: the longer vector is the nearer one
	L2Squared Distance = "l2-squared" // square of the Euclidean distance
)

// The types of a vector index.
const (
	HNSW    = "hnsw"
	Flat    = "flat"
	Dynamic = "dynamic" // flat up to a threshold, then hnsw; the server must have ASYNC_INDEXING
)

// Index is the index of the vectors.
type Index struct {
	Type                  string       `yaml:"type" json:"-"` // hnsw if empty
	EF                    *int         `yaml:"ef" json:"ef,omitempty"`
	EFConstruction        *int         `yaml:"efConstruction" json:"efConstruction,omitempty"`
	MaxConnections        *int         `yaml:"maxConnections" json:"maxConnections,omitempty"`
	DynamicEFMin          *int         `yaml:"dynamicEfMin" json:"dynamicEfMin,omitempty"`
	DynamicEFMax          *int         `yaml:"dynamicEfMax" json:"dynamicEfMax,omitempty"`
	DynamicEFFactor       *int         `yaml:"dynamicEfFactor" json:"dynamicEfFactor,omitempty"`
	FlatSearchCutoff      *int         `yaml:"flatSearchCutoff" json:"flatSearchCutoff,omitempty"`
	FilterStrategy        string       `yaml:"filterStrategy" json:"filterStrategy,omitempty"`
	VectorCacheMaxObjects *int         `yaml:"vectorCacheMaxObjects" json:"vectorCacheMaxObjects,omitempty"`
	Threshold             *int         `yaml:"threshold" json:"-"` // of dynamic, in items
	Quantization          Quantization `yaml:"quantization" json:"-"`
}

// Kind returns the type of the index.
func (i Index) Kind() string { return cmp.Or(i.Type, HNSW) }

// Quantization is how the index keeps vectors smaller than they are.
type Quantization struct {
	Type          string `yaml:"type" json:"-"` // none, pq, bq, sq or rq; the server's default if empty
	Bits          *int   `yaml:"bits" json:"bits,omitempty"`
	RescoreLimit  *int   `yaml:"rescoreLimit" json:"rescoreLimit,omitempty"`
	TrainingLimit *int   `yaml:"trainingLimit" json:"trainingLimit,omitempty"`
	Segments      *int   `yaml:"segments" json:"segments,omitempty"`
	Centroids     *int   `yaml:"centroids" json:"centroids,omitempty"`
	Cache         *bool  `yaml:"cache" json:"cache,omitempty"`
}

// Quantizations are the types of Quantization that make vectors smaller.
var Quantizations = []string{"pq", "bq", "sq", "rq"}

// CollectionSpec is what the file says of one collection.
type CollectionSpec struct {
	Collection
	Properties []Property // each name once, in order of appearance
	Recipes    string     // hash of the recipes of all its pipelines, hexadecimal
}

// Collections returns the collections that the file's pipelines write, in order
// of appearance. In a file that was loaded, pipelines of one collection agree.
func (f *File) Collections() []CollectionSpec {
	var specs []CollectionSpec
	for _, p := range f.Pipelines {
		i := slices.IndexFunc(specs, func(s CollectionSpec) bool { return s.Name == p.Collection })
		if i < 0 {
			i = len(specs)
			specs = append(specs, CollectionSpec{Collection: f.section(p.Collection), Recipes: f.recipes(p.Collection)})
		}
		for _, property := range p.Properties {
			known := func(q Property) bool { return q.Name == property.Name }
			if !slices.ContainsFunc(specs[i].Properties, known) {
				specs[i].Properties = append(specs[i].Properties, property)
			}
		}
	}
	return specs
}

func (f *File) section(name string) Collection {
	for _, c := range f.CollectionSections {
		if c.Name == name {
			return c
		}
	}
	return Collection{Name: name}
}

// recipes returns one hash of what makes texts for a collection, whatever the order of its
// pipelines and their names.
func (f *File) recipes(collection string) string {
	var all []string
	for _, p := range f.Pipelines {
		if p.Collection == collection {
			hash, _ := p.Recipe()
			all = append(all, hex.EncodeToString(hash))
		}
	}
	slices.Sort(all)
	sum := sha256.Sum256([]byte(strings.Join(slices.Compact(all), "\n")))
	return hex.EncodeToString(sum[:recipeSize])
}

// FilterableBy reports whether filters may ask for the property: unless the file says no.
func (p Property) FilterableBy() bool { return p.Filterable == nil || *p.Filterable }

// SearchableBy reports whether keyword searches look into the property: for text, unless
// the file says no.
func (p Property) SearchableBy() bool {
	return p.Type.Elem() == TypeText && (p.Searchable == nil || *p.Searchable)
}

// Tokens returns how the property's text is cut into words, "" where it is no text.
func (p Property) Tokens() string {
	if p.Type.Elem() == TypeText && p.Tokenization == "" {
		return "word"
	}
	return p.Tokenization
}
