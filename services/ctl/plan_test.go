package main

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/freshet-io/freshet/services/ctl/plan"
)

const planFile = `apiVersion: freshet/v1
space: {provider: openai, model: text-embedding-3-small, dimensions: 8}
pipelines:
- name: products
  source: {topics: [t], format: rows}
  collection: Product
  id: {from: [id]}
  text: {template: "{{name}}"}
`

// runPlan runs the command in a folder that has the pipeline file p.yaml.
func runPlan(t *testing.T, file, stdin string, args ...string) (out, stderr string, err error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "p.yaml")
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	var o, e bytes.Buffer
	cmd := planCommand()
	cmd.SetArgs(append([]string{"-f", path}, args...))
	cmd.SetIn(strings.NewReader(stdin))
	cmd.SetOut(&o)
	cmd.SetErr(&e)
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	err = cmd.ExecuteContext(t.Context())
	return o.String(), e.String(), err
}

func TestPlan_printsATableAndASummary(t *testing.T) {
	out, _, err := runPlan(t, planFile, "{\"id\":1,\"name\":\"Cup\"}\n{\"id\":1,\"name\":\"Cup\"}\n{}\n", "--sample", "-", "--rate", "30")
	if err != nil {
		t.Fatal(err)
	}
	const want = `AT  OUTCOME   FORMAT  ITEM       WHAT
1   document  rows    Product/1  Cup
2   document  rows    Product/1  Cup
3   reject    rows    -          missing-id: neither the row nor the key has all of the columns ["id"]; the row has []
3 events: 2 documents, 0 deletes, 0 partial, 0 skipped, 1 rejected
  reject missing-id: 1
  looks like rows: 3
2 texts of 1 item; 4 tokens, 2 a text; 0 longer than the model takes
1 of 1 further changes of an item left its text as it was: about 100 % need no embedding
at 30 events a second: 0.0 texts a second to the provider, 0.0 million tokens a day, 0.00 USD a day
for 1s until it is found: 1 partition would do, make 24, their number is final; 1 of embed, 1 of ingest and of write
`
	if out != want {
		t.Errorf("got\n%s\nwant\n%s", out, want)
	}
}

