//go:build !race

package writer

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/weaviate"
)

// One goroutine of much work: make test runs it without the race detector.

// The explorer tries every interleaving of the write protocol for one item within small
// bounds: two lanes, owners that are killed or sleep through their session, calls that
// land late or never, hand-overs with and without a clean note, and an embed that answers
// what it was asked at any time, in any order. What it drives is the real decision (fold)
// and the real question (completions); the protocol around them is that of libs/stage, in
// a few lines.

// mistake leaves one rule of the protocol out.
type mistake string

const (
	none           mistake = ""
	laneOwners     mistake = "each lane has an owner of its own"
	noLease        mistake = "an owner goes on without looking at its lease"
	noDoubt        mistake = "a take-over works once only"
	commitsInDoubt mistake = "offsets are committed while there is doubt"
	laneDoubt      mistake = "doubt is of one lane"
	lazyOpen       mistake = "the note that work has begun comes with the first ordinary commit"
	doubtForgotten mistake = "a clean stop forgets the doubt"
	blind          mistake = "what is stored is not compared"
	noSourceOrder  mistake = "the order of a source is ignored"
	lateStamp      mistake = "a bulk row is stamped after it was read"
	floorTaken     mistake = "a row at the version of a delete is taken"
	oneVersion     mistake = "an item has one version for all of its columns"
	anyAnswer      mistake = "an answer is taken without comparing its text"
	askedOnce      mistake = "a record that comes again does not ask again"
	neverForgets   mistake = "what was asked for is still awaited when the item has got it"
	keptInDoubt    mistake = "what is remembered is not forgotten when all is worked on once more"
	keptForLater   mistake = "what is remembered is not forgotten with an assignment"
	sweptEarly     mistake = "a tombstone is swept while older rows may still come"
	noHorizon      mistake = "nothing says that tombstones were swept"
	keptTooEarly   mistake = "a state is remembered before all that was done to it is acknowledged"
)

// caseOf is what the lanes hold, and what the item must be in the end.
type caseOf struct {
	name       string
	live, bulk []*record.Vector
	want       string // the text; "" for deleted
	takeovers  int
	failures   int   // calls that fail while their owner has its lease
	swept      bool  // the item's tombstone is swept some day
	another    int64 // floor of another item's tombstone, which is swept some day; 0 for none
}

// left is how the last owner of a lane left it.
type left int

const (
	clean left = iota
	open
	inDoubt
)

// answers is the lane, beside live and bulk, of what embed answers.
const answers = 2

// ownership is one owner of the item's partition number.
type ownership struct {
	leased bool
	// awaited is the text that it has asked for, taken are the answers that it has not committed.
	awaited string
	taken   []string
	lanes   [2]bool
	next    [2]int
	begun   [2]bool
	doubt   [2]bool
	op      *operation
	memory  *weaviate.Stored // what it remembers of the item
}

// operation is what an owner does with one record. Its calls may land after the lease.
type operation struct {
	lane   int
	answer string // the text of an answer
	item   *item
	plan   plan
	calls  []string // that are still to be made: put, delete
	flying bool     // the first of them is under way
}

// moment is a state of the world. Nothing that it points to is ever changed.
type moment struct {
	main, side *record.State
	committed  [2]int
	notes      [2]left
	owners     []ownership
	takeovers  int
	failures   int
	sweeps     bool // the item's tombstone may be swept
	swept      bool
	another    int64
	horizon    int64
	asked      []string         // texts that embed has yet to answer, or whose answers were not committed; sorted
	elsewhere  *weaviate.Stored // what the process remembers that gets the item next, by mistake
}

type explorer struct {
	mistake
	lanes [2][]*record.Vector
}

func (x explorer) start(c caseOf) moment {
	m := moment{takeovers: c.takeovers, failures: c.failures, sweeps: c.swept, another: c.another, owners: []ownership{{leased: true, lanes: [2]bool{true, true}}}}
	if x.mistake == laneOwners {
		m.owners = []ownership{{leased: true, lanes: [2]bool{true, false}}, {leased: true, lanes: [2]bool{false, true}}}
	}
	return m
}

// step is one thing that can happen.
type step struct {
	what string
	then moment
}

