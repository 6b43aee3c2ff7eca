package e2e_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
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
	r.settle(time.Minute)
	change("u", row(2, 3, 3)) // came since, as the next two
	r.send(r.tombstone(3))
	p.now[3] = nil
	change("u", row(5, 3, 3))
	r.settle(time.Minute)
	if got := len(r.letters()); got != 6 {
		t.Fatalf("%d letters before the redrive, want 6", got)
	}

	if out, err := a.run("dlq", "redrive", "--all", "--dry-run"); err == nil || !strings.Contains(string(out), "it fails again: oversize") {
		t.Errorf("before anything is mended: %v\n%s", err, out)
	}
	r.mend()
	a.things("UPDATE", 2, "second, and newer")
	r.settle(time.Minute)
	for _, want := range []string{"6 letters, 7 documents redriven\n", "6 letters, 6 documents redriven\n"} { // to redrive again is no harm
		out := string(a.command("dlq", "redrive", "--all"))
		if !strings.HasSuffix(out, want) {
			t.Errorf("it says:\n%s", out)
		}
		r.settle(time.Minute)
		p.awaitAll()
		for id, want := range map[string]string{"1": "first", "2": "second, and newer", "3": "third"} {
			if got := a.thing(id); got != want {
				t.Errorf("thing %s is %q, want %q", id, got, want)
			}
		}
	}
	if got := len(r.letters()); got != 6 {
		t.Errorf("%d letters behind the redrive, want the 6 that there were", got)
	}
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
	value, err := json.Marshal(map[string]any{"database": "shop", "table": "things", "type": kind, "isDdl": false, "ts": 1700000000000, "es": 1700000000000, "data": data, "old": nil})
	if err != nil {
		a.t.Fatal(err)
	}
	a.send(&kgo.Record{Topic: disorderedTopic, Partition: 1, Value: value})
}

// thing returns the name that the index has of a thing.
func (a *asker) thing(id string) string {
	a.t.Helper()
	stored, err := a.index.Load(a.t.Context(), "Thing", []record.Item{{Collection: "Thing", ID: []string{id}}}, true)
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
	if got := a.thing("7"); last.Item != "" || !strings.HasPrefix(got, "seventh") {
		a.t.Errorf("thing 7 is %q after the redrive of a letter of item %q, which said:\n%s", got, last.Item, out)
	}
	if got := a.thing("8"); got != "newer eighth" {
		a.t.Errorf("thing 8 is %q after the redrive, which said:\n%s", got, out)
	}
}
