package e2e_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/services/ctl/inspect"
)

// nothingYet: the topics are there, and are empty, and no group has ever been.
func (a *asker) nothingYet() {
	if item := a.why(inspect.CauseNotInSource, "1", "--collection", "Product"); item.Index.Standing != inspect.Absent || item.Timeline != nil {
		a.t.Errorf("of an item before there is any: %+v", item)
	}
	a.change(1, "nobody has read it")
	if item := a.why(inspect.CauseStageDown, "1", "--collection", "Product"); len(item.Waiting) != 1 || item.Waiting[0].Stage != "ingest" || item.Waiting[0].Ahead != 0 {
		a.t.Errorf("of an item that ingest has to read: %+v", item.Waiting)
	}
	if s := a.status(); !hasTrouble(s, inspect.CauseStageDown) || s.Provider != nil || s.Stages[0].Lag != 1 {
		a.t.Errorf("status when nothing runs: %+v", s)
	}
	for _, wrong := range [][]string{{"1"}, {"1", "--collection", "Shop"}, {"7", "--collection", "Offer", "--tenant", "pe"}, {offerID, "--collection", "Offer"}, {productTopic + "/0/999"}, {productTopic + "/99/0"}} {
		if out, err := a.run(append([]string{"why"}, wrong...)...); err == nil {
			a.t.Errorf("freshet why %v makes no sense, and answers\n%s", wrong, out)
		}
	}
}

// away: who cannot look says so, and claims nothing.
func (a *asker) away() {
	own := *a
	own.environ = []string{"FRESHET_KAFKA_BROKERS=127.0.0.1:1"}
	item := own.why(inspect.CauseUnknown, "5", "--collection", "Product")
	if item.Index == nil || item.Index.Standing != inspect.Searchable || len(item.Causes) != 1 || !strings.Contains(strings.Join(item.Unknown, "\n"), "Kafka at 127.0.0.1:1") {
		a.t.Errorf("without Kafka: %+v", item)
	}
	if s := own.status(); !hasTrouble(s, inspect.CauseUnknown) || s.Provider == nil || s.Stages[0].Lag != -1 || s.Letters != nil || len(s.Unknown) == 0 || len(s.Freshness) == 0 {
		a.t.Errorf("status without Kafka: %+v", s)
	}
	own.environ = []string{"FRESHET_WEAVIATE_URL=http://127.0.0.1:1"}
	item = own.why(inspect.CauseUnknown, "6", "--collection", "Product")
	if item.Index != nil || len(item.Letters) != 1 || len(item.Causes) != 2 || !strings.Contains(strings.Join(item.Unknown, "\n"), "Weaviate at http://127.0.0.1:1") {
		a.t.Errorf("without Weaviate: %+v", item)
	}
	if s := own.status(); !hasTrouble(s, inspect.CauseUnknown) || s.Index[0].Writable != nil || s.Stages[0].Lag != 0 || s.Letters == nil || len(s.Unknown) != 1 {
		a.t.Errorf("status without Weaviate: %+v", s)
	}
	own.environ = []string{"FRESHET_ADMIN_ADDRESSES=127.0.0.1:1,nowhere.invalid:9090"}
	if s := own.status(); !hasTrouble(s, inspect.CauseUnknown) || s.Provider != nil || s.Stages[0].Members != 1 || len(s.Unknown) != 2 {
		a.t.Errorf("status without metrics: %+v", s)
	}
}

// names: what inspect reads of metrics is what services show.
func (a *asker) names() {
	source, err := os.ReadFile("../inspect/names.go")
	if err != nil {
		a.t.Fatal(err)
	}
	var pages strings.Builder
	for _, p := range a.running {
		_, body := p.get("/metrics")
		pages.WriteString(body)
	}
	names := regexp.MustCompile(`"((?:freshet|gen_ai)_[a-z_]+)"`).FindAllStringSubmatch(string(source), -1)
	if len(names) < 15 {
		a.t.Fatalf("%d names in names.go", len(names))
	}
	for _, name := range names {
		switch {
		case name[1] == "freshet_provider_breaker": // only with a second server, which openai's own tests have
		case !strings.Contains(pages.String(), "# TYPE "+name[1]+" "):
			a.t.Errorf("no service shows %s", name[1])
		}
	}
}