func TestPlan_saysWhyNothingMatchesAndEstimatesNothing(t *testing.T) {
	matching := strings.Replace(planFile, "  collection:", "  match: {schema: shop, table: stock}\n  collection:", 1)
	matching = strings.Replace(matching, "rows", "debezium", 1)
	envelope := `{"source":{"connector":"postgresql","schema":"shop","table":"products"},"op":"c","before":null,"after":{"id":1,"name":"Cup"}}`
	for name, tt := range map[string]struct{ file, event, want string }{
		"another topic": {planFile, `{"topic":"shop.products","partition":0,"offset":1,"key":null,"payload":"{}"}`, "unmatched: topic shop.products is none of t\n"},
		"another table": {matching, envelope, "unmatched: table shop.products is none of shop.stock\n"},
	} {
		t.Run(name, func(t *testing.T) {
			out, _, err := runPlan(t, tt.file, tt.event, "--sample", "-")
			if err != nil || !strings.Contains(out, tt.want) || !strings.Contains(out, "nothing became a document") || !strings.Contains(out, "source.topics") || strings.Contains(out, "partition") {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

func TestShow_aTerminalHasTheWholeReason(t *testing.T) {
	var out strings.Builder
	s := newShow(&out, "table")
	s.files = true
	err := s.lines([]plan.Line{
		{Outcome: plan.Reject, Format: "canal", File: "x/paimon-canal-database-case-insensitive-1.txt", Line: 12, Reason: "format-mismatch", Message: "the value is a message of Canal's where an envelope of Debezium's is expected, and more words"},
		{Outcome: plan.Document, Format: "debezium", File: "x/a.txt", Line: 1, Collection: "Product", ID: "an-id-that-is-a-long-one-of-somebody", Text: "Cup"},
		{Outcome: plan.Reject, Format: "rows", File: "x/a.txt", Line: 2, Reason: "field-type"},
	})
	if err == nil {
		err = s.write(80)
	}
	const want = `AT                OUTCOME   FORMAT    ITEM                  WHAT
…sitive-1.txt:12  reject    canal     -                     format-mismatch
  the value is a message of Canal's where an envelope of Debezium's is expected,
  and more words
a.txt:1           document  debezium  Product/an-id-that-…  Cup
a.txt:2           reject    rows      -                     field-type
`
	if err != nil || out.String() != want {
		t.Errorf("%v, got\n%s\nwant\n%s", err, out.String(), want)
	}
}

func TestPlan_tellsOfMisspeltColumnsInTheSummary(t *testing.T) {
	out, _, err := runPlan(t, strings.Replace(planFile, "{{name}}", "{{name}} {{naem}}", 1), `{"id":1,"name":"Cup"}`, "--sample", "-", "--strict")
	if err != nil || !strings.Contains(out, "\npipeline products: in none of 1 row: naem (template): did you mean name?\n") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestPlan_passesOverTheTextBesideTheEventsAndSaysSo(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"a.json": `{"id":1,"name":"Cup"}`, "README.md": "# Events"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, stderr, err := runPlan(t, planFile, "", "--sample", dir)
	if err != nil || !strings.Contains(out, "\n1 event: 1 document, ") || !strings.Contains(stderr, "README.md is passed over") {
		t.Errorf("%v\n%s\n%s", err, out, stderr)
	}
}

func TestPlan_printsLinesForProgramsAndTheSummaryBeside(t *testing.T) {
	out, stderr, err := runPlan(t, planFile, `{"id":1,"name":"<Cup>"}`, "--sample", "-", "-o", "ndjson", "--strict")
	const want = `{"line":1,"outcome":"document","format":"rows","pipeline":"products","collection":"Product","id":"1","text":"<Cup>"}` + "\n"
	if err != nil || out != want || !strings.HasPrefix(stderr, "1 event: 1 document") {
		t.Errorf("%v\n%s\n%s", err, out, stderr)
	}
}

func TestPlan_readsAvroByTheSchemasOfAFolder(t *testing.T) {
	schemas := t.TempDir()
	schema := `{"type":"record","name":"Row","fields":[{"name":"id","type":"long"},{"name":"name","type":"string"}]}`
	if err := os.WriteFile(filepath.Join(schemas, "7.avsc"), []byte(schema), 0o600); err != nil {
		t.Fatal(err)
	}
	event := func(id byte) string { // as kcat -J prints it
		value := base64.StdEncoding.EncodeToString([]byte{0, 0, 0, 0, id, 14, 6, 'C', 'u', 'p'})
		return fmt.Sprintf(`{"topic":"t","partition":0,"offset":1,"key":null,"payload_base64":%q}`, value) + "\n"
	}
	out, _, err := runPlan(t, planFile, event(7)+event(8), "--sample", "-", "--schemas", schemas, "-o", "ndjson")
	want := `{"line":1,"outcome":"document","format":"rows","pipeline":"products","collection":"Product","id":"7","text":"Cup"}
{"line":2,"outcome":"reject","reason":"unknown-schema","message":"no file in ` + schemas + ` has schema 8"}
`
	if err != nil || out != want {
		t.Errorf("%v\ngot\n%s\nwant\n%s", err, out, want)
	}
}

func TestPlan_strictFailsWhereAnythingIsRejected(t *testing.T) {
	out, _, err := runPlan(t, planFile, "x\n", "--sample", "-", "--strict")
	if err == nil || err.Error() != "1 of 1 event rejected" || !strings.Contains(out, "malformed: the value is not valid JSON") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestPlan_check(t *testing.T) {
	out, _, err := runPlan(t, planFile, "", "--check")
	if err != nil || !strings.HasSuffix(out, "p.yaml: 1 pipeline, no faults\n") {
		t.Errorf("%q %v", out, err)
	}
	broken := strings.NewReplacer("collection:", "colection:", "format: rows", "format: row").Replace(planFile)
	_, _, err = runPlan(t, broken, "", "--check")
	for _, want := range []string{
		"line 6: pipelines[0].colection: unknown key, did you mean collection?",
		`line 5: pipelines[0].source.format: "row" is not one of debezium, rows, canal, maxwell, auto, did you mean rows?`,
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestPlan_refusesASpaceThatEmbedWouldRefuse(t *testing.T) {
	for _, args := range [][]string{{"--check"}, {"--sample", "-"}} {
		_, _, err := runPlan(t, strings.Replace(planFile, "openai", "builtin", 1), "", args...)
		if err == nil || !strings.HasSuffix(err.Error(), "p.yaml: space: the pipeline file asks for model text-embedding-3-small with 8 dimensions: the built-in one is use-lite with 512") {
			t.Errorf("%v: %v", args, err)
		}
	}
}

func TestPlan_refuses(t *testing.T) {
	for want, args := range map[string][]string{
		"give --sample with events, or --check to check the pipeline file alone":           {},
		"--sample and --check are both given: leave one out, --sample checks the file too": {"--sample", "-", "--check"},
		"--output xml: table or ndjson":                                                    {"--check", "-o", "xml"},
		"--rate, --freshness and --request must be above 0":                                {"--check", "--freshness", "0s"},
		"--topic x: the pipeline file reads t":                                             {"--sample", "-", "--topic", "x"},
		"reading samples: lstat none: no such file or directory":                           {"--sample", "none"},
	} {
		if _, _, err := runPlan(t, planFile, "", args...); err == nil || err.Error() != want {
			t.Errorf("%v: got %v, want %s", args, err, want)
		}
	}
	cmd := planCommand()
	cmd.SetArgs([]string{"--check"})
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	t.Setenv("FRESHET_PIPELINE", "")
	if err := cmd.Execute(); err == nil || errors.Is(err, os.ErrNotExist) {
		t.Errorf("no pipeline file: %v", err)
	}
}

func TestPlan_theJSONSchemaIsTheCommittedOne(t *testing.T) {
	out, _, err := runPlan(t, planFile, "", "--json-schema")
	if err != nil {
		t.Fatal(err)
	}
	committed, err := os.ReadFile("../../docs/pipeline.schema.json")
	if err != nil || out != string(committed) {
		t.Errorf("docs/pipeline.schema.json is not that of the structs: run make generate (%v)", err)
	}
}