func (x explorer) steps(m moment) []step {
	var steps []step
	for i := range m.owners {
		if m.owners[i].op != nil {
			steps = append(steps, x.proceed(m, i)...)
		}
		if m.owners[i].leased {
			steps = append(steps, x.own(m, i)...)
		}
	}
	return steps
}

// with returns m with one owner changed.
func (m moment) with(i int, change func(*ownership)) moment {
	m.owners = slices.Clone(m.owners)
	change(&m.owners[i])
	return m
}

// own lists what an owner with a lease can begin, and how it can lose it.
func (x explorer) own(m moment, i int) []step {
	o := m.owners[i]
	var steps []step
	add := func(then moment, format string, args ...any) {
		steps = append(steps, step{fmt.Sprintf("owner %d ", i) + fmt.Sprintf(format, args...), then})
	}
	if o.op == nil {
		for lane := range 2 {
			if o.lanes[lane] && o.next[lane] < len(x.lanes[lane]) {
				add(x.begin(m, i, lane, x.lanes[lane][o.next[lane]]), "reads for the record %d of lane %d", o.next[lane], lane)
			}
		}
		for _, text := range m.asked {
			if o.lanes[0] && !slices.Contains(o.taken, text) {
				add(x.begin(m, i, answers, answered(text)), "reads for the answer %q", text)
			}
		}
		if o.doubt != [2]bool{} && !m.olderBusy(i) {
			add(x.workAgain(m, i), "is sure that no older call can land, and works again from %v", m.committed)
		}
		if then, ok := x.sweep(m, i); ok {
			add(then, "sweeps, and the horizon is %d", then.horizon)
		}
		add(x.handOver(m, i), "leaves cleanly")
	}
	if then, ok := x.commit(m, i); ok {
		add(then, "commits %v", then.committed)
	}
	if m.takeovers > 0 {
		add(x.takeOver(m, i), "sleeps or dies; its session ends")
	}
	return steps
}

// olderBusy reports whether a call of an earlier owner may still land: one that was sent
// before its lease ended. Of one that is sent later nobody knows.
func (m moment) olderBusy(i int) bool {
	return slices.ContainsFunc(m.owners[:i], func(o ownership) bool { return o.op != nil && o.op.flying })
}

func (x explorer) begin(m moment, i, lane int, v *record.Vector) moment {
	of := min(lane, 1) // answers come in the live lane
	if lane == answers {
		of = 0
	}
	if !m.owners[i].begun[of] && x.mistake != lazyOpen {
		m.notes[of] = open
	}
	it := &item{records: []rec{{from: v, apply: v}}}
	if memory := m.owners[i].memory; memory != nil && x.mistake != blind {
		x.fold(it, weaviate.Stored{State: copied(&memory.State), Main: memory.Main, Side: memory.Side}, false, lane, m.horizon)
	}
	if it.plan.taken == nil || it.lacks() {
		x.fold(it, m.stored(), true, lane, m.horizon)
	}
	op := &operation{lane: lane, answer: v.GetDocument().GetText(), item: it, plan: it.plan}
	switch {
	case op.plan.target == nowhere:
	case op.plan.other:
		op.calls = []string{"put", "delete"}
	default:
		op.calls = []string{"put"}
	}
	return m.with(i, func(o *ownership) {
		o.begun[of], o.op, o.memory = true, op, nil
		if x.mistake == keptTooEarly {
			o.memory = op.plan.remembered()
		}
	})
}

// fold is the item's own, with the mistakes of the decision.
func (x explorer) fold(it *item, stored weaviate.Stored, whole bool, lane int, horizon int64) {
	floor := stored.State.Floor
	if stored.State.Base == 0 && floor == 0 {
		it.doubt(horizon)
	}
	switch x.mistake { //nolint:exhaustive // the others are elsewhere
	case blind:
		stored.State = record.State{Sources: record.Orders{}}
	case floorTaken:
		stored.State.Floor = max(0, floor-1)
	case oneVersion:
		stored.State.Older = nil
	case anyAnswer:
		if lane == answers {
			it.records[0].apply.Fingerprint = stored.State.Wanted
		}
	}
	if err := it.fold(stored, whole, joinColumns); err != nil {
		panic(err)
	}
	it.plan.state.Floor = max(floor, it.plan.state.Floor)
}

