package record

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
)

var update = flag.Bool("update", false, "write the golden files anew")

var product = Item{Collection: "Product", Tenant: "shop-1", ID: []string{"4711"}}

func goldenDocument(op Op) *Document {
	return &Document{
		Op: op, Collection: product.Collection, Tenant: product.Tenant, Id: product.ID, Pipeline: "products",
		Sources: []*SourceOrder{{Source: "000102030405060708090a0b0c0d0e0f/3", Order: KafkaOrder(0, 5, 1042, 0)}},
		Origin: &Origin{
			Topic: "shop.catalog.products", Partition: 3, Offset: 1042,
			CommittedAt: 1795521600000000, Position: "binlog.000007:4711",
		},
	}
}

func goldenUpsert() *Document {
	d := goldenDocument(Op_OP_UPSERT)
	d.Properties = []*Property{
		{Name: "name", Value: &Value{Kind: &Value_Text{Text: "降噪耳机 Headphones"}}},
		{Name: "price", Value: &Value{Kind: &Value_Number{Number: 199.95}}},
		{Name: "stock", Value: &Value{Kind: &Value_Integer{Integer: 12}}},
		{Name: "active", Value: &Value{Kind: &Value_Boolean{Boolean: true}}},
		{Name: "updated_at", Value: &Value{Kind: &Value_Date{Date: "2026-11-24T12:00:00Z"}}},
		{Name: "sku", Value: &Value{Kind: &Value_Uuid{Uuid: "6a2f5e85-6983-5826-afcd-0a390ee46b81"}}},
		{Name: "tags", Value: &Value{Kind: &Value_Texts{Texts: &TextList{Values: []string{"audio", "new"}}}}},
		{Name: "sizes", Value: &Value{Kind: &Value_Numbers{Numbers: &NumberList{Values: []float64{1.5, 2}}}}},
		{Name: "related", Value: &Value{Kind: &Value_Integers{Integers: &IntegerList{Values: []int64{7, 8}}}}},
		{Name: "flags", Value: &Value{Kind: &Value_Booleans{Booleans: &BooleanList{Values: []bool{true, false}}}}},
		{Name: "seasons", Value: &Value{Kind: &Value_Dates{Dates: &TextList{Values: []string{"2026-12-01T00:00:00Z"}}}}},
	}
	d.Inputs = []byte(`{"name":"降噪耳机 Headphones","price":"199.95"}`)
	d.Recipe = []byte{0xaa, 0xbb, 0xcc, 0xdd}
	d.Text = "降噪耳机 Headphones"
	d.Oversize = Oversize_OVERSIZE_TRUNCATE
	return d
}

// golden is an example of each kind of record. FORMAT.md links to them.
func golden() map[string]proto.Message {
	partial := goldenDocument(Op_OP_PARTIAL)
	partial.Inputs = []byte(`{"price":"149.95"}`)
	partial.Unavailable = []string{"description"}
	partial.Recipe = []byte{0xaa, 0xbb, 0xcc, 0xdd}
	hidden := goldenUpsert()
	hidden.Text, hidden.Properties, hidden.Hidden = "", nil, true
	bulk := goldenUpsert()
	bulk.Sources, bulk.Origin, bulk.Stamp, bulk.Force = nil, nil, 1<<48+9001, true
	failed := goldenDocument(Op_OP_FAILED)
	failed.Failed = &Failure{Reason: "field-type"}
	space := "openai/text-embedding-3-large/2"
	request := &Document{
		Op: Op_OP_COMPLETION_REQUEST, Collection: product.Collection, Tenant: product.Tenant, Id: product.ID,
		Recipe: []byte{0xaa, 0xbb, 0xcc, 0xdd}, Text: "降噪耳机 Headphones", Generation: "Product_g1",
		Fingerprint: Fingerprint(space, "降噪耳机 Headphones"),
	}
	vector := func(d *Document, state VectorState) *Vector {
		return &Vector{Document: d, Version: 1<<48 + 9002, VersionOrigin: VersionOrigin_VERSION_ORIGIN_LOG, Space: space, Fingerprint: Fingerprint(space, d.GetText()), State: state}
	}
	present := vector(goldenUpsert(), VectorState_VECTOR_STATE_PRESENT)
	present.Vector, present.Truncated, present.OriginalTokens = AppendVector(nil, []float32{0.6, -0.8}), true, 9001
	refused := vector(goldenUpsert(), VectorState_VECTOR_STATE_FAILED)
	refused.FailedReason = "provider-rejected"
	removed := vector(goldenDocument(Op_OP_DELETE), VectorState_VECTOR_STATE_NONE)
	removed.Fingerprint, removed.Space = nil, ""
	return map[string]proto.Message{
		"document-upsert":             goldenUpsert(),
		"document-bulk":               bulk,
		"document-partial":            partial,
		"document-hidden":             hidden,
		"document-delete":             goldenDocument(Op_OP_DELETE),
		"document-failed":             failed,
		"document-completion-request": request,
		"document-marker":             &Document{Op: Op_OP_MARKER, Job: "backfill-2026-11-24", MarkedAt: 1795521600000000},
		"vector-present":              present,
		"vector-pending":              vector(goldenUpsert(), VectorState_VECTOR_STATE_PENDING),
		"vector-failed":               refused,
		"vector-delete":               removed,
		"control-topic": &Control{Record: &Control_Topic{Topic: &TopicIdentity{
			Topic: "freshet.documents.live", TopicId: []byte("0123456789abcdef"), Partitions: 24, Epoch: 1,
		}}},
		"control-recipe":     &Control{Record: &Control_Recipe{Recipe: &Recipe{Hash: []byte{0xaa, 0xbb, 0xcc, 0xdd}, Body: `{"template":"{{name}}"}`}}},
		"control-generation": &Control{Record: &Control_Generation{Generation: &Generation{Collection: "Product", Number: 1, Space: space, CreatedAt: 1795521600000000, Live: true}}},
		"control-checkpoint": &Control{Record: &Control_Checkpoint{Checkpoint: &Checkpoint{Job: "backfill-2026-11-24", Range: "2/4", After: []byte("[4711]"), Stamps: []int64{1<<48 + 1, 1<<48 + 2}, Done: true}}},
		"control-rewind":     &Control{Record: &Control_Rewind{Rewind: &Rewind{Source: "000102030405060708090a0b0c0d0e0f/3", Number: 2}}},
	}
}

