package main

import (
	"strings"
	"testing"

	"github.com/rivo/uniseg"
)

func TestTable_fitsItsWidthAndNoTextMovesTheCursor(t *testing.T) {
	long := strings.Repeat("long ", 40)
	for name, tt := range map[string]struct {
		table table
		width int
		want  string
	}{
		"whole": {table{header: []string{"ID", "NAME"}, rows: [][]string{{"1", "Tent"}}}, 60, "ID  NAME\n1   Tent\n"},
		"a cell is cut and the column that has no room is left out": {
			table{header: []string{"ID", "NAME", "PRICE"}, rows: [][]string{{"1", long, "9.5"}}},
			50,
			"ID  NAME …\n1   long long long long long long long long…\n",
		},
		"nothing is cut where no terminal sets a bound": {table{header: []string{"ID", "NAME"}, rows: [][]string{{long, long + "end"}}}, uncut, "ID" + strings.Repeat(" ", len(long)) + "NAME\n" + long + "  " + long + "end\n"},
		"wide characters count as two":                  {table{header: []string{"NAME", "ID"}, rows: [][]string{{"帐篷", "1"}, {"abcd", "2"}}}, 60, "NAME  ID\n帐篷  1\nabcd  2\n"},
		"control characters are spaces":                 {table{header: []string{"NAME"}, rows: [][]string{{"a\x1b[2J\nb"}}}, 60, "NAME\na [2J b\n"},
		"a note stands below its row, cut too":          {table{header: []string{"ID"}, rows: [][]string{{"1"}}, notes: []string{long}}, 20, "ID\n1\n  long long long lo…\n"},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			if err := tt.table.write(&out, tt.width); err != nil {
				t.Fatal(err)
			}
			if out.String() != tt.want {
				t.Errorf("got\n%s\nwant\n%s", out.String(), tt.want)
			}
			for line := range strings.Lines(out.String()) {
				if uniseg.StringWidth(strings.TrimSuffix(line, "\n")) > tt.width {
					t.Errorf("wider than %d: %q", tt.width, line)
				}
			}
		})
	}
}

func TestTable_whatOtherCommandsTakeIsWhole(t *testing.T) {
	name := strings.Repeat("letters.", 7) + "3/8714"
	for names, want := range map[bool]bool{true: true, false: false} {
		var out strings.Builder
		short := table{names: names, header: []string{"LETTER", "REASON"}, rows: [][]string{{name, "oversize"}}}
		if err := short.write(&out, 80); err != nil || strings.Contains(out.String(), name) != want {
			t.Errorf("names %v: %v\n%s", names, err, out.String())
		}
	}
}

func TestTable_notesThatAreWholeAreBrokenIntoLines(t *testing.T) {
	var out strings.Builder
	noted := table{whole: true, header: []string{"ID"}, rows: [][]string{{"1"}, {"2"}}, notes: []string{strings.Repeat("long ", 10), ""}}
	if err := noted.write(&out, 30); err != nil || strings.Count(out.String(), "long") != 10 || strings.Count(out.String(), "\n") != 5 {
		t.Errorf("%v\n%s", err, out.String())
	}
}
