// Package chaos runs the three real stages against a broker inside this process, in
// virtual time, while all that can go wrong goes wrong, and has an oracle judge what is
// left.
//
//	producer ─▶ ingest ─▶ embed ─▶ write ─▶ index      (real stages, real franz-go)
//	               │         │        │
//	               └─ network: killed, frozen, cut off ─┘
//
// One seed is one plan: changes and faults. The plan is repeated by its seed; how the
// goroutines of one virtual instant take turns is not, so a rare failure may need a few
// runs of its seed. It never sleeps in real time.
//
// It needs -tags synctests, which makes franz-go's locks ones that virtual time knows.
package chaos

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stopsAt is for mutants: the first seed that breaks one of these invariants is the last.
var stopsAt = strings.FieldsFunc(os.Getenv("FRESHET_CHAOS_FIRST"), func(r rune) bool { return r == ',' })

// stops reports whether what was found ends the run of a mutant.
func stops(found []violation) bool {
	return slices.ContainsFunc(found, func(v violation) bool { return slices.Contains(stopsAt, v.invariant) })
}

// seedsToRun returns which plans to run.
func seedsToRun(t *testing.T) []uint64 {
	if one := os.Getenv("FRESHET_CHAOS_SEED"); one != "" {
		seed, err := strconv.ParseUint(one, 10, 64)
		if err != nil {
			t.Fatalf("FRESHET_CHAOS_SEED is %q: it must be a number", one)
		}
		return []uint64{seed}
	}
	n := 1000
	switch {
	case testing.Short():
		n = 20
	case underRace:
		n = 60
	}
	if some := os.Getenv("FRESHET_CHAOS_SEEDS"); some != "" {
		var err error
		if n, err = strconv.Atoi(some); err != nil || n < 1 {
			t.Fatalf("FRESHET_CHAOS_SEEDS is %q: it must be a number above 0", some)
		}
	}
	seeds := make([]uint64, n)
	for i := range seeds {
		seeds[i] = uint64(i) + 1
	}
	return seeds
}

// totals is what all seeds did.
type totals struct {
	mu      sync.Mutex
	seeds   int
	did     [kinds]int
	fates   [indexDies + 1]int
	records int
	letters int
	pending int // vectors that were overtaken
	virtual time.Duration
	broken  int // seeds with violations
}

func (s *totals) failed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.broken > 0
}

func (s *totals) add(w *world, broken bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seeds++
	if broken {
		s.broken++
	}
	for k, n := range w.did {
		s.did[k] += n
	}
	for _, c := range w.plan.changes {
		s.fates[c.fate]++
	}
	s.records += len(w.observed.records) + len(w.plan.changes)
	for _, l := range w.observed.records {
		if l.letter != nil {
			s.letters++
		}
		if l.vector.GetState() == record.VectorState_VECTOR_STATE_PENDING {
			s.pending++
		}
	}
	s.virtual += w.now()
}

func TestChaos_nothingIsLostStaleOrMixedUpWhateverHappens(t *testing.T) {
	if !virtual {
		t.Skip("SKIPPED without -tags synctests: franz-go's locks would stop the clock. `make test` runs it")
	}
	seeds := seedsToRun(t)
	began := time.Now()
	all := &totals{}
	t.Run("seeds", func(t *testing.T) {
		queue := make(chan uint64)
		for range runtime.GOMAXPROCS(0) {
			t.Run("worker", func(t *testing.T) {
				t.Parallel()
				for seed := range queue {
					t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) { runSeed(t, seed, all) })
				}
			})
		}
		go func() {
			defer close(queue)
			for _, seed := range seeds {
				if len(stopsAt) > 0 && all.failed() {
					return
				}
				queue <- seed
			}
		}()
	})
	if len(stopsAt) > 0 {
		t.Logf("SEEDS %d", all.seeds)
		return
	}
	var counts []string
	for k := range kinds {
		counts = append(counts, fmt.Sprintf("%s %d", k, all.did[k]))
		if all.did[k] == 0 && k != lingering && len(seeds) >= 20 {
			t.Errorf("no seed had a fault %s: the run proves nothing about it", k)
		}
	}
	for f, n := range all.fates {
		counts = append(counts, fmt.Sprintf("%s %d", fate(f), n))
		if n == 0 && len(seeds) >= 60 {
			t.Errorf("no seed had a change %s: the run proves nothing about it", fate(f))
		}
	}
	if all.pending == 0 && len(seeds) >= 20 {
		t.Error("no document has overtaken its vector: the run proves nothing about it")
	}
	t.Logf("%d seeds, %d records, %d letters, %d overtaken vectors; %s; %s of virtual time in %s", all.seeds, all.records, all.letters, all.pending, strings.Join(counts, ", "), all.virtual.Round(time.Minute), time.Since(began).Round(time.Millisecond))
}

