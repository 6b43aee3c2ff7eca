package ingester

import (
	"bytes"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/stage"
	"github.com/freshet-io/freshet/services/ingest/change"
)

// builder makes the documents of one record, a change of it at a time.
type builder struct {
	record      *stage.Record
	change      *change.Change
	partitioned bool // whether the topic has several partitions
	rewind      func(source string) uint64
	home        place // of the record in its partition
	place       place // of change
	documents   []*record.Document
	from        int                        // where those of change begin
	claims      map[*record.Document]claim // rows of change that are not shown for sure
}

func (in *Ingester) newBuilder(r *stage.Record) *builder {
	return &builder{
		record: r, rewind: in.rewind, home: inPartition(r, in.rewind),
		partitioned: r.Partition > 0 || in.partitioned(r.Topic),
	}
}

// begin turns to the next change of the record.
func (b *builder) begin(c *change.Change) {
	b.change, b.place, b.from, b.claims = c, b.home, len(b.documents), nil
}

// add appends a document of an item with the source's order: the ordinal tells the
// documents of one record apart.
func (b *builder) add(m *mapping, who identity, op record.Op) *record.Document {
	d := &record.Document{
		Op: op, Collection: m.pipeline.Collection, Tenant: who.tenant, Id: who.id, Pipeline: m.pipeline.Name,
		Sources: b.place.of(len(b.documents)),
		Origin:  b.origin(),
	}
	b.documents = append(b.documents, d)
	return d
}

// refusedLast returns the documents with those of the first refused item at the end, from its mark on: the dead letter takes
// its item and version from the last one. What a later change of the record says of the item stays behind the mark.
func (b *builder) refusedLast() []*record.Document {
	var documents, refused []*record.Document
	for _, d := range b.documents {
		if len(refused) == 0 && d.GetOp() == record.Op_OP_FAILED || len(refused) > 0 && bytes.Equal(d.Item().Key(), refused[0].Item().Key()) {
			refused = append(refused, d)
		} else {
			documents = append(documents, d)
		}
	}
	documents = append(documents, refused...)
	number(documents, 0)
	return documents
}

// number gives the documents from one on the orders of their places among all of the record.
func number(documents []*record.Document, from int) {
	for ordinal := from; ordinal < len(documents); ordinal++ {
		order := documents[ordinal].GetSources()[0].GetOrder()
		order[len(order)-1] = uint64(ordinal) //nolint:gosec // not negative
	}
}

// settle drops what pipelines that do not show an item say of it where another one claims it: two pipelines may split a
// table between them and fill one collection. A pipeline that failed claims its item too, because the index should keep
// showing the older state. The changes before in the record are done: of two rows that change their ids one may delete what
// the other has made.
func (b *builder) settle() (err error) {
	own := b.documents[b.from:]
	if len(own) < 2 {
		return nil
	}
	strongest, rivals := map[string]claim{}, map[string]int{}
	for _, d := range own {
		key, claimed := string(d.Item().Key()), b.claimOf(d)
		strongest[key] = max(strongest[key], claimed)
		if claimed == undecided {
			rivals[key]++
		}
	}
	kept := own[:0]
	for _, d := range own {
		key, claimed := d.Item().Key(), b.claimOf(d)
		switch {
		case claimed < strongest[string(key)]:
		case claimed == undecided && rivals[string(key)] > 1: // the last one's recipe would make the item, and may hide it
			kept, err = append(kept, d.Mark(string(fault.UnavailableValue))), errDisputed
		default:
			kept = append(kept, d)
		}
	}
	b.documents = b.documents[:b.from+len(kept)]
	number(b.documents, b.from)
	return err
}

var errDisputed = fault.Reject(fault.UnavailableValue, "the change does not show the fields by which several pipelines share the table (when), so that the item may be of any of them: "+
	"have the source send whole rows (MySQL: binlog_row_image=FULL, PostgreSQL: REPLICA IDENTITY FULL)")

// claim says how much a pipeline wants of an item.
type claim uint8

const (
	nothing   claim = iota // it is deleted
	aside                  // kept, and not shown: the sources that leave columns out could not bring it back
	undecided              // the change does not have what when asks for
	shown
)

func (b *builder) claimOf(d *record.Document) claim {
	if claimed, found := b.claims[d]; found {
		return claimed
	}
	if d.GetOp() == record.Op_OP_DELETE {
		return nothing
	}
	return shown
}

// weaken says that a row of the change is not shown for sure.
func (b *builder) weaken(d *record.Document, to claim) {
	if b.claims == nil {
		b.claims = map[*record.Document]claim{}
	}
	b.claims[d] = to
}

func (b *builder) failed(m *mapping, who identity, err error) {
	d := b.add(m, who, record.Op_OP_FAILED)
	d.Failed = &record.Failure{Reason: string(fault.ReasonOf(err))}
}

// origin falls back to Kafka's time where the source gives none, as snapshots of
// old connectors and plain rows do.
func (b *builder) origin() *record.Origin {
	o := &record.Origin{
		Topic: b.record.Topic, Partition: b.record.Partition, Offset: b.record.Offset,
		CommittedAt: b.change.CommittedAt, Position: b.change.Position,
	}
	if o.CommittedAt <= 0 && !b.record.Time.IsZero() {
		o.CommittedAt = b.record.Time.UnixMicro()
	}
	return o
}

func (b *builder) label() string {
	for _, d := range b.documents {
		if d.GetOp().IsRow() {
			return labelUpsert
		}
	}
	return labelDelete
}
