package e2e_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/fake/samples"
	"github.com/freshet-io/freshet/libs/fake/schemaregistry"
	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/stage"
	"github.com/freshet-io/freshet/services/ingest/ingester"
	"github.com/freshet-io/freshet/services/ingest/registry"
)

// sampleCounts is what becomes of the samples of a folder. Waiting are rows of which a column is not known yet.
type sampleCounts struct{ Found, Waiting, Gone, Skipped, Letters int }

// wantSamples are the committed numbers. A sample that is found counts once, also
// where the sample before it was of the same item: each is looked for before the next
// one is sent. An update that changes the id counts as one found and one gone.
var wantSamples = map[string]sampleCounts{
	"debezium-json": {Found: 82, Gone: 7},
	// Skipped: two truncates, a logical message, TiCDC's watermark.
	"debezium-json-schema": {Found: 45, Gone: 7, Skipped: 4},
	"debezium-unwrapped":   {Found: 1},
	"plain-json":           {Found: 15},
	// Skipped: the raw row of an outbox table; the other is what the event router makes of it.
	"debezium-outbox":            {Found: 1, Skipped: 1},
	"debezium-transaction-topic": {Skipped: 7},
	"debezium-schema-change":     {Skipped: 19},
	// Found: one of them with the stored description, which the connector left out. Waiting: a row with another key, which
	// had it under the old one; that is a letter too, but unwrapped it does not say that it is new. Skipped: a logical message.
	"pg-plain":   {Found: 21, Waiting: 1, Gone: 14, Skipped: 1, Letters: 1},
	"pg-schemas": {Found: 21, Waiting: 1, Gone: 14, Skipped: 1, Letters: 1},
	"pg-avro":    {Found: 21, Waiting: 1, Gone: 14, Skipped: 1, Letters: 1},
	"pg-unwrap":  {Found: 21, Waiting: 1, Gone: 7, Skipped: 1},
	// 108 messages of 122 rows, 9 of which are deleted; one update changes two ids. Skipped: statements.
	"canal-json":       {Found: 113, Gone: 11, Skipped: 18},
	"ticdc-canal-json": {Found: 1, Gone: 1},
	// Skipped: the start and the end of a bootstrap. Letters: two parts of the text of a table's definition; and a row with
	// a list in a column that is a text in another table with columns of these names, which has its pipeline here.
	"maxwell": {Found: 72, Gone: 6, Skipped: 2, Letters: 3},
	// The samples of debezium-json cut in half.
	"cut": {Letters: 88},
}

// TestSamples sends real change events of others through the three processes. Each one
// with a row must be found by its own vector, each delete must leave nothing, each one
// that cannot be used must be a dead letter, and what is no change of a row is skipped.
func TestSamples(t *testing.T) {
	if testing.Short() {
		t.Skip("needs real servers: not under -short")
	}
	root := samples.Root(t)
	broker := startKafka(t)
	streams := sampleStreams(t, root)
	var file strings.Builder
	fmt.Fprintf(&file, "apiVersion: freshet/v1\nspace: {provider: hash, model: hash, dimensions: %d}\npipelines:\n", dimensions)
	for _, s := range streams {
		file.WriteString(s.pipeline)
	}
	// No sample file has a key, and with one partition none is needed: all ids are in the rows.
	r := newRig(t, options{
		brokers: broker.Brokers, pipeline: file.String(), partitions: 3, sourcePartitions: 1,
		// Some topics have nothing but what cannot be read.
		environ: []string{"FRESHET_STORM_BREAKER=false", "FRESHET_SCHEMA_REGISTRY_URL=" + startRegistry(t, root)},
	})
	r.startAll()
	schemas, err := registry.OpenFolder(samples.Schemas(root))
	if err != nil {
		t.Fatal(err)
	}
	expect, err := ingester.New(r.file, ingester.Options{Config: ingester.DefaultConfig(), Schemas: schemas})
	if err != nil {
		t.Fatal(err)
	}
	s := &sampler{rig: r, expect: expect, counts: map[string]*sampleCounts{}, letters: map[spot]fault.Reason{}}
	for wave := 0; ; wave++ {
		// One record of each stream at a time, so that each can be looked for before its successor.
		var records []sample
		for _, stream := range streams {
			if wave < len(stream.records) {
				records = append(records, sample{stream, stream.records[wave]})
			}
		}
		if len(records) == 0 {
			break
		}
		s.send(records)
	}
	r.settle(time.Minute)
	s.compareLetters()
	got := map[string]sampleCounts{}
	var table strings.Builder
	fmt.Fprintf(&table, "%-28s %7s %7s %7s %7s %7s\n", "samples", "found", "waiting", "gone", "skipped", "letters")
	for _, folder := range slices.Sorted(maps.Keys(s.counts)) {
		c := *s.counts[folder]
		got[folder] = c
		fmt.Fprintf(&table, "%-28s %7d %7d %7d %7d %7d\n", folder, c.Found, c.Waiting, c.Gone, c.Skipped, c.Letters)
	}
	t.Log("\n" + table.String())
	if !maps.Equal(got, wantSamples) {
		t.Errorf("got  %v\nwant %v", got, wantSamples)
	}
}