// decode reads bytes as a stage does, and says how to write them again.
func decode(kind string, b []byte) (proto.Message, error) {
	switch kind {
	case "document":
		return DecodeDocument(b)
	case "vector":
		return DecodeVector(b)
	default:
		return DecodeControl(b)
	}
}

func encodeAny(m proto.Message) ([]byte, error) {
	return m.(interface{ Encode() ([]byte, error) }).Encode()
}

// TestGoldenRecords: these bytes are on disks and in other builds. A difference is a
// change of the format: a field may be added, nothing else.
func TestGoldenRecords(t *testing.T) {
	for name, want := range golden() {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join("testdata", "golden", name)
			if *update {
				writeGolden(t, path, want)
			}
			b, err := os.ReadFile(path + ".bin")
			if err != nil {
				t.Fatal(err)
			}
			kind := regexp.MustCompile(`^[a-z]+`).FindString(name)
			got, err := decode(kind, b)
			if err != nil {
				t.Fatal(err)
			}
			if !proto.Equal(got, want) {
				t.Errorf("decoded\n%v\nwant\n%v", got, want)
			}
			if again, err := encodeAny(got); err != nil || !bytes.Equal(again, b) {
				t.Errorf("encoded again\n%x, %v\nwant\n%x", again, err, b)
			}
			text, err := os.ReadFile(path + ".txtpb")
			if err != nil {
				t.Fatal(err)
			}
			read := want.ProtoReflect().New().Interface()
			if err := prototext.Unmarshal(text, read); err != nil || !proto.Equal(read, got) {
				t.Errorf("the text beside it says\n%v, %v", read, err)
			}
		})
	}
}

func writeGolden(t *testing.T, path string, m proto.Message) {
	t.Helper()
	b, err := encodeAny(m)
	if err != nil {
		t.Fatal(err)
	}
	text, err := prototext.MarshalOptions{Multiline: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	// prototext varies its blanks from build to build, so that nobody compares its bytes.
	text = regexp.MustCompile(`(?m)^( *[a-z_]+:) +`).ReplaceAll(text, []byte("$1 "))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	for suffix, content := range map[string][]byte{".bin": b, ".txtpb": text} {
		if err := os.WriteFile(path+suffix, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestEachOpHasAnExample: a kind of record without one has no promise to keep.
func TestEachOpHasAnExample(t *testing.T) {
	seen := map[Op]bool{Op_OP_UNSPECIFIED: true}
	controls := map[string]bool{}
	for _, m := range golden() {
		switch m := m.(type) {
		case *Document:
			seen[m.GetOp()] = true
		case *Control:
			field := m.ProtoReflect().WhichOneof(m.ProtoReflect().Descriptor().Oneofs().Get(0))
			controls[string(field.Name())] = true
		}
	}
	for number, name := range Op_name {
		if !seen[Op(number)] {
			t.Errorf("no example of %s", name)
		}
	}
	fields := (&Control{}).ProtoReflect().Descriptor().Oneofs().Get(0).Fields()
	for i := range fields.Len() {
		if name := string(fields.Get(i).Name()); !controls[name] {
			t.Errorf("no example of a control record %s", name)
		}
	}
}
