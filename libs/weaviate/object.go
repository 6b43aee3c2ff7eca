package weaviate

import (
	"encoding/base64"
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
	propOlder     = "freshet_older"
	propHidden    = "freshet_hidden"
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
	propFailedOf  = "freshet_failed_text"
	propDeletedAt = "freshet_deleted_at"
	propLedger    = "freshet_ledger"
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
	{propBase, "int", false},     // version of the newest row
	{propOlder, "text", false},   // JSON: versions of the columns that it left out
	{propHidden, "boolean", false},
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
	{propTokens, "int", false},       // before fitting
	{propFailedAt, "int", false},     // version of a newer change that is a dead letter
	{propFailedFor, "text", false},   // its reason
	{propFailedOf, "boolean", false}, // that it is the item's own text, and no newer change
	{propDeletedAt, "date", true},    // when a tombstone was written
	{propLedger, "text", false},      // JSON: of a ledger alone, see Ledger
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
	tenant := c.tenant(o.Item)
	if err := c.checkTenant(tenant); err != nil {
		return nil, err
	}
	p := &pb.BatchObject_Properties{NonRefProperties: &structpb.Struct{Fields: map[string]*structpb.Value{}}}
	if err := c.putProperties(p, o.State.Properties); err != nil {
		return nil, err
	}
	if err := c.putState(p.NonRefProperties.Fields, o); err != nil {
		return nil, err
	}
	return &pb.BatchObject{Uuid: o.Item.UUID().String(), Collection: class, Tenant: tenant, Properties: p}, nil
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
	for name, flag := range map[string]bool{propTruncated: s.Truncated, propHidden: s.Hidden, propFailedOf: s.Failed.GetText()} {
		if flag {
			fields[name] = structpb.NewBoolValue(true)
		}
	}
	if len(s.Older) > 0 {
		b, err := json.Marshal(s.Older)
		if err != nil {
			return fault.Reject(fault.IndexRejected, "encoding the versions of columns: %w", err)
		}
		text(propOlder, string(b))
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

func (c *collection) decode(r *pb.SearchResult) (record.State, error) {
	f := r.GetProperties().GetNonRefProps().GetFields()
	s := record.State{
		Base: f[propBase].GetIntValue(), Floor: f[propFloor].GetIntValue(), Sources: record.Orders{},
		Space: f[propSpace].GetTextValue(), Text: f[propText].GetTextValue(),
		Truncated: f[propTruncated].GetBoolValue(), Hidden: f[propHidden].GetBoolValue(), OriginalTokens: f[propTokens].GetIntValue(),
		Vector: c.vectorOf(r),
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
	for name, into := range map[string]any{propSources: &s.Sources, propOlder: &s.Older} {
		if text := f[name].GetTextValue(); text != "" {
			if err := json.Unmarshal([]byte(text), into); err != nil {
				return record.State{}, fmt.Errorf("reading %s: %w", name, err)
			}
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
		s.Failed = &record.Failure{Version: version, Reason: f[propFailedFor].GetTextValue(), Text: f[propFailedOf].GetBoolValue()}
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