// sweep removes a tombstone that is older than whatever is under way: no call of before can land, and all records of
// before are done. Only a dead letter may still be redriven.
func (x explorer) sweep(m moment, i int) (then moment, ok bool) {
	o := m.owners[i]
	own := m.sweeps && m.main == nil && m.side != nil && m.side.Floor > 0 && !m.side.Live()
	if !own && m.another == 0 || o.doubt != [2]bool{} || m.olderBusy(i) {
		return m, false
	}
	for lane, records := range x.lanes {
		for _, v := range records[m.committed[lane]:] {
			late := v.GetVersionOrigin() == record.VersionOrigin_VERSION_ORIGIN_EXPLICIT || x.mistake == sweptEarly && lane == 1
			if !late && (!own || v.GetVersion() <= m.side.Floor) {
				return m, false
			}
		}
	}
	floor := m.another
	if own {
		floor, m.sweeps, m.swept, m.side = m.side.Floor, false, true, nil
	} else {
		m.another = 0
	}
	if x.mistake != noHorizon {
		m.horizon = max(m.horizon, floor)
	}
	return m.with(i, func(o *ownership) { o.memory = nil }), true
}

// joinColumns makes the text of a merged item, as whole rows have it.
func joinColumns(s *record.State) error {
	row := pipeline.ParseRow(s.Inputs)
	text := row.Get(pipeline.Path{Column: "n"}).Str + "/" + row.Get(pipeline.Path{Column: "d"}).Str
	s.Make(false, text, []byte(text), nil)
	return nil
}

// finish ends an operation: what it asks of embed is acknowledged, then its record counts as done.
func (x explorer) finish(m moment, i int) moment {
	op := *m.owners[i].op
	c := newCompletions()
	if m.owners[i].awaited != "" {
		c.await(op.item.key, []byte(m.owners[i].awaited))
	}
	_, request := c.of(op.item)
	if x.mistake == askedOnce && slices.Contains(op.plan.taken, record.TakenAgain) {
		request = nil
	}
	if request != nil && !slices.Contains(m.asked, request.GetText()) {
		m.asked = append(slices.Clone(m.asked), request.GetText())
		slices.Sort(m.asked)
	}
	return m.with(i, func(o *ownership) {
		o.op, o.memory = nil, op.plan.remembered()
		if before := o.awaited; x.mistake != neverForgets || request != nil || before == "" {
			o.awaited = c.awaited[op.item.key]
		}
		if op.lane == answers {
			o.taken = append(slices.Clone(o.taken), op.answer)
		} else {
			o.next[op.lane]++
		}
		if request != nil { // its answer is another record than one that was taken before
			o.taken = slices.DeleteFunc(slices.Clone(o.taken), func(text string) bool { return text == request.GetText() })
		}
	})
}

func (p *plan) remembered() *weaviate.Stored {
	s := p.stands()
	return &s
}

// stored is what a read of both collections gives.
func (m moment) stored() weaviate.Stored {
	s := weaviate.Stored{Main: m.main != nil, Side: m.side != nil}
	s.State.Sources = record.Orders{}
	if s.Main {
		s.State = copied(m.main)
	}
	if s.Side {
		s.State.Join(m.side)
	}
	return s
}

func copied(s *record.State) record.State {
	c := *s
	c.Sources = maps.Clone(s.Sources)
	return c
}

// proceed lists what can become of the record that an owner works on.
func (x explorer) proceed(m moment, i int) []step {
	o := m.owners[i]
	op := *o.op
	goOn := func(m moment, op *operation) moment { return m.with(i, func(o *ownership) { o.op = op }) }
	var steps []step
	add := func(then moment, what string) { steps = append(steps, step{fmt.Sprintf("owner %d %s", i, what), then}) }
	switch {
	case op.flying:
		after := op
		after.flying, after.calls = false, op.calls[1:]
		add(goOn(m.execute(op), &after), "has its "+op.calls[0]+" land")
		switch {
		case !o.leased:
			add(goOn(m, nil), "has its "+op.calls[0]+" lost")
		case m.failures > 0:
			m.failures--
			add(goOn(m.execute(op), nil), "has its "+op.calls[0]+" land, and tries again: the answer is lost")
			add(goOn(m, nil), "has its "+op.calls[0]+" lost, and tries again")
		}
	case len(op.calls) > 0 && (o.leased || x.mistake == noLease):
		sent := op
		sent.flying = true
		add(goOn(m, &sent), "sends its "+op.calls[0])
	case !o.leased:
		add(goOn(m, nil), "gives up")
	default:
		add(x.finish(m, i), "is done with it")
	}
	return steps
}

