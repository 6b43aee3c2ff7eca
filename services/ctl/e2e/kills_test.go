package e2e_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/fake/local"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/weaviate"
)

const (
	killChanges = 20_000
	killItems   = 5_000
	killHot     = 40 // items that are changed most, and watched all the time
	killsEach   = 5
)

// TestKills kills each service and the broker again and again while changes flow, and
// compares the whole index with what was sent. FRESHET_TEST_SEED repeats a run's
// changes and its order of kills; the moments also depend on the machine.
func TestKills(t *testing.T) {
	if testing.Short() {
		t.Skip("needs real servers: not under -short")
	}
	seed := uint64(time.Now().UnixNano()) //nolint:gosec // any number
	if text := os.Getenv("FRESHET_TEST_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("FRESHET_TEST_SEED: %v", err)
		}
	}
	t.Logf("FRESHET_TEST_SEED=%d", seed)
	broker := startKafka(t)
	r := newRig(t, options{brokers: broker.Brokers, pipeline: productPipeline, partitions: 6, sourcePartitions: 3})
	k := &killer{rig: r, broker: broker, history: newHistory(seed), unfinishedAt: map[string][]int64{}}
	k.dice = rand.New(rand.NewPCG(seed, 2)) //nolint:gosec // a test's chance
	r.startAll()
	watch := k.watch()
	start := time.Now()

	k.sendAndKill()
	if err := r.client.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	sent := time.Since(start)
	r.settle(5 * time.Minute) // it only bounds a failure: ten seconds are usual
	settled := time.Since(start)
	seen := watch()

	lost, stale, wrong := k.compare()
	t.Logf("%s\nthe last was sent after %s, all was finished after %s\n%s", k.history, sent.Round(time.Second), settled.Round(time.Second), k.table(lost, stale, seen))
	for _, problem := range slices.Concat(lost, stale, wrong, seen)[:min(20, len(lost)+len(stale)+len(wrong)+len(seen))] {
		t.Error(problem)
	}
	if n := k.notSent.Load(); n > 0 {
		t.Errorf("%d changes could not be sent", n)
	}
	if letters := r.letters(); len(letters) > 0 {
		t.Errorf("%d dead letters of changes that are all right, the first for %s", len(letters), letters[0].reason)
	}
}

// killer sends a history and kills meanwhile.
type killer struct {
	*rig

	broker  *local.Kafka
	history *history
	dice    *rand.Rand
	picks   []int64 // whose turn it is next
	notSent atomic.Int64

	unfinishedAt map[string][]int64 // by victim, at each kill
	moments      []string           // of all kills, in their order
}

var victims = append(slices.Clone(services), "kafka")

// sendAndKill sends all changes in as many shares as there are kills. The first part
// of a share flows steadily; then comes a burst, and in the midst of it the victim is
// killed and started again.
func (k *killer) sendAndKill() {
	k.t.Helper()
	var schedule []string
	for range killsEach {
		schedule = append(schedule, victims...)
	}
	k.dice.Shuffle(len(schedule), func(i, j int) { schedule[i], schedule[j] = schedule[j], schedule[i] })
	k.picks = k.history.picks(killChanges, killItems, killHot)
	share := killChanges / (len(schedule) + 2) // the rest is for moments that need more work
	for _, victim := range schedule {
		burst := 200 + k.dice.IntN(300)
		k.flow(share - burst)
		if p := k.running[victim]; p != nil {
			p.awaitReady() // killing one that does not work yet would show nothing
		}
		k.produce(burst)
		k.strike(victim, int64(1+k.dice.IntN(burst/2)))
	}
	k.produce(len(k.picks))
}

// flow sends changes as a shop does: some at a time.
func (k *killer) flow(n int) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for ; n > 0; n -= 20 {
		k.produce(min(n, 20))
		<-tick.C
	}
}

// produce hands the next n changes to the client, which keeps their order and sends
// them until the broker has them.
func (k *killer) produce(n int) {
	n = min(n, len(k.picks))
	for _, id := range k.picks[:n] {
		c := k.history.next(id)
		k.client.Produce(k.t.Context(), k.envelope(c.op, c.before, c.after), func(_ *kgo.Record, err error) {
			if err != nil {
				k.notSent.Add(1)
			}
		})
	}
	k.picks = k.picks[n:]
}

// strike waits until the victim has at least so many unfinished records, kills it, and
// starts it again.
func (k *killer) strike(victim string, least int64) {
	k.t.Helper()
	var n int64
	more := time.Now().Add(2 * time.Second)
	await(k.t, time.Minute, victim+" has work to be killed in", func() (bool, error) {
		for _, p := range k.running {
			if err := p.failure(); err != nil {
				return false, err
			}
		}
		if time.Now().After(more) { // it was quicker than this look at it
			k.produce(20)
			more = time.Now().Add(500 * time.Millisecond)
			least = 1
		}
		var err error
		n, err = k.work(victim)
		return err == nil && n >= least, nil
	})
	if victim == "kafka" {
		if err := k.broker.Kill(); err != nil {
			k.t.Fatal(err)
		}
		if err := k.broker.Restart(k.t.Context()); err != nil {
			k.t.Fatal(err)
		}
	} else {
		// Counted again after its death: what it had not committed then, of what was there before.
		ends, err := k.ends(k.t.Context(), victim)
		if err != nil {
			k.t.Fatal(err)
		}
		k.running[victim].kill()
		if n, err = k.behind(k.t.Context(), victim, ends); err != nil {
			k.t.Fatal(err)
		}
		k.running[victim].start()
	}
	if n == 0 {
		k.t.Errorf("%s was killed when it had nothing to do", victim)
	}
	k.unfinishedAt[victim] = append(k.unfinishedAt[victim], n)
	k.moments = append(k.moments, fmt.Sprintf("%s@%d", victim, k.history.seq))
}

