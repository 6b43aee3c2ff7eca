package inspect

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/stage"
	"github.com/freshet-io/freshet/services/ingest/ingester"
)

// Redrive is what a dead letter becomes when its record goes through the pipeline once more.
type Redrive struct {
	Letter    Letter     `json:"letter"`
	Documents []Redriven `json:"documents"` // in their order
	Done      []string   `json:"done"`      // items of the record that need nothing
	Left      []string   `json:"left"`      // why it, or a part of it, cannot go
}

// Redriven is a document that goes into the log once more.
type Redriven struct {
	Item string `json:"item"`
	// Version is the one that it keeps, so that it loses to whatever came since. With 0 it gets that of its new place in the log,
	// and the order of its source tells whether something came since: so the change of an item that was not known.
	Version  int64            `json:"version,omitempty"`
	Document *record.Document `json:"-"`
}

// Redriver finds out what dead letters become. It is for one goroutine.
type Redriver struct {
	*Inspector

	ingester *ingester.Ingester
	sources  kadm.TopicDetails
	identity kafka.Identity
}

// Redriver asks how the installation is now: topics, recipes, rewinds. It is an error where no ingest has run with the pipeline
// file: what write would merge by its recipes would wait for one.
func (i *Inspector) Redriver(ctx context.Context) (*Redriver, error) {
	client, err := i.own.get(ctx)
	if err != nil {
		return nil, err
	}
	r := &Redriver{Inspector: i}
	if r.identity, err = i.cfg.Topics.Check(ctx, client); err != nil {
		return nil, err
	}
	control, err := kafka.ReadControl(ctx, client, i.cfg.Topics)
	if err != nil {
		return nil, err
	}
	for n := range i.file.Pipelines {
		p := &i.file.Pipelines[n]
		if hash, _ := p.ItemRecipe(); control.Recipes[hex.EncodeToString(hash)] == nil {
			return nil, fmt.Errorf("%s: pipeline %s: no ingest has run with this text, when and properties yet: start the services with the file first", i.cfg.Pipeline.Path, p.Name)
		}
	}
	if client, err = i.source.get(ctx); err != nil {
		return nil, err
	}
	if r.sources, err = kadm.NewClient(client).ListTopics(ctx); err != nil {
		return nil, fmt.Errorf("listing the topics of the source cluster: %w", err)
	}
	r.ingester, err = ingester.New(i.file, ingester.Options{
		Config: i.cfg.Ingest, Schemas: i.schemas, Rewind: func(source string) uint64 { return control.Rewinds[source] },
		Partitioned: func(topic string) bool { return len(r.sources[topic].Partitions) > 1 },
	})
	return r, err
}

// Each hands over dead letters: those at places, topic/partition/offset, or all with a reason, of any where it is empty.
func (r *Redriver) Each(ctx context.Context, places []string, reason string, take func(*kgo.Record) error) error {
	for _, place := range places {
		letter, err := r.letterAt(ctx, place)
		if err == nil {
			err = take(letter)
		}
		if err != nil {
			return err
		}
	}
	if len(places) > 0 {
		return nil
	}
	client, err := r.own.get(ctx)
	if err != nil {
		return err
	}
	spans, err := WholeTopic(ctx, client, r.cfg.Topics.DeadLetters())
	if err != nil {
		return err
	}
	var failed error
	err = r.own.scan(ctx, spans, func(letter *kgo.Record) bool {
		if reason == "" || letterOf(letter).Reason == reason {
			failed = take(letter)
		}
		return failed == nil
	})
	return cmp.Or(failed, err)
}

// redrive is a Redrive in the making.
type redrive struct {
	*Redriver
	Redrive

	record *kgo.Record // the letter
}

// Redrive finds out what the record of a dead letter becomes now: by the pipeline file, where ingest could not use it. An error
// means that something is away, which says nothing of the letter.
func (r *Redriver) Redrive(ctx context.Context, letter *kgo.Record) (Redrive, error) {
	one := &redrive{
		Redriver: r, record: letter,
		Redrive: Redrive{Letter: letterOf(letter), Documents: []Redriven{}, Done: []string{}, Left: []string{}},
	}
	var err error
	switch one.Letter.Stage {
	case stageIngest:
		err = one.change(ctx)
	case stageEmbed, stageBulk, stageWrite:
		err = one.document(ctx)
	default:
		one.left("no stage is called %q", one.Letter.Stage)
	}
	return one.Redrive, err
}