// execute is the index carrying out a call.
func (m moment) execute(op operation) moment {
	if op.calls[0] == "delete" {
		if op.plan.target == main {
			m.side = nil
		} else {
			m.main = nil
		}
		return m
	}
	s := copied(&op.plan.state)
	if op.plan.target == main {
		m.main = &s
	} else {
		m.side = &s
	}
	return m
}

func (x explorer) commit(m moment, i int) (moment, bool) {
	o := m.owners[i]
	then := m
	for lane := range 2 {
		if o.lanes[lane] && o.begun[lane] && (!o.doubt[lane] || x.mistake == commitsInDoubt) {
			then.committed[lane], then.notes[lane] = o.next[lane], open
			if lane == 0 {
				then = then.commitAnswers(i)
			}
		}
	}
	return then, then.committed != m.committed || len(then.asked) < len(m.asked)
}

// commitAnswers takes the answers that an owner is done with out of the lane.
func (m moment) commitAnswers(i int) moment {
	taken := m.owners[i].taken
	m.asked = slices.DeleteFunc(slices.Clone(m.asked), func(text string) bool { return slices.Contains(taken, text) })
	return m.with(i, func(o *ownership) { o.taken = nil })
}

func (x explorer) workAgain(m moment, i int) moment {
	return m.with(i, func(o *ownership) {
		for lane := range 2 {
			if o.begun[lane] && o.doubt[lane] && x.mistake != commitsInDoubt {
				o.next[lane] = m.committed[lane]
			}
		}
		o.taken = nil
		o.doubt = [2]bool{}
		if x.mistake != keptInDoubt {
			o.memory = nil
		}
	})
}

// handOver ends an ownership with nothing in flight, and begins the next one.
func (x explorer) handOver(m moment, i int) moment {
	o := m.owners[i]
	for lane := range 2 {
		switch {
		case !o.lanes[lane] || !o.begun[lane]:
		case o.doubt[lane] && x.mistake != doubtForgotten:
			m.notes[lane] = inDoubt
		default:
			m.committed[lane], m.notes[lane] = o.next[lane], clean
			if lane == 0 {
				m = m.commitAnswers(i)
			}
		}
	}
	return x.next(m, i)
}

func (x explorer) takeOver(m moment, i int) moment {
	m.takeovers--
	return x.next(m, i)
}

// next has another owner begin where the committed offsets are.
func (x explorer) next(m moment, i int) moment {
	o := m.owners[i]
	after := ownership{leased: true, lanes: o.lanes, next: m.committed}
	for lane := range 2 {
		after.doubt[lane] = m.notes[lane] != clean && o.lanes[lane]
	}
	if after.doubt != [2]bool{} && x.mistake != laneDoubt {
		after.doubt = o.lanes
	}
	if x.mistake == noDoubt {
		after.doubt = [2]bool{}
	}
	if x.mistake == keptForLater {
		after.memory, m.elsewhere = m.elsewhere, o.memory
	}
	m = m.with(i, func(o *ownership) { o.leased = false })
	// An owner that is gone for good need not be told apart from one that never was.
	m.owners = slices.DeleteFunc(m.owners, func(o ownership) bool { return !o.leased && o.op == nil })
	m.owners = append(m.owners, after)
	return m
}

// quiet reports whether nothing more will happen by itself.
func (x explorer) quiet(m moment) bool {
	if len(m.asked) > 0 {
		return false
	}
	for _, o := range m.owners {
		if o.op != nil || o.doubt != [2]bool{} {
			return false
		}
		for lane := range 2 {
			if o.lanes[lane] && o.next[lane] < len(x.lanes[lane]) {
				return false
			}
		}
	}
	return true
}

// wrong says what is not as it must be once all is quiet.
func (m moment) wrong(want string) string {
	switch {
	case want == "" && m.main != nil:
		return "the item is deleted and still there"
	case want == "" && m.side == nil && !m.swept:
		return "its tombstone is missing"
	case want != "" && m.main == nil:
		return "the item is not there"
	case want != "" && m.main.Text != want:
		return fmt.Sprintf("the item is %q", m.main.Text)
	case want != "" && (string(m.main.Held) != want || string(m.main.Vector) != want):
		return fmt.Sprintf("its vector is that of %q", m.main.Vector)
	case want != "" && m.side != nil:
		return "a copy is left aside"
	}
	return ""
}

