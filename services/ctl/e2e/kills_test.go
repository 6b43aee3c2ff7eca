package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/fake/local"
	"github.com/freshet-io/freshet/libs/record"
)

const (
	killHot       = 40 // items that are changed most, and watched all the time
	killsEach     = 20 // of a service
	killsBeside   = 5  // of Apache Kafka, and of embed beside it
	killedBroker  = "kafka"
	killedSession = 2 * time.Second // a member that is killed is missed for so long
)

// TestKills kills each service again and again while changes flow, and Apache Kafka too, and compares the whole index
// with what was sent. Every moment must find unfinished records. FRESHET_TEST_SEED repeats a run's changes and its order
// of kills; the moments also depend on the machine.
func TestKills(t *testing.T) {
	seed := newSeed(t)
	t.Run("kfake", func(t *testing.T) {
		// This broker lives in the test's process: it cannot be killed alone.
		k := newKiller(t, seed, plan{brokers: startKfake(t), session: killedSession, changes: 4_000, items: 1_500})
		k.allowShortSessions()
		k.startAll()
		k.kills()
		k.conclude()
	})
	t.Run("kafka", func(t *testing.T) {
		broker := startKafka(t)
		k := newKiller(t, seed, plan{brokers: broker.Brokers, broker: broker, session: killedSession, changes: 6_000, items: 3_000})
		k.startAll()
		k.kills()
		k.conclude()
	})
}

func newSeed(t *testing.T) uint64 {
	t.Helper()
	if testing.Short() {
		t.Skip("needs real servers: not under -short")
	}
	return seedOr(t, uint64(time.Now().UnixNano())) //nolint:gosec // any number
}

// seedOr returns the seed that the environment asks for, else the given one.
func seedOr(t *testing.T, seed uint64) uint64 {
	t.Helper()
	if text := os.Getenv("FRESHET_TEST_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("FRESHET_TEST_SEED: %v", err)
		}
	}
	t.Logf("FRESHET_TEST_SEED=%d", seed)
	return seed
}

// plan is what a killer works on.
type plan struct {
	brokers        string
	broker         *local.Kafka // nil: not killed
	session        time.Duration
	changes, items int // that the history begins with
	build          string
	apply          func(*rig) // as of options
}

// killer sends a history, and kills and pauses meanwhile.
type killer struct {
	*rig
	plan

	provider *provider
	history  *history
	picks    []int64
	dice     *rand.Rand
	notSent  atomic.Int64
	table    table
	moments  []string // of all kills, in their order
	changed  []int64  // since awaitIndex

	payable int // texts that may be paid again after the kills of embed
}

// paidPipeline is the tests' pipeline with a provider that is paid.
var paidPipeline = strings.Replace(productPipeline, "provider: hash, model: hash", "provider: openai, model: stand-in", 1)

func newKiller(t *testing.T, seed uint64, o plan) *killer {
	t.Helper()
	p := startProvider(t)
	r := newRig(t, options{
		brokers: o.brokers, pipeline: paidPipeline, partitions: 6, sourcePartitions: 3, build: o.build, apply: o.apply,
		environ: append(p.environ("embed"),
			fmt.Sprint("FRESHET_SESSION_TIMEOUT=", o.session),
			"FRESHET_EMBED_OVERTAKE_AFTER=0", // on a slow machine more than one lane of requests would be under way
			fmt.Sprint("FRESHET_EMBED_IN_FLIGHT=", embedInFlight), fmt.Sprint("FRESHET_EMBED_BATCH_ITEMS=", embedItems)),
	})
	k := &killer{rig: r, plan: o, provider: p, history: newHistory(seed)}
	k.dice = rand.New(rand.NewPCG(seed, 2)) //nolint:gosec // a test's chance
	k.picks = k.history.picks(o.changes, o.items, killHot)
	return k
}

// allowShortSessions has the stand-in broker take the sessions that the properties of package local have Kafka take.
func (k *killer) allowShortSessions() {
	k.t.Helper()
	least := kadm.AlterConfig{Op: kadm.SetConfig, Name: "group.min.session.timeout.ms", Value: new("1000")}
	if _, err := k.adm.AlterBrokerConfigs(k.t.Context(), []kadm.AlterConfig{least}); err != nil {
		k.t.Fatal(err)
	}
}

// conclude shows what has become of all faults.
func (k *killer) conclude() {
	k.t.Helper()
	k.t.Logf("%s\n%s", k.history, k.table)
	if n := k.notSent.Load(); n > 0 {
		k.t.Errorf("%d changes could not be sent", n)
	}
	if letters := k.letters(); len(letters) > 0 {
		k.t.Errorf("%d dead letters of changes that are all right, the first for %s", len(letters), letters[0].reason)
	}
}

