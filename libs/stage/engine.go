package stage

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/telemetry"
)

// engine brings batches to their end for one stage.
type engine[In, Out any] struct {
	stage     *Stage[In, Out]
	log       *slog.Logger
	telemetry *telemetry.Telemetry
	send      *sender
	storms    *storms
	used      sync.Pool // of *[]input: the largest of what a batch needs, used again
}

// input is one record of a batch and what becomes of it.
type input[In, Out any] struct {
	record  arrival
	value   In
	decoded bool
	trace   telemetry.Item
	stamps  record.Stamps
	outcome Outcome[Out]
	mark    *kgo.Record      // the last record that was produced for it; nil if there is none
	told    *telemetry.Trace // of its way, which has ended here; nil where it is not told

	tries    int       // calls of the handler for its batch, halves included
	failedAt time.Time // of the first of them that failed; zero where none did
}

// process implements processor.
func (e *engine[In, Out]) process(t tenure, batch []arrival) (verdict, error) {
	return e.processBy(e.stage.Handler, t, batch)
}

// later returns the processor of what had the outcome Later, nil where nothing has.
func (e *engine[In, Out]) later() processor {
	if e.stage.Later == nil {
		return nil
	}
	return func(t tenure, batch []arrival) (verdict, error) { return e.processBy(e.stage.Later, t, batch) }
}

func (e *engine[In, Out]) processBy(h Handler[In, Out], t tenure, batch []arrival) (verdict, error) {
	d := &decided[In, Out]{engine: e, tenure: t, start: time.Now(), inputs: e.inputs(len(batch)), batch: e.batch(len(batch))}
	t.ctx = d.batch.Into(t.ctx)
	e.telemetry.Metrics.Inputs(t.ctx, e.stage.Name, len(batch))
	for i, r := range batch {
		e.begin(&d.inputs[i], r)
	}
	var err error
	if t.untried {
		e.reject(d.inputs, d.start)
	} else if err = e.decode(d.inputs, d.start); err == nil {
		err = e.decide(h, t, d.inputs)
	}
	if err != nil {
		d.drop()
		return nil, err
	}
	return d, nil
}

// decided implements verdict.
type decided[In, Out any] struct {
	engine *engine[In, Out]
	tenure tenure
	start  time.Time
	inputs []input[In, Out]
	done   bool             // the outcomes have come true
	batch  *telemetry.Batch // nil where the handler makes its own
	ended  []ended
}

func (d *decided[In, Out]) settle() (later []leftover, err error) {
	defer d.drop()
	if err := d.engine.settle(d.tenure, d.inputs); err != nil {
		return nil, err
	}
	d.done = true
	d.ended = d.engine.tell(d.tenure.ctx, d.inputs, d.batch)
	d.engine.count(d.tenure.ctx, d.inputs, time.Since(d.start))
	for i := range d.inputs {
		if in := &d.inputs[i]; in.outcome.Later && in.outcome.Err == nil {
			later = append(later, leftover{i, in.outcome.NotBefore})
		}
	}
	return later, nil
}

func (d *decided[In, Out]) told() []ended { return d.ended }

func (d *decided[In, Out]) drop() {
	if !d.done {
		d.engine.telemetry.Metrics.Items(d.tenure.ctx, d.engine.stage.Name, telemetry.GivenUp, len(d.inputs))
	}
	clear(d.inputs)
	d.engine.used.Put(&d.inputs)
}

// inputs returns n empty ones, in the array of a batch that is over. The records that were made of them are not used again:
// the client had them.
func (e *engine[In, Out]) inputs(n int) []input[In, Out] {
	var array []input[In, Out]
	if used, ok := e.used.Get().(*[]input[In, Out]); ok {
		array = (*used)[:0]
	}
	return slices.Grow(array, n)[:n]
}

func (e *engine[In, Out]) begin(in *input[In, Out], r arrival) {
	in.record, in.tries = r, 1
	in.trace = e.telemetry.Begin(header(r, telemetry.HeaderTraceparent), header(r, telemetry.HeaderTracestate), header(r, telemetry.HeaderBatch), e.stage.isFirst())
}

// reject makes dead letters of records that are not to be looked at.
func (e *engine[In, Out]) reject(inputs []input[In, Out], now time.Time) {
	for i := range inputs {
		in := &inputs[i]
		in.tries = guiltyAfter
		in.outcome = Reject[Out](fault.Reject(fault.Panic, "the process ended %d times while it worked on this record alone", guiltyAfter))
		in.stamps = e.stamps(in, now)
	}
}

