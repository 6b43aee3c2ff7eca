package e2e_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/stage"
	"github.com/freshet-io/freshet/services/ingest/ingester"
)

const (
	replicaItems   = 1_000
	replicaSession = 3 * time.Second
	bulkRounds     = 20 // each with a row of every item
	turnsOfTwo     = 4  // of the replicas that are disturbed
	turnsOfThree   = 9
)

// TestReplicas has two and then three instances of write share the same items in both lanes, while they are killed,
// stopped and started, and sleep through their sessions, one after the other, so that partitions change hands all the
// time. A bulk row is older than every change, and newer than the bulk row before it. FRESHET_TEST_SEED is as in TestKills.
func TestReplicas(t *testing.T) {
	k := newKiller(t, newSeed(t), plan{brokers: startKfake(t), session: replicaSession, items: replicaItems})
	k.allowShortSessions()
	k.mark(bulkRounds)
	for _, s := range []string{"ingest", "embed"} {
		k.start(s, s).awaitReady()
	}
	expect, err := ingester.New(k.file, ingester.Options{Config: ingester.DefaultConfig()})
	if err != nil {
		t.Fatal(err)
	}
	b := &backfill{killer: k, ingester: expect, changed: map[int64]bool{}}
	b.round() // the shop as it was found
	stop := b.keepChanging()
	for _, step := range []struct{ replicas, turns int }{{2, turnsOfTwo}, {3, turnsOfThree}} {
		for i := range step.replicas {
			if name := replica(i); k.running[name] == nil {
				k.start("write", name)
			}
		}
		for i := range step.turns {
			k.disturb(replica(k.dice.IntN(step.replicas)), i)
		}
	}
	stop()
	k.settle(2 * time.Minute)
	lost, stale, wrong := k.compare(replicaItems)
	t.Logf("%d items, %d of them by changes, %d bulk rows: lost %d, stale %d, wrong %d", replicaItems, len(b.changed), b.sent, len(lost), len(stale), len(wrong))
	for _, problem := range append(append(lost, stale...), wrong...) {
		t.Error(problem)
	}
}

func replica(i int) string { return fmt.Sprint("write-", i+1) }

// disturb takes one replica out of its group, each time in another way, and has it back.
func (k *killer) disturb(name string, turn int) {
	k.t.Helper()
	p := k.running[name]
	away := 500 * time.Millisecond
	switch turn % 3 {
	case 0:
		p.kill()
		time.Sleep(away)
		p.start()
	case 1:
		if err := p.pause(); err != nil {
			k.t.Fatal(err)
		}
		time.Sleep(replicaSession + 2*time.Second)
		if err := p.resume(); err != nil {
			k.t.Fatal(err)
		}
	case 2:
		p.stop()
		time.Sleep(away)
		p.start()
	}
	time.Sleep(2 * time.Second)
	if err := p.failure(); err != nil {
		k.t.Fatal(err)
	}
}

// mark puts n markers into each partition of the live documents: their versions stamp bulk rows.
func (k *killer) mark(n int) {
	k.t.Helper()
	var markers []*kgo.Record
	for i := range n {
		value, err := (&record.Document{Op: record.Op_OP_MARKER, Job: "replicas", MarkedAt: int64(i)}).Encode()
		if err != nil {
			k.t.Fatal(err)
		}
		for partition := range k.rig.partitions {
			markers = append(markers, &kgo.Record{Topic: k.topics.DocumentsLive(), Partition: partition, Value: value})
		}
	}
	k.send(markers...)
}

// backfill sends bulk rows of a shop that is changed meanwhile.
type backfill struct {
	*killer

	ingester *ingester.Ingester
	changed  map[int64]bool // items that have a change: no bulk row may win any more
	rounds   int
	sent     int
}

// round sends a row of each item, read after the marker that stamps it.
func (b *backfill) round() {
	b.t.Helper()
	stamp, err := record.Version(0, int64(b.rounds))
	if err != nil {
		b.t.Fatal(err)
	}
	b.rounds++
	var rows []*kgo.Record
	for id := int64(1); id <= replicaItems; id++ {
		p := &product{ID: id, Seq: b.rounds, Name: b.history.name(id), Description: b.history.description(), Price: float64(b.rounds)}
		if !b.changed[id] {
			b.history.rows[id] = p
		}
		rows = append(rows, b.bulk(p, stamp))
	}
	b.sent += len(rows)
	b.send(rows...)
}

func (b *backfill) bulk(p *product, stamp int64) *kgo.Record {
	b.t.Helper()
	change := b.envelope("r", nil, p)
	outcomes, err := b.ingester.Handle(b.t.Context(), []ingester.Change{{Record: stage.Record{Topic: change.Topic, Key: change.Key, Value: change.Value}}})
	if err != nil || outcomes[0].Err != nil {
		b.t.Fatalf("a bulk row: %v, %v", err, outcomes)
	}
	d := outcomes[0].Out[0]
	d.Sources, d.Stamp = nil, stamp
	value, err := d.Encode()
	if err != nil {
		b.t.Fatal(err)
	}
	key := d.Item().Key()
	return &kgo.Record{Topic: b.topics.DocumentsBulk(), Partition: record.Partition(key, b.rig.partitions), Key: key, Value: value}
}

// keepChanging changes items of the first half, and sends the rounds that are left, until stop; stop returns when all
// rounds are sent.
func (b *backfill) keepChanging() (stop func()) {
	end, ended := make(chan struct{}), make(chan struct{})
	b.history.seq = bulkRounds
	go func() {
		defer close(ended)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ; n++ {
			for range 10 {
				id := int64(b.history.rng.IntN(replicaItems/2) + 1)
				b.changed[id] = true
				b.change(id)
			}
			if n%20 == 0 && b.rounds < bulkRounds {
				b.round()
			}
			select {
			case <-tick.C:
			case <-end:
				return
			case <-b.t.Context().Done(): // the test has failed
				return
			}
		}
	}()
	return func() {
		close(end)
		<-ended
		for b.rounds < bulkRounds {
			b.round()
		}
		if err := b.client.Flush(b.t.Context()); err != nil {
			b.t.Fatal(err)
		}
	}
}
