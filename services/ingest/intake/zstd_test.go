package intake_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// flushed packs a body in two blocks, so that its header says no size.
func flushed(t *testing.T, body string) string {
	t.Helper()
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	for _, half := range []string{body[:len(body)/2], body[len(body)/2:]} {
		if _, err := w.Write([]byte(half)); err != nil {
			t.Fatal(err)
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestZstd_takesNoMoreRoomThanItsBodyMayNeed(t *testing.T) {
	const block = 128 << 10
	row := `{"id":1,"seq":1,"name":"` + strings.Repeat("a", 50_000) + "\"}\n"
	other := strings.Replace(row, `"id":1`, `"id":2`, 1)
	skipped := "\x50\x2a\x4d\x18\x03\x00\x00\x00abc"
	for name, test := range map[string]struct {
		packed         string
		accepted, most int
	}{
		"a frame that says its size":  {pack(t, "zstd", row), 1, len(row) + 2000},
		"a frame that does not":       {flushed(t, row), 1, 3*block + 2000},
		"several frames":              {pack(t, "zstd", row) + skipped + flushed(t, other), 2, len(row) + 3*block + 3000},
		"nothing but what is skipped": {skipped, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			held := 0
			b.sink.looks = func() { held = b.held(t) }
			w := b.post(t, test.packed, "Content-Encoding", "zstd")
			if w.Code != http.StatusOK || strings.Count(b.sink.all(), "\n") != max(0, test.accepted-1) || (b.sink.all() == "") != (test.accepted == 0) {
				t.Errorf("%d %s", w.Code, w.Body)
			}
			if held > test.most || b.gauge(t) != "0" {
				t.Errorf("%d bytes are held for %d, and %s still", held, test.accepted*len(row), b.gauge(t))
			}
		})
	}
}

func TestZstd_cutShortAnywhereIsRefused(t *testing.T) {
	whole := pack(t, "zstd", cup+strings.Repeat(" ", 1000)+"\n") + flushed(t, cup+"\n"+cup)
	first := len(pack(t, "zstd", cup+strings.Repeat(" ", 1000)+"\n"))
	b := newBed(t)
	for n := range len(whole) {
		if n == 0 || n == first {
			continue // a body of its own
		}
		if w := b.post(t, whole[:n], "Content-Encoding", "zstd"); w.Code != http.StatusBadRequest || b.gauge(t) != "0" {
			t.Errorf("%d of %d bytes: %d %s, %s bytes are still held", n, len(whole), w.Code, w.Body, b.gauge(t))
		}
	}
	if b.sink.all() != "" {
		t.Errorf("written %s", b.sink.all())
	}
}
