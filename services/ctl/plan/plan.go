// Package plan shows what ingest would make of sample events, without any server: it has
// the ingester of the services handle them, and sums up what that would mean.
package plan

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/services/ctl/events"
	"github.com/freshet-io/freshet/services/ingest/ingester"
	"github.com/freshet-io/freshet/services/ingest/wire"
)

// What can become of an event, or of a row in it.
const (
	Document = "document" // all of an item
	Delete   = "delete"
	Partial  = "partial" // a part of an item, which write completes
	Skip     = "skip"    // concerns no item; Reason says why
	Reject   = "reject"  // a dead letter
)

// Line is what becomes of an event, or of one row or pipeline of it.
type Line struct {
	Line        int             `json:"line"`
	File        string          `json:"file,omitempty"`
	Outcome     string          `json:"outcome"`
	Reason      string          `json:"reason,omitempty"`  // why it is skipped or rejected; hidden, where when hides a document
	Message     string          `json:"message,omitempty"` // of a rejection, and of what no pipeline asks for
	Format      pipeline.Format `json:"format,omitempty"`  // that the event looks like; none for a null value
	Pipeline    string          `json:"pipeline,omitempty"`
	Collection  string          `json:"collection,omitempty"`
	ID          string          `json:"id,omitempty"` // parts of a composite id are joined by +
	Tenant      string          `json:"tenant,omitempty"`
	Text        string          `json:"text,omitempty"`
	Properties  map[string]any  `json:"properties,omitempty"`
	Unavailable []string        `json:"unavailable,omitempty"` // columns that a partial document lacks
}

// Planner handles events as ingest would.
type Planner struct {
	ingester *ingester.Ingester
	topic    string // of events that do not say theirs
	columns  []*columns
}

// New returns a planner for a pipeline file. topic is that of events which do not say
// theirs; it may be empty where the file names one topic. schemas are those of events in
// Confluent's wire format; nil: there are none.
func New(file *pipeline.File, config ingester.Config, topic string, schemas ingester.Schemas) (*Planner, error) {
	if schemas == nil {
		schemas = noFolder{}
	}
	in, err := ingester.New(file, ingester.Options{Config: config, Schemas: schemas})
	if err != nil {
		return nil, err
	}
	topics := append(file.Topics(), file.Patterns()...)
	reads := func(p pipeline.Pipeline) bool { return p.Source.Reads(topic) }
	switch {
	case topic == "" && len(topics) == 1 && len(file.Patterns()) == 0:
		topic = topics[0]
	case topic != "" && !slices.ContainsFunc(file.Pipelines, reads):
		return nil, fmt.Errorf("--topic %s: the pipeline file reads %s", topic, strings.Join(topics, ", "))
	}
	return &Planner{ingester: in, topic: topic, columns: columnsOf(file)}, nil
}

// noFolder says that nobody has given schemas: a plan asks no registry, whatever the settings are.
type noFolder struct{}

func (noFolder) Schema(context.Context, uint32) (*wire.Schema, error) {
	return nil, fault.Reject(fault.UnknownSchema, "a key or value is in Confluent's wire format: give --schemas, a folder with its schema")
}

var errTopic = errors.New("the event does not say what topic it is of, and the pipeline file reads several: name one by --topic")

// Lines returns what becomes of an event: at least one line. Its error is no fault of the event.
func (p *Planner) Lines(ctx context.Context, e events.Event) ([]Line, error) {
	r := e.Record
	if r.Topic = cmp.Or(r.Topic, p.topic); r.Topic == "" {
		return nil, fmt.Errorf("%s, line %d: %w", cmp.Or(e.File, "standard input"), e.Line, errTopic)
	}
	outcomes, err := p.ingester.Handle(ctx, []ingester.Change{{Record: r}})
	if err != nil {
		return nil, err
	}
	p.ingester.Rows(ctx, r, p.look)
	blank := Line{Line: e.Line, File: e.File, Format: p.ingester.Recognise(ctx, r.Value)}
	o := outcomes[0]
	lines := make([]Line, 0, len(o.Out)+1)
	for _, d := range o.Out {
		line := blank
		line.fill(d)
		lines = append(lines, line)
	}
	switch {
	case o.Err != nil:
		lines = blank.rejected(lines, o.Err)
	case len(lines) == 0:
		blank.Outcome, blank.Reason = Skip, o.Label
		if o.Label == ingester.LabelUnmatched {
			blank.Message = p.ingester.Unmatched(ctx, r)
		}
		lines = append(lines, blank)
	}
	return lines, nil
}

func (l *Line) fill(d *record.Document) {
	l.Pipeline, l.Collection, l.Tenant, l.ID = d.GetPipeline(), d.GetCollection(), d.GetTenant(), strings.Join(d.GetId(), "+")
	switch d.GetOp() { //nolint:exhaustive // ingest makes no others
	case record.Op_OP_DELETE:
		l.Outcome = Delete
	case record.Op_OP_PARTIAL:
		l.Outcome, l.Unavailable = Partial, d.GetUnavailable()
	case record.Op_OP_FAILED:
		l.Outcome, l.Reason = Reject, d.GetFailed().GetReason()
	default:
		l.Outcome, l.Text = Document, d.GetText()
		if d.GetHidden() {
			l.Reason = "hidden"
		}
	}
	for _, p := range d.GetProperties() {
		if l.Properties == nil {
			l.Properties = map[string]any{}
		}
		l.Properties[p.GetName()] = p.GetValue().Any()
	}
}

// rejected says why. An event has one dead letter, and a mark for each item of it that
// failed; where no item is known, a line of its own.
func (l Line) rejected(lines []Line, err error) []Line {
	reason := string(fault.ReasonOf(err))
	message := strings.TrimPrefix(err.Error(), reason+": ")
	at := slices.IndexFunc(lines, func(line Line) bool { return line.Outcome == Reject && line.Reason == reason })
	if at < 0 {
		l.Outcome, l.Reason = Reject, reason
		lines = append(lines, l)
		at = len(lines) - 1
	}
	lines[at].Message = message
	return lines
}
