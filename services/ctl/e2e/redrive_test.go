package e2e_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/services/ctl/inspect"
)

// disordered cannot tell the order of its changes yet: no key, and several partitions.
const (
	disorderedTopic  = "shop.canal"
	disordered       = "source: {topics: [" + disorderedTopic + "], format: canal"
	redrivenPipeline = `- name: things
  ` + disordered + `}
  collection: Thing
  id: {from: [id]}
  text: {template: "{{name}}"}
  properties: [{name: name, type: text}]
- name: offers
  source: {topics: [` + offerTopic + `], format: rows, order: seq}
  collection: Offer
  id: {from: [id]}
  text: {template: "{{name}}"}
  properties: [{name: name, type: text}]
`
)

// TestRedrive makes dead letters of ingest and of embed, mends what was wrong, and redrives them: each item is as its newest change
// says, whether that was a dead letter or came since.
func TestRedrive(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a server: not under -short")
	}
	small := []string{"FRESHET_INGEST_MAX_VALUE_BYTES=1500", "FRESHET_EMBED_MAX_BYTES=500"}
	r := newRig(t, options{brokers: startKfake(t), pipeline: productPipeline + redrivenPipeline, partitions: 3, sourcePartitions: 3, environ: small})
	a := &asker{rig: r}
	p := &path{rig: r, planted: map[spot]string{}, now: map[int64]*product{}}
	r.startAll()

	row := func(id int64, seq, words int) product {
		return product{ID: id, Name: fmt.Sprint("lamp ", id), Description: strings.TrimSpace(strings.Repeat("warm ", words)), Price: 5.0, Stock: seq, Seq: seq}
	}
	// change sends a row without the one before, which may be as long.
	change := func(op string, row product) {
		r.send(r.envelope(op, nil, &row))
		p.now[row.ID] = &row
	}
	const ofIngest, ofEmbed = 400, 150
	for id := range int64(6) {
		change("c", row(id, 1, 2))
	}
	change("u", row(1, 2, ofIngest)) // is not in the index until it is redriven
	change("u", row(2, 2, ofIngest))
	change("u", row(3, 2, ofIngest))
	change("u", row(4, 2, ofEmbed))
	change("u", row(5, 2, ofEmbed))
	a.things("INSERT", 1, "first", 2, "second", 3, "third")
	a.things("INSERT", 11, "eleventh", 12, "twelfth")
	a.shift(11, "eleventh", 12, "twelfth")
	a.ordered(2, "newer")
	r.settle(time.Minute)
	a.ordered(1, strings.TrimSpace(strings.Repeat("older ", ofIngest))) // overtaken on its way
	change("u", row(2, 3, 3))                                           // came since, as the next two
	r.send(r.tombstone(3))
	p.now[3] = nil
	change("u", row(5, 3, 3))
	r.settle(time.Minute)
	if got := len(r.letters()); got != 9 {
		t.Fatalf("%d letters before the redrive, want 9", got)
	}

	if out, err := a.run("dlq", "redrive", "--all", "--dry-run"); err == nil || !strings.Contains(string(out), "it fails again: oversize") {
		t.Errorf("before anything is mended: %v\n%s", err, out)
	}
	r.mend()
	a.things("UPDATE", 2, "second, and newer")
	r.settle(time.Minute)
	for _, want := range []string{"9 letters, 12 documents redriven\n", "9 letters, 9 documents redriven\n"} { // to redrive again is no harm
		out := string(a.command("dlq", "redrive", "--all"))
		if !strings.HasSuffix(out, want) {
			t.Errorf("it says:\n%s", out)
		}
		r.settle(time.Minute)
		p.awaitAll()
		for id, want := range map[string]string{"1": "first", "2": "second, and newer", "3": "third", "11": "", "12": "eleventh", "13": "twelfth"} {
			if got := a.name("Thing", id); got != want {
				t.Errorf("thing %s is %q, want %q", id, got, want)
			}
		}
		if got := a.name("Offer", "1"); got != "newer" {
			t.Errorf("the offer is %.20q, want the newer one by its column", got)
		}
	}
	if got := len(r.letters()); got != 9 {
		t.Errorf("%d letters behind the redrive, want the 9 that there were", got)
	}
	t.Run("other items are made of the rows now", func(t *testing.T) { (&asker{rig: r.as(t)}).otherID() })
	t.Run("one by its place, which was not known by its item", func(t *testing.T) { (&asker{rig: r.as(t)}).unknownItem() })
}

// mend gives the services the limits and the order that they lacked.
func (r *rig) mend() {
	r.t.Helper()
	r.pipeline = strings.Replace(r.pipeline, disordered, disordered+", ordered: true", 1)
	if err := os.WriteFile(filepath.Join(r.dir, "pipeline.yaml"), []byte(r.pipeline), 0o600); err != nil {
		r.t.Fatal(err)
	}
	enough := []string{"FRESHET_INGEST_MAX_VALUE_BYTES=100000", "FRESHET_EMBED_MAX_BYTES=50000"}
	r.env = append(slices.Clip(r.env), enough...)
	for _, name := range []string{"ingest", "embed"} {
		p := r.running[name]
		p.stop()
		p.env = append(slices.Clip(p.env), enough...)
		p.start()
		p.awaitReady()
	}
}

