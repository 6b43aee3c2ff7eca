package stage

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/service"
	"github.com/freshet-io/freshet/libs/telemetry"
)

// engine brings batches to their end for one stage.
type engine[In, Out any] struct {
	stage     *Stage[In, Out]
	log       *slog.Logger
	telemetry *telemetry.Telemetry
	send      *sender
}

// input is one record of a batch and what becomes of it.
type input[In, Out any] struct {
	record  arrival
	value   In
	decoded bool
	trace   telemetry.Item
	stamps  record.Stamps
	outcome Outcome[Out]

	tries    int       // calls of the handler for its batch, halves included
	failedAt time.Time // of the first of them that failed; zero where none did
}

// process implements processor.
func (e *engine[In, Out]) process(ctx context.Context, halted <-chan struct{}, batch []arrival) (verdict, error) {
	d := &decided[In, Out]{engine: e, ctx: ctx, halted: halted, start: time.Now()}
	d.inputs = e.decode(ctx, batch, d.start)
	if err := e.decide(ctx, halted, d.inputs); err != nil {
		d.drop()
		return nil, err
	}
	return d, nil
}

// decided implements verdict.
type decided[In, Out any] struct {
	engine *engine[In, Out]
	ctx    context.Context //nolint:containedctx // the worker's own, for a call that comes when it is the batch's turn
	halted <-chan struct{}
	start  time.Time
	inputs []*input[In, Out]
}

func (d *decided[In, Out]) settle() error {
	defer d.drop()
	if err := d.engine.settle(d.ctx, d.halted, d.inputs); err != nil {
		return err
	}
	d.engine.count(d.ctx, d.inputs, time.Since(d.start))
	return nil
}

func (d *decided[In, Out]) drop() {
	for _, in := range d.inputs {
		in.trace.End(in.outcome.Label, in.outcome.Err)
	}
}

func (e *engine[In, Out]) decode(ctx context.Context, batch []arrival, now time.Time) []*input[In, Out] {
	inputs := make([]*input[In, Out], len(batch))
	for i, r := range batch {
		in := &input[In, Out]{record: r, tries: 1}
		in.trace = e.telemetry.Begin(ctx, e.stage.Name, header(r, telemetry.HeaderTraceparent), header(r, telemetry.HeaderTracestate), now)
		value, err := e.stage.Decode(toRecord(r))
		if err != nil {
			in.outcome = Reject[Out](asReject(err))
		} else {
			in.value, in.decoded = value, true
		}
		in.stamps = e.stamps(in, now)
		inputs[i] = in
	}
	return inputs
}

// stamps continues the hop times that came with the record, or begins them.
func (e *engine[In, Out]) stamps(in *input[In, Out], now time.Time) record.Stamps {
	s, err := record.DecodeStamps([]byte(header(in.record, record.HeaderStamps)))
	if err != nil {
		committed := in.record.Timestamp
		if in.decoded {
			if at := e.stage.Describe(in.value).CommittedAt; !at.IsZero() {
				committed = at
			}
		}
		s = record.NewStamps(committed)
	}
	s.Add(now)
	return s
}

// decide gives every decoded input its outcome.
func (e *engine[In, Out]) decide(ctx context.Context, halted <-chan struct{}, inputs []*input[In, Out]) error {
	var values []In
	var decoded []*input[In, Out]
	for _, in := range inputs {
		if in.decoded {
			values, decoded = append(values, in.value), append(decoded, in)
		}
	}
	if len(values) == 0 {
		return nil
	}
	a := &attempt[In, Out]{
		handler: e.stage.Handler, halted: halted, log: e.log,
		retried: func() { e.telemetry.Metrics.Retry(ctx, e.stage.Name) },
	}
	outcomes, err := a.run(ctx, values)
	if err != nil {
		return err
	}
	for i, outcome := range outcomes {
		decoded[i].outcome, decoded[i].tries, decoded[i].failedAt = outcome, a.tries, a.failedAt
	}
	return nil
}

// settle makes the outcomes come true: outputs first, in the order of the inputs,
// then dead letters. It returns nil when all of it is acknowledged.
func (e *engine[In, Out]) settle(ctx context.Context, halted <-chan struct{}, inputs []*input[In, Out]) error {
	outputs, of, err := e.outputs(inputs)
	if err != nil {
		return err
	}
	tooLarge, err := e.send.produce(ctx, halted, outputs, impatient)
	if err != nil {
		return err
	}
	marks := map[*input[In, Out]]*kgo.Record{}
	for i, out := range outputs {
		marks[of[i]] = out
		if tooLarge[i] {
			of[i].outcome = Reject[Out](fault.Reject(fault.Oversize, "the record for %s is larger than the topic takes", out.Topic))
		}
	}
	var letters []*kgo.Record
	for _, in := range inputs {
		if in.outcome.Err != nil {
			letters = append(letters, e.letter(in, marks[in]))
		}
	}
	// A letter is cut to what its topic takes, so none of them is too large.
	_, err = e.send.produce(ctx, halted, letters, patient)
	return err
}

