package values

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

// Whoever writes another schema with each record, by mistake or to hurt, costs time, and no memory.
func TestSchemas_keepNoMoreThanTheyHaveRoomFor(t *testing.T) {
	var s Schemas
	long := strings.Repeat("x", maxSchemaBytes/4)
	for i := range 20 {
		schema := gjson.Parse(fmt.Sprintf(`{"fields":[{"field":"id","type":"int64"},{"field":"%d","name":"%s"}]}`, i, long))
		if c := s.Compile(schema); c == nil || c.Of("id").Kind != Plain {
			t.Fatalf("schema %d: %v", i, c)
		}
		kept := 0
		for key := range s.known {
			kept += len(key)
		}
		if kept > maxSchemaBytes || kept != s.bytes || len(s.known) == 0 {
			t.Fatalf("after %d schemas: %d are kept, of %d bytes, of which it knows of %d", i+1, len(s.known), kept, s.bytes)
		}
	}
	again := gjson.Parse(`{"fields":[{"field":"` + strings.Repeat("x", maxSchemaBytes) + `"}]}`)
	if s.Compile(again) == nil || s.bytes > maxSchemaBytes {
		t.Errorf("one that has no room: %d bytes are kept", s.bytes)
	}
}
