package record

import (
	"bytes"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/freshet-io/freshet/libs/fault"
)

func mustMarshal(t testing.TB, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestDecodeDocumentRefuses(t *testing.T) {
	tests := map[string]struct {
		document *Document
		class    fault.Class
	}{
		"no op":         {&Document{Collection: "Product", Id: []string{"1"}}, fault.Permanent},
		"no collection": {&Document{Op: Op_OP_UPSERT, Id: []string{"1"}}, fault.Permanent},
		"no id":         {&Document{Op: Op_OP_DELETE, Collection: "Product"}, fault.Permanent},
		"op of a newer build: stop, or the change is lost": {&Document{Op: 99, Collection: "Product", Id: []string{"1"}}, fault.Fatal},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			d, err := DecodeDocument(mustMarshal(t, tt.document))
			if err == nil || d != nil || fault.ClassOf(err) != tt.class {
				t.Fatalf("DecodeDocument = %v, %v (%v), want %v", d, err, fault.ClassOf(err), tt.class)
			}
			if tt.class == fault.Permanent && fault.ReasonOf(err) != fault.Malformed {
				t.Errorf("reason %q", fault.ReasonOf(err))
			}
		})
	}
	if _, err := DecodeDocument([]byte("\xff\xff")); fault.ReasonOf(err) != fault.Malformed {
		t.Errorf("no protobuf: %v", err)
	}
}

func TestDecodeVectorRefuses(t *testing.T) {
	without := func(f func(v *Vector)) *Vector {
		v := upsert(1, "a").v
		f(v)
		return v
	}
	tests := map[string]struct {
		vector *Vector
		class  fault.Class
		reason fault.Reason
	}{
		"no document":                      {without(func(v *Vector) { v.Document = nil }), fault.Permanent, fault.Malformed},
		"document without id":              {without(func(v *Vector) { v.Document.Id = nil }), fault.Permanent, fault.Malformed},
		"no version":                       {without(func(v *Vector) { v.Version = 0 }), fault.Permanent, fault.Malformed},
		"negative version":                 {without(func(v *Vector) { v.Version = -1 }), fault.Permanent, fault.Malformed},
		"half a number":                    {without(func(v *Vector) { v.Vector = v.Vector[:6] }), fault.Permanent, fault.DimensionMismatch},
		"present but empty: never found":   {without(func(v *Vector) { v.Vector = nil }), fault.Permanent, fault.Malformed},
		"vector of nobody knows what text": {without(func(v *Vector) { v.Fingerprint = nil }), fault.Permanent, fault.Malformed},
		"op of a newer build: stop, or the change is lost": {newChange(99, 1).v, fault.Fatal, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			v, err := DecodeVector(mustMarshal(t, tt.vector))
			if v != nil || fault.ClassOf(err) != tt.class || fault.ReasonOf(err) != tt.reason {
				t.Errorf("DecodeVector = %v, %v, want %v %q", v, err, tt.class, tt.reason)
			}
		})
	}
	if _, err := DecodeVector([]byte("\xff\xff")); fault.ReasonOf(err) != fault.Malformed {
		t.Errorf("no protobuf: %v", err)
	}
}

func TestDecodeTakesMarkersWithoutItemAndVersion(t *testing.T) {
	marker := &Document{Op: Op_OP_MARKER, Job: "nightly", MarkedAt: 1}
	if _, err := DecodeDocument(mustMarshal(t, marker)); err != nil {
		t.Error(err)
	}
	if _, err := DecodeVector(mustMarshal(t, &Vector{Document: marker})); err != nil {
		t.Error(err)
	}
}

// TestInvalidUTF8IsNoEndlessRetry: an unclassified error is tried again for ever.
func TestInvalidUTF8IsNoEndlessRetry(t *testing.T) {
	d := upsert(1, "a").v.GetDocument()
	d.Id = []string{"secret\xff"}
	_, err := d.Encode()
	if fault.ReasonOf(err) != fault.Malformed {
		t.Fatalf("Encode: %v, want malformed", err)
	}
	if strings.Contains(err.Error(), "secret") {
		t.Errorf("the error holds the value: %v", err)
	}
}