// key tells moments apart. It is made half a million times, so it formats nothing.
func (m moment) key() string {
	b := make([]byte, 0, 256)
	b = appendState(b, m.main)
	b = appendState(b, m.side)
	b = append(b, flags(m.sweeps, m.swept), byte(m.another), byte(m.horizon), byte(m.takeovers), byte(m.failures), byte(m.committed[0]), byte(m.committed[1]), byte(m.notes[0]), byte(m.notes[1])) //nolint:gosec // small
	b = appendMemory(b, m.elsewhere)
	b = append(b, strings.Join(m.asked, ",")...)
	for _, o := range m.owners {
		b = append(b, '|')
		b = append(b, o.awaited...)
		b = append(append(b, ';'), strings.Join(o.taken, ",")...)
		b = append(b, ';', flags(o.leased, o.lanes[0], o.lanes[1], o.begun[0], o.begun[1], o.doubt[0], o.doubt[1]), byte(o.next[0]), byte(o.next[1])) //nolint:gosec // small
		b = appendMemory(b, o.memory)
		if o.op != nil {
			b = append(b, byte(o.op.lane), flags(o.op.flying, o.op.plan.again, o.op.plan.inMain, o.op.plan.inSide), byte(o.op.plan.target), byte(len(o.op.calls))) //nolint:gosec // small
			b = appendState(b, &o.op.plan.state)
		}
	}
	return string(b)
}

func flags(all ...bool) (b byte) {
	for _, f := range all {
		b <<= 1
		if f {
			b |= 1
		}
	}
	return b
}

func appendMemory(b []byte, s *weaviate.Stored) []byte {
	if s == nil {
		return append(b, '-')
	}
	return appendState(append(b, flags(s.Main, s.Side)), &s.State)
}

func appendState(b []byte, s *record.State) []byte {
	if s == nil {
		return append(b, '-')
	}
	b = append(b, byte(s.Base), byte(s.Floor), byte(len(s.Held)), byte(s.Failed.GetVersion())) //nolint:gosec // small
	b = append(b, s.Text...)
	b = append(append(b, ';'), s.Held...)
	b = append(append(b, ';'), s.Inputs...)
	for _, column := range [...]string{"n", "d"} {
		version, listed := s.Older[column]
		b = append(b, flags(listed), byte(version)) //nolint:gosec // small
	}
	if order := s.Sources["shop"]; len(order) > 0 {
		b = append(b, ';', byte(order[0])) //nolint:gosec // small
	}
	return append(b, ';')
}

const mostMoments = 5_000_000

// explore visits every moment once. It returns how many there are, and the shortest way to
// one that is wrong, nil if there is none.
func (x explorer) explore(c caseOf) (moments int, way []string) {
	type visit struct {
		moment
		by   string
		from int
	}
	visits := []visit{{moment: x.start(c), from: -1}}
	known := map[string]bool{visits[0].key(): true}
	for at := 0; at < len(visits) && len(visits) < mostMoments; at++ {
		m := visits[at].moment
		if problem := m.wrong(c.want); problem != "" && x.quiet(m) {
			way = []string{problem}
			for ; at >= 0; at = visits[at].from {
				way = append([]string{visits[at].by}, way...)
			}
			return len(visits), way[1:]
		}
		for _, s := range x.steps(m) {
			if key := s.then.key(); !known[key] {
				known[key] = true
				visits = append(visits, visit{s.then, s.what, at})
			}
		}
	}
	return len(visits), nil
}

func explored(op record.Op, version int64, text string, order uint64) *record.Vector {
	v := &record.Vector{
		Version: version, VersionOrigin: record.VersionOrigin_VERSION_ORIGIN_LOG,
		Document: &record.Document{Op: op, Text: text, Sources: []*record.SourceOrder{{Source: "shop", Order: []uint64{order}}}},
	}
	if text != "" {
		v.Fingerprint, v.Space, v.Vector = []byte(text), "space", []byte(text)
	}
	return v
}