// Record returns a document's record for the log of live documents.
func (r *Redriver) Record(d Redriven) (*kgo.Record, error) {
	value, err := d.Document.Encode()
	key := d.Document.Item().Key()
	headers := []kgo.RecordHeader{
		{Key: record.HeaderSchema, Value: []byte(record.Schema)},
		{Key: record.HeaderContentType, Value: []byte(record.ContentType)},
	}
	if d.Version > 0 {
		headers = append(headers, kgo.RecordHeader{Key: record.HeaderVersion, Value: strconv.AppendInt(nil, d.Version, 10)})
	}
	return &kgo.Record{
		Topic: r.cfg.Topics.DocumentsLive(), Partition: record.Partition(key, r.identity.Partitions), Key: key, Value: value, Headers: headers,
	}, err
}

func isAbsence(err error) bool {
	_, is := errors.AsType[absence](err)
	return is
}

// leftWithout leaves the letter where a record is not there. It returns an error that says nothing of the letter.
func (r *redrive) leftWithout(err error, do string) error {
	if !isAbsence(err) {
		return err
	}
	r.left("%v%s", err, do)
	return nil
}

func (r *redrive) left(format string, args ...any) {
	r.Left = append(r.Left, fmt.Sprintf(format, args...))
}

// keep adds a document with the version that it keeps, 0 for none. Of two documents of one item and version, as a record has that
// gives an id to another row, the later one says all: a delete would win over a row of its own version, be it before it.
func (r *redrive) keep(d *record.Document, version int64) {
	item := d.Item().String()
	r.Documents = slices.DeleteFunc(r.Documents, func(before Redriven) bool {
		return version > 0 && before.Version == version && before.Item == item && (d.GetOp() != record.Op_OP_PARTIAL || before.Document.GetOp() == record.Op_OP_DELETE)
	})
	r.Documents = append(r.Documents, Redriven{Item: item, Version: version, Document: d})
}

// version returns that of the letter's change, 0 where it has none.
func (r *redrive) version() int64 {
	v, err := strconv.ParseInt(r.Letter.Version, 10, 64)
	if err != nil || v < 0 {
		return 0
	}
	return v
}

// letterAt returns the dead letter at topic/partition/offset.
func (i *Inspector) letterAt(ctx context.Context, place string) (*kgo.Record, error) {
	at, err := parsePlace(place)
	switch topic := i.cfg.Topics.DeadLetters(); {
	case err != nil:
		return nil, err
	case at.Topic != topic:
		return nil, fmt.Errorf("%s: dead letters are in topic %s", place, topic)
	}
	return i.recordAt(ctx, at)
}

// Failed returns the record that became the dead letter at a place, as the letter has it, with its own place and headers. cut is the
// size of its value in bytes where the letter has the beginning of it alone, else 0.
func (i *Inspector) Failed(ctx context.Context, place string) (r *kgo.Record, cut int, err error) {
	letter, err := i.letterAt(ctx, place)
	if err != nil {
		return nil, 0, err
	}
	if r, err = failedIn(letter); err != nil {
		return nil, 0, err
	}
	return r, cutFrom(letter), nil
}

// cutFrom returns the size that a letter's value had before it was cut, 0 where it is whole.
func cutFrom(letter *kgo.Record) int {
	_, own := splitHeaders(letter)
	size, _ := strconv.Atoi(headersOf(own)[stage.HeaderTruncated])
	return size
}

// failedIn returns the record that a dead letter was made of.
func failedIn(letter *kgo.Record) (*kgo.Record, error) {
	at, err := parsePlace(letterOf(letter).Source)
	if err != nil {
		return nil, absent("%w", err)
	}
	theirs, _ := splitHeaders(letter)
	return &kgo.Record{
		Topic: at.Topic, Partition: at.Partition, Offset: at.Offset, LeaderEpoch: -1, Timestamp: letter.Timestamp,
		Key: letter.Key, Value: letter.Value, Headers: theirs,
	}, nil
}

// input returns the record that failed, as the letter has it.
func (r *redrive) input(ctx context.Context) (*kgo.Record, error) {
	if cutFrom(r.record) > 0 {
		return r.original(ctx)
	}
	return failedIn(r.record)
}

// original returns the record that failed, as its topic still has it: whole, and with its place.
func (r *redrive) original(ctx context.Context) (*kgo.Record, error) {
	at, err := parsePlace(r.Letter.Source)
	if err != nil {
		return nil, absent("%w", err)
	}
	found, err := r.recordAt(ctx, at)
	switch {
	case err != nil:
		return nil, err
	case !bytes.HasPrefix(found.Key, r.record.Key), !bytes.HasPrefix(found.Value, r.record.Value), len(found.Value) != cmp.Or(cutFrom(r.record), len(r.record.Value)):
		return nil, absent("another record stands at %s by now", at)
	}
	return found, nil
}

