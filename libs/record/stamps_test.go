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
	for _, ms := range []int{180, 3, 40, 95, 12, 30} {
		at = at.Add(time.Duration(ms) * time.Millisecond)
		s.Add(at)
	}
	b := s.Encode()
	if len(b) > 29 {
		t.Errorf("%d bytes, want at most 29", len(b))
	}
	if got, want := hexOf(b), "010006610473279000a0fe0ab817c0b80298e605e05db0ea01"; got != want {
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
	s.Add(start.Add(time.Second))
	before := s
	s.Add(start.Add(2 * time.Second))
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
	s.Add(start.Add(-time.Hour)) // received before it was committed
	s.Add(start.Add(time.Second))
	s.Add(start.Add(500 * time.Millisecond))
	want := []time.Duration{0, time.Second, time.Second}
	for hop, after := range want {
		if at, ok := s.At(Hop(hop)); !ok || at.Sub(start) != after {
			t.Errorf("hop %d after %v, want %v", hop, at.Sub(start), after)
		}
	}
}

func TestStampsAreFullAfterTheLastHop(t *testing.T) {
	s := NewStamps(time.UnixMicro(0))
	for range 20 {
		s.Add(time.UnixMicro(7))
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
		"cut in the start":          "\x01\x00\x00\x00\x00\x00\x00\x00",
		"another version":           "\x02\x00\x00\x00\x00\x00\x00\x00\x00",
		"start before 1970":         "\x01\xff\xff\xff\xff\xff\xff\xff\xff",
		"start after all calendars": "\x01\x7f\xff\xff\xff\xff\xff\xff\xff",
		"cut in a hop":              "\x01\x00\x00\x00\x00\x00\x00\x00\x00\x80",
		"hop beyond 64 bits":        "\x01\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
		"hop after all calendars":   "\x01\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
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
		for range rapid.IntRange(0, int(hopCount)).Draw(t, "hops") {
			s.Add(time.UnixMicro(rapid.Int64().Draw(t, "hop")))
		}
		if d, err := DecodeStamps(s.Encode()); err != nil || d != s {
			t.Fatalf("DecodeStamps = %v, %v, want %v", d, err, s)
		}
	})
}