func upserted(version int64, text string) *record.Vector {
	return explored(record.Op_OP_UPSERT, version, text, uint64(version)) //nolint:gosec // small
}

// ahead is a row that has overtaken its vector, which comes as upserted.
func ahead(version int64, text string) *record.Vector {
	v := upserted(version, text)
	v.Vector, v.State = nil, record.VectorState_VECTOR_STATE_PENDING
	return v
}

func deleted(version int64) *record.Vector {
	return explored(record.Op_OP_DELETE, version, "", uint64(version)) //nolint:gosec // small
}

func stamped(version int64, text string) *record.Vector {
	v := explored(record.Op_OP_UPSERT, version, text, 0)
	v.VersionOrigin, v.Document.Sources = record.VersionOrigin_VERSION_ORIGIN_STAMP, nil
	return v
}

// whole is a row with both columns, some the row without d that PostgreSQL sends where d did not change.
func whole(version int64, n, d string) *record.Vector {
	v := upserted(version, n+"/"+d)
	v.Document.Inputs = fmt.Appendf(nil, `{"d":%q,"n":%q}`, d, n)
	return v
}

func some(version int64, n string) *record.Vector {
	v := explored(record.Op_OP_PARTIAL, version, "", uint64(version)) //nolint:gosec // small
	v.Document.Inputs, v.Document.Unavailable = fmt.Appendf(nil, `{"n":%q}`, n), []string{"d"}
	return v
}

func ofBulk(v *record.Vector) *record.Vector {
	v.VersionOrigin, v.Document.Sources = record.VersionOrigin_VERSION_ORIGIN_STAMP, nil
	return v
}

func redriven(v *record.Vector) *record.Vector {
	v.VersionOrigin = record.VersionOrigin_VERSION_ORIGIN_EXPLICIT
	return v
}

func answered(text string) *record.Vector {
	v := explored(record.Op_OP_COMPLETION_REQUEST, 100, text, 0)
	v.Document.Sources = nil
	return v
}

// takeovers is how many unclean ones a case has: FRESHET_EXPLORE_TAKEOVERS, or 1, with
// which every planted mistake is found. 2 takes a minute.
func takeovers(t *testing.T) int {
	t.Helper()
	text := os.Getenv("FRESHET_EXPLORE_TAKEOVERS")
	if text == "" {
		return 1
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("FRESHET_EXPLORE_TAKEOVERS is %q: it must be a number", text)
	}
	return n
}

