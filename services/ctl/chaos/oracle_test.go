package chaos

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/freshet-io/freshet/libs/record"
)

// This file judges. It knows the records' format and nothing of the stages, so that it
// cannot be wrong in the same way as they are: TestOracle_knowsNothingOfTheStages.

// violation is an invariant that did not hold.
type violation struct {
	invariant string
	item      string
	what      string
}

// The invariants, besides those that the world itself sees: alive, settled, stops, readable.
const (
	invLoss    = "loss"    // an item's final state is its newest accepted change
	invStale   = "stale"   // nothing of an item in the index goes back
	invVector  = "vector"  // a vector is of its item's text
	invOrder   = "order"   // an item's documents first appear in the order of the source
	invLetters = "letters" // exactly the bad changes are dead letters
	invCommit  = "commit"  // no offset is committed past what has no durable successor
	invRegress = "regress" // no committed offset of ingest or embed goes back
	invPaid    = "paid"    // no text is paid for again without a reason
)

// evidence is all that the oracle looks at.
type evidence struct {
	changes      []*change
	rows         []*row
	records      []*logged
	commits      []commit
	history      map[string][]moment // by item key
	paid         map[string]int      // by text
	wasted       int
	disturbances int
	topics       topicNames
}

type topicNames struct{ documentsLive, documentsBulk, vectorsLive, vectorsBulk, letters string }

// place names a record of any topic.
type place struct {
	topic     string
	partition int32
	offset    int64
}

type oracle struct {
	evidence
	byPlace   map[place]*change
	byItem    map[string][]*change
	documents map[place]*logged
	found     []violation
}

func judge(e evidence) []violation {
	o := &oracle{evidence: e, byPlace: map[place]*change{}, byItem: map[string][]*change{}, documents: map[place]*logged{}}
	for _, c := range e.changes {
		if c.sent {
			o.byPlace[place{c.topic, c.partition, c.offset}] = c
			o.byItem[c.item] = append(o.byItem[c.item], c)
		}
	}
	for _, l := range e.records {
		o.documents[place{l.topic, l.partition, l.offset}] = l
	}
	o.judgeFinals()
	o.judgeHistories()
	o.judgeOrder()
	o.judgeLetters()
	o.judgeCommits()
	o.judgePaid()
	return o.found
}

func (o *oracle) report(invariant, item, format string, args ...any) {
	o.found = append(o.found, violation{invariant, item, fmt.Sprintf(format, args...)})
}

func keyOf(item string) string {
	return string(record.Item{Collection: "Item", ID: []string{item}}.Key())
}

// final is what must be left of an item.
type final struct {
	seq     int // 0: the item does not exist
	text    string
	hadText string // whose vector it has where text was refused; "" if none
	refused bool   // text has no vector
	orNone  bool   // the row before a bad change may have been superseded by it
	marked  bool
}

func expected(changes []*change) final {
	var f final
	for _, c := range changes {
		switch c.fate {
		case good:
			f = final{seq: c.seq, text: c.text}
		case removed:
			f = final{}
		case malformed, oversize:
			f.marked = true
		case refused, providerDies:
			f = final{seq: c.seq, text: c.text, hadText: f.text, refused: true, marked: true}
		case indexRefuses:
			f.orNone, f.marked = true, true
		case indexDies:
			f.orNone = true
		}
	}
	return f
}

func (o *oracle) judgeFinals() {
	for item, changes := range o.byItem {
		o.judgeFinal(item, expected(changes))
	}
	newest := map[string]*row{}
	for _, r := range o.rows {
		if len(o.byItem[r.item]) == 0 {
			newest[r.item] = r
		}
	}
	for item, r := range newest {
		o.judgeFinal(item, final{seq: r.seq, text: r.text})
	}
}

