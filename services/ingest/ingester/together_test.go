package ingester_test

import (
	"fmt"
	"strings"
	"testing"
)

// A record has one letter: it says of all its rows what is wrong with them.
func TestHandle_aLetterHasTheReasonsOfAllRows(t *testing.T) {
	row := func(id int, more string) string { return fmt.Sprintf(`{"id":"%d","name":"A"%s}`, id, more) }
	insert := func(rows ...string) string { return message("INSERT", "["+strings.Join(rows, ",")+"]", "null") }
	const stock = "property stock: field stock is no number, but a text"
	run(t, shop, "shop.catalog.products", map[string]fact{
		"of two": {
			as("canal"), "-", insert(row(1, `,"stock":"x"`), row(2, ""), row(3, `,"price":"x"`)),
			"upsert Product/2 \"A\"\nfailed Product/3 field-type\nfailed Product/1 field-type\nletter field-type: " + stock + "; and field-type: property price: field price is no number, but a text",
		},
		"of another kind": {
			as("canal"), "-", insert(`{"name":"A"}`, row(1, `,"stock":"x"`)),
			"failed Product/1 field-type\nletter missing-id: neither the row nor the key has all of the columns [\"id\"]; the row has [\"name\"]; and field-type: " + stock,
		},
		"that are the same": {
			as("canal"), "-", insert(row(1, `,"stock":"x"`), row(2, `,"stock":"y"`)),
			"failed Product/2 field-type\nfailed Product/1 field-type\nletter field-type: " + stock,
		},
		"of a state before a newer one": {
			as("canal"), "-", message("UPDATE", `[{"id":"1","name":"A","stock":"x"},{"id":"2","name":"C"},{"id":"1","name":"B"}]`, `[{"name":"0"},{"name":"0"},{"name":"A"}]`),
			"upsert Product/2 \"C\"\nfailed Product/1 field-type\nupsert Product/1 \"B\"\nletter field-type: " + stock,
		},
	})
}