func runSeed(t *testing.T, seed uint64, all *totals) {
	for tries := 1; ; tries++ {
		again := false
		tel, err := telemetry.New(t.Context(), telemetry.Config{Exporter: "none"}, "chaos", "test") // one for all processes of the seed
		if err != nil {
			t.Fatal(err)
		}
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, newPlan(seed), tel)
			e := w.live()
			w.audit(e)
			found := append(w.found, judge(e)...)
			if again = w.stuck && tries < mostTries; again {
				t.Logf("seed %d once more: kfake is stuck, %s", seed, found[0].what)
				return
			}
			if len(found) > 0 {
				w.complain(e, found)
			}
			all.add(w, len(found) > 0 && (len(stopsAt) == 0 || stops(found)))
		})
		if !again {
			return
		}
	}
}

// mostTries bounds how often a seed is run in which kfake gets stuck: it takes a member that is removed while it waits in a
// sync for one that waits in a join (group.removeMember counts nJoining down for both), so that all members are never
// enough for the next rebalance, and each that joins again puts its deadline off. Kafka counts joins alone.
const mostTries = 8

// live lets the plan happen and returns what there is to judge.
func (w *world) live() evidence {
	ctx := w.ctx
	for _, service := range services {
		for range w.plan.members[service] {
			w.launch(service)
		}
	}
	var all sync.WaitGroup
	all.Go(func() { w.produce(ctx) })
	all.Go(func() { w.backfill(ctx) })
	for n, f := range w.plan.faults {
		all.Go(func() { w.suffer(ctx, n, f) })
	}
	all.Wait()
	for _, service := range services {
		if len(w.of(service)) == 0 {
			w.launch(service)
		}
	}
	w.settle(ctx)
	if w.did[lingering] > 0 { // all is committed, and what has landed since is still to be put right
		_ = wait(ctx, aftermath)
		w.settle(ctx)
	}
	return w.stopAll()
}

// stopAll ends the simulation and returns what there is to judge.
func (w *world) stopAll() evidence {
	w.mu.Lock()
	rest := slices.Clone(w.members)
	w.mu.Unlock()
	var all sync.WaitGroup
	for _, p := range rest {
		all.Go(func() { w.halt(w.ctx, p) })
	}
	all.Wait()
	_ = wait(w.ctx, time.Second) // the observer sees the last commits
	w.observed.stop()
	w.observed.done.Wait()
	w.read()
	w.end()
	e := w.evidence()
	for _, p := range w.killed {
		p.host.Release()
	}
	w.running.Wait()
	w.client.Close()
	w.cluster.Close()
	return e
}

func (w *world) evidence() evidence {
	disturbances := 2 * len(w.members)
	for _, k := range []kind{kill, freeze, join, leave, outage} {
		disturbances += 2 * w.did[k]
	}
	for _, s := range services {
		disturbances += w.plan.members[s]
	}
	return evidence{
		changes: w.plan.changes, rows: w.rows, records: w.observed.records, commits: w.observed.commits,
		history: w.index.history, paid: w.provider.times, wasted: w.provider.wasted, disturbances: disturbances,
		topics: topicNames{w.topics.DocumentsLive(), w.topics.DocumentsBulk(), w.topics.VectorsLive(), w.topics.VectorsBulk(), w.topics.DeadLetters()},
	}
}

// mostTold bounds how many violations of a seed are told, the first of each invariant.
const mostTold = 5

// complain says what broke, how to repeat it, and what happened.
func (w *world) complain(e evidence, found []violation) {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d broke %d invariants. Repeat it with\n  FRESHET_CHAOS_AIM=%q FRESHET_CHAOS_SEED=%d go test -tags synctests -run TestChaos ./services/ctl/chaos\n", w.plan.seed, len(found), os.Getenv("FRESHET_CHAOS_AIM"), w.plan.seed)
	for _, f := range w.plan.faults {
		fmt.Fprintf(&b, "  %s\n", f)
	}
	told := map[string]bool{}
	for _, v := range found {
		if told[v.invariant] || len(told) == mostTold {
			continue
		}
		told[v.invariant] = true
		fmt.Fprintf(&b, "VIOLATION %s seed=%d item=%s: %s\n%s", v.invariant, w.plan.seed, v.item, v.what, e.historyOf(v.item, w.provider.log))
	}
	w.t.Error(b.String())
}
