package embedder

import (
	"testing"
	"time"

	"github.com/freshet-io/freshet/libs/record"
)

// Else each request of a backfill would be told as slow, with a link to each of its rows.
func TestWork_aRowOfABackfillIsNeverSlow(t *testing.T) {
	committed := time.Now().Add(-365 * 24 * time.Hour).Truncate(time.Second)
	of := func(stamp int64) time.Time {
		d := &record.Document{Stamp: stamp, Origin: &record.Origin{CommittedAt: committed.UnixMicro()}}
		return (&work{in: Input{Document: d, Version: 7}}).member().Began
	}
	if began := of(7); !began.IsZero() {
		t.Errorf("a row of a backfill began at %s", began)
	}
	if began := of(0); !began.Equal(committed) {
		t.Errorf("a live row began at %s, want %s", began, committed)
	}
}