func (o *oracle) judgeFinal(item string, want final) {
	var got moment
	if h := o.history[keyOf(item)]; len(h) > 0 {
		got = h[len(h)-1]
	}
	s := &got.state
	switch {
	case want.orNone && !s.Live(), want.seq == 0 && !s.Live() && !got.main:
	case want.seq == 0:
		o.report(invLoss, item, "the item was deleted, and the index has %s", describe(&got))
	case !s.Live() || seqOf(s) != want.seq || s.Text != want.text:
		o.report(invLoss, item, "the newest accepted change is %d (%s), and the index has %s", want.seq, bounded(want.text), describe(&got))
	case want.orNone && !bytes.Equal(s.Held, s.Wanted): // superseded, too, after it was handed on without its vector
	case !want.refused && !got.main:
		o.report(invLoss, item, "change %d has no vector: %s", want.seq, describe(&got))
	case !want.refused && !same(s.Vector, want.text):
		o.report(invVector, item, "change %d has the vector of another text: %s", want.seq, describe(&got))
	case want.refused && got.main && !same(s.Vector, want.hadText):
		o.report(invVector, item, "text %d was refused, and its item has a vector of no earlier text: %s", want.seq, describe(&got))
	}
	if want.marked && s.Failed == nil {
		o.report(invLoss, item, "nothing says that a newer change is a dead letter: %s", describe(&got))
	}
}

func seqOf(s *record.State) int {
	for _, p := range s.Properties {
		if p.GetName() == "seq" {
			return int(p.GetValue().GetInteger())
		}
	}
	return 0
}

// same reports whether a stored vector is that of a text. A nonce may have changed the
// lowest bits.
func same(stored []byte, text string) bool {
	got, err := record.ParseVector(stored)
	want := vectorOf(text)
	if err != nil || len(got) != len(want) {
		return false
	}
	for i := range want {
		if math.Abs(float64(got[i]-want[i])) > 1e-4*(1+math.Abs(float64(want[i]))) {
			return false
		}
	}
	return true
}

// judgeOrder checks that no document of an item appears for the first time behind one of a
// later change. One that is repeated may come at any time: its order gives it away.
func (o *oracle) judgeOrder() {
	highest := map[string]*logged{}
	seen := map[string]bool{}
	for _, l := range o.sorted(o.topics.documentsLive) {
		origin := l.document.GetOrigin()
		if origin == nil || l.document.GetOp() == record.Op_OP_COMPLETION_REQUEST {
			continue // a marker, or what write asks for
		}
		item := l.document.GetId()[0]
		at := item + origin.String() + l.document.GetOp().String()
		if h := highest[item]; h == nil || origin.GetOffset() >= h.document.GetOrigin().GetOffset() {
			highest[item] = l
		} else if !seen[at] {
			o.report(invOrder, item, "the document of source offset %d stands at offset %d for the first time, behind that of source offset %d at %d", origin.GetOffset(), l.offset, h.document.GetOrigin().GetOffset(), h.offset)
		}
		seen[at] = true
	}
}

// sorted returns the records of a topic in the order of each partition.
func (o *oracle) sorted(topic string) []*logged {
	var list []*logged
	for _, l := range o.records {
		if l.topic == topic {
			list = append(list, l)
		}
	}
	slices.SortStableFunc(list, func(a, b *logged) int {
		return cmp.Or(cmp.Compare(a.partition, b.partition), cmp.Compare(a.offset, b.offset))
	})
	return list
}

// planted is the letter that a bad change must become.
func planted(f fate) (stage, reason string) {
	switch f {
	case malformed:
		return "ingest", "malformed"
	case oversize:
		return "ingest", "oversize"
	case refused:
		return "embed", "provider-rejected"
	case providerDies:
		return "embed", "panic"
	case indexRefuses:
		return "write", "index-rejected"
	case indexDies:
		return "write", "panic"
	case good, removed:
	}
	return "", ""
}

func (o *oracle) judgeLetters() {
	buried := map[*change]bool{}
	for _, l := range o.records {
		if l.letter == nil {
			continue
		}
		c := o.changeOf(l)
		stage, reason := l.letter["freshet-dlq-stage"], l.letter["freshet-dlq-reason"]
		if c == nil {
			o.report(invLetters, "", "a dead letter %s of %s is of no change: %v", reason, stage, l.letter)
			continue
		}
		if s, r := planted(c.fate); s != stage || r != reason {
			o.report(invLetters, c.item, "change %d (%s) is a dead letter %s of %s", c.seq, c.fate, reason, stage)
		}
		buried[c] = true
	}
	for _, c := range o.byPlace {
		if stage, reason := planted(c.fate); stage != "" && !buried[c] {
			o.report(invLetters, c.item, "change %d (%s) is in no dead letter %s of %s", c.seq, c.fate, reason, stage)
		}
	}
}

