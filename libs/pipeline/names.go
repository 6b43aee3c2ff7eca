package pipeline

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Names as Weaviate takes them. A collection's objects are stored under its name
// with the generation behind it, and Weaviate lower-cases the first letter of a
// property in silence, so both are narrower here than there.
var (
	pipelineName   = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`)
	collectionName = regexp.MustCompile(`^[A-Z][_0-9A-Za-z]{0,199}$`)
	generationName = regexp.MustCompile(`_g[0-9]+(_side)?$`)
	propertyName   = regexp.MustCompile(`^[a-z][_0-9A-Za-z]{0,199}$`)

	reservedProperties = []string{"id", "vector", "vectors", "_additional", "_id", "additional"}
)

// ReservedPrefix begins the names of the properties that hold an item's state.
const ReservedPrefix = "freshet_"

// CheckCollection tells what is wrong with the logical name of a collection.
func CheckCollection(name string) error {
	switch {
	case !collectionName.MatchString(name):
		return fmt.Errorf("%q does not start with a capital and go on with letters, digits and _", name)
	case generationName.MatchString(name):
		return fmt.Errorf("%q ends like a generation", name)
	}
	return nil
}

// CheckProperty tells what is wrong with the name of a property.
func CheckProperty(name string) error {
	switch {
	case !propertyName.MatchString(name):
		return fmt.Errorf("%q does not start with a small letter and go on with letters, digits and _", name)
	case strings.HasPrefix(name, ReservedPrefix) || slices.Contains(reservedProperties, name):
		return fmt.Errorf("%s is reserved", name)
	}
	return nil
}
