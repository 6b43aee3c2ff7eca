package registry

import (
	"fmt"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/services/ingest/wire"
)

// entry is a schema in an answer of the API.
type entry struct {
	Schema     string      `json:"schema"`
	Type       string      `json:"schemaType"`
	References []reference `json:"references"`
}

// reference is the place of a schema whose types another one names.
type reference struct {
	Subject string `json:"subject"`
	Version int    `json:"version"`
}

// String says it to people.
func (r reference) String() string { return fmt.Sprintf("version %d of %s", r.Version, r.Subject) }

// define returns the schema with those that it refers to, of which find has each.
func (e entry) define(find func(reference) (entry, error)) (wire.Definition, error) {
	d := wire.Definition{Text: e.Schema, Language: e.Type}
	return d, follow(e.References, find, map[reference]bool{}, &d)
}

// follow adds the schemas that are referred to, each behind those that it needs itself.
func follow(to []reference, find func(reference) (entry, error), seen map[reference]bool, d *wire.Definition) error {
	for _, next := range to {
		if seen[next] {
			continue
		}
		if seen[next] = true; len(seen) > maxReferences {
			return fault.Reject(fault.UnknownSchema, "it refers to more than %d others", maxReferences)
		}
		found, err := find(next)
		if err != nil {
			return err
		}
		if err := follow(found.References, find, seen, d); err != nil {
			return err
		}
		d.References = append(d.References, found.Schema)
	}
	return nil
}
