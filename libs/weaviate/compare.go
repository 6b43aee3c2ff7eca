package weaviate

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/weaviate/weaviate/entities/models"

	"github.com/freshet-io/freshet/libs/fault"
)

// What a collection is and what it should be differ in two ways: what decides which results a
// search has or what is lost stops a service; how fast and how exactly the index finds them is
// only told of.

// Misfit is how a collection differs from what the pipeline file asks for. What to do about it others may know better.
type Misfit struct {
	Class       string
	Differences []string
}

// Error implements error.
func (m *Misfit) Error() string {
	return fmt.Sprintf("collection %s does not fit the pipeline file: %s", m.Class, strings.Join(m.Differences, "; "))
}

func differs(class string, diffs []string) error {
	if len(diffs) == 0 {
		return nil
	}
	return fault.Halt("%w: run freshet rebuild, or put the file right", &Misfit{class, diffs})
}

// differences are what is otherwise there than here, in words.
type differences []string

func (d *differences) add(what string, have, want any) {
	if have != want {
		*d = append(*d, fmt.Sprintf("%s is %v there and %v here", what, have, want))
	}
}

// classDifferences compares what decides about results.
func classDifferences(have, want *models.Class, vector string) []string {
	var diffs differences
	for _, p := range have.Properties {
		if w := propertyOf(want, p.Name); w == nil {
			diffs = append(diffs, fmt.Sprintf("property %s is there and not here", p.Name))
		} else {
			diffs.add("property "+p.Name, strings.Join(p.DataType, "|"), strings.Join(w.DataType, "|"))
		}
	}
	is, found := vectorsOf(have, vector)
	should, _ := vectorsOf(want, vector)
	if !found {
		return append(diffs, fmt.Sprintf("vector %q is not there", vector))
	}
	diffs.add("distance", is.settings["distance"], should.settings["distance"])
	diffs.add("vectorizer", is.vectorizer, noVectorizer)
	diffs.add("multi-tenancy", tenants(have), tenants(want))
	return diffs
}

// checkCopies refuses a class of several copies that forgets what was deleted.
func checkCopies(have *models.Class) error {
	if copies(have) > 1 && have.ReplicationConfig.DeletionStrategy != timeBased {
		return fault.Halt("collection %s has %d copies of each item and deletionStrategy %s, which brings deleted items back: set its replicationConfig to %s in Weaviate",
			have.Class, copies(have), have.ReplicationConfig.DeletionStrategy, timeBased)
	}
	return nil
}

// mixing says that texts of other templates are in a collection, "" where none is known to be.
//
// One that does not say with which templates it was filled counts as another, not as equal: an
// early build made it, nobody can tell what has changed since, and to guess is to mix in silence.
// For the same reason no command writes the hash into it later.
func mixing(class, have, want string) string {
	switch {
	case want == "" || have == want:
		return ""
	case have == "":
		return "collection " + class + " does not say with which templates (template, when, require, oversize) its texts were made"
	}
	return "collection " + class + " has texts of other templates (template, when, require, oversize) than the pipeline file's"
}

// warningsOf returns what is otherwise than wanted and stops no service.
func warningsOf(have, want *models.Class, spec CollectionSpec, side bool) []string {
	var warnings []string
	replication := map[string]any{"factor": copies(have), "asyncEnabled": have.ReplicationConfig != nil && have.ReplicationConfig.AsyncEnabled}
	diffs := drift("replicationConfig", replication, wantedCopies(spec))
	if !side {
		diffs = append(diffs, indexDrift(have, want, spec.Settings.Vector)...)
		id, _ := parseIdentity(have.Description) // compare has read it
		if warning := mixing(have.Class, id.Recipes, spec.Recipes); warning != "" {
			warnings = append(warnings, warning+": new texts are mixed with them, since FRESHET_WEAVIATE_MIX_TEMPLATES allows it; freshet rebuild makes them equal")
		}
	}
	if len(diffs) > 0 {
		warnings = append(warnings, fmt.Sprintf("the index of collection %s is not as the pipeline file says: %s: nothing was changed; put the file right, set it in Weaviate where it can be changed (PUT /v1/schema/%s), or run freshet rebuild",
			have.Class, strings.Join(diffs, "; "), have.Class))
	}
	return warnings
}

func wantedCopies(spec CollectionSpec) map[string]any {
	if spec.Settings.Replication == 0 {
		return nil
	}
	wanted := map[string]any{"factor": int64(spec.Settings.Replication)}
	if repaired(spec.Settings) {
		wanted["asyncEnabled"] = true
	}
	return wanted
}

func indexDrift(have, want *models.Class, vector string) []string {
	is, _ := vectorsOf(have, vector)
	should, _ := vectorsOf(want, vector)
	var diffs differences
	if diffs.add("vectorIndexType", is.kind, should.kind); diffs == nil {
		diffs = drift("vectorIndexConfig", is.settings, should.settings)
	}
	for _, p := range want.Properties {
		if h := propertyOf(have, p.Name); h != nil {
			diffs = append(diffs, drift("property "+p.Name, indexing(h), indexing(p))...)
		}
	}
	return diffs
}

func indexing(p *models.Property) map[string]any {
	is := func(flag *bool) bool { return flag != nil && *flag }
	return map[string]any{
		"tokenization": p.Tokenization, "indexFilterable": is(p.IndexFilterable),
		"indexSearchable": is(p.IndexSearchable), "indexRangeFilters": is(p.IndexRangeFilters),
	}
}

// drift compares the settings that are wanted, however deep, with those that are there.
func drift(of string, have, want map[string]any) []string {
	var diffs differences
	for _, key := range slices.Sorted(maps.Keys(want)) {
		name := of + "." + key
		if inner, ok := want[key].(map[string]any); ok {
			there, _ := have[key].(map[string]any)
			diffs = append(diffs, drift(name, there, inner)...)
		} else {
			diffs.add(name, have[key], want[key])
		}
	}
	return diffs
}

func propertyOf(class *models.Class, name string) *models.Property {
	i := slices.IndexFunc(class.Properties, func(p *models.Property) bool { return p.Name == name })
	if i < 0 {
		return nil
	}
	return class.Properties[i]
}

func absentProperties(have, want *models.Class) []*models.Property {
	return slices.DeleteFunc(slices.Clone(want.Properties), func(p *models.Property) bool { return propertyOf(have, p.Name) != nil })
}
