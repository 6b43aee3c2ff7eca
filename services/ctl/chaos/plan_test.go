package chaos

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"time"
)

// plan is all that one seed decides: what the producer sends, and what goes wrong when.
type plan struct {
	seed       uint64
	partitions int32 // of the source and of the pipeline's topics
	members    map[string]int
	changes    []*change
	rows       []backfilled
	faults     []fault
}

// fate is what must become of a change.
type fate int

const (
	good         fate = iota
	removed           // a delete
	malformed         // no JSON: ingest's letter
	oversize          // its document is larger than its topic takes: ingest's letter
	refused           // the provider refuses its text: embed's letter
	providerDies      // the provider panics on its text: embed's letter
	indexRefuses      // the index refuses its object: write's letter
	indexDies         // the index panics on its object: write's letter
)

func (f fate) String() string {
	return [...]string{"good", "delete", "malformed", "oversize", "provider-rejected", "provider-panics", "index-rejected", "index-panics"}[f]
}

// Words in a text that the stand-ins act upon.
const (
	wordRefused      = "refused-by-provider"
	wordProviderDies = "provider-dies"
	wordIndexRefuses = "refused-by-index"
	wordIndexDies    = "index-dies"
)

// change is one record of the source log.
type change struct {
	at   time.Duration // since the start
	item string
	seq  int // counts the item's changes
	fate fate
	text string
	// notes is the end of the text, a column of its own; partial says that the source leaves it out, because it did not
	// change.
	notes   string
	partial bool

	// Where it stands in the log, once it was sent.
	sent      bool
	topic     string
	partition int32
	offset    int64
}

// backfilled says that a row of the backfill is read at a time. Of an item of its own
// it is the first and only word; of another one it is what the source has then.
type backfilled struct {
	at   time.Duration
	item string
}

// kind is what goes wrong.
type kind int

const (
	kill      kind = iota
	freeze         // a zombie: silent for longer than its session, then it goes on
	join           // another member comes, so that the partitions are dealt out anew
	leave          // a member is told to stop
	outage         // the broker is away
	refuse         // the broker refuses what is produced for a while
	letters        // the dead-letter topic is away
	slow           // provider and index take long
	throttled      // the provider answers 429
	failing        // the provider answers 5xx, sometimes after it charged
	hanging        // the provider does not answer
	unwritten      // the index fails, before or after it did as it was told
	lingering      // a write of the index fails, and lands all the same, later
	kinds
)

func (k kind) String() string {
	return [...]string{"kill", "zombie", "join", "leave", "outage", "produce-refused", "letters-away", "slow", "provider-429", "provider-5xx", "provider-hangs", "index-fails", "writes-linger"}[k]
}

// ofMember reports whether the fault is one of a single process.
func (k kind) ofMember() bool { return k <= leave }

type fault struct {
	at    time.Duration
	kind  kind
	of    string // the service, for the faults of a member
	lasts time.Duration
}

func (f fault) String() string {
	return fmt.Sprintf("%8s %-15s %-6s for %s", f.at.Round(time.Millisecond), f.kind, f.of, f.lasts.Round(time.Millisecond))
}

var services = []string{"ingest", "embed", "write"}

const (
	busy        = 40 * time.Second // the time in which changes come
	longOutages = 20               // one outage in so many is an hour at most
	// outLives is longer than a session, and shorter than what a producer waits for an
	// answer: so that what a zombie had in its producer is sent when it wakes.
	outLives = sessionTimeout + 2*time.Second
)

// aimedFaults is how many faults more a plan has that is aimed.
const aimedFaults = 4

// aim, if set, is the fault of which all plans have more. Against a bug that only a coincidence shows, the seeds are to
// make it less rare.
var aim = parseAim(os.Getenv("FRESHET_CHAOS_AIM"))

// parseAim reads a kind, with the service after it where it is a fault of a member.
func parseAim(text string) *fault {
	if text == "" {
		return nil
	}
	name, of, _ := strings.Cut(text, " ")
	for k := range kinds {
		if k.String() == name && k.ofMember() == slices.Contains(services, of) {
			return &fault{kind: k, of: of}
		}
	}
	panic(fmt.Sprintf("FRESHET_CHAOS_AIM is %q: it must be a kind of fault, like letters-away, or one with its service, like \"zombie write\"", text))
}

func newPlan(seed uint64) *plan {
	r := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // repeatable, on purpose
	p := &plan{seed: seed, partitions: 2 + r.Int32N(2), members: map[string]int{}}
	for _, s := range services {
		p.members[s] = 1 + r.IntN(2)
	}
	p.drawChanges(r)
	p.drawPoison(r)
	for range r.IntN(6) {
		item := fmt.Sprintf("b%d", r.IntN(3))
		if r.IntN(2) == 0 {
			item = fmt.Sprintf("d%d", r.IntN(4))
		}
		p.rows = append(p.rows, backfilled{within(r, busy), item})
	}
	slices.SortStableFunc(p.rows, func(a, b backfilled) int { return int(a.at - b.at) })
	for range 4 + r.IntN(5) {
		p.faults = append(p.faults, drawFault(r))
	}
	if aim != nil {
		for range aimedFaults {
			p.faults = append(p.faults, drawTimes(r, *aim))
		}
	}
	slices.SortStableFunc(p.faults, func(a, b fault) int { return int(a.at - b.at) })
	return p
}

