package change_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/services/ingest/change"
)

func TestParseEvent(t *testing.T) {
	text := func(b []byte) string {
		if b == nil {
			return "null"
		}
		return fmt.Sprintf("%q", b)
	}
	for line, want := range map[string]string{
		`{"key":{"id":1},"value":{"a":[1]}}`:                        `"{\"id\":1}" "{\"a\":[1]}"`,
		`{"key":"k","value":null}`:                                  `"k" null`,
		`{"key":null,"value":"v"}`:                                  `null "v"`,
		`{"value":"{\"id\":1}"}`:                                    `null "{\"id\":1}"`,
		`{"value_base64":"AAE=","key_base64":"aw=="}`:               `"k" "\x00\x01"`,
		`{"key":{"$base64":"aw=="},"value":1}`:                      `"k" "1"`,
		`{"topic":"t","offset":0,"key":"k","payload":"v","ts":1}`:   `"k" "v" of t`,
		`{"topic":"t","offset":0,"key_base64":"aw==","value":true}`: `"k" "true" of t`,
		"{\"key\":\"\xff\",\"value\":\"a\xffb\"}":                   `"\xff" "a\xffb"`, // kept as it is: whoever decodes it says that it is no text
		`{"value":"\ufffd\\ud800 \ud83d\ude00\u0041\n"}`:            `null "�\\ud800 😀A\n"`,

		`nonsense`:                           `null "nonsense"`,
		`7`:                                  `null "7"`,
		`[{"value":1}]`:                      `null "[{\"value\":1}]"`,
		`{"key":1}`:                          `null "{\"key\":1}"`,
		`{"key":1,"value":2,"op":"c"}`:       `null "{\"key\":1,\"value\":2,\"op\":\"c\"}"`,
		`{"schema":null,"payload":1}`:        `null "{\"schema\":null,\"payload\":1}"`,
		`{"topic":"a column","payload":"x"}`: `null "{\"topic\":\"a column\",\"payload\":\"x\"}"`,

		`{"key":"a\ud800","value":1}`:         `malformed: the event's key has half of a surrogate pair, which stands for no bytes: send them as key_base64`,
		`{"value":"\ud83d\u0041"}`:            `malformed: the event's value has half of a surrogate pair, which stands for no bytes: send them as value_base64`,
		`{"value":"\udc00\ud83d"}`:            `malformed: the event's value has half of a surrogate pair, which stands for no bytes: send them as value_base64`,
		`{"value":1,"value":2}`:               `malformed: the event has its value twice`,
		`{"key":1,"key_base64":"","value":2}`: `malformed: the event has its key twice`,
		`{"value_base64":"?"}`:                `malformed: the event's value is not in base64`,
		`{"value_base64":7}`:                  `malformed: the event's value is not in base64`,
	} {
		event, err := change.ParseEvent([]byte(line))
		got := text(event.Key) + " " + text(event.Value)
		if event.Record.Exists() {
			got += " of " + event.Record.Get("topic").Str
		}
		if err != nil {
			if got = err.Error(); fault.ClassOf(err) != fault.Permanent {
				t.Errorf("%s: %v is not permanent", line, err)
			}
		}
		if got != want {
			t.Errorf("%q:\n%s, want\n%s", line, got, want)
		}
	}
}

func TestParseEvent_thatNestsWithoutEnd(t *testing.T) {
	for _, unit := range []string{"[", `{"a":`, `{"value":`, `{"value":[`} {
		line := strings.Repeat(unit, 1<<20/len(unit))
		if _, err := change.ParseEvent([]byte(line)); fault.ReasonOf(err) != fault.Malformed || !strings.Contains(err.Error(), "nests") {
			t.Errorf("%.20s…: %v", line, err)
		}
	}
	deep := strings.Repeat("[", 5000) + strings.Repeat("]", 5000)
	if event, err := change.ParseEvent([]byte(`{"key":"k","value":` + deep + `}`)); err != nil || string(event.Value) != deep {
		t.Errorf("what is only deep: %d bytes, %v", len(event.Value), err)
	}
}