func (a *asker) well() {
	item := a.why(inspect.CauseNotInSource, "3", "--collection", "Product")
	if item.Index.Standing != inspect.Searchable || item.Index.Text != "product 3: as it was" || item.Timeline == nil || !item.Timeline.Done || len(item.Timeline.Hops) < 5 || slices.ContainsFunc(item.Timeline.Hops, func(h inspect.Hop) bool { return h.Name == "" }) || item.TraceID == "" || len(item.Unknown) > 0 {
		a.t.Errorf("of an item that is well: %+v, unknown %q", item, item.Unknown)
	}
	if line := item.Timeline; !strings.Contains(line.Unsplit, "a batch of write takes") || line.Hops[len(line.Hops)-1].Name != "queue and write" {
		a.t.Errorf("of the last part of the way: %+v", line)
	}
	whole := 0.0
	for _, h := range item.Timeline.Hops {
		whole += h.Share
		if h.Name == "" {
			a.t.Errorf("a part of the way has no name: %+v", item.Timeline.Hops)
		}
	}
	if whole < 0.999 || whole > 1.001 {
		a.t.Errorf("the shares of the hops sum up to %f", whole)
	}
	s := a.status()
	if len(s.Trouble)+len(s.Unknown) > 0 || len(s.Freshness) != 4 || s.Freshness[2].Items < 20 || s.Freshness[3].To != "searchable" || s.Provider == nil || len(s.Services) != 3 {
		a.t.Errorf("of a pipeline that is well: %+v", s)
	}
	for _, stage := range s.Stages {
		if stage.Members != 1 || stage.Lag != 0 || stage.Replicas != 1 {
			a.t.Errorf("of a stage that is well: %+v", stage)
		}
	}
}

// neverInSource: the change that somebody misses was never sent, or the item never was.
func (a *asker) neverInSource() {
	if item := a.why(inspect.CauseNotInSource, "4711", "--collection", "Product"); item.Index.Standing != inspect.Absent {
		a.t.Errorf("an item that never was is %s", item.Index.Standing)
	}
	a.why(inspect.CauseNotInSource, "5", "--collection", "Product")
}

func (a *asker) deadLetter() {
	a.send(a.envelope("u", nil, &product{ID: 6, Name: "product 6", Description: "newer", Price: "dear", Seq: 7}))
	a.settle(time.Minute)
	item := a.why(inspect.CauseDeadLetter, "6", "--collection", "Product")
	if len(item.Letters) != 1 || item.Letters[0].Reason != "field-type" || item.Index.Failed == nil || item.Index.Text != "product 6: as it was" {
		a.t.Errorf("of an item with a dead letter: %+v", item)
	}
	letter := fmt.Sprintf("%s/%d/%d", a.topics.DeadLetters(), item.Letters[0].Partition, item.Letters[0].Offset)
	if of := a.why(inspect.CauseDeadLetter, letter); of.Item == nil || of.Item.UUID != itemOf(6).UUID().String() {
		a.t.Errorf("of the letter itself: %+v", of)
	}
	a.why(inspect.CauseDeadLetter, item.Letters[0].Source)
	a.send(a.source([]byte("{"), []byte("no JSON")))
	a.settle(time.Minute)
	s := a.status()
	if s.Letters == nil || s.Letters.Total != 2 || len(s.Letters.Counts) != 2 {
		a.t.Errorf("dead letters: %+v", s.Letters)
	}
	a.change(6, "mended") // the mark goes with it
	a.settle(time.Minute)
	a.why(inspect.CauseNotInSource, "6", "--collection", "Product")
}