// TestFieldsOfANewerBuildSurviveAHop: during a rollout a newer ingest speaks to a
// newer write through an older embed.
func TestFieldsOfANewerBuildSurviveAHop(t *testing.T) {
	unknown := protowire.AppendString(protowire.AppendTag(nil, 1000, protowire.BytesType), "from tomorrow")
	d, err := DecodeDocument(append(mustMarshal(t, upsert(1, "a").v.GetDocument()), unknown...))
	if err != nil {
		t.Fatal(err)
	}
	b, err := (&Vector{Document: d, Version: 1}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	v, err := DecodeVector(append(b, unknown...))
	if err != nil {
		t.Fatal(err)
	}
	b, err = v.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(b, unknown); n != 2 {
		t.Errorf("%d of 2 unknown fields survive", n)
	}
	c, err := DecodeControl(unknown)
	if err != nil {
		t.Fatal(err)
	}
	if b, err = c.Encode(); err != nil || !bytes.Equal(b, unknown) {
		t.Errorf("control record: %x, %v", b, err)
	}
}

func TestVersion(t *testing.T) {
	tests := map[string]struct {
		epoch  int32
		offset int64
		want   int64 // 0: refused
	}{
		"first record of all: not 0, which means none": {0, 0, 1},
		"next record":                            {0, 1, 2},
		"last offset of an epoch":                {0, 1<<48 - 2, 1<<48 - 1},
		"first of the next epoch is above it":    {1, 0, 1<<48 + 1},
		"highest version: exact as a double":     {31, 1<<48 - 2, 1<<53 - 1},
		"offset that would reach the next epoch": {0, 1<<48 - 1, 0},
		"epoch 32: a double rounds it":           {32, 0, 0},
		"negative epoch":                         {-1, 0, 0},
		"negative offset":                        {0, -1, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := Version(tt.epoch, tt.offset)
			if (err != nil) != (tt.want == 0) || got != tt.want {
				t.Fatalf("Version = %d, %v, want %d", got, err, tt.want)
			}
			if int64(float64(got)) != got {
				t.Errorf("%d is not exact as a double", got)
			}
			if epoch, offset := Place(got); err == nil && (epoch != tt.epoch || offset != tt.offset) {
				t.Errorf("Place = %d, %d", epoch, offset)
			}
		})
	}
}

// TestGoldenFingerprints: a fingerprint that changes pays for every item once more.
func TestGoldenFingerprints(t *testing.T) {
	tests := map[string]struct{ space, text, want string }{
		"a product":                        {"openai/text-embedding-3-large/3072", "Stabmixer 600 W", "4cc87ab674ce4a765fbb695a047deda8"},
		"no text":                          {"hash/hash/8", "", "59d8d57f3414a9620466b57f2b3bc59e"},
		"space ends where the text begins": {"hash/hash/", "8", "1ed92949cce1dbe145f60f6d26ac7457"},
		"Chinese":                          {"builtin/use-lite/512", "降噪耳机", "459bc2d74a7982187ce39a6671fd8cda"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := hexOf(Fingerprint(tt.space, tt.text)); got != tt.want {
				t.Errorf("Fingerprint = %s, want %s", got, tt.want)
			}
		})
	}
}

func TestVectorBytes(t *testing.T) {
	b := AppendVector([]byte{9}, []float32{1, -0.5, 0})
	if got := hexOf(b); got != "090000803f000000bf00000000" {
		t.Errorf("AppendVector = %s", got)
	}
	v, err := ParseVector(b[1:])
	if err != nil || len(v) != 3 || v[0] != 1 || v[1] != -0.5 || v[2] != 0 {
		t.Errorf("ParseVector = %v, %v", v, err)
	}
	if _, err := ParseVector(b); err == nil {
		t.Error("ParseVector took 13 bytes")
	}
}

func TestAVectorIsNotCopied(t *testing.T) {
	b := mustMarshal(t, &Vector{
		Document: &Document{Op: Op_OP_UPSERT, Collection: "Product", Id: []string{"1"}}, Version: 1,
		Fingerprint: []byte{1}, Vector: AppendVector(nil, []float32{1, 2}), Truncated: true,
	})
	v, err := DecodeVector(b)
	if err != nil || !v.GetTruncated() || len(v.GetVector()) != 8 {
		t.Fatalf("decoded %v, %v", v, err)
	}
	if at := bytes.Index(b, v.GetVector()); &b[at] != &v.GetVector()[0] {
		t.Error("the vector is a copy")
	}
}
