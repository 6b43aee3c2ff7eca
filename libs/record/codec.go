package record

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/freshet-io/freshet/libs/fault"
)

// Names of the headers on Freshet's own records. Headers of producers are not copied onward.
const (
	HeaderSchema      = "freshet-schema"
	HeaderContentType = "content-type"
	HeaderStamps      = "freshet-stamps"
	HeaderVersion     = "freshet-version"
	HeaderFault       = "freshet-fault"
	HeaderForce       = "freshet-force"
	HeaderRedisStream = "freshet-redis-stream"
	HeaderRedisID     = "freshet-redis-id"

	Schema      = "1"
	ContentType = "application/x-protobuf"
)

// encode returns the bytes of a record: the same ones for equal records of one
// build. Its error is a permanent fault, for the one cause is a string that is not
// UTF-8: tried again, it would hold up its partition for ever.
func encode(m proto.Message) ([]byte, error) {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return nil, fault.Reject(fault.Malformed, "encoding a record: %w", err)
	}
	return b, nil
}

// Item returns the item that a document is about.
func (d *Document) Item() Item {
	return Item{Collection: d.GetCollection(), Tenant: d.GetTenant(), ID: d.GetId()}
}

// Encode returns d's bytes: the same ones for equal documents of one build. Its
// error is a permanent fault: a string is not UTF-8.
func (d *Document) Encode() ([]byte, error) { return encode(d) }

// Encode returns v's bytes. Its error is that of [Document.Encode].
func (v *Vector) Encode() ([]byte, error) { return encode(v) }

// Encode returns c's bytes. Its error is that of [Document.Encode].
func (c *Control) Encode() ([]byte, error) { return encode(c) }

// DecodeDocument reads a Document and checks what every stage relies on. Its
// error is a permanent fault with the reason malformed, or a fatal one for an op
// that this build does not know: dropping it would lose the change, and a dead
// letter for each would empty the topic. Unknown fields are kept.
func DecodeDocument(b []byte) (*Document, error) {
	d := &Document{}
	if err := proto.Unmarshal(b, d); err != nil {
		return nil, fault.Reject(fault.Malformed, "decoding a document: %w", err)
	}
	if err := d.check(); err != nil {
		return nil, err
	}
	return d, nil
}

func (d *Document) check() error {
	if d.GetOp() == Op_OP_MARKER {
		return nil
	}
	_, known := Op_name[int32(d.GetOp())]
	switch {
	case !known:
		return fault.Halt("a document asks for op %d, which this version does not know: upgrade write first, then embed, then ingest", d.GetOp())
	case d.GetOp() == Op_OP_UNSPECIFIED:
		return fault.Reject(fault.Malformed, "a document without an op")
	case d.GetCollection() == "":
		return fault.Reject(fault.Malformed, "a document without a collection")
	case len(d.GetId()) == 0:
		return fault.Reject(fault.Malformed, "a document without an id")
	}
	return nil
}

// DecodeVector reads a Vector and checks what write relies on. Its error is a
// permanent fault: malformed, or dimension-mismatch for a vector that is not a
// whole number of float32; or a fatal one for an op that this build does not know.
// Unknown fields are kept. The vector is a part of b, which nobody may change.
func DecodeVector(b []byte) (*Vector, error) {
	v := &Vector{}
	if err := v.unmarshal(b); err != nil {
		return nil, fault.Reject(fault.Malformed, "decoding a vector: %w", err)
	}
	if v.GetDocument() == nil {
		return nil, fault.Reject(fault.Malformed, "a vector without its document")
	}
	if err := v.GetDocument().check(); err != nil {
		return nil, err
	}
	op, size := v.GetDocument().GetOp(), len(v.GetVector())
	switch {
	case op == Op_OP_MARKER:
		return v, nil
	case v.GetVersion() <= 0:
		return nil, fault.Reject(fault.Malformed, "a vector without a version")
	case size%4 != 0:
		return nil, fault.Reject(fault.DimensionMismatch, "a vector of %d bytes is no list of float32", size)
	case size == 0 && v.GetState() == VectorState_VECTOR_STATE_PRESENT:
		return nil, fault.Reject(fault.Malformed, "a vector that should be present is empty")
	case size > 0 && len(v.GetFingerprint()) == 0:
		return nil, fault.Reject(fault.Malformed, "a vector without the fingerprint of its text")
	}
	return v, nil
}

// DecodeControl reads a record of the control topic.
func DecodeControl(b []byte) (*Control, error) {
	c := &Control{}
	if err := proto.Unmarshal(b, c); err != nil {
		return nil, fmt.Errorf("decoding a control record: %w", err)
	}
	return c, nil
}

// fieldVector is the number of Vector.vector.
const fieldVector = 6

// unmarshal is proto.Unmarshal without a copy of the vector, which is most of the bytes: what is
// before and after it is read as two messages of one record.
func (v *Vector) unmarshal(b []byte) error {
	for at := 0; at < len(b); {
		field, wire, tag := protowire.ConsumeTag(b[at:])
		if tag < 0 {
			break
		}
		size := protowire.ConsumeFieldValue(field, wire, b[at+tag:])
		if size < 0 {
			break
		}
		if end := at + tag + size; field != fieldVector || wire != protowire.BytesType {
			at = end
			continue
		}
		vector, _ := protowire.ConsumeBytes(b[at+tag:])
		if err := proto.Unmarshal(b[:at], v); err != nil {
			return err
		}
		v.Vector = slices.Clip(vector)
		return proto.UnmarshalOptions{Merge: true}.Unmarshal(b[at+tag+size:], v)
	}
	return proto.Unmarshal(b, v)
}