// inputOf returns where the input of a letter stands.
func inputOf(l *logged) place {
	partition, _ := strconv.ParseInt(l.letter["__connect.errors.partition"], 10, 32)
	offset, _ := strconv.ParseInt(l.letter["__connect.errors.offset"], 10, 64)
	return place{l.letter["__connect.errors.topic"], int32(partition), offset}
}

// changeOf follows a letter to the change that it is of.
func (o *oracle) changeOf(letter *logged) *change {
	at := inputOf(letter)
	if c := o.byPlace[at]; c != nil {
		return c
	}
	if l := o.documents[at]; l != nil {
		return o.byPlace[originOf(l.document)]
	}
	return nil
}

func originOf(d *record.Document) place {
	return place{d.GetOrigin().GetTopic(), d.GetOrigin().GetPartition(), d.GetOrigin().GetOffset()}
}

func (o *oracle) judgePaid() {
	total := 0
	for text, n := range o.paid {
		total += n
		if text == "freshet" {
			continue // with it embed asks whether the provider is well, when a lone text has failed
		}
		if most := 1 + o.disturbances + o.wasted; n > most {
			o.report(invPaid, "", "%q was paid %d times in %d disturbances", bounded(text), n, o.disturbances)
		}
	}
	// What a member holds at a time: its queue and its batches.
	if most := len(o.paid) + 50*o.disturbances + o.wasted; total > most {
		o.report(invPaid, "", "%d texts were paid for %d times, at most %d in %d disturbances", len(o.paid), total, most, o.disturbances)
	}
}

func describe(m *moment) string {
	s := &m.state
	if m.call == "" {
		return "nothing"
	}
	return fmt.Sprintf("change %d (base %d, floor %d, failed %d, %s, main %v) by %s of %s at %s", seqOf(s), s.Base, s.Floor, s.Failed.GetVersion(), bounded(s.Text), m.main, m.call, m.by, m.at)
}

// historyOf tells what happened to an item, hop by hop.
func (o *evidence) historyOf(item string, paid []string) string {
	var b strings.Builder
	for _, c := range o.changes {
		if c.item == item && c.sent {
			fmt.Fprintf(&b, "  source    %s/%d@%d change %d %s %s\n", c.topic, c.partition, c.offset, c.seq, c.fate, bounded(c.text))
		}
	}
	for _, r := range o.rows {
		if r.item == item {
			fmt.Fprintf(&b, "  backfill  row of change %d, stamp %d\n", r.seq, r.stamp)
		}
	}
	for _, l := range o.records {
		switch {
		case l.letter != nil && strings.Contains(l.letter["freshet-dlq-item-key"], item):
			fmt.Fprintf(&b, "  letter    %s %s of %s for %v\n", l.at, l.letter["freshet-dlq-reason"], l.letter["freshet-dlq-stage"], inputOf(l))
		case l.letter != nil || len(l.document.GetId()) == 0 || l.document.GetId()[0] != item:
		case l.vector != nil:
			fmt.Fprintf(&b, "  vector    %s %s/%d@%d version %d %s of source offset %d\n", l.at, l.topic, l.partition, l.offset, l.vector.GetVersion(), l.document.GetOp(), l.document.GetOrigin().GetOffset())
		default:
			fmt.Fprintf(&b, "  document  %s %s/%d@%d %s of source offset %d\n", l.at, l.topic, l.partition, l.offset, l.document.GetOp(), l.document.GetOrigin().GetOffset())
		}
	}
	for _, line := range paid {
		if strings.Contains(line, " "+item+" ") {
			fmt.Fprintf(&b, "  provider  %s\n", line)
		}
	}
	for i := range o.history[keyOf(item)] {
		fmt.Fprintf(&b, "  index     %s\n", describe(&o.history[keyOf(item)][i]))
	}
	return b.String()
}