func (a *asker) olderRefused() {
	a.offer(5, "summer coat", true)
	a.settle(time.Minute)
	a.why(inspect.CauseNotInSource, offerID, "--collection", "Offer", "--tenant", "pe")
	a.offer(3, "spring coat", true)
	a.settle(time.Minute)
	item := a.why(inspect.CauseOlderRefused, offerID, "--collection", "Offer", "--tenant", "pe")
	if item.Index.Text != "summer coat" {
		a.t.Errorf("the index has %q", item.Index.Text)
	}
	a.offer(6, "summer coat", true)
	a.settle(time.Minute)
	item = a.why(inspect.CauseNotInSource, offerID, "--collection", "Offer", "--tenant", "pe")
	if item.Cost == nil || item.Cost.Paid == nil || *item.Cost.Paid {
		a.t.Errorf("the cost of a text that the change before had: %+v", item.Cost)
	}
}

// bulkRefused: a backfill has read the row before its last change, and embed-bulk is done with it.
func (a *asker) bulkRefused() {
	a.change(13, "newer than the backfill")
	a.settle(time.Minute)
	d := &record.Document{Op: record.Op_OP_UPSERT, Collection: collection, Id: []string{"13"}, Pipeline: "products", Text: "product 13: of the backfill", Stamp: 1}
	value, err := d.Encode()
	if err != nil {
		a.t.Fatal(err)
	}
	key := d.Item().Key()
	a.send(&kgo.Record{Topic: a.topics.DocumentsBulk(), Partition: record.Partition(key, a.partitions), Key: key, Value: value})
	await(a.t, time.Minute, "the row is refused", func() (bool, error) {
		stages := a.status().Stages
		return stages[2].Name == "embed-bulk" && stages[2].Lag == 0 && stages[3].Lag == 0, nil
	})
	item := a.why(inspect.CauseOlderRefused, "13", "--collection", "Product")
	if len(item.Causes) == 0 || !strings.Contains(item.Causes[0].Summary, "backfill") || !strings.Contains(item.Causes[0].Detail, "has version 1") {
		a.t.Errorf("of a row of a backfill that was refused: %+v", item.Causes)
	}
	a.change(13, "newest") // what came after it says more
	a.settle(time.Minute)
	a.why(inspect.CauseNotInSource, "13", "--collection", "Product")
}

func (a *asker) deletedAndHidden() {
	a.send(a.envelope("d", &product{ID: 8, Name: "product 8", Seq: 8}, nil))
	a.offer(9, "autumn coat", false)
	a.settle(time.Minute)
	if item := a.why(inspect.CauseDeleted, "8", "--collection", "Product"); item.Index.Standing != inspect.Deleted || item.Timeline == nil || !item.Timeline.Done {
		a.t.Errorf("of a deleted item: %+v", item)
	}
	a.why(inspect.CauseHidden, offerID, "--collection", "Offer", "--tenant", "pe")
}

func (a *asker) throttled() {
	a.provider.busy.Store(true)
	a.change(9, "a text that must be paid for")
	a.awaitMetric("embed", "freshet_provider_gate_shut_seconds{", func(line string) bool { return !strings.HasSuffix(line, " 0") })
	item := a.why(inspect.CauseThrottled, "9", "--collection", "Product")
	if !waitsFor(item, "embed") || item.Timeline == nil {
		a.t.Errorf("of an item whose text is throttled: %+v", item)
	}
	if s := a.status(); !hasTrouble(s, inspect.CauseThrottled) || s.Provider.Endpoints[0].Gate != "shut" {
		a.t.Errorf("status of a throttled provider: %+v %+v", s.Trouble, s.Provider)
	}
	// Once its row has gone on, the price is there and the vector is not: that is throttled, too.
	await(a.t, time.Minute, "the row goes on without its vector", func() (bool, error) {
		stored, err := a.index.Load(a.t.Context(), collection, []record.Item{itemOf(9)}, true)
		return err == nil && stored[0].State.Text == "product 9: a text that must be paid for", err
	})
	a.why(inspect.CauseThrottled, "9", "--collection", "Product")
	a.provider.busy.Store(false)
	a.settle(3 * time.Minute)
	a.why(inspect.CauseNotInSource, "9", "--collection", "Product")
}

