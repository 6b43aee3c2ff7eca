package ingester

import (
	"slices"
	"strings"

	"github.com/freshet-io/freshet/libs/pipeline"
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
			switch part.fallback(names(c, topic)) {
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

// names returns the dotted name that holds the table's: server.catalog.products.
func names(c *change.Change, topic string) string {
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

// innerPart looks for a database or schema before the table. PostgreSQL's names
// hold no database, so its absence says nothing.
func innerPart(name, want string) verdict {
	parts := strings.Split(name, ".")
	if slices.Contains(parts[:len(parts)-1], want) {
		return matchYes
	}
	return matchUnknown
}