// work counts a victim's unfinished records: for the broker those of all services.
func (k *killer) work(victim string) (int64, error) {
	if victim != "kafka" {
		return k.unfinished(victim)
	}
	var sum int64
	for _, s := range services {
		n, err := k.unfinished(s)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

// watch looks at the hot items all the time: a state that was seen must never be
// followed by an older one. The end of a run alone would not show it, since a record
// that comes again is followed by its successors. The returned function stops it.
func (k *killer) watch() (stop func() []string) {
	var items []record.Item
	for id := range killHot {
		items = append(items, itemOf(int64(id+1)))
	}
	ctx, cancel := context.WithCancel(k.t.Context())
	var done sync.WaitGroup
	var seen []string
	looks := 0
	done.Go(func() {
		versions, seqs, doubts := make([]int64, killHot), make([]int64, killHot), make([]int, killHot)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			<-tick.C
			stored, err := k.index.Load(ctx, collection, items, false)
			if err != nil {
				continue
			}
			looks++
			for i, s := range stored {
				version := max(s.State.Base, s.State.Floor)
				if version == 0 {
					continue // not there yet, or moving between the two collections at this moment
				}
				seq := seqOf(s.State)
				// Weaviate does not find an object by its id while it is being replaced, and what the
				// side collection says of it then may be older: only where that stays so is it true.
				if version < versions[i] && !s.Main && doubts[i] < 10 {
					doubts[i]++
					continue
				}
				doubts[i] = 0
				if version < versions[i] || seq > 0 && seq < seqs[i] {
					seen = append(seen, fmt.Sprintf("%s went back from version %d (change %d) to %d (change %d) while it was watched", items[i], versions[i], seqs[i], version, seq))
				}
				versions[i] = version
				if seq > 0 {
					seqs[i] = seq
				}
			}
		}
	})
	return func() []string {
		cancel()
		done.Wait()
		k.t.Logf("%d hot items were looked at %d times", killHot, looks)
		return seen
	}
}

// seqOf returns the number of the change that made the row, 0 where there is none.
func seqOf(s record.State) int64 {
	for _, p := range s.Properties {
		if p.GetName() == "seq" && s.Live() {
			return p.GetValue().GetInteger()
		}
	}
	return 0
}

// compare compares every item in the index with the newest row that was sent.
func (k *killer) compare() (lost, stale, wrong []string) {
	k.t.Helper()
	var all, live []record.Item
	for id := range killItems {
		all = append(all, itemOf(int64(id+1)))
	}
	stored, err := k.index.Load(k.t.Context(), collection, all, true)
	if err != nil {
		k.t.Fatal(err)
	}
	for i, s := range stored {
		row, seq := k.history.rows[int64(i+1)], seqOf(s.State)
		switch {
		case row == nil && s.Main:
			stale = append(stale, fmt.Sprintf("%s is deleted and still there, as of change %d", all[i], seq))
		case row == nil:
		case !s.Main:
			lost = append(lost, fmt.Sprintf("%s is not there; its last change is %d", all[i], row.Seq))
			continue
		case seq < int64(row.Seq):
			stale = append(stale, fmt.Sprintf("%s is as of change %d; its last one is %d", all[i], seq, row.Seq))
		default:
			if err := row.differs(s); err != nil {
				wrong = append(wrong, fmt.Sprintf("%s: %v", all[i], err))
			}
		}
		if row != nil {
			live = append(live, all[i])
		}
	}
	missing, err := k.index.SelfFound(k.t.Context(), collection, live)
	if err != nil {
		k.t.Fatal(err)
	}
	for _, item := range missing {
		lost = append(lost, k.unfound(item))
	}
	return lost, stale, wrong
}

// unfound says what can be known of an item that is there and not found.
func (k *killer) unfound(item record.Item) string {
	k.t.Helper()
	stored, err := k.index.Load(k.t.Context(), collection, []record.Item{item}, true)
	if err != nil {
		k.t.Fatal(err)
	}
	vector, err := record.ParseVector(stored[0].State.Vector)
	if err != nil {
		k.t.Fatal(err)
	}
	hits, err := k.index.Search(k.t.Context(), collection, vector, 1000, nil)
	far := slices.ContainsFunc(hits, func(h weaviate.Hit) bool { return h.Item.String() == item.String() })
	again, errAgain := k.index.SelfFound(k.t.Context(), collection, []record.Item{item})
	return fmt.Sprintf("%s, last changed by change %d, is not found by its own vector; among the 1000 nearest: %t (%v), a moment later: %t (%v)",
		item, seqOf(stored[0].State), far, err, len(again) == 0, errAgain)
}

func (k *killer) table(lost, stale, seen []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-8s %5s  %s\n", "victim", "kills", "unfinished records at each kill")
	for _, victim := range victims {
		fmt.Fprintf(&b, "%-8s %5d  %v\n", victim, len(k.unfinishedAt[victim]), k.unfinishedAt[victim])
	}
	fmt.Fprintf(&b, "in the order, with the number of changes sent by then: %s\n", strings.Join(k.moments, " "))
	fmt.Fprintf(&b, "at the end lost %d, stale %d; seen going back on the way: %d", len(lost), len(stale), len(seen))
	return b.String()
}