// stream is the samples of one table: one topic, one pipeline, one collection.
type stream struct {
	folder, topic, pipeline string
	records                 []samples.Record
}

type sample struct {
	stream stream
	record samples.Record
}

// sampleStreams groups the samples: files with rows by their folder and columns,
// captures by table, the others by folder alone.
func sampleStreams(t *testing.T, root string) []stream {
	t.Helper()
	var streams []stream
	rooms := &collections{}
	for _, folder := range []struct {
		name   string
		format pipeline.Format
	}{
		{"debezium-json", pipeline.Debezium},
		{"debezium-json-schema", pipeline.Debezium},
		{"debezium-unwrapped", pipeline.Rows},
		{"plain-json", pipeline.Rows},
		{"debezium-outbox", pipeline.Auto},
		{"canal-json", pipeline.Canal},
		{"ticdc-canal-json", pipeline.Canal},
		{"maxwell", pipeline.Maxwell},
	} {
		streams = append(streams, byColumns(folder.name, folder.format, samples.Files(t, root, "cdc", folder.name), rooms)...)
	}
	streams = append(streams,
		noRows("debezium-transaction-topic", pipeline.Debezium, samples.Files(t, root, "cdc", "debezium-transaction-topic")),
		noRows("debezium-schema-change", pipeline.Debezium, samples.Files(t, root, "cdc", "debezium-schema-change")),
		noRows("cut", pipeline.Debezium, halves(samples.Files(t, root, "cdc", "debezium-json"))),
	)
	for _, connector := range []string{"pg-plain", "pg-schemas", "pg-avro", "pg-unwrap"} {
		format := pipeline.Debezium
		if connector == "pg-unwrap" {
			format = pipeline.Rows
		}
		for _, table := range []string{"products", "stock", "fullrow", "nokey", "message"} {
			topic := connector + "." + table
			collection := "Live_" + strings.NewReplacer("-", "_", ".", "_").Replace(topic)
			streams = append(streams, stream{
				folder: connector, topic: topic, records: samples.Capture(t, root, connector, table),
				pipeline: samples.LivePipeline(table, topic, collection, format),
			})
		}
	}
	return streams
}

// startRegistry returns the address of a registry with the schemas of the captures, which is away when it is asked first.
func startRegistry(t *testing.T, root string) string {
	t.Helper()
	server := &schemaregistry.Server{}
	files, err := filepath.Glob(filepath.Join(samples.Schemas(root), "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no schemas: %v", err)
	}
	for _, file := range files {
		var schema schemaregistry.Schema
		text, err := os.ReadFile(file)
		if err := errors.Join(err, json.Unmarshal(text, &schema)); err != nil {
			t.Fatal(err)
		}
		id, err := strconv.Atoi(strings.TrimSuffix(filepath.Base(file), ".json"))
		if err != nil {
			t.Fatal(err)
		}
		server.Put(id, schema)
	}
	var asked atomic.Int32
	server.Have(func(w http.ResponseWriter, r *http.Request) bool {
		return asked.Add(1) <= 3 && schemaregistry.Status(http.StatusServiceUnavailable)(w, r)
	})
	url, stop, err := server.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ports.add(strings.TrimPrefix(url, "http://"))
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	return url
}

func byColumns(folder string, format pipeline.Format, files []samples.Record, rooms *collections) []stream {
	var streams []stream
	var rows [][]map[string]any // of each stream
	at := map[string]int{}      // by columns
	for _, file := range files {
		images := samples.Rows(file.Value)
		columns := strings.Join(slices.Sorted(maps.Keys(images[0])), " ")
		if _, known := at[columns]; !known {
			at[columns] = len(streams)
			streams = append(streams, stream{folder: folder, topic: fmt.Sprintf("%s.%d", folder, len(streams))})
			rows = append(rows, nil)
		}
		i := at[columns]
		streams[i].records = append(streams[i].records, file)
		rows[i] = append(rows[i], images...)
	}
	for i := range streams {
		streams[i].pipeline = samples.Pipeline(streams[i].topic, rooms.take(rows[i]), format, rows[i]...)
	}
	return streams
}

// noRows is a stream of which nothing reaches the index.
func noRows(folder string, format pipeline.Format, records []samples.Record) stream {
	return stream{folder: folder, topic: folder, records: records, pipeline: samples.Pipeline(folder, "Nothing", format, map[string]any{"id": 1.0})}
}

// halves are samples that a faulty producer has cut.
func halves(files []samples.Record) []samples.Record {
	for i, file := range files {
		files[i].Value = file.Value[:len(file.Value)/2]
	}
	return files
}

