package record

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/freshet-io/freshet/libs/fault"
)

// addGolden seeds a fuzz target with all golden files, also those of other kinds.
func addGolden(f *testing.F) {
	f.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", "golden", "*.bin"))
	if err != nil || len(paths) == 0 {
		f.Fatalf("no golden files: %v", err)
	}
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(b[:len(b)/2])
	}
}

// checkDecode holds for any bytes: a record that can be written again as an equal
// one, or an error that no stage tries again for ever.
func checkDecode(t *testing.T, kind string, b []byte) {
	t.Helper()
	m, err := decode(kind, b)
	if err != nil {
		if kind != "control" && fault.ClassOf(err) == fault.Transient {
			t.Fatalf("%v would be tried again for ever", err)
		}
		return
	}
	again, err := encodeAny(m)
	if err != nil {
		t.Fatalf("encoding what was decoded: %v", err)
	}
	if twice, err := decode(kind, again); err != nil || !proto.Equal(m, twice) {
		t.Fatalf("decoded again %v, %v, want %v", twice, err, m)
	}
}

func FuzzDecodeDocument(f *testing.F) {
	addGolden(f)
	f.Fuzz(func(t *testing.T, b []byte) { checkDecode(t, "document", b) })
}

func FuzzDecodeVector(f *testing.F) {
	addGolden(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		checkDecode(t, "vector", b)
		v, err := DecodeVector(b)
		if plain := (&Vector{}); err == nil && (proto.Unmarshal(b, plain) != nil || !proto.Equal(v, plain)) {
			t.Fatalf("decoded %v, protobuf says %v", v, plain)
		}
		if err != nil {
			return
		}
		s := State{Sources: Orders{}}
		judged := s.Judge(v)
		if taken := s.Take(v); taken != judged {
			t.Fatalf("Judge = %v, Take = %v", judged, taken)
		}
		if _, err := ParseVector(v.GetVector()); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzDecodeControl(f *testing.F) {
	addGolden(f)
	f.Fuzz(func(t *testing.T, b []byte) { checkDecode(t, "control", b) })
}

func FuzzParseKey(f *testing.F) {
	for _, item := range []Item{product, {"Product", "", []string{"7", "A-2"}}, {"商品", "", []string{""}}} {
		f.Add(item.Key())
	}
	f.Add([]byte("\x87\x00Product\x00\x011"))
	f.Add([]byte("4711"))
	f.Fuzz(func(t *testing.T, b []byte) {
		item, err := ParseKey(b)
		if err != nil {
			return
		}
		if key := item.Key(); !bytes.Equal(key, b) {
			t.Fatalf("%x is the key of an item whose key is %x", b, key)
		}
	})
}

func FuzzDecodeStamps(f *testing.F) {
	f.Add([]byte("\x01\x00\x06\x61\x04\x73\x27\x90\x00\xa0\xfe\x0a\xb8\x17\xc0\xb8\x02\x98\xe6\x05\xe0\x5d\xb0\xea\x01"))
	f.Add([]byte("\x01\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\x7f"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := DecodeStamps(b)
		if err != nil {
			return
		}
		if again, err := DecodeStamps(s.Encode()); err != nil || again != s {
			t.Fatalf("decoded again %v, %v, want %v", again, err, s)
		}
	})
}
