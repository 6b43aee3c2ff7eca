package pipeline

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
)

var (
	distances     = []Distance{Cosine, Dot, L2Squared}
	tokenizations = []string{"word", "lowercase", "whitespace", "field", "trigram", "gse", "gse_ch", "kagome_ja", "kagome_kr"}
	vectorName    = regexp.MustCompile(`^[_A-Za-z][_0-9A-Za-z]{0,229}$`)
)

// maxReplication keeps a slip of the finger from asking for a thousand copies.
const maxReplication = 99

func (c *checker) checkCollections(f *File) {
	seen := map[string]bool{}
	for i, section := range f.CollectionSections {
		at := fmt.Sprintf("collections[%d]", i)
		if seen[section.Name] {
			c.at(at+".name", "%s has two sections", section.Name)
		}
		seen[section.Name] = true
		c.checkSection(f, section, at)
	}
}

func (c *checker) checkSection(f *File, s Collection, at string) {
	writes := func(p Pipeline) bool { return p.Collection == s.Name }
	says := func(p Pipeline) bool { return p.Collection != "" }
	if !slices.ContainsFunc(f.Pipelines, writes) && slices.ContainsFunc(f.Pipelines, says) {
		c.at(at+".name", "no pipeline writes collection %q", s.Name)
	}
	if s.Distance != "" {
		among(c, at+".distance", s.Distance, distances)
	}
	if s.Vector != "" && !vectorName.MatchString(s.Vector) {
		c.at(at+".vector", "%q does not start with a letter or _ and go on with letters, digits and _", s.Vector)
	}
	if s.Replication < 0 || s.Replication > maxReplication {
		c.at(at+".replication", "%d is not between 1 and %d", s.Replication, maxReplication)
	}
	for _, p := range f.Pipelines {
		if s.MultiTenancy && writes(p) && p.Tenant == nil {
			c.at(at+".multiTenancy", "pipeline %s has no tenant", p.Name)
		}
	}
	c.checkIndex(s.Index, f.Space.Dimensions, at+".index")
}

// bounded is a setting with its bounds, and the types that know it.
type bounded struct {
	key      string
	value    *int
	min, max int
	of       []string
}

func (c *checker) checkNumbers(numbers []bounded, kind, at string) {
	for _, n := range numbers {
		switch {
		case n.value == nil:
		case !slices.Contains(n.of, kind):
			c.at(at+"."+n.key, "is for %s only, the type is %s", strings.Join(n.of, " and "), kind)
		case *n.value < n.min || *n.value > n.max:
			c.at(at+"."+n.key, "%d is not between %d and %d", *n.value, n.min, n.max)
		}
	}
}

func (c *checker) checkIndex(index Index, dimensions int, at string) {
	kind, graph, every := index.Kind(), []string{HNSW, Dynamic}, []string{HNSW, Flat, Dynamic}
	if !among(c, at+".type", kind, every) {
		return
	}
	c.checkNumbers([]bounded{
		{"ef", index.EF, -1, math.MaxInt32, graph}, // -1: as the limit of a search asks for
		{"efConstruction", index.EFConstruction, 4, math.MaxInt32, graph},
		{"maxConnections", index.MaxConnections, 4, 2047, graph},
		{"dynamicEfMin", index.DynamicEFMin, 1, math.MaxInt32, graph},
		{"dynamicEfMax", index.DynamicEFMax, 1, math.MaxInt32, graph},
		{"dynamicEfFactor", index.DynamicEFFactor, 1, math.MaxInt32, graph},
		{"flatSearchCutoff", index.FlatSearchCutoff, 0, math.MaxInt32, graph},
		{"vectorCacheMaxObjects", index.VectorCacheMaxObjects, 0, math.MaxInt, every},
		{"threshold", index.Threshold, 1, math.MaxInt32, []string{Dynamic}},
	}, kind, at)
	if index.EF != nil && *index.EF == 0 {
		c.at(at+".ef", "0 finds nothing; -1 lets Weaviate choose")
	}
	if least, most := index.DynamicEFMin, index.DynamicEFMax; least != nil && most != nil && *least > *most {
		c.at(at+".dynamicEfMin", "%d is above dynamicEfMax, %d", *least, *most)
	}
	if index.FilterStrategy != "" && among(c, at+".filterStrategy", index.FilterStrategy, []string{"sweeping", "acorn"}) && kind == Flat {
		c.at(at+".filterStrategy", "is for hnsw and dynamic only, the type is flat")
	}
	c.checkQuantization(index.Quantization, kind, dimensions, at+".quantization")
}

func (c *checker) checkQuantization(q Quantization, index string, dimensions int, at string) {
	kind := q.Type
	switch {
	case kind == "":
		kind = "none"
	case !among(c, at+".type", kind, append([]string{"none"}, Quantizations...)):
		return
	case index == Flat && (kind == "pq" || kind == "sq"):
		c.at(at+".type", "a flat index has bq and rq only")
	}
	rescored := []string{"sq", "rq"}
	if index != HNSW {
		rescored = []string{"bq", "sq", "rq"}
	}
	c.checkNumbers([]bounded{
		{"bits", q.Bits, 1, 8, []string{"rq"}},
		{"rescoreLimit", q.RescoreLimit, -1, math.MaxInt32, rescored},
		{"trainingLimit", q.TrainingLimit, 1, math.MaxInt32, []string{"pq", "sq"}},
		{"segments", q.Segments, 0, dimensions, []string{"pq"}}, // 0: as Weaviate chooses
		{"centroids", q.Centroids, 1, 256, []string{"pq"}},
	}, kind, at)
	if q.Bits != nil && *q.Bits != 1 && *q.Bits != 8 {
		c.at(at+".bits", "%d is not 1 or 8", *q.Bits)
	}
	if s := q.Segments; s != nil && *s > 0 && dimensions%*s != 0 {
		c.at(at+".segments", "%d does not divide the %d dimensions of the space", *s, dimensions)
	}
	if q.Cache != nil && (index == HNSW || kind != "bq" && kind != "rq") {
		c.at(at+".cache", "is for bq and rq of a flat or dynamic index only")
	}
}

func (c *checker) checkIndexing(p Property, at string) {
	text := p.Type.Elem() == TypeText
	switch {
	case p.Tokenization == "":
	case !text:
		c.at(at+".tokenization", "is for text only")
	default:
		among(c, at+".tokenization", p.Tokenization, tokenizations)
	}
	if p.Searchable != nil && *p.Searchable && !text {
		c.at(at+".searchable", "is for text only")
	}
	if p.RangeFilters && !slices.Contains([]Type{TypeNumber, TypeInt, TypeDate}, p.Type) {
		c.at(at+".rangeFilters", "is for number, int and date only")
	}
}

func sameIndexing(p, q Property) bool {
	return p.Tokens() == q.Tokens() && p.FilterableBy() == q.FilterableBy() && p.SearchableBy() == q.SearchableBy() && p.RangeFilters == q.RangeFilters
}
