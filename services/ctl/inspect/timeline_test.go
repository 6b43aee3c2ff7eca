package inspect

import (
	"testing"
	"time"

	"github.com/freshet-io/freshet/libs/record"
)

// lineOf returns the time line of an item whose vector is on its way to write.
func lineOf(stamps record.Stamps) *Timeline {
	q := &inquiry{Inspector: &Inspector{}, now: &look{}, answer: Item{At: stamps.Last().Add(time.Second), Waiting: []Waiting{{Stage: stageWrite}}}}
	q.vectors = []seen{{version: 1, document: &record.Document{}, stamps: stamps, stamped: true}}
	return q.timeline()
}

func TestTimeline_namesEachPartOfTheWay(t *testing.T) {
	at := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	asked, known := record.NewStamps(at), record.NewStamps(at)
	for hop := record.IngestReceived; hop <= record.Embedded; hop++ {
		at = at.Add(time.Second)
		asked.Pass(hop, at)
		if hop != record.EmbedAsked && hop != record.EmbedAnswered {
			known.Pass(hop, at)
		}
	}
	for name, of := range map[string]struct {
		stamps record.Stamps
		want   int
	}{"whose vector was asked for": {asked, 7}, "whose vector was known": {known, 5}} {
		line, whole := lineOf(of.stamps), 0.0
		for _, hop := range line.Hops {
			if whole += hop.Share; hop.Name == "" {
				t.Errorf("of an item %s a part has no name: %+v", name, line.Hops)
			}
		}
		if len(line.Hops) != of.want || whole < 0.999 || whole > 1.001 {
			t.Errorf("an item %s has %d parts, want %d, and their shares are %g: %+v", name, len(line.Hops), of.want, whole, line.Hops)
		}
	}
}
