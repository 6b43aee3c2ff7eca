package values

import (
	"crypto/md5" //nolint:gosec // Java's UUID.nameUUIDFromBytes is made of it
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/tidwall/gjson"
)

// Placeholder recognises what Debezium puts where PostgreSQL left an unchanged
// long column out, in each form that the column's type gives it.
type Placeholder struct {
	texts   map[string]bool // texts as they stand
	forms   map[string]bool // compact JSON of arrays and maps
	longest int
}

// NewPlaceholder returns the recogniser of a connector's unavailable.value.placeholder.
func NewPlaceholder(text string) *Placeholder {
	if digits, is := strings.CutPrefix(text, "hex:"); is { // so connectors take bytes
		if bytes, err := hex.DecodeString(digits); err == nil {
			text = string(bytes)
		}
	}
	encoded := base64.StdEncoding.EncodeToString([]byte(text))
	numbers := make([]string, len(text))
	for i := range len(text) {
		numbers[i] = strconv.Itoa(int(int8(text[i]))) //nolint:gosec // Java's bytes have a sign
	}
	quoted := Quote(text)
	pair := "{" + quoted + ":" + quoted + "}"
	p := &Placeholder{forms: map[string]bool{}, texts: map[string]bool{
		text: true,
		// By binary.handling.mode; in hex it is only Oracle's.
		encoded: true, base64.URLEncoding.EncodeToString([]byte(text)): true, hex.EncodeToString([]byte(text)): true,
		pair: true, // an hstore, which is JSON within a text unless hstore.handling.mode is map
	}}
	for _, form := range []string{
		"[" + quoted + "]",
		"[" + Quote(encoded) + "]",
		"[" + strings.Join(numbers, ",") + "]",
		"[" + Quote(nameUUID(text)) + "]",
		pair,
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

// Quote returns a text as JSON has it, and as Java's converters write it: < and > stay what they are.
func Quote(s string) string {
	var b strings.Builder
	to := json.NewEncoder(&b)
	to.SetEscapeHTML(false)
	if err := to.Encode(s); err != nil { // not for a string
		return ""
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// Is reports whether v is the placeholder.
func (p *Placeholder) Is(v gjson.Result) bool {
	switch v.Type {
	case gjson.String:
		return p.texts[v.Str]
	case gjson.JSON:
		if len(v.Raw) > 4*p.longest { // room for white space
			return false
		}
		return p.forms[v.Raw] || p.forms[strings.Join(strings.Fields(v.Raw), "")]
	case gjson.Null, gjson.True, gjson.False, gjson.Number:
	}
	return false
}
