package main

import (
	"strings"
	"testing"
	"time"

	"github.com/rivo/uniseg"

	"github.com/freshet-io/freshet/services/ctl/inspect"
)

// A text of an item is anybody's, and a terminal has so many cells.
func TestWriteItem_staysWithinItsWidthAndLetsNoTextMoveTheCursor(t *testing.T) {
	hostile := "\x1b[2J" + strings.Repeat("很长的文字", 60) + "\r\n" + strings.Repeat("x", 300)
	at := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	item := inspect.Item{
		Item:     &inspect.ItemName{Collection: "Product", ID: []string{hostile}},
		Index:    &inspect.Index{Standing: inspect.Stub, Class: "Product_g1", Text: hostile, Properties: []inspect.Property{{Name: "name", Value: hostile}}},
		Record:   &inspect.Record{Said: hostile, Timestamp: at},
		Waiting:  []inspect.Waiting{{Stage: "write", Since: at, Owed: true, Behind: 3}},
		Letters:  []inspect.Letter{{Source: hostile}, {}, {}, {}},
		Causes:   []inspect.Cause{{Code: inspect.CauseDeadLetter, Summary: hostile, Detail: hostile, Do: hostile}},
		Unknown:  []string{hostile},
		Timeline: &inspect.Timeline{Start: at, End: at.Add(time.Second), Hops: []inspect.Hop{{Name: "ingest", Took: inspect.Seconds(time.Second), Share: 1}, {Name: "write", Open: true}}},
	}
	for _, width := range []int{minWidth, 100, 200} {
		var out strings.Builder
		if err := writeItem(&out, &item, width); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(out.String()) {
			line = strings.TrimSuffix(line, "\n")
			if cells := uniseg.StringWidth(line); cells > width || strings.ContainsAny(line, "\x1b\r") {
				t.Errorf("%d cells of %d: %q", cells, width, line)
			}
		}
	}
}

func TestBar_hasItsPlaceInTheWhole(t *testing.T) {
	for want, got := range map[string]string{
		"████":   bar(0, 1, 4, false),
		"  █▌":   bar(.5, .375, 4, false),
		"▏":      bar(0, 0, 4, false),
		"    ▏…": bar(1, 0, 4, true),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestWrap_keepsAllOfTheText(t *testing.T) {
	for _, text := range []string{"", "a b", strings.Repeat("word ", 40) + "end", strings.Repeat("很", 100), "short " + strings.Repeat("x", 95) + " end"} {
		lines := wrap(text, 20)
		for _, line := range lines {
			if uniseg.StringWidth(line) > 20 {
				t.Errorf("%q is wider than 20 cells", line)
			}
		}
		if got := strings.ReplaceAll(strings.Join(lines, ""), " ", ""); got != strings.ReplaceAll(text, " ", "") {
			t.Errorf("%q became %q", text, lines)
		}
	}
}
