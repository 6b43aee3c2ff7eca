package inspect

import (
	"fmt"
	"time"

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
	t := &Timeline{Version: s.version, Of: s.Place, Start: s.stamps.Start().UTC(), Done: q.arrived(s)}
	last, next := t.passed(s.stamps)
	switch rest := (Hop{Start: last}); {
	case next > record.Written: // its record tells all of it
		t.End = last
	case t.Done:
		rest.Name, rest.Stage, t.Unsplit = "queue and write", stageWrite, q.whyUnsplit()
		if next <= record.Embedded {
			rest.Name, rest.Stage = "queue, embed and write", ""
		}
		t.add(rest, q.indexed.UpdatedAt)
	case q.isThrough(): // refused, or replaced by a newer change: it is not to come
		t.End = last
	default:
		rest.Name, rest.Open = "waits for "+stageWrite, true
		if next <= record.Embedded {
			rest.Name = "waits for " + stageEmbed
		}
		t.add(rest, q.answer.At)
	}
	t.share()
	return t
}

// whyUnsplit says what is not known of the last part, and what is known instead: write keeps its own times in no record.
func (q *inquiry) whyUnsplit() string {
	why := "only its trace, where it has one, tells how much of the last part was the queue before write, and how much the write itself"
	all := q.now.histograms(metricStage, "stage", func(labels map[string]string) bool { return labels["stage"] == stageWrite })
	if h := all[stageWrite]; h != nil && h.count() > 0 {
		why += fmt.Sprintf("; a batch of write takes %s now (median)", h.quantile(.5))
	}
	return why
}

// add adds a part that ends at a time. Weaviate's clock is another one: no part has a negative length.
func (t *Timeline) add(h Hop, end time.Time) {
	t.End = h.Start
	if end.After(h.Start) {
		t.End = end
	}
	h.Took = Seconds(t.End.Sub(h.Start))
	t.Hops = append(t.Hops, h)
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

// timelineOfIndex is what the index alone tells.
func (q *inquiry) timelineOfIndex() *Timeline {
	if q.indexed == nil || committedAt(&q.indexed.State).IsZero() || q.indexed.UpdatedAt.IsZero() {
		return nil
	}
	t := &Timeline{Version: q.version(), Start: committedAt(&q.indexed.State), Done: true}
	t.add(Hop{Name: "source to index", Start: t.Start}, q.indexed.UpdatedAt)
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
