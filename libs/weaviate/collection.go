package weaviate

import (
	"encoding/json"
	"errors"
	"fmt"
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
	Properties []pipeline.Property
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
	Side       bool   `json:"side,omitempty"`
}

func (s CollectionSpec) identity(side bool) identity {
	return identity{format, s.Name, s.Generation, s.Space, s.Dimensions, s.TopicID, s.Partitions, side}
}

// differences says in words what the collection is and what it should be.
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
	add("topic id", have.TopicID, want.TopicID)
	add("partition count", have.Partitions, want.Partitions)
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
	spec  CollectionSpec
	types map[string]pipeline.Type

	shards atomic.Int32 // of the main collection; 0: not asked yet
}

func newCollection(spec CollectionSpec) *collection {
	c := &collection{spec: spec, types: make(map[string]pipeline.Type, len(spec.Properties))}
	for _, p := range spec.Properties {
		c.types[p.Name] = p.Type
	}
	return c
}

// bind remembers a checked collection for the calls that name it.
func (c *Client) bind(spec CollectionSpec) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bound[spec.Name] = newCollection(spec)
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
