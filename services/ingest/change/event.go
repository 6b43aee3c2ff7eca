package change

import (
	"encoding/base64"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/values"
)

// Event is a change event as people have it in a line: a bare value, {"key": …, "value": …}, or a record as kcat -J prints
// it, with topic, offset and payload.
type Event struct {
	Key, Value []byte       // nil for null
	Record     gjson.Result // of kcat, for its topic and place; does not exist for others
}

// maxEventDepth is far above Limits.Depth, which is for the value within: a line of a megabyte that nests with each byte
// has gjson take 128 megabytes of stack, which nobody counts.
const maxEventDepth = 10_000

// ParseEvent takes a line apart. A text stands for its bytes, whatever they are, other JSON for itself; binary ones come in
// base64, as key_base64 or {"$base64": …}. Any other line is a value without key: whoever has rows with such columns wraps
// them. Its errors are permanent.
func ParseEvent(line []byte) (Event, error) {
	event := Event{Value: line}
	if err := (Limits{Depth: maxEventDepth, Fields: len(line)}).check(line); err != nil {
		return event, err
	}
	if !gjson.ValidBytes(line) {
		return event, nil
	}
	object := gjson.ParseBytes(line)
	key, value, others := partsOf(object)
	switch {
	case len(value) == 0:
		return event, nil
	case object.Get("topic").Str != "" && object.Get("offset").Exists():
		event.Record = object
	case others:
		return event, nil
	}
	var err error
	if event.Key, err = bytesOf("key", key); err == nil {
		event.Value, err = bytesOf("value", value)
	}
	return event, err
}

// part is a key or a value, in one of its forms.
type part struct {
	content gjson.Result
	encoded bool
}

func partsOf(object gjson.Result) (key, value []part, others bool) {
	if !object.IsObject() {
		return nil, nil, true
	}
	object.ForEach(func(name, content gjson.Result) bool {
		of, encoded := strings.CutSuffix(name.Str, "_base64")
		if inner := content.Get("$base64"); inner.Exists() {
			content, encoded = inner, true
		}
		switch of {
		case "key":
			key = append(key, part{content, encoded})
		case "value":
			value = append(value, part{content, encoded})
		case "payload":
			value, others = append(value, part{content, encoded}), true
		default:
			others = true
		}
		return true
	})
	return key, value, others
}

// bytesOf returns the bytes of a key or a value, nil for null or none.
func bytesOf(name string, parts []part) ([]byte, error) {
	if len(parts) == 0 {
		return nil, nil
	}
	content := parts[0].content
	switch {
	case len(parts) > 1:
		return nil, fault.Reject(fault.Malformed, "the event has its %s twice", name)
	case content.Type == gjson.Null:
		return nil, nil
	case parts[0].encoded:
		b, err := base64.StdEncoding.DecodeString(content.Str)
		if err != nil || content.Type != gjson.String {
			return nil, fault.Reject(fault.Malformed, "the event's %s is not in base64", name)
		}
		return b, nil
	case content.Type != gjson.String:
		return []byte(content.Raw), nil
	case values.Halved(content.Raw):
		return nil, fault.Reject(fault.Malformed, "the event's %s has half of a surrogate pair, which stands for no bytes: send them as %s_base64", name, name)
	}
	return []byte(content.Str), nil
}
