package record

import (
	"encoding/hex"
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func hexOf(b []byte) string { return hex.EncodeToString(b) }

func TestGoldenStamps(t *testing.T) {
	committed := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	s := NewStamps(committed)
	at := committed
	for hop, ms := range []int{180, 3, 40, 10, 75, 10, 12, 30} {
		at = at.Add(time.Duration(ms) * time.Millisecond)
		s.Pass(Hop(hop), at)
	}
	b := s.Encode()
	if len(b) > 29 {
		t.Errorf("%d bytes, want at most 29", len(b))
	}
	if got, want := hexOf(b), "020006610473279000a0fe0ab817c0b802904ef8c904904ee05db0ea01"; got != want {
		t.Errorf("Encode = %s, want %s", got, want)
	}
	d, err := DecodeStamps(b)
	if err != nil || d != s {
		t.Fatalf("DecodeStamps = %v, %v, want %v", d, err, s)
	}
	if !d.Start().Equal(committed) {
		t.Errorf("Start = %v", d.Start())
	}
	if written, ok := d.At(Written); !ok || written.Sub(committed) != 360*time.Millisecond {
		t.Errorf("Written = %v, %t", written, ok)
	}
}

func TestStampsOfAnItemOnItsWay(t *testing.T) {
	start := time.UnixMicro(1_000_000)
	s := NewStamps(start)
	s.Pass(IngestReceived, start.Add(time.Second))
	before := s
	s.Pass(IngestProduced, start.Add(2*time.Second))
	s.Pass(IngestProduced, start.Add(3*time.Second))
	if at, _ := s.At(IngestProduced); at.Sub(start) != 2*time.Second || !s.Last().Equal(at) {
		t.Errorf("passed at %v and again later: it shows %v", start.Add(2*time.Second), at)
	}
	if _, ok := before.At(IngestProduced); ok {
		t.Error("adding to a copy changed the original")
	}
	if _, ok := s.At(EmbedReceived); ok {
		t.Error("a hop that was not passed has a time")
	}
	if _, ok := s.At(-1); ok {
		t.Error("hop -1 has a time")
	}
}

func TestStampsOfPodsWhoseClocksDiffer(t *testing.T) {
	start := time.UnixMicro(5_000_000)
	s := NewStamps(start)
	s.Pass(IngestReceived, start.Add(-time.Hour)) // before it was committed
	s.Pass(IngestProduced, start.Add(time.Second))
	s.Pass(EmbedReceived, start.Add(500*time.Millisecond))
	want := []time.Duration{0, time.Second, time.Second}
	for hop, after := range want {
		if at, ok := s.At(Hop(hop)); !ok || at.Sub(start) != after {
			t.Errorf("hop %d after %v, want %v", hop, at.Sub(start), after)
		}
	}
}

func TestStampsOfAnItemThatSkipsHops(t *testing.T) {
	start := time.UnixMicro(5_000_000)
	s := NewStamps(start)
	s.Pass(EmbedReceived, start.Add(time.Second)) // what came before is not known
	s.Pass(Embedded, start.Add(2*time.Second))    // no request was made
	want := []time.Duration{0, 0, time.Second, time.Second, time.Second, 2 * time.Second}
	for hop, after := range want {
		if at, ok := s.At(Hop(hop)); !ok || at.Sub(start) != after {
			t.Errorf("hop %d after %v, want %v", hop, at.Sub(start), after)
		}
	}
}

func TestStampsAreFullAfterTheLastHop(t *testing.T) {
	s := NewStamps(time.UnixMicro(0))
	for hop := range Hop(20) {
		s.Pass(hop, time.UnixMicro(7))
	}
	if b := s.Encode(); len(b) != stampsBase+int(hopCount) {
		t.Errorf("%d bytes", len(b))
	}
	if _, err := DecodeStamps(append(s.Encode(), 1)); !errors.Is(err, ErrStamps) {
		t.Errorf("one hop too many: %v", err)
	}
}

func TestDecodeStampsRefuses(t *testing.T) {
	tests := map[string]string{
		"nothing":                   "",
		"cut in the start":          "\x02\x00\x00\x00\x00\x00\x00\x00",
		"another version":           "\x01\x00\x00\x00\x00\x00\x00\x00\x00",
		"start before 1970":         "\x02\xff\xff\xff\xff\xff\xff\xff\xff",
		"start after all calendars": "\x02\x7f\xff\xff\xff\xff\xff\xff\xff",
		"cut in a hop":              "\x02\x00\x00\x00\x00\x00\x00\x00\x00\x80",
		"hop beyond 64 bits":        "\x02\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
		"hop after all calendars":   "\x02\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
		"somebody else's text":      "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
	}
	for name, header := range tests {
		t.Run(name, func(t *testing.T) {
			if s, err := DecodeStamps([]byte(header)); !errors.Is(err, ErrStamps) {
				t.Errorf("DecodeStamps = %v, %v, want ErrStamps", s, err)
			}
		})
	}
}

func TestStampsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := NewStamps(time.UnixMicro(rapid.Int64().Draw(t, "start")))
		for hop := range rapid.IntRange(0, int(hopCount)).Draw(t, "hops") {
			s.Pass(Hop(hop), time.UnixMicro(rapid.Int64().Draw(t, "hop")))
		}
		if d, err := DecodeStamps(s.Encode()); err != nil || d != s {
			t.Fatalf("DecodeStamps = %v, %v, want %v", d, err, s)
		}
	})
}
