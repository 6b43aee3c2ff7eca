package values

import (
	"crypto/md5" //nolint:gosec // Java's UUID.nameUUIDFromBytes is made of it
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/tidwall/gjson"
)

// Placeholder recognises what Debezium puts where PostgreSQL left an unchanged
// long column out, in each form that the column's type gives it.
type Placeholder struct {
	text, base64 string
	forms        map[string]bool // compact JSON of arrays and maps
	longest      int
}

// NewPlaceholder returns the recogniser of a connector's unavailable.value.placeholder.
func NewPlaceholder(text string) *Placeholder {
	encoded := base64.StdEncoding.EncodeToString([]byte(text))
	numbers := make([]string, len(text))
	for i := range len(text) {
		numbers[i] = strconv.Itoa(int(int8(text[i]))) //nolint:gosec // Java's bytes have a sign
	}
	p := &Placeholder{text: text, base64: encoded, forms: map[string]bool{}}
	quoted := quote(text)
	for _, form := range []string{
		"[" + quoted + "]",
		"[" + quote(encoded) + "]",
		"[" + strings.Join(numbers, ",") + "]",
		"[" + quote(nameUUID(text)) + "]",
		"{" + quoted + ":" + quoted + "}",
	} {
		p.forms[form] = true
		p.longest = max(p.longest, len(form))
	}
	return p
}

// nameUUID is Java's UUID.nameUUIDFromBytes: version 3 without a namespace.
func nameUUID(text string) string {
	id := uuid.UUID(md5.Sum([]byte(text))) //nolint:gosec // as above
	id[6] = id[6]&0x0f | 0x30
	id[8] = id[8]&0x3f | 0x80
	return id.String()
}

func quote(s string) string {
	quoted, err := json.Marshal(s)
	if err != nil { // not for a string
		return ""
	}
	return string(quoted)
}

// Is reports whether v is the placeholder.
func (p *Placeholder) Is(v gjson.Result) bool {
	switch v.Type {
	case gjson.String:
		return v.Str == p.text || v.Str == p.base64
	case gjson.JSON:
		if len(v.Raw) > 4*p.longest { // room for white space
			return false
		}
		return p.forms[v.Raw] || p.forms[strings.Join(strings.Fields(v.Raw), "")]
	case gjson.Null, gjson.True, gjson.False, gjson.Number:
	}
	return false
}
