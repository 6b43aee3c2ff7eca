package stage

import (
	"cmp"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/service"
)

// settle makes the outcomes come true: outputs first, in the order of the inputs,
// then dead letters. It returns nil when all of it is acknowledged.
func (e *engine[In, Out]) settle(t tenure, inputs []input[In, Out]) error {
	for i := range inputs {
		in := &inputs[i]
		if err := e.storms.see(in.record.Topic, in.outcome.Err); err != nil {
			return err
		}
	}
	outputs := e.encodeAll(inputs)
	tooLarge, err := e.send.produce(t, records(outputs), impatient)
	if err != nil {
		return err
	}
	var late []output[In, Out]
	for i := range outputs {
		out := &outputs[i]
		if !tooLarge[i] {
			out.of.mark = &out.record
			continue
		}
		out.of.outcome.Err = fault.Reject(fault.Oversize, "the record for %s is larger than the topic takes", out.record.Topic)
		out.of.outcome.Label = labelDeadLettered
		if mark, ok := e.mark(out); ok {
			late = append(late, mark)
		}
	}
	// A mark is small, unless the id itself is not: then its letter has no version.
	if tooLarge, err = e.send.produce(t, records(late), impatient); err != nil {
		return err
	}
	for i := range late {
		if !tooLarge[i] {
			late[i].of.mark = &late[i].record
		}
	}
	return e.bury(t, inputs)
}

// bury writes the dead letters. One that its topic refuses is cut further: it may lose
// its value and a part of its key, and never itself.
func (e *engine[In, Out]) bury(t tenure, inputs []input[In, Out]) error {
	var rejected []*input[In, Out]
	for i := range inputs {
		if inputs[i].outcome.Err != nil {
			rejected = append(rejected, &inputs[i])
		}
	}
	limit := int(e.stage.To.Topics.MaxBytes(e.stage.To.Topics.DeadLetters()))
	for ; len(rejected) > 0; limit /= 4 {
		if limit < leastLetter {
			return fault.Halt("topic %s refuses even a dead letter of %d bytes: raise its max.message.bytes", e.stage.To.Topics.DeadLetters(), 4*limit)
		}
		letters := make([]*kgo.Record, len(rejected))
		for i, in := range rejected {
			letters[i] = e.letter(in, limit)
		}
		tooLarge, err := e.send.produce(t, letters, patient)
		if err != nil {
			return err
		}
		var refused []*input[In, Out]
		for i, in := range rejected {
			if tooLarge[i] {
				refused = append(refused, in)
			}
		}
		rejected = refused
	}
	return nil
}

// output is a record for the next topic and the input that it is of.
type output[In, Out any] struct {
	of     *input[In, Out]
	value  *Out
	record kgo.Record
}

func records[In, Out any](outputs []output[In, Out]) []*kgo.Record {
	list := make([]*kgo.Record, len(outputs))
	for i := range outputs {
		list[i] = &outputs[i].record
	}
	return list
}

// encodeAll encodes what the inputs gave. An input with an output that cannot be encoded
// becomes a dead letter, with the outputs before it.
func (e *engine[In, Out]) encodeAll(inputs []input[In, Out]) []output[In, Out] {
	now, n := time.Now(), 0
	for i := range inputs {
		n += len(inputs[i].outcome.Out)
	}
	outputs, done, h := make([]output[In, Out], n), 0, newHeaders(n)
	for i := range inputs {
		in := &inputs[i]
		for j := range in.outcome.Out {
			out := &outputs[done]
			out.of, out.value = in, &in.outcome.Out[j]
			if err := e.encode(out, h, now); err != nil {
				in.outcome.Err, in.outcome.Label = asReject(err), labelDeadLettered
				break
			}
			done++
		}
	}
	return outputs[:done]
}

func (e *engine[In, Out]) encode(out *output[In, Out], h *headers, now time.Time) error {
	encoded, err := e.stage.Encode(*out.value)
	if err != nil {
		return fmt.Errorf("encoding an output: %w", err)
	}
	r := &out.record
	r.Topic, r.Partition = cmp.Or(encoded.Topic, e.stage.To.Topic), record.Partition(encoded.Key, e.stage.To.Identity.Partitions)
	stamps := e.passed(out.of, encoded.CommittedAt, now)
	r.Key, r.Value, r.Headers = encoded.Key, encoded.Value, h.of(&stamps, &out.of.trace, out.of.outcome.Batch.Header())
	return nil
}

// mark returns what tells the next stages of an output that was too large.
func (e *engine[In, Out]) mark(out *output[In, Out]) (mark output[In, Out], ok bool) {
	if e.stage.Mark == nil {
		return mark, false
	}
	mark = output[In, Out]{of: out.of, value: new(e.stage.Mark(*out.value, fault.Oversize))}
	return mark, e.encode(&mark, new(headers), time.Now()) == nil
}

// facts returns what is known of an input and of what was produced for it.
func (e *engine[In, Out]) facts(in *input[In, Out]) (facts Facts) {
	if in.decoded {
		facts = e.stage.Describe(in.value)
	}
	if mark := in.mark; mark != nil {
		facts.ItemKey = mark.Key
		if e.stage.To.Versioned && mark.Offset >= 0 {
			if v, err := record.Version(e.stage.To.Identity.Epoch, mark.Offset); err == nil {
				facts.Version = v
			}
		}
	}
	return facts
}

// letter returns the dead letter of an input.
func (e *engine[In, Out]) letter(in *input[In, Out], limit int) *kgo.Record {
	return deadLetter{
		stage: e.stage.Name, topic: e.stage.To.Topics.DeadLetters(), partitions: e.stage.To.Identity.DeadLetters,
		limit: limit, serviceVersion: service.Version,
		facts: e.facts(in), tries: in.tries, failedAt: in.failedAt, err: in.outcome.Err,
	}.of(in.record.Record)
}