// outputs encodes the outputs and tells whose each is.
func (e *engine[In, Out]) outputs(inputs []*input[In, Out]) (outputs []*kgo.Record, of []*input[In, Out], err error) {
	now := time.Now()
	for _, in := range inputs {
		headers := in.headers(now)
		for _, out := range in.outcome.Out {
			encoded, err := e.stage.Encode(out)
			if err != nil {
				return nil, nil, fault.Halt("a bug: an output cannot be encoded: %w", err)
			}
			to := e.stage.To
			outputs = append(outputs, &kgo.Record{
				Topic: to.Topic, Partition: record.Partition(encoded.Key, to.Identity.Partitions),
				Key: encoded.Key, Value: encoded.Value, Headers: headers,
			})
			of = append(of, in)
		}
	}
	return outputs, of, nil
}

func (in *input[In, Out]) headers(now time.Time) []kgo.RecordHeader {
	if len(in.outcome.Out) == 0 {
		return nil
	}
	stamps := in.stamps
	stamps.Add(now)
	traceparent, tracestate := in.trace.Headers()
	headers := []kgo.RecordHeader{
		{Key: record.HeaderSchema, Value: []byte(record.Schema)},
		{Key: record.HeaderContentType, Value: []byte(record.ContentType)},
		{Key: record.HeaderStamps, Value: stamps.Encode()},
		{Key: telemetry.HeaderTraceparent, Value: []byte(traceparent)},
	}
	if tracestate != "" {
		headers = append(headers, kgo.RecordHeader{Key: telemetry.HeaderTracestate, Value: []byte(tracestate)})
	}
	return headers
}

// letter returns the dead letter of an input. mark is the last record that was
// produced for it, nil if there is none.
func (e *engine[In, Out]) letter(in *input[In, Out], mark *kgo.Record) *kgo.Record {
	var facts Facts
	if in.decoded {
		facts = e.stage.Describe(in.value)
	}
	if mark != nil {
		facts.ItemKey = mark.Key
		if e.stage.To.Versioned && mark.Offset >= 0 {
			if v, err := record.Version(e.stage.To.Identity.Epoch, mark.Offset); err == nil {
				facts.Version = v
			}
		}
	}
	return deadLetter{
		stage: e.stage.Name, topic: e.stage.To.Topics.DeadLetters(), partitions: e.stage.To.Identity.DeadLetters,
		limit: int(e.stage.To.Topics.MaxBytes(e.stage.To.Topics.DeadLetters())), serviceVersion: service.Version,
		facts: facts, tries: in.tries, failedAt: in.failedAt, err: in.outcome.Err,
	}.of(in.record.Record)
}

func (e *engine[In, Out]) count(ctx context.Context, inputs []*input[In, Out], took time.Duration) {
	m := e.telemetry.Metrics
	m.Batch(ctx, e.stage.Name, len(inputs), took)
	for _, in := range inputs {
		m.Item(ctx, e.stage.Name, in.outcome.Label)
		if err := in.outcome.Err; err != nil {
			m.DeadLetter(ctx, e.stage.Name, string(fault.ReasonOf(err)))
			e.log.WarnContext(ctx, "dead letter", "reason", fault.ReasonOf(err), "error", err,
				"topic", in.record.Topic, "partition", in.record.Partition, "offset", in.record.Offset)
			continue
		}
		if e.stage.To.Topic == "" && in.outcome.Arrived {
			facts := e.stage.Describe(in.value)
			if !facts.CommittedAt.IsZero() {
				m.Fresh(ctx, telemetry.Freshness{Collection: facts.Collection, Outcome: in.outcome.Label, Age: time.Since(facts.CommittedAt)})
			}
		}
	}
}

func toRecord(r arrival) Record {
	headers := make([]Header, len(r.Headers))
	for i, h := range r.Headers {
		headers[i] = Header{Key: h.Key, Value: h.Value}
	}
	return Record{
		Topic: r.Topic, TopicID: r.topicID, Partition: r.Partition, Offset: r.Offset, LeaderEpoch: r.LeaderEpoch,
		Time: r.Timestamp, Key: r.Key, Value: r.Value, Headers: headers,
	}
}

// header returns the last value of a header, as Kafka's own tools do, or "".
func header(r arrival, key string) string {
	for _, h := range slices.Backward(r.Headers) {
		if h.Key == key {
			return string(h.Value)
		}
	}
	return ""
}