// lateBound is after how long a write that failed has landed; 0: calls that failed are not looked after, and the index's
// ledgers are not kept. Each going back after a failed call does much once more, which hides what happens without: so half
// of the plans are without, but where writes linger.
func (p *plan) lateBound() time.Duration {
	switch {
	case aim != nil && aim.kind == lingering, aim == nil && p.seed%2 == 0:
		return doubt
	}
	return 0
}

func within(r *rand.Rand, d time.Duration) time.Duration { return time.Duration(r.Int64N(int64(d))) }

// drawChanges draws good changes: a few hot items, some that hardly change. They come in
// bursts, so that batches hold several states of one item.
func (p *plan) drawChanges(r *rand.Rand) {
	texts, notes, exists, seqs := map[string]string{}, map[string]string{}, map[string]bool{}, map[string]int{}
	at := time.Duration(0)
	for range 40 + r.IntN(40) {
		if r.IntN(4) == 0 {
			at += within(r, busy/8)
		}
		item := fmt.Sprintf("%c%d", "dr"[r.IntN(2)], min(r.IntN(6), r.IntN(6)))
		seqs[item]++
		c := &change{at: at, item: item, seq: seqs[item]}
		switch n := r.IntN(10); {
		case exists[item] && n == 0:
			c.fate = removed
		case exists[item] && n < 5: // a price: the text stays
			c.text, c.notes = texts[item], notes[item]
			c.partial = c.notes != "" && r.IntN(2) == 0
		case exists[item] && n < 7 && notes[item] != "":
			c.notes, c.partial = notes[item], true
			c.text = fmt.Sprintf("text %s %d %s", item, c.seq, c.notes)
		default:
			c.text = fmt.Sprintf("text %s %d", item, c.seq)
			if item[0] == 'd' {
				c.notes = fmt.Sprintf("notes %d", c.seq)
				c.text += " " + c.notes
			}
		}
		texts[item], notes[item], exists[item] = c.text, c.notes, c.fate != removed
		p.changes = append(p.changes, c)
	}
}

// drawPoison gives bad changes items of their own, after a good one, so that each is
// its item's last word and cannot be superseded.
func (p *plan) drawPoison(r *rand.Rand) {
	for n := range r.IntN(5) {
		item := fmt.Sprintf("%cx%d", "dr"[r.IntN(2)], n)
		at := within(r, busy)
		c := &change{at: at + within(r, 5*time.Second), item: item, seq: 2, fate: malformed + fate(r.IntN(int(indexDies-malformed)+1))}
		c.text = fmt.Sprintf("text %s 2", item)
		switch c.fate { //nolint:exhaustive // the others need no word
		case oversize:
			c.text += " " + p.padding()
		case refused:
			c.text += " " + wordRefused
		case providerDies:
			c.text += " " + wordProviderDies
		case indexRefuses:
			c.text += " " + wordIndexRefuses
		case indexDies:
			c.text += " " + wordIndexDies
		}
		p.changes = append(p.changes, &change{at: at, item: item, seq: 1, text: fmt.Sprintf("text %s 1", item)}, c)
	}
	slices.SortStableFunc(p.changes, func(a, b *change) int { return int(a.at - b.at) })
}

// padding makes a document, which has the text twice, larger than its topic takes.
func (p *plan) padding() string { return strings.Repeat("x", p.recordLimit()/2+1000) }

func drawFault(r *rand.Rand) fault {
	f := fault{kind: kind(r.IntN(int(lingering)))} // which is of plans that are aimed at it alone: see the decision on late calls
	if r.IntN(3) == 0 {
		f.kind = kill // the commonest in life, and the one that shows most
	}
	if f.kind.ofMember() {
		f.of = services[r.IntN(3)]
	}
	return drawTimes(r, f)
}

// drawTimes draws when a fault comes and how long it lasts.
func drawTimes(r *rand.Rand, f fault) fault {
	f.at = within(r, busy+20*time.Second)
	switch f.kind { //nolint:exhaustive // the others have a common time
	case kill, join, leave:
		f.lasts = within(r, 3*time.Second)
	case freeze:
		f.lasts = outLives + within(r, 10*time.Second)
	case outage:
		if f.lasts = time.Second + within(r, 30*time.Second); r.IntN(longOutages) == 0 {
			f.lasts = within(r, time.Hour)
		}
	case slow:
		f.lasts = within(r, 20*time.Second)
	default:
		f.lasts = time.Second + within(r, 20*time.Second)
	}
	return f
}
