package ingester_test

import "testing"

// Connect's StringConverter prints a key as Java does; nobody may be deleted by that name, nor be missed in silence.
func TestHandle_aKeyThatConnectPrinted(t *testing.T) {
	const refused = "letter malformed: the key is text that Kafka Connect's StringConverter made of its columns (Struct{…}), which cannot be read back: set the connector's key.converter to the JsonConverter or the AvroConverter"
	facts := map[string]fact{}
	for form, key := range map[string]string{"as it is": `Struct{id=1}`, "as JSON's text": `"Struct{id=1}"`} {
		for name, f := range map[string]fact{
			"a null value of rows":          {rows(), key, "-", refused},
			"a row":                         {rows(), key, `{"id":1,"name":"Cup"}`, `upsert Product/1 "Cup"`},
			"a row without its id":          {rows(), key, `{"name":"Cup"}`, refused},
			"an envelope":                   {nil, key, envelope("d", product, "null"), `delete Product/1`},
			"an envelope that hides the id": {nil, key, envelope("d", "null", "null"), refused},
			"the null value behind it":      {nil, key, "-", `skip tombstone`},
		} {
			facts[name+", "+form] = f
		}
	}
	facts["a text of that kind"] = fact{rows(), "Struct{", "-", `delete Product/Struct{`}
	run(t, shop, "shop.catalog.products", facts)
}
