package pipeline_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tidwall/gjson"

	"github.com/freshet-io/freshet/libs/pipeline"
)

const product = `{"name":"Red <b>dress</b>","price":199.90,"big":9007199254740993,"n":null,"on":true,"empty":" ",
"path":["Women","Dresses",null,3],"attributes":"{\"color\":\"红\",\"sizes\":[\"S\",\"M\"]}","broken":"{","nested":{"a":{"b":[10,20]},"list":[{"x":1},{"x":2}]},
"html":"<p class=\"a>b\">One</p><p>two &amp; three</p><script>if (a<b) {}</script><!-- no --> 4 < 5","a.b":"dotted","a b":"spaced"}`

func row(object string) pipeline.Row {
	var r pipeline.Row
	gjson.Parse(object).ForEach(func(name, value gjson.Result) bool {
		r = append(r, pipeline.Column{Name: name.String(), Value: value})
		return true
	})
	return r
}

func TestTemplate_render(t *testing.T) {
	for name, test := range map[string]struct{ template, want string }{
		"a field":                                 {"{{name}}", "Red <b>dress</b>"},
		"a number keeps its digits":               {"{{price}} {{big}}", "199.90 9007199254740993"},
		"null and absent are empty":               {"[{{n}}{{nowhere}}]", "[]"},
		"a boolean":                               {"{{on}}", "true"},
		"text around is trimmed":                  {"\n {{name}}\n{{n}}\n", "Red <b>dress</b>"},
		"a list is joined without its nulls":      {`{{path | join " / "}}`, "Women / Dresses / 3"},
		"join leaves what is no list":             {`{{on | join ", "}}`, "true"},
		"a separator may hold the signs of code":  {`{{path | join " | }} "}}`, "Women | }} Dresses | }} 3"},
		"a list without join is JSON":             {"{{nested.a.b}}", "[10,20]"},
		"a way into an object":                    {"{{nested.a.b.1}}", "20"},
		"each element of a list":                  {`{{nested.list.#.x | join "+"}}`, "1+2"},
		"a way into a text leads nowhere":         {"[{{attributes.color}}]", "[]"},
		"a column of JSON":                        {`{{attributes | json color}} {{attributes | json sizes | join ","}}`, "红 S,M"},
		"a column of JSON, whole":                 {`{{attributes | json}}`, `{"color":"红","sizes":["S","M"]}`},
		"a column of broken JSON is empty":        {`[{{broken | json x}}]`, "[]"},
		"tags go, words stay apart":               {"{{html | strip_html}}", "One two & three 4 < 5"},
		"cut by characters":                       {"{{attributes | json color | truncate 1}}{{name | truncate 3}}", "红Red"},
		"small letters":                           {"{{name | strip_html | lower}}", "red dress"},
		"a default for null, absent and blank":    {`{{n | default "-"}}{{nowhere | default "-"}}{{empty | default "-"}}{{on | default "-"}}`, "---true"},
		"a dot in a column's name":                {`{{a\.b}}`, "dotted"},
		"a space in a column's name":              {`{{ a b }}`, "spaced"},
		"two braces of text":                      {`}}{{on}}`, "}}true"},
		"JSON with quotes of the file in default": {`{{n | default "a\"b"}}`, `a"b`},
	} {
		t.Run(name, func(t *testing.T) {
			compiled, err := pipeline.ParseTemplate(test.template)
			if err != nil {
				t.Fatal(err)
			}
			if got := compiled.Render(row(product)); got != test.want {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
		})
	}
}

func TestParseTemplate_faults(t *testing.T) {
	for source, want := range map[string]string{
		"":                           "reads no field",
		"a {{b":                      "line 1: {{ is not closed",
		"{{a}}\n{{}}":                "line 2: a path is empty",
		"{{a | join}}":               "join needs a separator",
		`{{a | join "}}`:             "is not closed",
		`{{a | join 'x"}}`:           "is not closed",
		`{{a | join "x" y}}`:         "is not a text in double quotes",
		"{{a | truncate x}}":         "truncate needs a number",
		"{{a | truncate 0}}":         "truncate needs a number",
		"{{a | lower 3}}":            "takes no argument",
		"{{a | default}}":            "default needs a text",
		"{{a | json b..c}}":          "is empty",
		"{{a | json b.@ugly}}":       "only names",
		"{{a |}}":                    `function "" is not one of`,
		"{{a.b.}}":                   "an empty step",
		"{{.a}}":                     "an empty step",
		"{{a.#(x==1).y}}":            "only names, numbers and #",
		"{{a\n|nope}}\n{{b | nope}}": "line 3: function \"nope\"",
	} {
		if _, err := pipeline.ParseTemplate(source); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q\ngot  %v\nwant %s", source, err, want)
		}
	}
}