func (a *asker) providerAway() {
	a.provider.away.Store(true)
	a.change(12, "a text that nobody embeds")
	// Also between two of its tries, when no request fails while why looks.
	a.awaitMetric("embed", `freshet_provider_failing_seconds{endpoint="first"}`, longEnough)
	if item := a.why(inspect.CauseProviderAway, "12", "--collection", "Product"); !waitsFor(item, "embed") {
		a.t.Errorf("of an item whose text nobody embeds: %+v", item)
	}
	if s := a.status(); !hasTrouble(s, inspect.CauseProviderAway) || s.Provider.Endpoints[0].Failing <= 0 {
		a.t.Errorf("status when the provider is away: %+v %+v", s.Trouble, s.Provider)
	}
	a.provider.away.Store(false)
	a.settle(3 * time.Minute)
	a.why(inspect.CauseNotInSource, "12", "--collection", "Product")
}

// longEnough says of a metric in seconds that what fails has failed for so long that it is trouble.
func longEnough(line string) bool {
	seconds, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
	return err == nil && seconds > 6
}

// registryAway has a change wait behind one that needs a schema.
func (a *asker) registryAway() {
	a.registryAnswers.Store(false)
	a.send(a.source(productKey(14), []byte{0, 0, 0, 0, 7, 0}))
	a.change(14, "behind what nobody can read yet")
	a.awaitMetric("ingest", "freshet_schema_registry_failing_seconds", longEnough)
	a.why(inspect.CauseRegistryAway, "14", "--collection", "Product")
	if s := a.status(); !hasTrouble(s, inspect.CauseRegistryAway) || hasTrouble(s, inspect.CauseStuck) {
		a.t.Errorf("status when the registry is away: %+v", s.Trouble)
	}
	a.registryAnswers.Store(true)
	a.settle(3 * time.Minute)
	a.why(inspect.CauseNotInSource, "14", "--collection", "Product")
}

func waitsFor(item inspect.Item, stage string) bool {
	return slices.ContainsFunc(item.Waiting, func(w inspect.Waiting) bool { return w.Stage == stage })
}

func (a *asker) awaitMetric(name, prefix string, enough func(line string) bool) {
	a.t.Helper()
	await(a.t, time.Minute, name+" shows "+prefix, func() (bool, error) {
		_, body := a.running[name].get("/metrics")
		for line := range strings.Lines(body) {
			if strings.HasPrefix(line, prefix) && enough(strings.TrimSpace(line)) {
				return true, nil
			}
		}
		return false, nil
	})
}

func (a *asker) readOnly() {
	a.setShards("READONLY")
	a.change(10, "what the index does not take")
	a.awaitMetric("write", `freshet_index_broken{collection="Product"} 1`, func(string) bool { return true })
	item := a.why(inspect.CauseIndexReadOnly, "10", "--collection", "Product")
	if len(item.Waiting) != 1 || item.Waiting[0].Stage != "write" || !strings.Contains(item.Causes[0].Detail, "READONLY") {
		a.t.Errorf("of an item that the index does not take: %+v", item)
	}
	if s := a.status(); !hasTrouble(s, inspect.CauseIndexReadOnly) {
		a.t.Errorf("status of a read-only index: %+v", s.Trouble)
	}
	a.setShards("READY")
	a.settle(2 * time.Minute)
	a.why(inspect.CauseNotInSource, "10", "--collection", "Product")
}

// setShards sets the status of the shards of the products.
func (a *asker) setShards(status string) {
	a.t.Helper()
	call := func(method, path, body string) []byte {
		request, err := http.NewRequestWithContext(a.t.Context(), method, "http://"+a.server.REST+"/v1/schema/"+collection+"_g1/shards"+path, strings.NewReader(body))
		if err != nil {
			a.t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+a.server.APIKey)
		request.Header.Set("Content-Type", "application/json")
		answer, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
		if err != nil {
			a.t.Fatal(err)
		}
		b, err := io.ReadAll(answer.Body)
		if err = errors.Join(err, answer.Body.Close()); err != nil || answer.StatusCode >= 300 {
			a.t.Fatalf("%s %s: %s %s %v", method, path, answer.Status, b, err)
		}
		return b
	}
	var shards []struct{ Name string }
	if err := json.Unmarshal(call(http.MethodGet, "", ""), &shards); err != nil || len(shards) == 0 {
		a.t.Fatalf("shards: %v %v", shards, err)
	}
	for _, s := range shards {
		call(http.MethodPut, "/"+s.Name, `{"status":"`+status+`"}`)
	}
}

