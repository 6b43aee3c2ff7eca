package dev

import (
	"testing"

	"github.com/freshet-io/freshet/services/ctl/catalogue"
)

func TestParsePrice_takesAtMostTwoDigitsAfterThePoint(t *testing.T) {
	for text, want := range map[string]catalogue.Price{"5": 500, "5.5": 550, " 59.90 ": 5990, "0.07": 7, "1234567.89": 123456789} {
		if got, ok := parsePrice(text); !ok || got != want {
			t.Errorf("%q is %d, %v; want %d", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "-1", "1,50", "1.234", ".5", "1e3", "12345678", "٣"} {
		if got, ok := parsePrice(text); ok {
			t.Errorf("%q is %d, want none", text, got)
		}
	}
}
