package weaviate

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/pipeline"
)

// format is the number of the layout of objects. Another one needs a rebuild.
const format = 1

// CollectionSpec says how a collection should be.
type CollectionSpec struct {
	Name       string // logical name, also that of the alias
	Generation int    // from 1
	Space      string // of the vectors
	Dimensions int    // of the vectors
	TopicID    string // of the live documents topic: versions count its offsets
	Partitions int32  // of each topic
	Epoch      int32  // in which the topic counts
	Properties []pipeline.Property
	Recipes    string              // hash of what makes its texts; "" where that is not to be compared
	Settings   pipeline.Collection // how items are kept; its name is not read
}

// Class returns the name of the collection of complete items.
func (s CollectionSpec) Class() string { return fmt.Sprintf("%s_g%d", s.Name, s.Generation) }

// SideClass returns the name of the collection of tombstones, of items without a vector and of marks.
func (s CollectionSpec) SideClass() string { return s.Class() + "_side" }

// Validate reports everything that Weaviate would refuse or change silently.
func (s CollectionSpec) Validate() error {
	errs := []error{pipeline.CheckCollection(s.Name)}
	if s.Generation < 1 || s.Dimensions < 1 || s.Partitions < 1 || s.Space == "" {
		errs = append(errs, errors.New("generation, dimensions, partitions and space are not all given"))
	}
	seen := map[string]bool{}
	for _, p := range s.Properties {
		errs = append(errs, pipeline.CheckProperty(p.Name))
		if !p.Type.Known() {
			errs = append(errs, fmt.Errorf("property %s has the unknown type %q", p.Name, p.Type))
		}
		if seen[p.Name] {
			errs = append(errs, fmt.Errorf("property %s is there twice", p.Name))
		}
		seen[p.Name] = true
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("collection %s: %w", s.Name, err)
	}
	return nil
}

// identity is what a collection says of itself, as JSON in the description of its class.
type identity struct {
	Format     int    `json:"freshet"`
	Collection string `json:"collection"`
	Generation int    `json:"generation"`
	Space      string `json:"space"`
	Dimensions int    `json:"dimensions"`
	TopicID    string `json:"topic_id"`
	Partitions int32  `json:"partitions"`
	Epoch      int32  `json:"epoch,omitempty"`
	Side       bool   `json:"side,omitempty"`
	Vector     string `json:"vector,omitempty"`  // name of the vector
	Recipes    string `json:"recipes,omitempty"` // hash of what made its texts
}

func (s CollectionSpec) identity(side bool) identity {
	id := identity{
		Format: format, Collection: s.Name, Generation: s.Generation, Space: s.Space, Dimensions: s.Dimensions,
		TopicID: s.TopicID, Partitions: s.Partitions, Epoch: s.Epoch, Side: side,
	}
	if !side { // it has neither texts to search nor vectors
		id.Vector, id.Recipes = s.Settings.Vector, s.Recipes
	}
	return id
}

// differences says in words what the collection is and what it should be. Of the recipes it says
// nothing: checkTemplates does.
func (have identity) differences(want identity) []string {
	var diffs []string
	add := func(what string, have, want any) {
		if have != want {
			diffs = append(diffs, fmt.Sprintf("%s is %v there and %v here", what, have, want))
		}
	}
	add("format", have.Format, want.Format)
	add("collection", have.Collection, want.Collection)
	add("generation", have.Generation, want.Generation)
	add("space", have.Space, want.Space)
	add("dimensions", have.Dimensions, want.Dimensions)
	add("partition count", have.Partitions, want.Partitions)
	add("name of the vector", strconv.Quote(have.Vector), strconv.Quote(want.Vector))
	return diffs
}

func parseIdentity(description string) (identity, error) {
	var id identity
	if err := json.Unmarshal([]byte(description), &id); err != nil || id.Format == 0 {
		return identity{}, errors.New("its description is none of Freshet's: another program made it")
	}
	return id, nil
}

// collection is a checked CollectionSpec, ready for calls.
type collection struct {
	traits

	spec  CollectionSpec
	types map[string]pipeline.Property // of the properties, by name

	shards *atomic.Int32 // of the main collection; 0: not asked yet
}

// side returns how the side collection is spoken with. It is not divided by tenants: nobody searches it, a tombstone
// must be found among those of all tenants, and the ledgers are nobody's.
func (c *collection) side() *collection {
	s := *c
	s.tenants = false
	return &s
}

// bind remembers a checked collection for the calls that name it.
func (c *Client) bind(spec CollectionSpec, t traits) {
	b := &collection{traits: t, spec: spec, types: make(map[string]pipeline.Property, len(spec.Properties)), shards: &atomic.Int32{}}
	for _, p := range spec.Properties {
		b.types[p.Name] = p
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bound[spec.Name] = b
}

// named returns a collection that was checked before.
func (c *Client) named(name string) (*collection, error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if b, ok := c.bound[name]; ok {
		return b, nil
	}
	return nil, fault.Halt("collection %s was not checked before it is used", name)
}
