package events

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func pack(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestRead_whatIsPackedByGzip(t *testing.T) {
	packed := pack(t, "{\"id\":1}\n{\"id\":2}\n")
	file := filepath.Join(t.TempDir(), "events")
	if err := os.WriteFile(file, packed, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"-", file} {
		var got []string
		err := Read(path, bytes.NewReader(packed), nil, func(e Event) error {
			got = append(got, string(e.Record.Value))
			return nil
		})
		if err != nil || strings.Join(got, " ") != `{"id":1} {"id":2}` {
			t.Errorf("%s: %v, %v", path, got, err)
		}
	}
	for _, broken := range [][]byte{packed[:len(packed)-9], packed[:3]} {
		if err := Read("-", bytes.NewReader(broken), nil, func(Event) error { return nil }); err == nil || !strings.HasPrefix(err.Error(), "reading samples: ") {
			t.Errorf("cut short: %v", err)
		}
	}
}

func TestUnpacked_hasABound(t *testing.T) {
	for most, fails := range map[int64]bool{99_999: true, 100_000: false} {
		in, err := unpacked(bufio.NewReader(bytes.NewReader(pack(t, strings.Repeat("x", 100_000)))), most)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(in); (err != nil) != fails {
			t.Errorf("at most %d: %v", most, err)
		}
	}
}