// decode reads a batch. Its error is fatal: a record that this build must not touch,
// one of a newer build say, is no dead letter.
func (e *engine[In, Out]) decode(inputs []input[In, Out], now time.Time) error {
	for i := range inputs {
		in := &inputs[i]
		r := toRecord(in.record)
		r.Trace = in.trace
		value, err := e.decodeOne(r)
		switch {
		case fault.ClassOf(err) == fault.Fatal:
			return fmt.Errorf("decoding the record at offset %d: %w", in.record.Offset, err)
		case err != nil:
			in.outcome = Reject[Out](asReject(err))
		default:
			in.value, in.decoded = value, true
		}
		in.stamps = e.stamps(in, now)
	}
	return nil
}

func (e *engine[In, Out]) decodeOne(r Record) (value In, err error) {
	defer func() {
		if p := recover(); p != nil {
			e.log.Error("the decoder panicked", "offset", r.Offset, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = fault.Reject(fault.Panic, "the decoder panics on this record")
		}
	}()
	return e.stage.Decode(r)
}

// stamps continues the hop times that came with the record, or begins them.
func (e *engine[In, Out]) stamps(in *input[In, Out], now time.Time) record.Stamps {
	s, err := record.DecodeStamps(header(in.record, record.HeaderStamps))
	if err != nil || e.stage.isFirst() { // what a producer copies is of another way
		s = record.NewStamps(in.record.Timestamp)
		if in.decoded {
			if at := e.stage.Describe(in.value).CommittedAt; !at.IsZero() {
				s = record.NewStamps(at)
			}
		}
	}
	if s.Start().After(now) { // the source's clock is ahead: else all spans would be in the future, and of no length
		s = record.NewStamps(now)
	}
	s.Pass(e.stage.Received, now)
	return s
}

// decide gives every decoded input its outcome.
func (e *engine[In, Out]) decide(h Handler[In, Out], t tenure, inputs []input[In, Out]) error {
	values := make([]In, 0, len(inputs))
	for i := range inputs {
		if inputs[i].decoded {
			values = append(values, inputs[i].value)
		}
	}
	if len(values) == 0 {
		return nil
	}
	a := &attempt[In, Out]{
		handler: h, tenure: t, log: e.log,
		retried: func() { e.telemetry.Metrics.Retry(t.ctx, e.stage.Name) },
	}
	outcomes, err := a.run(values)
	if err != nil {
		return err
	}
	for i := range inputs {
		if in := &inputs[i]; in.decoded {
			if outcomes[0].Later && e.stage.Later == nil {
				return fault.Halt("a bug: an input is left for later, and stage %s has nobody to handle it then", e.stage.Name)
			}
			in.outcome, in.tries, in.failedAt = outcomes[0], a.tries, a.failedAt
			outcomes = outcomes[1:]
		}
	}
	return nil
}

func (e *engine[In, Out]) count(ctx context.Context, inputs []input[In, Out], took time.Duration) {
	m := e.telemetry.Metrics
	m.Batch(ctx, e.stage.Name, e.closed(len(inputs)), len(inputs), took)
	labels := map[string]int{}
	for i := range inputs {
		in := &inputs[i]
		labels[in.outcome.Label]++
		if err := in.outcome.Err; err != nil {
			m.DeadLetter(ctx, e.stage.Name, string(fault.ReasonOf(err)))
			e.log.WarnContext(ctx, "dead letter", "reason", fault.ReasonOf(err), "error", err,
				"topic", in.record.Topic, "partition", in.record.Partition, "offset", in.record.Offset)
			continue
		}
		e.measure(ctx, in)
	}
	for label, n := range labels {
		m.Items(ctx, e.stage.Name, label, n)
	}
}

// measure takes down how fresh an input is that has arrived. What is done once more, in doubt or after the index has gone back,
// was fresh long ago.
func (e *engine[In, Out]) measure(ctx context.Context, in *input[In, Out]) {
	if !in.outcome.Arrived {
		return
	}
	if _, measured := in.before(ctx); measured {
		return
	}
	facts := e.stage.Describe(in.value)
	if facts.CommittedAt.IsZero() {
		return
	}
	if in.outcome.Measured != nil {
		in.outcome.Measured(in.told)
	}
	e.telemetry.Metrics.Fresh(in.told.Exemplar(ctx), telemetry.Freshness{
		Collection: facts.Collection, Lane: e.stage.From.lane(in.record.Topic), Outcome: in.outcome.Label, Age: time.Since(facts.CommittedAt),
	})
}