// document redrives what embed or write could not use: the document that was in it.
func (r *redrive) document(ctx context.Context) error {
	in, err := r.input(ctx)
	if err != nil {
		return r.leftWithout(err, "")
	}
	version, d := r.version(), (*record.Document)(nil)
	if r.Letter.Stage == stageWrite {
		var v *record.Vector
		if v, err = record.DecodeVector(in.Value); err == nil {
			version, d = v.GetVersion(), v.GetDocument()
		}
	} else {
		d, err = record.DecodeDocument(in.Value)
	}
	switch {
	case err != nil:
		r.left("it cannot be read: %v", err)
	case r.Letter.Reason == string(fault.BelowHorizon):
		r.left("it is too old to tell whether its item was deleted since: send the row again")
	case !slices.ContainsFunc(r.file.Pipelines, func(p pipeline.Pipeline) bool { return p.Collection == d.GetCollection() }):
		r.left("no pipeline of the file fills collection %q", d.GetCollection()) // embed would stop at it, at each start again
	case d.GetOp() == record.Op_OP_COMPLETION_REQUEST: // of the text that the item has, whatever the version
		r.keep(d, 0)
	case version == 0:
		r.left("the letter has no version")
	default:
		r.keep(d, version)
	}
	return nil
}

// change redrives what ingest could not use: it is read once more.
func (r *redrive) change(ctx context.Context) error {
	in, gone := r.original(ctx) // it alone tells the place of its change
	if isAbsence(gone) && cutFrom(r.record) == 0 {
		in, _ = failedIn(r.record)
	}
	if in == nil {
		return r.leftWithout(gone, ": send the row again")
	}
	c, err := decode(ctx, r.ingester, in, r.sources[in.Topic].ID)
	if err != nil {
		return err
	}
	switch {
	case c.err != nil:
		r.left("it fails again: %v", c.err)
	case len(c.documents) == 0:
		r.Done = append(r.Done, "nothing is taken of it now ("+c.label+")")
	}
	for _, d := range c.documents {
		switch other := r.isOther(d); {
		case d.GetOp() == record.Op_OP_FAILED:
		case gone != nil && other:
			err = r.leftWithout(gone, ": send the row of "+d.Item().String()+" again")
		case gone != nil:
			d.Sources = nil
			r.keep(d, r.version())
		case other:
			err = r.other(ctx, d)
		default:
			r.keep(d, r.version())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// isOther reports whether a document is of another item than the letter, or the letter has no version.
func (r *redrive) isOther(d *record.Document) bool {
	return r.version() == 0 || string(d.Item().Key()) != r.Letter.key
}

// other redrives the change of an item that has no letter of its own, as the message of Canal's has several, or was not known.
// The index tells whether it has the change, or the mark of its failure, or has not heard of it.
func (r *redrive) other(ctx context.Context, d *record.Document) error {
	index, err := r.index.get(ctx)
	if err != nil {
		return err
	}
	has, err := index.Inspect(ctx, d.Item())
	if err != nil {
		return fmt.Errorf("asking for %s: %w", d.Item(), err)
	}
	if failed := has.State.Failed; failed != nil && !has.State.Refused() {
		switch own, err := r.isMark(ctx, d, failed.GetVersion()); {
		case err != nil:
			return r.leftWithout(err, ": send the row of "+d.Item().String()+" again")
		case own:
			r.keep(d, failed.GetVersion())
			return nil
		}
	}
	source := d.GetSources()[0]
	// Behind the record's place stands which of its documents this is, and that may differ now.
	place := source.GetOrder()[:len(source.GetOrder())-1]
	taken := has.State.Sources[source.GetSource()]
	switch {
	case slices.Compare(taken[:min(len(taken), len(place))], place) >= 0:
		r.Done = append(r.Done, d.Item().String())
	case r.version() > 0 && d.GetOp().IsRow(): // it had a document or a mark, under another id: by that it may have been deleted since
		r.left("%s: the index knows nothing of the change, and so nothing of what came since: send its row again", d.Item())
	default:
		r.keep(d, 0)
	}
	return nil
}

// isMark reports whether the item's mark of a version was made of the letter's record, and not of another change that failed.
func (r *redrive) isMark(ctx context.Context, d *record.Document, version int64) (bool, error) {
	epoch, offset := record.Place(version)
	if epoch != r.identity.Epoch {
		return false, absent("its mark is of epoch %d, and the log of epoch %d", epoch, r.identity.Epoch)
	}
	mark, err := r.recordAt(ctx, Place{Topic: r.cfg.Topics.DocumentsLive(), Partition: record.Partition(d.Item().Key(), r.identity.Partitions), Offset: offset})
	if err != nil {
		return false, err
	}
	marked, err := record.DecodeDocument(mark.Value)
	from := marked.GetOrigin()
	return Place{Topic: from.GetTopic(), Partition: from.GetPartition(), Offset: from.GetOffset()}.String() == r.Letter.Source, err
}
