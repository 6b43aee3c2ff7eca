package weaviate

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	pb "github.com/weaviate/weaviate/grpc/generated/protocol/v1"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/record"
)

// Object is an item as it should be in the index.
type Object struct {
	Item  record.Item
	State record.State // with its vector for Put; PutSide leaves the vector out
}

// Names of the reserved properties.
const (
	propKey       = "freshet_key"
	propPartition = "freshet_partition"
	propTenant    = "freshet_tenant"
	propBase      = "freshet_base"
	propFloor     = "freshet_floor"
	propSources   = "freshet_sources"
	propWanted    = "freshet_wanted"
	propHeld      = "freshet_held"
	propSpace     = "freshet_space"
	propRecipe    = "freshet_recipe"
	propInputs    = "freshet_inputs"
	propText      = "freshet_text"
	propOrigin    = "freshet_origin"
	propTruncated = "freshet_truncated"
	propTokens    = "freshet_original_tokens"
	propFailedAt  = "freshet_failed_version"
	propFailedFor = "freshet_failed_reason"
	propDeletedAt = "freshet_deleted_at"
)

// reserved lists the properties that hold an item's state beside those of the pipeline. None is
// searched; two can be filtered by.
var reserved = []struct {
	name, dataType string
	filterable     bool
}{
	{propKey, "text", false},     // the item's key, base64
	{propPartition, "int", true}, // partition number of the key
	{propTenant, "text", true},   //
	{propBase, "int", false},     // version of the row
	{propFloor, "int", false},    // version of the last delete
	{propSources, "text", false}, // JSON: the highest order taken of each source
	{propWanted, "text", false},  // fingerprint of the row's text, hex
	{propHeld, "text", false},    // fingerprint of the vector's text, hex
	{propSpace, "text", false},   // of the vector
	{propRecipe, "text", false},  // hash of template and conditions, hex
	{propInputs, "text", false},  // JSON: the source fields of the row
	{propText, "text", false},    // rendered, before fitting
	{propOrigin, "text", false},  // JSON: where and when the row was made
	{propTruncated, "boolean", false},
	{propTokens, "int", false},     // before fitting
	{propFailedAt, "int", false},   // version of a newer change that is a dead letter
	{propFailedFor, "text", false}, // its reason
	{propDeletedAt, "date", true},  // when a tombstone was written
}

// row lists the reserved properties that never decide about a record, and are long.
var row = []string{propKey, propPartition, propTenant, propRecipe, propInputs, propText, propOrigin, propDeletedAt}

// deciding lists the others.
var deciding = func() []string {
	var names []string
	for _, r := range reserved {
		if !slices.Contains(row, r.name) {
			names = append(names, r.name)
		}
	}
	return names
}()

// origin is the JSON form of a record.Origin.
type origin struct {
	Topic       string `json:"topic,omitempty"`
	Partition   int32  `json:"partition"`
	Offset      int64  `json:"offset"`
	CommittedAt int64  `json:"committed_at,omitempty"` // microseconds since 1970
	Position    string `json:"position,omitempty"`
}

// encode returns the object as Weaviate takes it. Its error is a permanent fault for this item.
func (c *collection) encode(o Object, class string) (*pb.BatchObject, error) {
	p := &pb.BatchObject_Properties{NonRefProperties: &structpb.Struct{Fields: map[string]*structpb.Value{}}}
	if err := c.putProperties(p, o.State.Properties); err != nil {
		return nil, err
	}
	if err := c.putState(p.NonRefProperties.Fields, o); err != nil {
		return nil, err
	}
	return &pb.BatchObject{Uuid: o.Item.UUID().String(), Collection: class, Properties: p}, nil
}

// putState adds the reserved properties. Zero values are left out: absent reads as zero.
func (c *collection) putState(fields map[string]*structpb.Value, o Object) error {
	s, key := &o.State, o.Item.Key()
	text := func(name, v string) {
		if v != "" {
			fields[name] = structpb.NewStringValue(v)
		}
	}
	integer := func(name string, v int64) {
		if v != 0 {
			fields[name] = structpb.NewNumberValue(float64(v))
		}
	}
	sources, err := json.Marshal(s.Sources)
	if err != nil {
		return fault.Reject(fault.IndexRejected, "encoding source orders: %w", err)
	}
	fields[propPartition] = structpb.NewNumberValue(float64(record.Partition(key, c.spec.Partitions)))
	text(propKey, base64.StdEncoding.EncodeToString(key))
	text(propTenant, o.Item.Tenant)
	integer(propBase, s.Base)
	integer(propFloor, s.Floor)
	text(propSources, string(sources))
	text(propWanted, hex.EncodeToString(s.Wanted))
	text(propHeld, hex.EncodeToString(s.Held))
	text(propSpace, s.Space)
	text(propRecipe, hex.EncodeToString(s.Recipe))
	text(propInputs, string(s.Inputs))
	text(propText, s.Text)
	text(propFailedFor, s.Failed.GetReason())
	integer(propFailedAt, s.Failed.GetVersion())
	integer(propTokens, s.OriginalTokens)
	if s.Truncated {
		fields[propTruncated] = structpb.NewBoolValue(true)
	}
	if from := s.Origin; from != nil {
		b, err := json.Marshal(origin{from.GetTopic(), from.GetPartition(), from.GetOffset(), from.GetCommittedAt(), from.GetPosition()})
		if err != nil {
			return fault.Reject(fault.IndexRejected, "encoding the origin: %w", err)
		}
		text(propOrigin, string(b))
	}
	return checkFields(fields)
}

