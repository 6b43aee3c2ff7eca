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
}

// FactsOf returns what is to be told of a document; version is 0 where it has none yet.
func FactsOf(d *record.Document, version int64) Facts {
	facts := Facts{
		ItemKey: d.Item().Key(), Version: version, Collection: d.GetCollection(),
		SourceOrder: record.FormatSources(d.GetSources()),
	}
	if at := d.GetOrigin().GetCommittedAt(); at > 0 {
		facts.CommittedAt = time.UnixMicro(at)
	}
	return facts
}
