package inspect

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/record"
)

// hopNames are the parts of a change's way, by the hop that ends each.
var hopNames = [...]struct{ name, stage string }{
	record.IngestReceived: {"source to ingest", ""},
	record.IngestProduced: {"ingest", stageIngest},
	record.EmbedReceived:  {"queue before embed", ""},
	record.EmbedAsked:     {"embed, its batch", stageEmbed},
	record.EmbedAnswered:  {"embed, the provider", stageEmbed},
	record.Embedded:       {"embed", stageEmbed},
	record.WriteReceived:  {"queue before write", ""},
	record.Written:        {"write", stageWrite},
}

// timeline returns how the newest change has come through, as far as its records and the index tell.
func (q *inquiry) timeline() *Timeline {
	s := q.newest()
	if s == nil {
		return q.timelineOfIndex()
	}
	q.answer.TraceID = s.trace
	if !s.stamped {
		q.note("the time line: %s has no readable time stamps", s.Place)
		return nil
	}
	t := &Timeline{Version: s.version, Of: s.Place, Start: s.stamps.Start().UTC()}
	before, next := t.passed(s.stamps)
	t.Done, t.End = q.arrived(s), q.answer.At
	if t.Done {
		t.End = q.indexed.UpdatedAt
	}
	if next <= record.Written {
		rest := Hop{Name: "queue and write", Stage: stageWrite, Start: before, Open: !t.Done}
		if next <= record.Embedded {
			rest.Name, rest.Stage = "queue, embed and write", ""
		}
		if !t.Done {
			rest.Name = "waits for " + waitsFor(next)
			rest.Stage = ""
			if q.passed() { // refused, or replaced by a newer change: it is not to come
				t.End = before
			}
		}
		// Weaviate's clock is another one: no part has a negative length.
		t.End = later(t.End, before)
		rest.Took = Seconds(t.End.Sub(before))
		if t.Done || !q.passed() {
			t.Hops = append(t.Hops, rest)
		}
	}
	t.share()
	return t
}

// passed adds the hops that a change has passed. It returns when the last one was, and which one is next.
func (t *Timeline) passed(stamps record.Stamps) (last time.Time, next record.Hop) {
	last = t.Start
	for ; next <= record.Written; next++ {
		at, ok := stamps.At(next)
		if !ok {
			break
		}
		if asks := next == record.EmbedAsked || next == record.EmbedAnswered; asks && !at.After(last) {
			continue // there was no request, or none is known: embed tells of them only with traces
		}
		t.Hops = append(t.Hops, Hop{Name: hopNames[next].name, Stage: hopNames[next].stage, Start: last, Took: Seconds(at.Sub(last))})
		last = at.UTC()
	}
	return last, next
}