// checkFields refuses what would make the whole request fail, or change on its way.
func checkFields(fields map[string]*structpb.Value) error {
	for _, r := range reserved {
		v := fields[r.name]
		if !utf8.ValidString(v.GetStringValue()) {
			return fault.Reject(fault.IndexRejected, "%s is no valid UTF-8", r.name)
		}
		if n := v.GetNumberValue(); n > maxInteger {
			return fault.Reject(fault.IndexRejected, "%s is beyond 2^53", r.name)
		}
	}
	return nil
}

// checkVector refuses a vector that Weaviate takes and never finds, or that would decide the
// dimensions of a new collection. Its error is a permanent fault.
func (c *collection) checkVector(b []byte) error {
	if len(b) != 4*c.spec.Dimensions {
		return fault.Reject(fault.DimensionMismatch, "a vector of %d bytes, collection %s has %d dimensions", len(b), c.spec.Name, c.spec.Dimensions)
	}
	// By bits: this is done for every item, and a copy as floats would be most of its work.
	zero := true
	for i := 0; i < len(b); i += 4 {
		switch bits := binary.LittleEndian.Uint32(b[i:]) &^ signBit; {
		case bits >= infinite:
			return fault.Reject(fault.IndexRejected, "component %d of the vector is no finite number", i/4)
		case bits != 0:
			zero = false
		}
	}
	if zero {
		return fault.Reject(fault.IndexRejected, "the vector is zero: it has no direction")
	}
	return nil
}

// Of a float32: what is above infinity without its sign is no number.
const (
	signBit  = 1 << 31
	infinite = 0x7f800000
)

// decode returns the state that an answer holds.
func (c *collection) decode(r *pb.SearchResult) (record.State, error) {
	f := r.GetProperties().GetNonRefProps().GetFields()
	s := record.State{
		Base: f[propBase].GetIntValue(), Floor: f[propFloor].GetIntValue(), Sources: record.Orders{},
		Space: f[propSpace].GetTextValue(), Text: f[propText].GetTextValue(),
		Truncated: f[propTruncated].GetBoolValue(), OriginalTokens: f[propTokens].GetIntValue(),
		Vector: r.GetMetadata().GetVectorBytes(),
	}
	var err error
	for name, field := range map[string]*[]byte{propWanted: &s.Wanted, propHeld: &s.Held, propRecipe: &s.Recipe} {
		if *field, err = hex.DecodeString(f[name].GetTextValue()); err != nil {
			return record.State{}, fmt.Errorf("reading %s: %w", name, err)
		}
	}
	if inputs := f[propInputs].GetTextValue(); inputs != "" {
		s.Inputs = []byte(inputs)
	}
	if text := f[propSources].GetTextValue(); text != "" {
		if err := json.Unmarshal([]byte(text), &s.Sources); err != nil {
			return record.State{}, fmt.Errorf("reading %s: %w", propSources, err)
		}
	}
	if text := f[propOrigin].GetTextValue(); text != "" {
		var from origin
		if err := json.Unmarshal([]byte(text), &from); err != nil {
			return record.State{}, fmt.Errorf("reading %s: %w", propOrigin, err)
		}
		s.Origin = &record.Origin{Topic: from.Topic, Partition: from.Partition, Offset: from.Offset, CommittedAt: from.CommittedAt, Position: from.Position}
	}
	if version := f[propFailedAt].GetIntValue(); version != 0 {
		s.Failed = &record.Failure{Version: version, Reason: f[propFailedFor].GetTextValue()}
	}
	s.Properties = c.properties(f)
	return s, nil
}

// properties returns the pipeline's properties of an answer, in the pipeline's order.
func (c *collection) properties(fields map[string]*pb.Value) []*record.Property {
	var list []*record.Property
	for _, p := range c.spec.Properties {
		v := fields[p.Name]
		if _, null := v.GetKind().(*pb.Value_NullValue); v == nil || null {
			continue
		}
		if value := valueOf(p.Type, v); value != nil {
			list = append(list, &record.Property{Name: p.Name, Value: value})
		}
	}
	return list
}

// tombstone marks the fields of an object that only says that its item is gone.
func tombstone(o *pb.BatchObject, now time.Time) {
	o.Properties.NonRefProperties.Fields[propDeletedAt] = structpb.NewStringValue(now.UTC().Format(time.RFC3339))
}
