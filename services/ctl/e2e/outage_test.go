package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/freshet-io/freshet/libs/record"
)

// outageProducts are changed by chance while the provider is away.
const outageProducts = 100

// shopping is what a test knows of a catalogue that changes while the provider is away.
type shopping struct {
	*rig
	now  map[int64]product // as the source has them
	seq  int
	took []time.Duration // from the change to the index
}

// TestOutage has the provider away for a while: prices and deletes reach the index meanwhile, and the vectors follow. In
// the middle of it embed is killed. FRESHET_TEST_OUTAGE says for how long, 10 s if it is not set.
func TestOutage(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a server: not under -short")
	}
	lasts := 10 * time.Second
	if text := os.Getenv("FRESHET_TEST_OUTAGE"); text != "" {
		var err error
		if lasts, err = time.ParseDuration(text); err != nil {
			t.Fatalf("FRESHET_TEST_OUTAGE: %v", err)
		}
	}
	p := startProvider(t)
	s := &shopping{now: map[int64]product{}, rig: newRig(t, options{
		brokers: startKfake(t), pipeline: paidPipeline, partitions: 3, sourcePartitions: 3,
		environ: append(p.environ("embed"), "FRESHET_OPENAI_MAX_BACKOFF=1s"),
	})}
	s.startAll()
	for id := range int64(outageProducts) {
		s.change(id, true)
	}
	s.settle(time.Minute)

	p.away.Store(true)
	dice := rand.New(rand.NewPCG(1, 1)) //nolint:gosec // a test's chance
	// The killed one comes back when its session is over: how many documents go on without their vectors is counted before.
	handedOn := 0
	for end := time.Now().Add(lasts); time.Now().Before(end) || handedOn == 0 && time.Since(end) < time.Minute; {
		s.step(dice)
		if handedOn > 0 || time.Until(end) > lasts/2 {
			continue
		}
		if handedOn = s.running["embed"].outcomes(`stage="embed"`, `outcome="pending"`); handedOn > 0 {
			s.running["embed"].kill()
			s.running["embed"].start()
		}
	}
	p.away.Store(false)
	back := time.Now()
	s.settle(5 * time.Minute)
	t.Logf("%d changes in %s, in the index after %s (median) and %s (most); %d had gone on without their vectors when embed was killed; those took %s", len(s.took), lasts,
		s.took[len(s.took)/2], s.took[len(s.took)-1], handedOn, time.Since(back).Round(time.Second))
	s.allRight()
	if again := p.paidAgain(); again != 0 || handedOn == 0 {
		t.Errorf("%d texts were paid for once more; %d documents went on without their vectors", again, handedOn)
	}
	if letters := s.letters(); len(letters) > 0 {
		t.Errorf("%d dead letters", len(letters))
	}
}

// change sends a product's next change, of its text or of its price alone.
func (s *shopping) change(id int64, text bool) {
	s.t.Helper()
	s.seq++
	now, known := s.now[id]
	now.ID, now.Seq, now.Price, now.Stock = id, s.seq, float64(s.seq), s.seq
	if text || !known {
		now.Name, now.Description = fmt.Sprintf("product %d", id), fmt.Sprintf("as of change %d", s.seq)
	}
	s.now[id] = now
	s.send(s.envelope("u", nil, &now))
}

// step makes a change by chance and waits until the index has it, however the provider is.
func (s *shopping) step(dice *rand.Rand) {
	s.t.Helper()
	id, began := dice.Int64N(outageProducts), time.Now()
	now, known := s.now[id]
	gone := known && dice.IntN(10) == 0
	if gone {
		s.send(s.envelope("d", &now, nil))
		delete(s.now, id)
	} else {
		s.change(id, dice.IntN(5) == 0)
	}
	await(s.t, time.Minute, fmt.Sprintf("change %d of %s is in the index", s.seq, itemOf(id)), func() (bool, error) {
		stored, err := s.index.Load(s.t.Context(), collection, []record.Item{itemOf(id)}, true)
		if err != nil {
			return false, err
		}
		if state := stored[0].State; !gone {
			return seqOf(state) == int64(s.seq), nil
		}
		return !stored[0].State.Live(), nil
	})
	s.took = append(s.took, time.Since(began))
	slices.Sort(s.took)
}

// allRight compares the index with the source.
func (s *shopping) allRight() {
	s.t.Helper()
	var items []record.Item
	for id := range int64(outageProducts) {
		items = append(items, itemOf(id))
	}
	stored, err := s.index.Load(s.t.Context(), collection, items, true)
	if err != nil {
		s.t.Fatal(err)
	}
	var live []record.Item
	for id, st := range stored {
		want, ok := s.now[int64(id)]
		if !ok {
			if st.Main || st.State.Live() {
				s.t.Errorf("product %d was deleted, and is there", id)
			}
			continue
		}
		live = append(live, items[id])
		if err := want.differs(st); err != nil {
			s.t.Errorf("product %d: %v", id, err)
		}
	}
	missing, err := s.index.SelfFound(s.t.Context(), collection, live, nil)
	if err != nil || len(missing) > 0 {
		s.t.Errorf("%d items are not found by their own vectors, %v", len(missing), err)
	}
}

// refuses answers as a provider does that is away, or throttles.
func (p *provider) refuses(w http.ResponseWriter) bool {
	switch {
	case p.away.Load():
		http.Error(w, "away", http.StatusServiceUnavailable)
	case p.busy.Load():
		w.Header().Set("Retry-After", "15")
		http.Error(w, "too many requests", http.StatusTooManyRequests)
	default:
		return false
	}
	return true
}
