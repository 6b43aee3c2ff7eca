package e2e_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/weaviate"
	"github.com/freshet-io/freshet/services/embed/hash"
)

// soon bounds how long one change may take until it can be searched for. It only
// bounds a failure: usually it is a tenth of a second.
const soon = 45 * time.Second

// TestPath is one suite for every broker, so that the stand-in cannot drift from the real one.
func TestPath(t *testing.T) {
	if testing.Short() {
		t.Skip("needs real servers: not under -short")
	}
	t.Run("kfake", func(t *testing.T) { testPath(t, startKfake(t)) })
	t.Run("kafka", func(t *testing.T) { testPath(t, startKafka(t).Brokers) })
}

func testPath(t *testing.T, brokers string) {
	r := newRig(t, options{
		brokers: brokers, pipeline: productPipeline, partitions: 6, sourcePartitions: 3,
		environ: []string{"FRESHET_INGEST_MAX_VALUE_BYTES=100000", "FRESHET_EMBED_MAX_BYTES=4000"},
	})
	r.startAll()
	p := &path{rig: r, planted: map[spot]string{}, now: map[int64]*product{}}
	for _, part := range []struct {
		name string
		run  func(*path)
	}{
		{"a created item is found by its own text", (*path).create},
		{"an updated item is found by its new text only", (*path).update},
		{"a price is changed without a second embedding", (*path).price},
		{"a deleted item is gone", (*path).deletes},
		{"a deleted item is created again", (*path).createAgain},
		{"what cannot be used is a dead letter with its reason", (*path).deadLetters},
		{"a restart of each service loses nothing", (*path).restarts},
		{"two instances of each service share the partitions", (*path).instances},
		{"records read a second time change nothing", (*path).redelivery},
		{"nothing else is a dead letter", (*path).nothingElse},
		{"the ledger has what all that ran have paid and saved", (*path).cost},
	} {
		t.Run(part.name, func(t *testing.T) {
			own := *p
			own.rig = r.as(t)
			part.run(&own)
		})
		if t.Failed() {
			return // the parts go on from each other's items
		}
	}
}

// path is the suite's memory: what the index must have.
type path struct {
	*rig

	planted map[spot]string    // the reason of each dead letter
	now     map[int64]*product // nil: deleted
}

func (p *path) ids() []int64 { return slices.Sorted(maps.Keys(p.now)) }

// upsert sends a row and remembers it.
func (p *path) upsert(row product) {
	p.t.Helper()
	op := "u"
	if p.now[row.ID] == nil {
		op = "c"
	}
	p.send(p.envelope(op, p.now[row.ID], &row))
	p.now[row.ID] = &row
}

// remove sends a delete as Debezium does, with a tombstone behind it.
func (p *path) remove(id int64) {
	p.t.Helper()
	p.send(p.envelope("d", p.now[id], nil), p.tombstone(id))
	p.now[id] = nil
}

// stored returns what the index has of an item.
func (p *path) stored(id int64) (weaviate.Stored, error) {
	stored, err := p.index.Load(p.t.Context(), collection, []record.Item{itemOf(id)}, true)
	if err != nil {
		return weaviate.Stored{}, err
	}
	return stored[0], nil
}

// awaitAll waits until every item is as it was sent, and found by its own vector.
func (p *path) awaitAll() {
	p.t.Helper()
	for _, id := range p.ids() {
		p.awaitItem(id)
	}
	p.found()
}

func (p *path) awaitItem(id int64) {
	p.t.Helper()
	var differs error
	defer func() {
		if differs != nil {
			p.t.Logf("item %d: %v", id, differs)
		}
	}()
	await(p.t, soon, fmt.Sprintf("item %d is as it was sent", id), func() (bool, error) {
		s, err := p.stored(id)
		if err != nil {
			return false, err
		}
		differs = p.differs(id, s)
		return differs == nil, nil
	})
}