func cases(t *testing.T, m mistake) []caseOf {
	t.Helper()
	n := takeovers(t)
	afterRead := stamped(4, "bulk row of before change 5")
	late := explored(record.Op_OP_UPSERT, 6, "sent late", 3)
	if m == lateStamp {
		afterRead.Version = 6
	}
	if m == noSourceOrder {
		late.Document.Sources = nil
	}
	all := []caseOf{
		{name: "an ingest that slept appends an old change", live: []*record.Vector{upserted(4, "four"), late}, want: "four", takeovers: n, failures: 1},
		{name: "two changes, a bulk row between them", live: []*record.Vector{upserted(3, "three"), upserted(5, "five")}, bulk: []*record.Vector{afterRead}, want: "five", takeovers: n, failures: 1},
		{name: "a change and a bulk row that is newer", live: []*record.Vector{upserted(3, "three")}, bulk: []*record.Vector{stamped(4, "four")}, want: "four", takeovers: n, failures: 1},
		{name: "a delete, a bulk row of before it", live: []*record.Vector{upserted(3, "three"), deleted(5)}, bulk: []*record.Vector{stamped(4, "four")}, takeovers: n, failures: 1},
		{name: "a row and a delete of one stamp", bulk: []*record.Vector{stamped(4, "four"), ofBulk(deleted(4))}, takeovers: n, failures: 1},
		{name: "a partial change above a whole one, a bulk row between them", live: []*record.Vector{whole(3, "n3", "d3"), some(5, "n5")}, bulk: []*record.Vector{ofBulk(whole(4, "n4", "d4"))}, want: "n5/d4", takeovers: n},
		{name: "two partial changes before their row", live: []*record.Vector{some(3, "n3"), some(5, "n5")}, bulk: []*record.Vector{ofBulk(whole(2, "n2", "d2"))}, want: "n5/d2", takeovers: n},
		{name: "there and back", live: []*record.Vector{whole(3, "n3", "d3"), some(5, "n5"), whole(6, "n3", "d3"), some(7, "n5")}, want: "n5/d3", takeovers: min(n, 1)},
		{name: "a change is a dead letter, a partial one comes, the letter is redriven", live: []*record.Vector{whole(3, "n3", "d3"), some(7, "n7"), redriven(whole(5, "n5", "d5"))}, want: "n7/d5", takeovers: n},
		{name: "a partial change, and a delete", live: []*record.Vector{whole(3, "n3", "d3"), some(5, "n5"), deleted(6)}, takeovers: n},
		{name: "a delete, a partial change, an old bulk row, the letter of the row between", live: []*record.Vector{deleted(5), some(9, "n9"), redriven(whole(7, "n7", "d7"))}, bulk: []*record.Vector{ofBulk(whole(4, "n4", "d4"))}, want: "n9/d7", takeovers: min(n, 1)},
		{name: "two rows whose vectors follow", live: []*record.Vector{upserted(2, "two"), ahead(3, "three"), ahead(5, "five"), upserted(3, "three"), upserted(5, "five")}, want: "five", takeovers: min(n, 1)},
		{name: "a row whose vector follows, a price, and a bulk row between them", live: []*record.Vector{ahead(3, "three"), ahead(5, "three"), upserted(5, "three")}, bulk: []*record.Vector{stamped(4, "four")}, want: "three", takeovers: min(n, 1)},
		{name: "a row whose vector follows, and a delete", live: []*record.Vector{ahead(3, "three"), deleted(5), upserted(3, "three")}, takeovers: n, failures: 1},
		{name: "a swept delete, an old bulk row, and a letter of before", live: []*record.Vector{upserted(3, "three"), deleted(5), redriven(upserted(4, "four"))}, bulk: []*record.Vector{stamped(2, "two")}, takeovers: n, swept: true},
		{name: "a swept delete of a partial change", live: []*record.Vector{whole(3, "n3", "d3"), some(5, "n5"), deleted(6)}, takeovers: min(n, 1), swept: true},
		{name: "a swept delete, and the item again", live: []*record.Vector{deleted(3), upserted(5, "five")}, want: "five", takeovers: n, swept: true},
		{name: "a bulk row of a new item, and the tombstone of another one", bulk: []*record.Vector{stamped(4, "four")}, want: "four", takeovers: n, another: 5},
		{name: "a delete, and the item again", live: []*record.Vector{deleted(3), upserted(5, "five")}, bulk: []*record.Vector{stamped(2, "two")}, want: "five", takeovers: n, failures: 1},
	}
	if m == sweptEarly || m == noHorizon { // the others have no sweep
		all = slices.DeleteFunc(all, func(c caseOf) bool { return !c.swept && c.another == 0 })
	}
	return all
}

func TestExplorer_findsNoInterleavingThatLosesOrRaisesAnItem(t *testing.T) {
	moments := 0
	for _, c := range cases(t, none) {
		n, way := explorer{lanes: [2][]*record.Vector{c.live, c.bulk}}.explore(c)
		moments += n
		if n >= mostMoments {
			t.Errorf("%s: more than %d moments", c.name, n)
		}
		if way != nil {
			t.Errorf("%s:\n\t%s", c.name, strings.Join(way, "\n\t"))
		}
	}
	t.Logf("%d moments explored, 0 violations", moments)
}

func TestExplorer_findsEachPlantedMistake(t *testing.T) {
	for _, m := range []mistake{
		laneOwners, noLease, noDoubt, commitsInDoubt, laneDoubt, lazyOpen, doubtForgotten, blind, noSourceOrder, lateStamp,
		floorTaken, oneVersion, anyAnswer, askedOnce, neverForgets, keptInDoubt, keptForLater, keptTooEarly, sweptEarly, noHorizon,
	} {
		t.Run(strings.ReplaceAll(string(m), " ", "_"), func(t *testing.T) {
			for _, c := range cases(t, m) {
				n, way := explorer{m, [2][]*record.Vector{c.live, c.bulk}}.explore(c)
				if way != nil {
					t.Logf("found among %d moments, in %q:\n\t%s", n, c.name, strings.Join(way, "\n\t"))
					return
				}
			}
			t.Error("it is not found")
		})
	}
}
