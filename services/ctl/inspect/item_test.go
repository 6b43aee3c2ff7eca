package inspect

import (
	"testing"

	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/record"
)

func TestTraceOf_onlyAnIdBecomesAPartOfALink(t *testing.T) {
	for header, want := range map[string]string{
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01": "0af7651916cd43dd8448eb211c80319c",
		"00-../../logout?x=-b7ad6b7169203331-01":                  "",
		"00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01": "",
		"": "",
	} {
		if got := traceOf(header); got != want {
			t.Errorf("the trace of %q is %q, want %q", header, got, want)
		}
	}
}

// Embed hands a row on without its vector, and commits that only after the first look.
func TestStillWaiting_leavesOutWhatWasFinishedSinceTheFirstLook(t *testing.T) {
	i := &Inspector{}
	i.cfg.Topics.Prefix = "t"
	topics := i.cfg.Topics
	at := func(embed, write int64) *look {
		return &look{lanes: i.lanes(nil), standings: map[string]kafka.Standing{
			stageEmbed: {Partitions: []kafka.Position{{Topic: topics.DocumentsLive(), Next: embed, End: 10}}},
			stageWrite: {Partitions: []kafka.Position{{Topic: topics.VectorsLive(), Next: write, End: 10}}},
		}}
	}
	q := &inquiry{Inspector: i, now: at(9, 9)}
	q.documents = []seen{{stage: stageEmbed, Place: Place{Topic: topics.DocumentsLive(), Offset: 9}, version: 10, document: &record.Document{}}}
	q.vectors = []seen{{stage: stageWrite, Place: Place{Topic: topics.VectorsLive(), Offset: 9}, version: 10, document: &record.Document{}, state: record.VectorState_VECTOR_STATE_PENDING}}
	if q.answer.Waiting = q.waiting(); len(q.answer.Waiting) != 2 {
		t.Fatalf("at first it waits at %v, want for both", q.answer.Waiting)
	}
	q.now = at(10, 9)
	if q.stillWaiting(); len(q.answer.Waiting) != 1 || q.answer.Waiting[0].Stage != stageWrite {
		t.Errorf("it waits at %v, want for write alone", q.answer.Waiting)
	}
	q.now = at(10, 10)
	if q.stillWaiting(); len(q.answer.Waiting) != 1 {
		t.Errorf("it waits at %v, want what it waited for", q.answer.Waiting)
	}
}
