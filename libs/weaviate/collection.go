package weaviate

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"sync/atomic"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/record"
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
	lacks := s.Generation < 1 || s.Dimensions < 1 || s.Partitions < 1 || s.Space == ""
	errs := []error{pipeline.CheckCollection(s.Name), fault.If(lacks, "generation, dimensions, partitions and space are not all given")}
	seen := map[string]bool{}
	for _, p := range s.Properties {
		errs = append(errs, pipeline.CheckProperty(p.Name),
			fault.If(!p.Type.Known(), "property %s has the unknown type %q", p.Name, p.Type), fault.If(seen[p.Name], "property %s is there twice", p.Name))
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
	var diffs differences
	diffs.add("format", have.Format, want.Format)
	diffs.add("collection", have.Collection, want.Collection)
	diffs.add("generation", have.Generation, want.Generation)
	diffs.add("space", have.Space, want.Space)
	diffs.add("dimensions", have.Dimensions, want.Dimensions)
	diffs.add("partition count", have.Partitions, want.Partitions)
	diffs.add("name of the vector", strconv.Quote(have.Vector), strconv.Quote(want.Vector))
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

// tenantName is what Weaviate takes for a tenant.
var tenantName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// tenant returns the tenant of Weaviate that holds an item, "" where the collection is not divided.
func (c *collection) tenant(item record.Item) string {
	if !c.tenants {
		return ""
	}
	return item.Tenant
}

// checkTenant returns a permanent fault for a tenant that the collection cannot have.
func (c *collection) checkTenant(tenant string) error {
	if c.tenants && !tenantName.MatchString(tenant) {
		return fault.Reject(fault.IndexRejected, "the tenant is not made of 1 to 64 letters, digits, - and _, as tenants of Weaviate are (collection %s)", c.spec.Name)
	}
	return nil
}

// Weaviate computes with float32. Beyond longest, squares of components and of their differences
// overflow; below shortest, squares lose their digits, or are zero: cosine sees one direction then,
// the other distances one point, and no nonce can make the vector another one.
const (
	longest  = 1 << 62
	shortest = 1.0 / (1 << 54)
)

// checkVector refuses a vector that Weaviate takes and never finds, or that would decide the
// dimensions of a new collection. Its error is a permanent fault.
func (c *collection) checkVector(b []byte) error {
	if len(b) != 4*c.spec.Dimensions {
		return fault.Reject(fault.DimensionMismatch, "a vector of %d bytes, collection %s has %d dimensions", len(b), c.spec.Name, c.spec.Dimensions)
	}
	// From the bytes: this is done for every item, and a copy as floats would be most of its work.
	var sum float64
	for i := 0; i < len(b); i += 4 {
		f := float64(math.Float32frombits(binary.LittleEndian.Uint32(b[i:])))
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return fault.Reject(fault.IndexRejected, "component %d of the vector is no finite number", i/4)
		}
		sum += f * f
	}
	switch length := math.Sqrt(sum); {
	case length > longest:
		return fault.Reject(fault.IndexRejected, "the vector is longer than 2^62: distances to it overflow")
	case length == 0:
		return fault.Reject(fault.IndexRejected, "the vector is zero: it has no direction")
	case length < shortest:
		return fault.Reject(fault.IndexRejected, "the vector is shorter than 2^-54: float32 cannot tell its direction")
	}
	return nil
}