func waitsFor(next record.Hop) string {
	if next <= record.Embedded {
		return stageEmbed
	}
	return stageWrite
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// timelineOfIndex is what the index alone tells.
func (q *inquiry) timelineOfIndex() *Timeline {
	if q.indexed == nil || q.indexed.State.Origin.GetCommittedAt() == 0 || q.indexed.UpdatedAt.IsZero() {
		return nil
	}
	start := time.UnixMicro(q.indexed.State.Origin.GetCommittedAt()).UTC()
	t := &Timeline{Version: q.version(), Start: start, End: later(q.indexed.UpdatedAt, start), Done: true}
	t.Hops = []Hop{{Name: "source to index", Start: start, Took: Seconds(t.End.Sub(start))}}
	t.share()
	q.note("the hops of its last change: its records are not in Kafka any more, or beyond what was looked at")
	return t
}

func (t *Timeline) share() {
	for i := range t.Hops {
		if whole := t.End.Sub(t.Start); whole > 0 {
			t.Hops[i].Share = float64(t.Hops[i].Took) / float64(whole)
		}
	}
}

// newest returns the record that has come furthest of the newest change that is in a log.
func (q *inquiry) newest() *seen {
	var newest *seen
	for _, all := range [][]seen{q.documents, q.vectors} {
		for n := range all {
			if s := &all[n]; newest == nil || s.version >= newest.version {
				newest = s
			}
		}
	}
	return newest
}

// arrived reports whether the index has what a record brings.
func (q *inquiry) arrived(s *seen) bool {
	if q.indexed == nil {
		return false
	}
	state := &q.indexed.State
	if s.document.GetOp() == record.Op_OP_FAILED {
		return state.Failed.GetVersion() == s.version
	}
	if version := q.version(); s.version != version && !q.isIndexed(s) {
		return false
	}
	return s.state != record.VectorState_VECTOR_STATE_PRESENT || state.Hidden || bytes.Equal(state.Held, s.fingerprint)
}

// isIndexed reports whether a record is the change that the index has, whatever its version: after the epoch was raised
// the same place in the log counts higher.
func (q *inquiry) isIndexed(s *seen) bool {
	has, of := q.indexed.State.Origin, s.document.GetOrigin()
	return has != nil && of != nil && has.GetTopic() == of.GetTopic() && has.GetPartition() == of.GetPartition() && has.GetOffset() == of.GetOffset() &&
		has.GetCommittedAt() == of.GetCommittedAt()
}

// passed reports whether no stage has a record of the item to work on but ingest.
func (q *inquiry) passed() bool {
	for _, w := range q.answer.Waiting {
		if w.Stage != stageIngest {
			return false
		}
	}
	return true
}

// cost returns what the text of the newest change has cost.
func (q *inquiry) cost(ctx context.Context) *Cost {
	var text string
	c := &Cost{}
	if q.indexed != nil {
		text, c.Tokens = q.indexed.State.Text, q.indexed.State.OriginalTokens
	}
	newest := q.newest()
	if newest != nil && newest.document.GetOp().IsRow() {
		text, c.Tokens = newest.document.GetText(), max(newest.tokens, 0)
		if newest.tokens == 0 && q.indexed != nil && text == q.indexed.State.Text {
			c.Tokens = q.indexed.State.OriginalTokens
		}
	}
	if text == "" {
		return nil
	}
	if c.Counted = c.Tokens > 0; !c.Counted {
		c.Tokens = int64(len([]rune(text))/charactersPerToken + 1)
	}
	c.Paid, c.Why = q.paid()
	if client, err := q.kafka(ctx); err == nil && q.now.answers(stageEmbed) {
		c.price(ctx, client, q)
	}
	return c
}

// charactersPerToken is a rule of thumb for English text.
const charactersPerToken = 4

// paid tells whether the newest change's text was paid for: where the change before had the same one, its vector was known.
func (q *inquiry) paid() (paid *bool, why string) {
	var rows []seen
	orders := record.Orders{}
	for _, d := range q.documents {
		late := slices.ContainsFunc(d.document.GetSources(), func(so *record.SourceOrder) bool { return orders.Compare(so) < 0 })
		if orders.Take(d.document.GetSources()); d.document.GetOp().IsRow() && !late {
			rows = append(rows, d)
		}
	}
	switch n := len(rows); {
	case n == 0:
		return nil, "its documents are not in Kafka any more"
	case rows[n-1].document.GetOp() == record.Op_OP_PARTIAL:
		return nil, "a part of a row came, and its text was made later"
	case n > 1 && rows[n-1].document.GetText() == rows[n-2].document.GetText():
		return new(false), "the change before had the same text"
	case n > 1:
		return new(true), "the change before had another text"
	case q.first:
		return new(true), "it is its first text"
	}
	return nil, "the change before it is beyond what was looked at, if there was one"
}

// price adds the money, by the last price that the ledger has of the collection.
func (c *Cost) price(ctx context.Context, client *kgo.Client, q *inquiry) {
	ledger, err := kafka.OpenCosts(ctx, client, q.cfg.Topics, q.answer.At.Add(-priceAge))
	if err != nil {
		q.note("the price of a token: %v", err)
		return
	}
	entries, err := ledger.Read(ctx)
	if err != nil {
		q.note("the price of a token: %v", err)
		return
	}
	for _, e := range entries {
		if e.Collection == q.item.Collection {
			c.Currency, c.Money = e.Currency, float64(c.Tokens)*e.Price/1e6
		}
	}
}

// priceAge is how far back a price is looked for.
const priceAge = 7 * 24 * time.Hour
