package hazards_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/freshet-io/freshet/libs/fake/local"
)

const (
	burst = 400 // changes that are sent around a moment of trouble
	tail  = 800 // changes after the last trouble
	// beside is how many cases run at a time: most of them wait.
	beside = 6
)

// hazard is one case.
type hazard struct {
	name    string
	server  func(*testing.T) local.WeaviateOptions // nil: as ever
	delay   time.Duration                          // of each piece of an answer of Weaviate
	naive   func() *naive                          // nil: the writer as it is
	prepare func(*bed) []string                    // further settings of write
	strike  func(*bed)                             // does the harm in the midst of a load, and ends it

	verdict verdict
	took    time.Duration
}

// TestHazards hurts Weaviate under a load, and shows what became of each item, first with the
// writer as it is, then with a rule of it left out.
func TestHazards(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a real server: not under -short")
	}
	cases, planted := hazards(), plants()
	runAll(t, slices.Concat(cases, planted))
	t.Logf("the writer as it is:\n%s\n\nwith a rule left out:\n%s", table(cases), table(planted))
	for _, h := range cases {
		v := h.verdict
		all := slices.Concat(v.lost, v.stale, v.unfound)
		for _, problem := range all[:min(10, len(all))] {
			t.Errorf("%s: %s", h.name, problem)
		}
	}
	for _, h := range planted {
		if v := h.verdict; v.items > 0 && len(v.lost)+len(v.stale)+len(v.unfound) == 0 {
			t.Errorf("%s: nothing is lost, so the case shows nothing", h.name)
		}
	}
}

func runAll(t *testing.T, cases []*hazard) {
	t.Helper()
	places := make(chan struct{}, beside)
	var all sync.WaitGroup
	for _, h := range cases {
		all.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			t.Run(h.name, h.run)
		})
	}
	all.Wait()
}

func (h *hazard) run(t *testing.T) {
	begun := time.Now()
	b := newBed(t, *h)
	b.send(burst)
	b.startWrite()
	h.strike(b)
	b.send(tail)
	b.settle()
	h.verdict, h.took = b.verdict(), time.Since(begun)
	if v := h.verdict; h.naive == nil && len(v.lost)+len(v.stale)+len(v.unfound) > 0 {
		t.Errorf("%d lost, %d stale, %d not found by their own vectors\n%s", len(v.lost), len(v.stale), len(v.unfound),
			strings.Join(slices.Concat(v.lost, v.stale, v.unfound), "\n"))
	}
}

// table shows cases, as a text.
func table(cases []*hazard) string {
	var b strings.Builder
	line := "%-62s %6s %5s %6s %24s %8s\n"
	fmt.Fprintf(&b, line, "case", "items", "lost", "stale", "not found by own vector", "took")
	for _, h := range cases {
		v := h.verdict
		if v.items == 0 {
			fmt.Fprintf(&b, line, h.name, "-", "-", "-", "-", "not run to its end")
			continue
		}
		fmt.Fprintf(&b, line, h.name, strconv.Itoa(v.items), strconv.Itoa(len(v.lost)), strconv.Itoa(len(v.stale)), strconv.Itoa(len(v.unfound)), h.took.Round(time.Second).String())
	}
	return b.String()
}