// things sends one message of Canal's with rows: an id and a name each.
func (a *asker) things(kind string, rows ...any) {
	a.t.Helper()
	var data []map[string]any
	for row := range slices.Chunk(rows, 2) {
		data = append(data, map[string]any{"id": fmt.Sprint(row[0]), "name": row[1]})
	}
	a.message(kind, data, nil)
}

// shift sends one message of Canal's that gives rows the next id, the last one first: UPDATE things SET id = id + 1.
func (a *asker) shift(rows ...any) {
	a.t.Helper()
	var data, old []map[string]any
	for row := range slices.Chunk(rows, 2) {
		data = slices.Insert(data, 0, map[string]any{"id": strconv.Itoa(row[0].(int) + 1), "name": row[1]}) //nolint:forcetypeassert // the test's own
		old = slices.Insert(old, 0, map[string]any{"id": fmt.Sprint(row[0])})
	}
	a.message("UPDATE", data, old)
}

func (a *asker) message(kind string, data, old []map[string]any) {
	a.t.Helper()
	value, err := json.Marshal(map[string]any{"database": "shop", "table": "things", "type": kind, "isDdl": false, "ts": 1700000000000, "es": 1700000000000, "data": data, "old": old})
	if err != nil {
		a.t.Fatal(err)
	}
	a.send(&kgo.Record{Topic: disorderedTopic, Partition: 1, Value: value})
}

// ordered sends a row of an offer whose order is seq.
func (a *asker) ordered(seq int, name string) {
	a.t.Helper()
	value, err := json.Marshal(map[string]any{"id": 1, "name": name, "seq": seq})
	if err != nil {
		a.t.Fatal(err)
	}
	a.send(&kgo.Record{Topic: offerTopic, Key: []byte(`{"id":1}`), Value: value, Partition: int32(seq)}) //nolint:gosec // a partition
}

// name returns what the index has as the name of an item.
func (a *asker) name(collection, id string) string {
	a.t.Helper()
	stored, err := a.index.Load(a.t.Context(), collection, []record.Item{{Collection: collection, ID: []string{id}}}, true)
	if err != nil {
		a.t.Fatal(err)
	}
	for _, p := range stored[0].State.Properties {
		if p.GetName() == "name" && stored[0].Main {
			return p.GetValue().GetText()
		}
	}
	return ""
}

// otherID redrives by a file that makes other items of the same rows: of those nobody knows whether they were deleted since.
func (a *asker) otherID() {
	file := filepath.Join(a.dir, "other.yaml")
	if err := os.WriteFile(file, []byte(strings.Replace(a.pipeline, "Thing\n  id: {from: [id]}", "Thing\n  id: {from: [name]}", 1)), 0o600); err != nil {
		a.t.Fatal(err)
	}
	a.environ = []string{"FRESHET_PIPELINE=" + file}
	out, err := a.run("dlq", "redrive", "--reason", "missing-id", "--dry-run")
	if err == nil || !strings.Contains(string(out), "3 letters, 0 documents would be redriven") || !strings.Contains(string(out), "Thing/first: the index knows nothing of the change") {
		a.t.Errorf("%v\n%s", err, out)
	}
}

// unknownItem has a message become a letter that names no item, and redrives it behind a newer message of one of its two items.
func (a *asker) unknownItem() {
	a.running["ingest"].stop()
	tight := a.start("ingest", "tight", "FRESHET_INGEST_MAX_VALUE_BYTES=300")
	tight.awaitReady()
	large := strings.Repeat("large ", 40)
	a.things("INSERT", 7, "seventh "+large, 8, "eighth "+large)
	a.things("UPDATE", 8, "newer eighth")
	a.settle(time.Minute)
	tight.stop()
	a.running["ingest"].start()
	a.running["ingest"].awaitReady()

	var letters []inspect.Letter
	if err := json.Unmarshal(a.command("dlq", "list", "-o", "json"), &letters); err != nil {
		a.t.Fatal(err)
	}
	last := letters[len(letters)-1]
	place := inspect.Place{Topic: a.topics.DeadLetters(), Partition: last.Partition, Offset: last.Offset}.String()
	sample := filepath.Join(a.dir, "failed.ndjson")
	if err := os.WriteFile(sample, a.command("dlq", "show", place), 0o600); err != nil {
		a.t.Fatal(err)
	}
	if planned := string(a.command("plan", "--strict", "--sample", sample)); !strings.Contains(planned, "Thing/7") && !strings.Contains(planned, "seventh") {
		a.t.Errorf("plan makes of the letter:\n%s", planned)
	}
	out := string(a.command("dlq", "redrive", place))
	a.settle(time.Minute)
	if got := a.name("Thing", "7"); last.Item != "" || !strings.HasPrefix(got, "seventh") {
		a.t.Errorf("thing 7 is %q after the redrive of a letter of item %q, which said:\n%s", got, last.Item, out)
	}
	if got := a.name("Thing", "8"); got != "newer eighth" {
		a.t.Errorf("thing 8 is %q after the redrive, which said:\n%s", got, out)
	}
}
