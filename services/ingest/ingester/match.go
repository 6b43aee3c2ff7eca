package ingester

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/stage"
	"github.com/freshet-io/freshet/services/ingest/change"
)

// verdict says whether a change is of a table that a pipeline asks for.
type verdict uint8

const (
	matchNo verdict = iota
	matchYes
	matchUnknown
)

// match compares the change's table with the pipeline's. What the source does not
// say is taken from the name of the key's schema and then of the topic; transforms
// rename topics, so only the last parts of a dotted name are believed.
func (m *mapping) match(c *change.Change, topic string) verdict {
	want := m.pipeline.Match
	if want == (pipeline.Match{}) {
		return matchYes
	}
	result := matchYes
	for _, part := range []struct {
		want, have string
		fallback   func(name string) verdict
	}{
		{want.Table, c.Table.Name, func(name string) verdict { return lastPart(name, want.Table) }},
		{want.Schema, c.Table.Schema, func(name string) verdict { return innerPart(name, want.Schema) }},
		{want.DB, c.Table.DB, func(name string) verdict { return innerPart(name, want.DB) }},
	} {
		switch {
		case part.want == "" || part.have == part.want:
		case part.have != "":
			return matchNo
		default:
			switch part.fallback(dottedName(c, topic)) {
			case matchNo:
				return matchNo
			case matchUnknown:
				result = matchUnknown
			case matchYes:
			}
		}
	}
	return result
}

// dottedName returns the one that holds the table's: server.catalog.products.
func dottedName(c *change.Change, topic string) string {
	if s := c.Key.Schema; s != nil {
		if name, is := strings.CutSuffix(s.Name, ".Key"); is {
			return name
		}
	}
	return topic
}

func lastPart(name, want string) verdict {
	dot := strings.LastIndexByte(name, '.')
	switch {
	case dot < 0:
		return matchUnknown
	case name[dot+1:] == want:
		return matchYes
	}
	return matchNo
}

// innerPart looks for a database or schema before the table and, where there are more parts, behind the connector's prefix.
// PostgreSQL's names hold no database, so its absence says nothing.
func innerPart(name, want string) verdict {
	parts := strings.Split(name, ".")
	if slices.Contains(parts[min(1, max(len(parts)-2, 0)):len(parts)-1], want) {
		return matchYes
	}
	return matchUnknown
}

// Unmatched says for people what a record is of that no pipeline asks for, and what they ask for.
func (in *Ingester) Unmatched(ctx context.Context, r stage.Record) string {
	t := in.topic(r.Topic)
	var wanted []string
	if len(t.mappings) == 0 {
		for _, m := range in.mappings {
			wanted = append(wanted, m.pipeline.Source.Topics...)
		}
		return neither("topic", r.Topic, wanted)
	}
	for _, m := range t.mappings {
		want := m.pipeline.Match
		wanted = append(wanted, dotted(want.DB, want.Schema, want.Table))
	}
	table := ""
	if known, err := in.describe(ctx, []Change{{r}}); err == nil {
		if changes, err := in.read(&r, known, in.openKey(r.Key, known), t); err == nil && len(changes) > 0 {
			of := changes[0].Table
			table = cmp.Or(dotted(of.DB, of.Schema, of.Name), dottedName(&changes[0], r.Topic))
		}
	}
	return neither("table", table, wanted)
}

// Rows calls each with every row of a record that a pipeline asks for, and with what it was before where the source shows
// that: what the columns are called, whether the row can be used or not.
func (in *Ingester) Rows(ctx context.Context, r stage.Record, each func(name string, row, before gjson.Result)) {
	known, err := in.describe(ctx, []Change{{r}})
	if err != nil {
		return
	}
	t := in.topic(r.Topic)
	changes, err := in.read(&r, known, in.openKey(r.Key, known), t)
	if err != nil {
		return
	}
	for i := range changes {
		for _, m := range t.mappings {
			if changes[i].Op == change.Upsert && m.match(&changes[i], r.Topic) == matchYes {
				each(m.pipeline.Name, changes[i].After, changes[i].Before)
			}
		}
	}
}

func neither(what, name string, wanted []string) string {
	slices.Sort(wanted)
	return fmt.Sprintf("%s %s is none of %s", what, name, strings.Join(slices.Compact(wanted), ", "))
}

func dotted(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(part string) bool { return part == "" }), ".")
}