func TestConditions_eval(t *testing.T) {
	yes, no := true, false
	for name, test := range map[string]struct {
		row    string
		when   []pipeline.Predicate
		want   pipeline.Truth
		column string
	}{
		"one is true":                           {`{"a":1}`, []pipeline.Predicate{{Field: "a", Eq: 1}}, pipeline.True, ""},
		"a boolean is 1":                        {`{"a":true}`, []pipeline.Predicate{{Field: "a", Eq: uint64(1)}}, pipeline.True, ""},
		"1 is true":                             {`{"a":1}`, []pipeline.Predicate{{Field: "a", Eq: true}}, pipeline.True, ""},
		"a number as text":                      {`{"a":"1.00"}`, []pipeline.Predicate{{Field: "a", Eq: 1}}, pipeline.True, ""},
		"numbers above 2^53 differ":             {`{"a":9007199254740993}`, []pipeline.Predicate{{Field: "a", Eq: int64(9007199254740992)}}, pipeline.False, ""},
		"a fraction":                            {`{"a":0.50}`, []pipeline.Predicate{{Field: "a", Eq: 0.5}}, pipeline.True, ""},
		"null is not equal":                     {`{"a":null}`, []pipeline.Predicate{{Field: "a", Eq: 1}}, pipeline.False, ""},
		"null is unequal":                       {`{"a":null}`, []pipeline.Predicate{{Field: "a", Ne: "x"}}, pipeline.True, ""},
		"one of":                                {`{"a":"y"}`, []pipeline.Predicate{{Field: "a", In: []any{"x", "y"}}}, pipeline.True, ""},
		"none of":                               {`{"a":"z"}`, []pipeline.Predicate{{Field: "a", In: []any{"x", "y"}}}, pipeline.False, ""},
		"a number's text":                       {`{"a":17}`, []pipeline.Predicate{{Field: "a", Eq: "17"}}, pipeline.True, ""},
		"null does not exist":                   {`{"a":null}`, []pipeline.Predicate{{Field: "a", Exists: &no}}, pipeline.True, ""},
		"a value exists":                        {`{"a":0}`, []pipeline.Predicate{{Field: "a", Exists: &yes}}, pipeline.True, ""},
		"an absent column is unknown":           {`{}`, []pipeline.Predicate{{Field: "a", Exists: &no}}, pipeline.Unknown, "a"},
		"an absent column is unknown for ne":    {`{}`, []pipeline.Predicate{{Field: "a", Ne: 1}}, pipeline.Unknown, "a"},
		"false decides over unknown":            {`{"b":0}`, []pipeline.Predicate{{Field: "a", Eq: 1}, {Field: "b", Eq: 1}}, pipeline.False, ""},
		"unknown over true":                     {`{"b":1}`, []pipeline.Predicate{{Field: "a", Eq: 1}, {Field: "b", Eq: 1}}, pipeline.Unknown, "a"},
		"a word where a number is expected":     {`{"a":"active"}`, []pipeline.Predicate{{Field: "a", Eq: 1}}, pipeline.Mistyped, "a"},
		"also where another is false":           {`{"a":"active","b":0}`, []pipeline.Predicate{{Field: "a", Eq: 1}, {Field: "b", Eq: 1}}, pipeline.Mistyped, "a"},
		"also behind ne":                        {`{"a":[1]}`, []pipeline.Predicate{{Field: "a", Ne: "x"}}, pipeline.Mistyped, "a"},
		"a 2 where true or false is expected":   {`{"a":2}`, []pipeline.Predicate{{Field: "a", Eq: true}}, pipeline.Mistyped, "a"},
		"no condition":                          {`{}`, nil, pipeline.True, ""},
		"a step within a column that is absent": {`{"a":{}}`, []pipeline.Predicate{{Field: "a.b", Eq: 1}}, pipeline.Unknown, "a"},
	} {
		t.Run(name, func(t *testing.T) {
			conditions, err := pipeline.CompileConditions(test.when)
			if err != nil {
				t.Fatal(err)
			}
			if got, column := conditions.Eval(row(test.row)); got != test.want || column != test.column {
				t.Errorf("got %d %q, want %d %q", got, column, test.want, test.column)
			}
		})
	}
}

