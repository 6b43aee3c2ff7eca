package weaviate

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/weaviate/weaviate/entities/models"

	"github.com/freshet-io/freshet/libs/pipeline"
)

// timeBased keeps deletes where there are copies: with Weaviate's default a copy that missed a
// delete brings the item back.
const timeBased = "TimeBasedResolution"

// noVectorizer says that vectors come from outside.
const noVectorizer = "none"

func classOf(spec CollectionSpec, side bool) (*models.Class, error) {
	description, err := json.Marshal(spec.identity(side))
	if err != nil {
		return nil, fmt.Errorf("describing collection %s: %w", spec.Name, err)
	}
	class := &models.Class{
		Class: spec.Class(), Description: string(description),
		ReplicationConfig: &models.ReplicationConfig{
			Factor: int64(spec.Settings.Replication), DeletionStrategy: timeBased, AsyncEnabled: repaired(spec.Settings),
		},
	}
	if spec.Settings.MultiTenancy && !side {
		class.MultiTenancyConfig = &models.MultiTenancyConfig{Enabled: true, AutoTenantCreation: true, AutoTenantActivation: true}
	}
	if side {
		// It holds no vectors, however those of the other collection are kept.
		class.Class = spec.SideClass()
		class.Vectorizer, class.VectorIndexType = noVectorizer, pipeline.HNSW
		class.VectorIndexConfig = map[string]any{"distance": string(pipeline.Cosine), "skip": true}
	} else {
		setVectorIndex(class, spec.Settings)
	}
	for _, p := range spec.Properties {
		class.Properties = append(class.Properties, ofPipeline(p, side))
	}
	for _, r := range reserved {
		no := false
		p := &models.Property{Name: r.name, DataType: []string{r.dataType}, IndexFilterable: &r.filterable, IndexSearchable: &no}
		if r.dataType == "text" {
			p.Tokenization = models.PropertyTokenizationField
		}
		class.Properties = append(class.Properties, p)
	}
	return class, nil
}

// repaired reports whether Weaviate is to compare copies by itself. Without it, searches through a node that was away
// miss what changed meanwhile, each item until its next change. It takes 2 MB a shard, and a tenant is a shard: where
// there are tenants, that is left to whoever knows how many.
func repaired(s pipeline.Collection) bool { return s.Replication > 1 && !s.MultiTenancy }

// ofPipeline returns a property of the pipeline. The side collection, which nobody searches, has
// it without any index.
func ofPipeline(p pipeline.Property, side bool) *models.Property {
	filterable, searchable, ranges := !side && p.FilterableBy(), !side && p.SearchableBy(), !side && p.RangeFilters
	property := &models.Property{
		Name: p.Name, DataType: []string{string(p.Type)}, Tokenization: p.Tokens(),
		IndexFilterable: &filterable, IndexSearchable: &searchable,
	}
	if ranges {
		property.IndexRangeFilters = &ranges
	}
	return property
}

func setVectorIndex(class *models.Class, s pipeline.Collection) {
	kind, settings := vectorIndex(s)
	if s.Vector == "" {
		class.Vectorizer, class.VectorIndexType, class.VectorIndexConfig = noVectorizer, kind, settings
		return
	}
	class.VectorConfig = map[string]models.VectorConfig{s.Vector: {
		VectorIndexType: kind, VectorIndexConfig: settings, Vectorizer: map[string]any{noVectorizer: map[string]any{}},
	}}
}

// vectorIndex returns the index of vectors in Weaviate's words. Only what the file says is in it.
func vectorIndex(s pipeline.Collection) (kind string, settings map[string]any) {
	kind = s.Index.Kind()
	distance := string(cmp.Or(s.Distance, pipeline.Cosine))
	hnsw := fields(s.Index)
	quantize(hnsw, s.Index.Quantization, pipeline.Quantizations)
	hnsw["distance"] = distance
	flat := map[string]any{"distance": distance}
	if n := s.Index.VectorCacheMaxObjects; n != nil {
		flat["vectorCacheMaxObjects"] = float64(*n)
	}
	quantize(flat, s.Index.Quantization, []string{"bq", "rq"})
	drop(hnsw, "cache", pipeline.Quantizations...)
	drop(hnsw, "rescoreLimit", "bq")
	switch kind {
	case pipeline.Flat:
		return kind, flat
	case pipeline.Dynamic:
		both := map[string]any{"distance": distance, "hnsw": hnsw, "flat": flat}
		if n := s.Index.Threshold; n != nil {
			both["threshold"] = float64(*n)
		}
		return kind, both
	}
	return kind, hnsw
}

// quantize adds the quantisation, where the index knows it.
func quantize(settings map[string]any, q pipeline.Quantization, known []string) {
	switch {
	case q.Type == "none":
		settings["skipDefaultQuantization"] = true
		for _, kind := range known {
			settings[kind] = map[string]any{"enabled": false}
		}
	case slices.Contains(known, q.Type):
		of := fields(q)
		of["enabled"] = true
		settings[q.Type] = of
	}
}

// drop takes a setting out of kinds of quantisation that do not have it.
func drop(settings map[string]any, key string, kinds ...string) {
	for _, kind := range kinds {
		if of, ok := settings[kind].(map[string]any); ok {
			delete(of, key)
		}
	}
}

// fields returns the fields of a struct as JSON has them: numbers are float64.
func fields(of any) map[string]any {
	m := map[string]any{}
	if b, err := json.Marshal(of); err == nil { // plain values cannot fail
		_ = json.Unmarshal(b, &m)
	}
	return m
}

type vectors struct {
	vectorizer any
	kind       string
	settings   map[string]any
}

// vectorsOf returns how a class keeps the vectors of a name, "" for its only one.
func vectorsOf(class *models.Class, name string) (v vectors, found bool) {
	if name == "" {
		v.settings, found = class.VectorIndexConfig.(map[string]any)
		v.vectorizer, v.kind = class.Vectorizer, class.VectorIndexType
		return v, found
	}
	config, found := class.VectorConfig[name]
	v.settings, _ = config.VectorIndexConfig.(map[string]any)
	v.kind, v.vectorizer = config.VectorIndexType, config.Vectorizer
	if modules, ok := config.Vectorizer.(map[string]any); ok && len(modules) == 1 {
		for module := range modules {
			v.vectorizer = module
		}
	}
	return v, found
}

// traits are what calls to a collection depend on, as the server has it.
type traits struct {
	vector     string // its name, "" for the only one
	tenants    bool
	replicated bool // there may be several copies of an object, and they may differ
}

func traitsOf(class *models.Class, vector string) traits {
	return traits{vector: vector, tenants: tenants(class), replicated: copies(class) > 1}
}

func tenants(class *models.Class) bool {
	return class.MultiTenancyConfig != nil && class.MultiTenancyConfig.Enabled
}

func copies(class *models.Class) int64 {
	if class.ReplicationConfig == nil {
		return 1
	}
	return class.ReplicationConfig.Factor
}