// collections are shared by tables that have no id in common: to make one takes
// Weaviate longer than to fill it.
type collections struct{ ids []map[string]bool }

// take returns a collection for rows with these ids.
func (c *collections) take(rows []map[string]any) string {
	ids := map[string]bool{}
	for _, row := range rows {
		ids[fmt.Sprint(row[samples.ID(row)])] = true
	}
	i := slices.IndexFunc(c.ids, func(taken map[string]bool) bool {
		for id := range ids {
			if taken[id] {
				return false
			}
		}
		return true
	})
	if i < 0 {
		i = len(c.ids)
		c.ids = append(c.ids, map[string]bool{})
	}
	maps.Copy(c.ids[i], ids)
	return fmt.Sprintf("Sample%d", i)
}

// sampler sends samples and knows what must become of them: ingest's own tests say
// that its outcomes are right, so they are taken for it here.
type sampler struct {
	*rig

	expect  *ingester.Ingester
	counts  map[string]*sampleCounts
	letters map[spot]fault.Reason
}

func (s *sampler) send(wave []sample) {
	s.t.Helper()
	var records []*kgo.Record
	for _, one := range wave {
		records = append(records, &kgo.Record{Topic: one.stream.topic, Key: one.record.Key, Value: one.record.Value})
	}
	s.rig.send(records...)
	found := map[string][]record.Item{}
	for i, one := range wave {
		for _, item := range s.await(one, records[i]) {
			found[item.Collection] = append(found[item.Collection], item)
		}
	}
	for name, items := range found {
		if missing, err := s.index.SelfFound(s.t.Context(), name, items, nil); err != nil || len(missing) > 0 {
			s.t.Fatalf("stored and not found by their own vectors: %v, %v", missing, err)
		}
	}
}

// await waits until what a sample causes is in the index, and returns the items that
// must be found.
func (s *sampler) await(one sample, r *kgo.Record) (found []record.Item) {
	s.t.Helper()
	c := s.counts[one.stream.folder]
	if c == nil {
		c = &sampleCounts{}
		s.counts[one.stream.folder] = c
	}
	outcome := s.outcome(r)
	switch {
	case outcome.Err != nil:
		c.Letters++
		s.letters[spotOf(r)] = fault.ReasonOf(outcome.Err)
	case len(outcome.Out) == 0:
		c.Skipped++
	}
	for _, d := range outcome.Out {
		var is func(state record.State, main bool) bool
		waits := false
		ours := func(o *record.Origin) bool { return o.GetTopic() == r.Topic && o.GetOffset() == r.Offset }
		switch d.GetOp() { //nolint:exhaustive // ingest makes no others
		case record.Op_OP_PARTIAL:
			is = func(state record.State, main bool) bool {
				waits = !state.Known()
				return ours(state.Origin) && !state.Lacks() && main != waits
			}
		case record.Op_OP_UPSERT:
			c.Found++
			found = append(found, d.Item())
			is = func(state record.State, main bool) bool {
				return main && state.Live() && state.Text == d.GetText() && ours(state.Origin)
			}
		case record.Op_OP_DELETE:
			c.Gone++
			is = func(state record.State, main bool) bool { return !main && state.Floor > 0 && !state.Live() }
		case record.Op_OP_FAILED:
			is = func(state record.State, _ bool) bool { return state.Failed.GetReason() == d.GetFailed().GetReason() }
		}
		what := fmt.Sprintf("%s of %s is done: %s of %s", one.record.Name, one.stream.folder, d.GetOp(), d.Item())
		await(s.t, soon, what, func() (bool, error) {
			stored, err := s.index.Load(s.t.Context(), d.GetCollection(), []record.Item{d.Item()}, true)
			return err == nil && is(stored[0].State, stored[0].Main), err
		})
		switch {
		case waits:
			c.Waiting++
		case d.GetOp() == record.Op_OP_PARTIAL:
			c.Found++
			found = append(found, d.Item())
		}
	}
	return found
}

func (s *sampler) outcome(r *kgo.Record) stage.Outcome[*record.Document] {
	s.t.Helper()
	outcomes, err := s.expect.Handle(s.t.Context(), []ingester.Change{{Record: stage.Record{
		Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, LeaderEpoch: r.LeaderEpoch, Time: r.Timestamp, Key: r.Key, Value: r.Value,
	}}})
	if err != nil {
		s.t.Fatal(err)
	}
	return outcomes[0]
}

// compareLetters compares all dead letters with the expected ones.
func (s *sampler) compareLetters() {
	s.t.Helper()
	got := map[spot]fault.Reason{}
	for _, l := range s.rig.letters() {
		got[l.at] = fault.Reason(l.reason)
	}
	if !maps.Equal(got, s.letters) {
		s.t.Errorf("dead letters %v\nwant %v", got, s.letters)
	}
}
