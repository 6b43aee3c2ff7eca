package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"unicode"

	"github.com/rivo/uniseg"
	"golang.org/x/term"
)

const (
	pipeWidth = 100 // of a table that goes to no terminal
	minWidth  = 60
	maxCell   = 40
	minCell   = 16 // a column with less room than this is left out
	columnGap = 2
	uncut     = math.MaxInt32 // a width in which every cell is whole
)

// table is text in columns. It is for people: cells are cut to the width of the
// terminal, and columns that do not fit are left out. Scripts take JSON.
type table struct {
	header []string
	rows   [][]string
	notes  []string // a line below each row; empty if there are none
	whole  bool     // notes are broken into lines rather than cut, and an empty one has none
	wide   bool     // the last column may have all the room that is left
	names  bool     // the first column names what other commands take: it is cut no shorter than the line
}

func checkOutput(form string) error {
	if form != "table" && form != "json" {
		return fmt.Errorf("--output %s: table or json", form)
	}
	return nil
}

// outputWidth returns how many cells a line may have.
func outputWidth() int {
	width, _, err := term.GetSize(int(os.Stdout.Fd()))
	if err != nil {
		return pipeWidth
	}
	return max(width, minWidth)
}

// tableWidth is outputWidth for a table that a file or another program has whole.
func tableWidth() int {
	if !term.IsTerminal(int(os.Stdout.Fd())) {
		return uncut
	}
	return outputWidth()
}

func (t table) write(out io.Writer, width int) error {
	widths, more := t.fit(width)
	var errs []error
	line := func(cells []string, end string) {
		var b strings.Builder
		for i, w := range widths {
			cell := cut(cells[i], w)
			b.WriteString(cell + strings.Repeat(" ", w-uniseg.StringWidth(cell)+columnGap))
		}
		_, err := fmt.Fprintln(out, strings.TrimRight(b.String(), " ")+end)
		errs = append(errs, err)
	}
	line(t.header, more)
	for i, row := range t.rows {
		line(row, "")
		switch {
		case len(t.notes) == 0 || t.whole && t.notes[i] == "":
		case t.whole:
			for _, part := range wrap(plain(t.notes[i]), width-columnGap) {
				_, err := fmt.Fprintln(out, "  "+part)
				errs = append(errs, err)
			}
		default:
			_, err := fmt.Fprintln(out, "  "+cut(t.notes[i], width-columnGap))
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// alignRight puts the numbers of the columns from, up to to, below each other.
func (t table) alignRight(from, to int) {
	lines := append([][]string{t.header}, t.rows...)
	for column := from; column < to; column++ {
		width := 0
		for _, line := range lines {
			width = max(width, len(line[column]))
		}
		for _, line := range lines {
			line[column] = fmt.Sprintf("%*s", width, line[column])
		}
	}
}

// fit returns the widths of the columns that are shown, and the mark at the end of
// the header where some are left out.
func (t table) fit(width int) (widths []int, more string) {
	const mark = " …"
	left := width - columnGap
	for i, name := range t.header {
		need, most := uniseg.StringWidth(name), maxCell
		if t.wide && i == len(t.header)-1 || t.names && i == 0 || width == uncut {
			most = width
		}
		for _, row := range t.rows {
			need = max(need, min(uniseg.StringWidth(plain(row[i])), most))
		}
		if need > left {
			if left < minCell {
				return widths, mark
			}
			need = left
		}
		widths = append(widths, need)
		left -= need + columnGap
	}
	return widths, ""
}

// cut returns text in at most width cells, on one line.
func cut(text string, width int) string {
	text = plain(text)
	if uniseg.StringWidth(text) <= width {
		return text
	}
	var b strings.Builder
	for used, state := 1, -1; text != ""; { // a cell is the ellipsis
		var cluster string
		var cells int
		cluster, text, cells, state = uniseg.FirstGraphemeClusterInString(text, state)
		if used += cells; used > width {
			break
		}
		b.WriteString(cluster)
	}
	return strings.TrimRight(b.String(), " ") + "…"
}

// cutLeft returns the end of text in at most width cells: that of a path tells more than its beginning.
func cutLeft(text string, width int) string {
	text = plain(text)
	if uniseg.StringWidth(text) <= width {
		return text
	}
	for uniseg.StringWidth(text) >= width { // a cell is the ellipsis
		_, text, _, _ = uniseg.FirstGraphemeClusterInString(text, -1)
	}
	return "…" + text
}

// plain makes a line of text. A product's text is anybody's: control characters in it
// would move the cursor, or worse.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
}

// wrap breaks text into lines of at most width cells, at blanks where there are any.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.SplitSeq(text, " ") {
		for uniseg.StringWidth(word) > width { // an address, say
			if line != "" {
				lines, line = append(lines, line), ""
			}
			head := strings.TrimSuffix(cut(word, width), "…")
			lines, word = append(lines, head), word[len(head):]
		}
		if line != "" && uniseg.StringWidth(line)+1+uniseg.StringWidth(word) > width {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}