// kills kills everything in turn, while changes flow, and compares the index with what was sent. Once it was killed, embed
// knows from the index alone what it has paid for: since write is killed too, it may pay again all that has not reached the
// index. What its kills cost alone, TestAKillOfEmbedCostsAtMostWhatWasInFlight counts.
func (k *killer) kills() {
	k.t.Helper()
	beside := 1 // every so many rounds
	if k.broker != nil {
		beside = killsEach / killsBeside
	}
	var victims []string
	for i := range killsEach {
		round := []string{"ingest", "write"}
		if i%beside == 0 {
			round = append(round, "embed")
		}
		if k.broker != nil && i%beside == 0 {
			round = append(round, killedBroker)
		}
		// In rounds, so that a victim is at work again when it is killed again.
		k.dice.Shuffle(len(round), func(i, j int) { round[i], round[j] = round[j], round[i] })
		victims = append(victims, round...)
	}
	const fault = "kill -9"
	rows := map[string]*row{}
	for _, victim := range append(slices.Clone(services), killedBroker) {
		rows[victim] = k.table.add(fault, victim)
	}
	start, before := time.Now(), k.provider.paidAgain()
	watched := k.watch()
	k.sendAndKill(victims, rows)
	if err := k.client.Flush(k.t.Context()); err != nil {
		k.t.Fatal(err)
	}
	sent := time.Since(start)
	k.settle(5 * time.Minute) // it only bounds a failure: a doubt, and then a minute, since write tries one by one what it died with
	settled := time.Since(start)
	together := k.table.add(fault, "together")
	k.verdict(together, k.items, watched(), nil)
	k.paid(together, before, k.payable)
	k.t.Logf("the last change was sent after %s, all was finished after %s", sent.Round(time.Second), settled.Round(time.Second))
	k.t.Logf("killed, with the number of changes sent by then: %s", strings.Join(k.moments, " "))
}

// verdict compares the first n items, and fails the test for what is not as it was sent, and for what was seen going
// back at any other time than in one of the doubts.
func (k *killer) verdict(r *row, n int, seen []sighting, doubts []span) {
	k.t.Helper()
	var back []string
	for _, s := range seen {
		if slices.ContainsFunc(doubts, func(d span) bool { return d.has(s.at) }) {
			r.back++
		} else {
			back = append(back, s.what)
		}
	}
	lost, stale, wrong := k.compare(n)
	r.compared, r.lost, r.stale = true, len(lost), len(stale)+len(back)
	problems := slices.Concat(lost, stale, back, wrong)
	for _, problem := range problems[:min(20, len(problems))] {
		k.t.Error(problem)
	}
}

// paid compares what the provider was paid for once more, and not before already, with what is allowed.
func (k *killer) paid(r *row, before, bound int) {
	k.t.Helper()
	r.paid, r.paidAgain, r.paidBound = true, k.provider.paidAgain()-before, bound
	if r.paidAgain > bound {
		k.t.Errorf("%d texts were paid for once more, and at most %d should be", r.paidAgain, bound)
	}
}

// sendAndKill sends the changes in as many shares as there are kills. The first part of a share flows steadily; then
// comes a burst, and in the midst of it the victim is killed and started again.
func (k *killer) sendAndKill(victims []string, rows map[string]*row) {
	k.t.Helper()
	share := len(k.picks) / (len(victims) + 2) // what is left is for moments that need more work
	for _, victim := range victims {
		burst := share/2 + k.dice.IntN(share/3)
		k.flow(share - burst)
		if p := k.running[victim]; p != nil {
			p.awaitReady() // killing one that does not work yet would show nothing
		}
		k.produce(burst)
		rows[victim].moment(k.t, k.strike(victim, int64(1+k.dice.IntN(burst/2))))
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

// produce sends changes of the next n items.
func (k *killer) produce(n int) {
	n = min(n, len(k.picks))
	for _, id := range k.picks[:n] {
		k.change(id)
	}
	k.picks = k.picks[n:]
}

// change hands the next change of an item to the client, which keeps their order and sends them until the broker has
// them.
func (k *killer) change(id int64) {
	c := k.history.next(id)
	k.changed = append(k.changed, id)
	k.client.Produce(k.t.Context(), k.envelope(c.op, c.before, c.after), func(_ *kgo.Record, err error) {
		if err != nil {
			k.notSent.Add(1)
		}
	})
}

// awaitIndex waits until the index has all that was sent since it was called last.
func (k *killer) awaitIndex() {
	k.t.Helper()
	slices.Sort(k.changed)
	ids := slices.Compact(k.changed)
	k.changed = nil
	await(k.t, time.Minute, "the index has all changes", func() (bool, error) {
		items := make([]record.Item, len(ids))
		for i, id := range ids {
			items[i] = itemOf(id)
		}
		stored, err := k.index.Load(k.t.Context(), collection, items, true)
		if err != nil {
			return false, err
		}
		var left []int64
		for i, id := range ids {
			row := k.history.rows[id]
			if row == nil && stored[i].Main || row != nil && seqOf(stored[i].State) < int64(row.Seq) {
				left = append(left, id)
			}
		}
		ids = left
		return len(ids) == 0, nil
	})
}

// strike waits until the victim has at least so many unfinished records, kills it, and starts it again. It returns how
// many were unfinished at that moment.
func (k *killer) strike(victim string, least int64) (n int64) {
	k.t.Helper()
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
	k.moments = append(k.moments, fmt.Sprintf("%s@%d", victim, k.history.seq))
	if victim == killedBroker {
		if err := k.broker.Kill(); err != nil {
			k.t.Fatal(err)
		}
		if err := k.broker.Restart(k.t.Context()); err != nil {
			k.t.Fatal(err)
		}
		return n
	}
	// Counted again after its death: what it had not committed then, of what was there before.
	ends, err := k.ends(k.t.Context(), victim)
	if err != nil {
		k.t.Fatal(err)
	}
	k.running[victim].kill()
	if n, err = k.behind(k.t.Context(), victim, ends); err != nil {
		k.t.Fatal(err)
	}
	if victim == "embed" {
		unwritten, err := k.unfinished("write")
		if err != nil {
			k.t.Fatal(err)
		}
		k.payable += int(n + unwritten)
	}
	k.running[victim].start()
	return n
}

// work counts a victim's unfinished records: for the broker those of all services.
func (k *killer) work(victim string) (int64, error) {
	if victim != killedBroker {
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
