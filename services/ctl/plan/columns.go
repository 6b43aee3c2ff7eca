package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/tidwall/gjson"

	"github.com/freshet-io/freshet/libs/pipeline"
)

// columns compares what a pipeline reads with what its rows have. A column that is in none is perhaps misspelt; perhaps the
// source leaves it out where it is null, so that it is told and is no fault.
type columns struct {
	of   *pipeline.Pipeline
	rows int
	seen map[string]bool
}

// maxSeen bounds the names that are kept: those of a row may be anybody's.
const maxSeen = 10_000

func columnsOf(file *pipeline.File) []*columns {
	all := make([]*columns, len(file.Pipelines))
	for i := range file.Pipelines {
		all[i] = &columns{of: &file.Pipelines[i], seen: map[string]bool{}}
	}
	return all
}

func (p *Planner) look(name string, row, before gjson.Result) {
	c := p.columns[slices.IndexFunc(p.columns, func(c *columns) bool { return c.of.Name == name })]
	c.rows++
	for _, object := range []gjson.Result{row, before} {
		object.ForEach(func(name, _ gjson.Result) bool {
			c.seen[name.Str] = true
			return len(c.seen) < maxSeen
		})
	}
}

// Unseen tells, a line a pipeline, of the columns that it reads and no row of the sample has. Those of id and tenant may be
// in the key: a row without them is a reject.
func (p *Planner) Unseen() string {
	var b strings.Builder
	for _, c := range p.columns {
		if text := c.unseen(); c.rows > 0 && text != "" {
			fmt.Fprintf(&b, "pipeline %s: in none of %s: %s\n", c.of.Name, Count(c.rows, "row"), text)
		}
	}
	return b.String()
}

func (c *columns) unseen() string {
	known := slices.DeleteFunc(slices.Sorted(maps.Keys(c.seen)), func(name string) bool { return strings.ContainsFunc(name, unicode.IsControl) })
	var groups, hints []string
	told := c.of.Identifying()
	for _, part := range c.of.Reads() {
		var names []string
		for _, name := range part.Columns {
			if c.seen[name] || slices.Contains(told, name) {
				continue
			}
			told, names = append(told, name), append(names, name)
			if hint := pipeline.Nearest(name, known); hint != "" {
				hints = append(hints, hint)
			}
		}
		if len(names) > 0 {
			groups = append(groups, strings.Join(names, ", ")+" ("+part.Of+")")
		}
	}
	if len(hints) > 0 {
		hints[0] = ": did you mean " + hints[0]
		hints[len(hints)-1] += "?"
	}
	return strings.Join(groups, ", ") + strings.Join(hints, ", ")
}
