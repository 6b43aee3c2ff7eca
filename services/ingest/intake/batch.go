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
)

// batch is the lines of a request, on their way.
type batch struct {
	server *Server
	source Source
	trace  string

	sent  []kafka.Sent
	lines []int    // of sent
	ids   []string // of sent
	fails []Failure
}

func (s *Server) newBatch(ctx context.Context, source Source) *batch {
	return &batch{server: s, source: source, trace: telemetry.Traceparent(ctx)}
}

// each calls take for the lines of a body that are not blank.
func each(body []byte, take func(number int, line []byte)) error {
	number := 0
	for line := range bytes.Lines(body) {
		if number++; number > MaxLines {
			return refuse(http.StatusRequestEntityTooLarge, "too-many-lines", "the body has more than %d lines: send it in pieces", MaxLines)
		}
		if line = bytes.TrimSpace(line); len(line) > 0 {
			take(number, line)
		}
	}
	return nil
}

func (b *batch) fail(line int, id string, err error) {
	b.fails = append(b.fails, failure(line, id, err))
}

// row adds a row of an item. A row that ingest would skip is one that the sender waits for in vain.
func (b *batch) row(line int, row []byte) {
	defer b.survive(line)
	switch {
	case !b.fits(line, row):
	case row[0] != '{':
		b.fail(line, "", fault.Reject(fault.Malformed, "the line is no JSON object"))
	default:
		trial := b.server.mapper.TryRow(b.source.Name, b.source.Topic, row)
		if trial.Err == nil && trial.Label != "" {
			trial.Err = fault.Reject(fault.FormatMismatch, "no item comes of the row: it is skipped, %s", trial.Label)
		}
		b.add(line, trial, row)
	}
}

// event adds an event, with its key where the line has both.
func (b *batch) event(line int, event []byte) {
	defer b.survive(line)
	if b.fits(line, event) {
		key, value := keyed(event)
		b.add(line, b.server.mapper.Try(b.source.Topic, key, value), value)
	}
}

// survive has a line cost the others nothing, whatever it does to the decoders.
func (b *batch) survive(line int) {
	if r := recover(); r != nil {
		b.server.log.Error("a line made ingest panic", "source", b.source.Name, "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
		b.fail(line, "", fault.Reject(fault.Panic, "the line makes ingest panic: report it"))
	}
}

func (b *batch) fits(line int, text []byte) bool {
	if len(text) <= MaxLineBytes {
		return true
	}
	b.fail(line, "", fault.Reject(fault.Oversize, "the line has %d bytes, the limit is %d", len(text), MaxLineBytes))
	return false
}

// add adds a record, unless it would become a dead letter.
func (b *batch) add(line int, trial Trial, value []byte) {
	if trial.Err != nil {
		b.fail(line, trial.ID, trial.Err)
		return
	}
	b.sent = append(b.sent, kafka.Sent{Key: trial.Key, Value: value, Traceparent: b.trace})
	b.lines, b.ids = append(b.lines, line), append(b.ids, trial.ID)
}

// finish has Kafka take the lines that passed, and tells of those that did not.
func (b *batch) finish(ctx context.Context, h *hold) (Result, error) {
	accepted := len(b.sent)
	if accepted > 0 {
		rejected, err := b.server.produce(ctx, b.source.Topic, b.sent, h)
		if err != nil {
			return Result{}, err
		}
		for i, err := range rejected {
			if err != nil {
				b.fail(b.lines[i], b.ids[i], err)
				accepted--
			}
		}
		slices.SortStableFunc(b.fails, func(x, y Failure) int { return cmp.Compare(x.Line, y.Line) })
	}
	b.server.count(ctx, accepted, b.fails)
	return Result{Accepted: accepted, Failed: len(b.fails), Items: append([]Failure{}, b.fails...)}, nil
}