func (p *path) differs(id int64, s weaviate.Stored) error {
	row := p.now[id]
	if row != nil {
		return row.differs(s)
	}
	if s.Main {
		return errors.New("it is still there")
	}
	return nil
}

// found fails where a live item is not found by its own vector.
func (p *path) found() {
	p.t.Helper()
	var live []record.Item
	for _, id := range p.ids() {
		if p.now[id] != nil {
			live = append(live, itemOf(id))
		}
	}
	missing, err := p.index.SelfFound(p.t.Context(), collection, live, nil)
	if err != nil || len(missing) > 0 {
		p.t.Fatalf("stored and not found: %v, %v", missing, err)
	}
}

// first returns the item that a search for a text finds first.
func (p *path) first(text string) string {
	p.t.Helper()
	hits, err := p.index.Search(p.t.Context(), collection, "", hash.Vector(text, dimensions), 1, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	if len(hits) == 0 || hits[0].Distance > 1e-4 {
		return ""
	}
	return hits[0].Item.String()
}

func (p *path) create() {
	for id := int64(1); id <= 20; id++ {
		p.upsert(product{ID: id, Name: fmt.Sprintf("lamp %d", id), Description: "warm light", Price: 19.5, Stock: 3, Seq: 1})
	}
	p.awaitAll()
	if got := p.first("lamp 7: warm light"); got != "Product/7" {
		p.t.Errorf("a search for the text of item 7 finds %q", got)
	}
}

func (p *path) update() {
	row := *p.now[7]
	row.Name, row.Seq = "reading lamp", 2
	p.upsert(row)
	p.awaitAll()
	if got := p.first("reading lamp: warm light"); got != "Product/7" {
		p.t.Errorf("a search for the new text of item 7 finds %q", got)
	}
	if got := p.first("lamp 7: warm light"); got != "" {
		p.t.Errorf("a search for the old text of item 7 finds %q", got)
	}
}

func (p *path) price() {
	// A new process remembers no vector, so that this one must come from the index.
	embed := p.running["embed"]
	embed.stop()
	embed.start()
	embed.awaitReady()
	row := *p.now[7]
	row.Price, row.Stock, row.Seq = 24.25, 1, 3
	p.upsert(row)
	p.awaitAll()
	// The offset is not committed when the index has the item already, so the counter may lag.
	p.settle(soon)
	embedded := embed.outcomes(`stage="embed"`, `outcome="embedded"`)
	reused := embed.outcomes(`stage="embed"`, `outcome="reused"`)
	if embedded != 0 || reused != 1 {
		p.t.Errorf("%d texts were embedded and %d vectors reused, want 0 and 1", embedded, reused)
	}
}

func (p *path) deletes() {
	p.remove(8)
	p.remove(9)
	p.awaitAll()
	if got := p.first("lamp 9: warm light"); got != "" {
		p.t.Errorf("a search for the text of a deleted item finds %q", got)
	}
}

func (p *path) createAgain() {
	// The second row is word for word the first one.
	p.upsert(product{ID: 9, Name: "lamp 9", Description: "warm light", Price: 19.5, Stock: 3, Seq: 3})
	p.upsert(product{ID: 10, Name: "lamp 10", Description: "cold light", Price: 18.0, Stock: 3, Seq: 2})
	p.remove(10)
	p.upsert(product{ID: 10, Name: "lamp 10", Description: "warm light", Price: 17.0, Stock: 3, Seq: 5})
	p.awaitAll()
	if got := p.first("lamp 9: warm light"); got != "Product/9" {
		p.t.Errorf("a search for the text of an item that was created again finds %q", got)
	}
}

func (p *path) deadLetters() {
	row := func(id int64) product {
		return product{ID: id, Name: fmt.Sprintf("lamp %d", id), Description: "warm light", Price: 5.0, Stock: 1, Seq: 9}
	}
	long, large, typed, left := row(11), row(12), row(13), row(99)
	long.Description = strings.Repeat("very ", 1000)
	large.Description = strings.Repeat("large ", 50_000)
	typed.Price = "nineteen"
	left.Description = "__debezium_unavailable_value"
	for _, bad := range []struct {
		reason fault.Reason
		record *kgo.Record
	}{
		{fault.Oversize, p.envelope("u", p.now[11], &long)},  // more than the model takes: known to embed
		{fault.Oversize, p.envelope("u", p.now[12], &large)}, // more than a change may have: known to ingest
		{fault.FieldType, p.envelope("u", p.now[13], &typed)},
		{fault.UnavailableValue, p.envelope("c", nil, &left)}, // what is there of it waits
		{fault.Malformed, p.source(productKey(15), []byte(`{"op":"u","after":{"id":15,`))},
		{fault.Malformed, p.source(productKey(16), []byte(`{"op":"u","before":null,"after":null,"source":{}}`))},
		{fault.FormatMismatch, p.source(productKey(17), []byte(`{"id":17,"name":"no envelope"}`))},
	} {
		p.send(bad.record)
		p.planted[letterSpot(bad.record, bad.reason)] = string(bad.reason)
	}
	p.upsert(row(18))
	// The text is refused, the other columns are not.
	delete(p.now, 11)
	p.settle(soon)
	p.awaitAll()
	p.letterOfATooLongText(long)
	for _, id := range []int64{12, 13, 15, 16, 17, 99} {
		s, err := p.stored(id)
		if err != nil {
			p.t.Fatal(err)
		}
		if s.State.Failed == nil {
			p.t.Errorf("item %d does not show that a newer change of it is a dead letter", id)
		}
	}
}

// letterSpot returns where the record stands that the letter is made of: for what
// embed refuses, its place in the documents is only known once it is there.
func letterSpot(r *kgo.Record, reason fault.Reason) spot {
	if reason == fault.Oversize && len(r.Value) < 100_000 {
		return "" // the only one of embed
	}
	return spotOf(r)
}

func (p *path) letterOfATooLongText(long product) {
	s, err := p.stored(long.ID)
	if err != nil {
		p.t.Fatal(err)
	}
	price := ""
	for _, property := range s.State.Properties {
		if property.GetName() == "price" {
			price = show(property.GetValue())
		}
	}
	if price != "5" || s.State.Failed.GetReason() != string(fault.Oversize) {
		p.t.Errorf("an item whose text is too long has the price %q and the mark %v, want 5 and oversize", price, s.State.Failed)
	}
}

// burst sends changes of many items and returns when about half of them may be under way.
func (p *path) burst(seq int) {
	p.t.Helper()
	for i := range 300 {
		id := int64(100 + i%60)
		p.upsert(product{ID: id, Name: fmt.Sprintf("shelf %d", id), Description: fmt.Sprintf("oak, number %d", seq+i), Price: 80.5, Stock: i, Seq: seq + i})
	}
}

func (p *path) restarts() {
	for i, name := range services {
		service := p.running[name]
		p.burst(1000 * (i + 1))
		service.stop()
		p.burst(1000*(i+1) + 500)
		service.start()
	}
	p.settle(2 * soon)
	p.awaitAll()
}

func (p *path) instances() {
	second := map[string]*process{}
	for _, name := range services {
		second[name] = p.start(name, name+"-2")
	}
	for _, name := range services {
		await(p.t, soon, "both instances of "+name+" have partitions", func() (bool, error) { return p.shared(name) })
	}
	p.burst(5000)
	p.settle(2 * soon)
	p.awaitAll()
	for _, name := range services {
		if n := second[name].outcomes(); n == 0 {
			p.t.Errorf("the second instance of %s had partitions and no work", name)
		}
		second[name].stop()
	}
	p.burst(6000)
	p.settle(2 * soon)
	p.awaitAll()
}

// shared reports whether a service's group has two members with partitions, the same
// ones of each topic for write.
func (p *path) shared(service string) (bool, error) {
	group, topics := p.group(service)
	described, err := p.adm.DescribeGroups(p.t.Context(), group)
	if err != nil {
		return false, err
	}
	g := described[group]
	if g.State != "Stable" || len(g.Members) != 2 {
		return false, nil
	}
	for _, m := range g.Members {
		assigned, ok := m.Assigned.AsConsumer()
		if !ok || len(assigned.Topics) != len(topics) {
			return false, nil
		}
		first := slices.Sorted(slices.Values(assigned.Topics[0].Partitions))
		for _, topic := range assigned.Topics {
			if !slices.Equal(first, slices.Sorted(slices.Values(topic.Partitions))) {
				return false, fmt.Errorf("a member of %s has partitions %v of %s and %v of %s", group, first, assigned.Topics[0].Topic, topic.Partitions, topic.Topic)
			}
		}
	}
	return true, nil
}

// redelivery has every service read everything once more.
func (p *path) redelivery() {
	before, err := p.index.Load(p.t.Context(), collection, p.items(), true)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, name := range slices.Backward(services) {
		p.running[name].stop()
		group, _ := p.group(name)
		ends, err := p.ends(p.t.Context(), name)
		if err != nil {
			p.t.Fatal(err)
		}
		starts := kadm.Offsets{}
		ends.Each(func(o kadm.ListedOffset) { starts.AddOffset(o.Topic, o.Partition, 0, -1) })
		if err := p.adm.CommitAllOffsets(p.t.Context(), group, starts); err != nil {
			p.t.Fatal(err)
		}
		p.running[name].start()
		p.running[name].awaitReady()
		p.settle(2 * soon)
	}
	p.awaitAll()
	after, err := p.index.Load(p.t.Context(), collection, p.items(), true)
	if err != nil {
		p.t.Fatal(err)
	}
	for i, item := range p.items() {
		was, is := before[i].State, after[i].State
		// A mark of a dead letter that ingest makes again has a later version: that is all that may move.
		if was.Base != is.Base || was.Floor != is.Floor || was.Failed.GetReason() != is.Failed.GetReason() {
			p.t.Errorf("%s was at versions %d and %d with the mark %q and is at %d and %d with %q", item, was.Base, was.Floor, was.Failed.GetReason(), is.Base, is.Floor, is.Failed.GetReason())
		}
	}
}

func (p *path) items() []record.Item {
	var items []record.Item
	for _, id := range p.ids() {
		items = append(items, itemOf(id))
	}
	return items
}

// nothingElse compares all dead letters with the planted ones. A letter that was made
// twice, since its record was read twice, counts once.
func (p *path) nothingElse() {
	got := map[spot]string{}
	for _, l := range p.letters() {
		at := l.at
		if l.stage == "embed" {
			at = ""
		}
		got[at] = l.reason
	}
	if !maps.Equal(got, p.planted) {
		p.t.Errorf("dead letters:\n%v\nwant\n%v", got, p.planted)
	}
}

// cost shows that what instances which are gone have paid stands in the ledger, and that one which stops adds its last
// seconds.
func (p *path) cost() {
	before := p.ledger()
	p.upsert(product{ID: 1, Name: "a name that was never paid for"})
	p.settle(2 * soon)
	p.running["embed"].stop()
	if after := p.ledger(); before.Paid == 0 || before.Saved == 0 || after.Paid <= before.Paid {
		p.t.Errorf("the ledger has %+v, and after one more text %+v", before, after)
	}
}

// ledger returns what all instances have written.
func (p *path) ledger() record.Tokens {
	p.t.Helper()
	var bill struct {
		Sums []struct{ Tokens record.Tokens }
	}
	if err := json.Unmarshal([]byte(p.freshet(0, "", "cost", "-o", "json")), &bill); err != nil || len(bill.Sums) != 1 {
		p.t.Fatal(bill, err)
	}
	return bill.Sums[0].Tokens
}