// stuck: one of two instances of write hangs, and Kafka has not noticed.
func (a *asker) stuck() {
	a.start("write", "sleeper", "FRESHET_KAFKA_CLIENT_ID=sleeper").awaitReady()
	var asleep []int32
	await(a.t, 2*time.Minute, "the sleeper has partitions", func() (bool, error) {
		groups, err := kadm.NewClient(a.client).DescribeGroups(a.t.Context(), "freshet-write")
		if err != nil {
			return false, err
		}
		group := groups["freshet-write"]
		asleep = nil
		for _, m := range group.Members {
			if assigned, ok := m.Assigned.AsConsumer(); ok && m.ClientID == "sleeper" && len(assigned.Topics) > 0 {
				asleep = assigned.Topics[0].Partitions
			}
		}
		return group.State == "Stable" && len(group.Members) == 2 && len(asleep) > 0, nil
	})
	a.settle(time.Minute)
	if err := a.running["sleeper"].pause(); err != nil {
		a.t.Fatal(err)
	}
	var there, elsewhere int64 = -1, -1
	for id := range int64(20) {
		of := &there
		if !slices.Contains(asleep, record.Partition(itemOf(id).Key(), a.partitions)) {
			of = &elsewhere
		}
		*of = id
	}
	if there < 0 || elsewhere < 0 {
		a.t.Fatalf("no product in the partitions %v, or none elsewhere", asleep)
	}
	a.change(there, "nobody writes it")
	a.change(elsewhere, "it is written")
	await(a.t, time.Minute, "ingest and embed are through", func() (bool, error) {
		through := true
		for _, service := range []string{"ingest", "embed"} { // in this order: what ingest has is not embed's yet
			n, err := a.unfinished(service)
			through = through && n == 0 && err == nil
		}
		return through, nil
	})
	item := a.why(inspect.CauseStuck, strconv.FormatInt(there, 10), "--collection", "Product")
	if len(item.Waiting) != 1 || item.Waiting[0].Stage != "write" || item.Waiting[0].Partition != item.Item.Partition {
		a.t.Errorf("of an item in a stuck partition: %+v", item)
	}
	a.why(inspect.CauseNotInSource, strconv.FormatInt(elsewhere, 10), "--collection", "Product")
	await(a.t, time.Minute, "status names the stuck partition", func() (bool, error) { return hasTrouble(a.status(), inspect.CauseStuck), nil })
	if err := a.running["sleeper"].resume(); err != nil {
		a.t.Fatal(err)
	}
	a.settle(time.Minute)
	a.why(inspect.CauseNotInSource, strconv.FormatInt(there, 10), "--collection", "Product")
	a.running["sleeper"].stop()
	delete(a.running, "sleeper")
	a.settle(time.Minute)
}

func (a *asker) stageDown() {
	a.running["embed"].stop()
	delete(a.running, "embed")
	a.change(11, "nobody embeds it")
	await(a.t, time.Minute, "ingest is through", func() (bool, error) {
		n, err := a.unfinished("ingest")
		return n == 0 && err == nil, nil
	})
	if item := a.why(inspect.CauseStageDown, "11", "--collection", "Product"); len(item.Waiting) != 1 || item.Waiting[0].Stage != "embed" {
		a.t.Errorf("of an item that nobody embeds: %+v", item.Waiting)
	}
	if s := a.status(); !hasTrouble(s, inspect.CauseStageDown) {
		a.t.Errorf("status without embed: %+v", s.Trouble)
	}
}
