package intake

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net/http"
	"runtime/debug"
	"slices"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/telemetry"
	"github.com/freshet-io/freshet/services/ingest/change"
)

// batch is the lines of a request, on their way. All that it keeps of them has room.
type batch struct {
	server *Server
	source Source
	trace  string
	hold   *hold

	sent  []kafka.Raw
	lines []int    // of sent
	ids   []string // of sent
	fails []Failure
}

func (s *Server) newBatch(ctx context.Context, h *hold, source Source) *batch {
	return &batch{server: s, source: source, trace: telemetry.Traceparent(ctx), hold: h, fails: []Failure{}}
}

// take is row or event.
type take func(b *batch, ctx context.Context, line int, text []byte) error

// all adds the lines of a body that are not blank.
func (b *batch) all(ctx context.Context, body []byte, take take) error {
	number := 0
	for line := range bytes.Lines(body) {
		if number++; number > MaxLines {
			return refuse(http.StatusRequestEntityTooLarge, "too-many-lines", "the body has more than %d lines: send it in pieces", MaxLines)
		}
		if err := b.one(ctx, number, line, take); err != nil {
			return err
		}
	}
	return nil
}

// one adds a line that is not blank.
func (b *batch) one(ctx context.Context, number int, line []byte, take take) error {
	switch line = bytes.TrimSpace(line); {
	case len(line) == 0:
		return nil
	case len(line) > MaxLineBytes:
		return b.fail(number, "", fault.Reject(fault.Oversize, "the line has %d bytes, the limit is %d", len(line), MaxLineBytes))
	}
	return take(b, ctx, number, line)
}

// fail keeps what is told of a line.
func (b *batch) fail(line int, id string, err error) error {
	f := failure(line, id, err)
	b.fails = append(b.fails, f)
	return b.hold.tell(f.bytes())
}

// row adds a row of an item. A row that ingest would skip is one that the sender waits for in vain.
func (b *batch) row(ctx context.Context, line int, row []byte) (err error) {
	defer b.survive(line, &err)
	if row[0] != '{' {
		return b.fail(line, "", fault.Reject(fault.Malformed, "the line is no JSON object"))
	}
	trial, err := b.server.mapper.TryRow(ctx, b.source.Name, b.source.Topic, row)
	if trial.Err == nil && trial.Label != "" {
		trial.Err = fault.Reject(fault.FormatMismatch, "no item comes of the row: it is skipped, %s", trial.Label)
	}
	return b.add(ctx, line, trial, row, err)
}

// event adds an event, with its key where the line has both.
func (b *batch) event(ctx context.Context, line int, event []byte) (err error) {
	defer b.survive(line, &err)
	e, err := change.ParseEvent(event)
	if err != nil {
		return b.fail(line, "", err)
	}
	if err := b.hold.take(len(e.Value)); err != nil {
		return err
	}
	trial, err := b.server.mapper.Try(ctx, b.source.Topic, e.Key, e.Value)
	return b.add(ctx, line, trial, e.Value, err)
}

// survive has a line cost the others nothing, whatever it does to the decoders.
func (b *batch) survive(line int, err *error) {
	if r := recover(); r != nil {
		b.server.log.Error("a line made ingest panic", "source", b.source.Name, "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
		*err = b.fail(line, "", fault.Reject(fault.Panic, "the line makes ingest panic: report it"))
	}
}

// add adds a record, unless it would become a dead letter, or the trial could not be made.
func (b *batch) add(ctx context.Context, line int, trial Trial, value []byte, err error) error {
	switch {
	case err != nil:
		b.server.log.WarnContext(ctx, "changes of HTTP cannot be tried", "source", b.source.Name, "error", err)
		return refuse(http.StatusServiceUnavailable, "schemas-away", "the schema registry does not answer, and a line needs it: send the whole request again").again(awayFor)
	case trial.Err != nil:
		return b.fail(line, trial.ID, trial.Err)
	}
	id := bounded(trial.ID)
	raw := kafka.Raw{Key: trial.Key, Value: value}
	if b.trace != "" {
		raw.With(telemetry.HeaderTraceparent, []byte(b.trace))
	}
	b.sent = append(b.sent, raw)
	b.lines, b.ids = append(b.lines, line), append(b.ids, id)
	return b.hold.take(recordBytes + len(trial.Key) + len(id))
}

// finish has Kafka take the lines that passed, and tells of those that did not.
func (b *batch) finish(ctx context.Context) (Result, error) {
	accepted := len(b.sent)
	if accepted > 0 {
		rejected, err := b.server.produce(ctx, b.source.Topic, b.sent, b.hold)
		if err != nil {
			return Result{}, err
		}
		for i, err := range rejected {
			if err != nil {
				f := failure(b.lines[i], b.ids[i], err)
				b.fails = append(b.fails, f)
				b.hold.owe(f.bytes()) // less than its record had
				accepted--
			}
		}
		slices.SortStableFunc(b.fails, func(x, y Failure) int { return cmp.Compare(x.Line, y.Line) })
	}
	b.server.count(ctx, accepted, b.fails)
	return Result{Accepted: accepted, Failed: len(b.fails), Items: b.fails}, nil
}
