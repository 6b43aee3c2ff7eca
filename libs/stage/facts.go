package stage

import (
	"time"

	"github.com/freshet-io/freshet/libs/record"
)

// Facts is what the runtime may tell of an input. Zero fields are left out.
type Facts struct {
	ItemKey     []byte
	Version     int64
	SourceOrder string
	Collection  string
	CommittedAt time.Time // at the source
	Backfill    bool      // a row of a backfill: it is old on purpose
	Told        bool      // it is the mark of a dead letter, which has told its trace
	Follows     bool      // its vector follows, and its way ends with that
}

// FactsOf returns what is to be told of a document; version is 0 where it has none yet.
func FactsOf(d *record.Document, version int64) Facts {
	facts := Facts{
		ItemKey: d.Item().Key(), Version: version, Collection: d.GetCollection(),
		SourceOrder: record.FormatSources(d.GetSources()), Backfill: d.GetStamp() > 0, Told: d.GetOp() == record.Op_OP_FAILED,
	}
	facts.CommittedAt = CommittedAt(d)
	return facts
}

// CommittedAt returns when a document was committed at its source, zero where nobody said.
func CommittedAt(d *record.Document) (at time.Time) {
	if us := d.GetOrigin().GetCommittedAt(); us > 0 {
		at = time.UnixMicro(us)
	}
	return at
}