func TestRules_missing(t *testing.T) {
	p := pipeline.Pipeline{Text: pipeline.Text{Template: "{{a}}", Require: []string{"a", "b"}}}
	rules, err := p.Rules()
	if err != nil {
		t.Fatal(err)
	}
	for object, want := range map[string]string{
		`{"a":"x","b":"y"}`: "", `{"a":"x","b":0}`: "", `{"a":"x"}`: "b", `{"a":null,"b":"y"}`: "a", `{"a":" \n","b":"y"}`: "a",
	} {
		if got, missing := rules.Missing(row(object)); got != want || missing != (want != "") {
			t.Errorf("%s: %q %v", object, got, missing)
		}
	}
}

func TestCanonicalNumber(t *testing.T) {
	for raw, want := range map[string]string{
		"0": "0", "-0": "0", "0.0": "0", "-0.00": "0", "1": "1", "1.50": "1.5", "15e-1": "1.5", "15e+0": "15", "1.0E10": "10000000000",
		"-12.5e+1": "-125", "9007199254740993": "9007199254740993", "100": "100", "1e2": "100", "0.001": "0.001", "1e-3": "0.001",
		"123456789012345678901234567890.123": "123456789012345678901234567890.123", "10.00": "10",
	} {
		if got, ok := pipeline.CanonicalNumber(raw); !ok || got != want {
			t.Errorf("%s: %q %v, want %q", raw, got, ok, want)
		}
	}
	for _, raw := range []string{"", "-", "+1", "01", "1.", ".5", "1e", "1e+", "1e401", "1e99999999999", "NaN", "0x1", "1_0", " 1", "1 "} {
		if got, ok := pipeline.CanonicalNumber(raw); ok {
			t.Errorf("%q: %q, want no number", raw, got)
		}
	}
}

func TestStripHTML_leavesTheWordsOfAPage(t *testing.T) {
	for text, want := range map[string]string{
		"a < b & c":                              "a < b & c",
		"I <3 you":                               "I <3 you",
		"cut off <b class=":                      "cut off <b class=",
		"&lt;b&gt;&nbsp;x":                       "<b> x",
		"<noscript><img src='x'>n</noscript>m":   "n m",
		"<iframe><b>i</b></iframe>":              "i",
		"<STYLE>p {a: '<b>'}</STYLE >s":          "s",
		"<script src=x /> if (a<b) {}</script>t": "t",
		"<!-- <p>c</p> --><br/>d":                "d",
	} {
		compiled, err := pipeline.ParseTemplate("{{html | strip_html}}")
		if err != nil {
			t.Fatal(err)
		}
		quoted, err := json.Marshal(map[string]string{"html": text})
		if err != nil {
			t.Fatal(err)
		}
		if got := compiled.Render(row(string(quoted))); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func FuzzTemplate(f *testing.F) {
	f.Add(`{{a | join "x" | truncate 3}} {{b.#.c | strip_html | lower}}`, product)
	f.Add(`{{html | strip_html}}{{html | json x | default "-"}}`, `{"html":"<a '><b \"></script <!-- <style>"}`)
	f.Fuzz(func(t *testing.T, source, object string) {
		compiled, err := pipeline.ParseTemplate(source)
		if err != nil {
			return
		}
		if !gjson.Valid(object) || !gjson.Parse(object).IsObject() {
			return
		}
		r := row(object)
		text := compiled.Render(r)
		if text != compiled.Render(r) {
			t.Error("two renderings differ")
		}
		if utf8.ValidString(source) && utf8.ValidString(object) && !utf8.ValidString(text) {
			t.Errorf("broken characters: %q", text)
		}
	})
}

func FuzzCanonicalNumber(f *testing.F) {
	f.Add("-12.50e-3")
	f.Fuzz(func(t *testing.T, raw string) {
		canonical, ok := pipeline.CanonicalNumber(raw)
		if !ok {
			return
		}
		if again, ok := pipeline.CanonicalNumber(canonical); !ok || again != canonical {
			t.Errorf("%q becomes %q, which becomes %q", raw, canonical, again)
		}
	})
}

func BenchmarkRender(b *testing.B) {
	compiled, err := pipeline.ParseTemplate("{{name}}\n{{path | join \" / \"}}\n{{html | strip_html | truncate 6000}}")
	if err != nil {
		b.Fatal(err)
	}
	r := row(product)
	for b.Loop() {
		compiled.Render(r)
	}
}
