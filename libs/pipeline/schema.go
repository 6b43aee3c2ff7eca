package pipeline

import (
	"encoding/json"
	"reflect"
)

// words are the values that a key may have, by type and key.
var words = map[string]any{
	"File.apiVersion":       []string{APIVersion},
	"Space.provider":        providers,
	"Source.format":         formats,
	"Text.oversize":         []string{oversizeTruncate, oversizeDeadletter},
	"Property.type":         types,
	"Property.unit":         units,
	"Property.parse":        []string{parseJSON},
	"Property.tokenization": tokenizations,
	"Collection.distance":   distances,
	"Index.type":            []string{HNSW, Flat, Dynamic},
	"Quantization.type":     append([]string{"none"}, Quantizations...),
}

// required are the keys without which a file is refused, by type.
var required = map[string][]string{
	"File": {"apiVersion", "space", "pipelines"}, "Space": {"provider", "dimensions"}, "Pipeline": {"name", "source", "collection", "id", "text"},
	"Source": {"topics", "format"}, "ID": {"from"}, "Tenant": {"from"}, "Text": {"template"}, "Property": {"name", "type"}, "Predicate": {"field"},
	"Decimal": {"scale"}, "Redis": {"stream"}, "Collection": {"name"},
}

// JSONSchema returns the JSON Schema (draft 7) of a pipeline file, for editors. It is made of
// the same structs that a file is read into. Load is stricter.
func JSONSchema() ([]byte, error) {
	schema := schemaOf(fileType)
	schema["$schema"], schema["title"] = "http://json-schema.org/draft-07/schema#", "Freshet's pipeline file"
	return json.MarshalIndent(schema, "", "  ")
}

func schemaOf(t reflect.Type) map[string]any {
	switch t.Kind() { //nolint:exhaustive // a file has no others
	case reflect.Pointer:
		return schemaOf(t.Elem())
	case reflect.Slice:
		return map[string]any{"type": "array", "items": schemaOf(t.Elem())}
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Int:
		return map[string]any{"type": "integer"}
	case reflect.Float64:
		return map[string]any{"type": "number"}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Struct:
		return objectOf(t)
	}
	return map[string]any{} // the operand of a condition may be anything
}

func objectOf(t reflect.Type) map[string]any {
	properties := map[string]any{}
	for field := range t.Fields() {
		key := field.Tag.Get("yaml")
		property := schemaOf(field.Type)
		if values, known := words[t.Name()+"."+key]; known {
			property["enum"] = values
		}
		properties[key] = property
	}
	object := map[string]any{"type": "object", "additionalProperties": false, "properties": properties}
	if keys := required[t.Name()]; keys != nil {
		object["required"] = keys
	}
	return object
}
