package embedder

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/telemetry"
	"github.com/freshet-io/freshet/services/embed/provider"
)

// answer is the vector of one text, or why there is none.
type answer struct {
	vector []byte           // little-endian float32
	known  bool             // from the cache, or paid for by another
	batch  *telemetry.Batch // of the request; nil where none was made for it
	err    error            // permanent: of this text; else of the request that it was in
}

// halver asks the provider for a batch and, where that is refused, for its halves,
// until each text that is refused is alone: about 2·log2(n) requests for one. Where a
// batch fails, it does the same as long as one half of it passes.
type halver struct {
	provider   Provider
	dimensions int
	ledger     *ledger
	doubts     doubts

	failing                    atomic.Bool // the last request was no success, and not for its texts
	requests, texts, fallbacks atomic.Int64
}

// probe is a text that no provider has a reason to refuse.
const probe = "freshet"

func (h *halver) ask(ctx context.Context, asks []ask) []answer {
	answers := h.split(ctx, asks)
	refused := false
	for _, a := range answers {
		if _, away := errors.AsType[turnedAway](a.err); away {
			continue // the provider was not asked
		}
		if refused = a.err != nil && fault.ClassOf(a.err) == fault.Permanent; !refused {
			break
		}
	}
	if !refused {
		return answers
	}
	// All were refused. A setting that the provider does not take looks the same, and
	// would make a dead letter of every item there is.
	if err := h.probe(ctx, asks[0].account); err != nil {
		if fault.ClassOf(err) == fault.Permanent {
			err = fault.Halt("the provider refuses every text, even %q: check the settings of the model: %w", probe, err)
		}
		for i := range answers {
			answers[i].err = err
		}
	}
	return answers
}

// probe asks for a text that is good. Whose texts are in doubt pays for it.
func (h *halver) probe(ctx context.Context, a account) error {
	return h.call(ctx, []ask{{fitted: fitted{text: probe, tokens: estimate(probe)}, account: a}}, make([]answer, 1))
}

func (h *halver) split(ctx context.Context, asks []ask) []answer {
	answers := make([]answer, len(asks))
	var err error
	if !h.exceed(asks) {
		if err = h.request(ctx, asks, answers); err == nil {
			return answers
		}
		if fault.ClassOf(err) != fault.Permanent || len(asks) == 1 {
			return h.isolate(ctx, asks, err)
		}
	}
	half := len(asks) / 2
	answers = append(h.split(ctx, asks[:half]), h.split(ctx, asks[half:])...)
	if refusal, ok := errors.AsType[provider.TooLarge](err); ok && allPassed(answers) {
		left, right := sizeOf(asks[:half]), sizeOf(asks[half:])
		refusal.Fits(provider.Size{Texts: right.Texts, Tokens: max(left.Tokens, right.Tokens), Bytes: max(left.Bytes, right.Bytes)})
	}
	return answers
}

// exceed reports whether the asks are more than the provider is known to take, as it may be since they were put together.
func (h *halver) exceed(asks []ask) bool {
	size := sizeOf(asks)
	most := h.most(size)
	return len(asks) > 1 && (most.Texts < size.Texts || most.Tokens < size.Tokens || most.Bytes < size.Bytes)
}

// most returns how much of a size the provider takes.
func (h *halver) most(size provider.Size) provider.Size {
	limited, ok := h.provider.(Limited)
	if !ok {
		return size
	}
	l := limited.Largest()
	return provider.Size{Texts: min(size.Texts, l.Texts), Tokens: min(size.Tokens, l.Tokens), Bytes: min(size.Bytes, l.Bytes)}
}

// isolate returns the answers to texts that have failed with err. Where one half of them
// passes, the provider is well, and what makes it fail is in the other.
func (h *halver) isolate(ctx context.Context, asks []ask, err error) []answer {
	if len(asks) == 1 {
		return []answer{{err: h.verdict(ctx, asks[0], err)}}
	}
	answers := make([]answer, len(asks))
	half := len(asks) / 2
	left, right := err, err
	if dubious(err) && ctx.Err() == nil {
		left = h.request(ctx, asks[:half], answers[:half])
		right = h.request(ctx, asks[half:], answers[half:])
	}
	if left != nil && right != nil {
		for i := range answers {
			answers[i].err = err
		}
		return answers
	}
	if left != nil {
		copy(answers, h.again(ctx, asks[:half], left))
	}
	if right != nil {
		copy(answers[half:], h.again(ctx, asks[half:], right))
	}
	return answers
}

// again looks further into a half that has failed with err.
func (h *halver) again(ctx context.Context, asks []ask, err error) []answer {
	if fault.ClassOf(err) == fault.Permanent {
		return h.split(ctx, asks)
	}
	return h.isolate(ctx, asks, err)
}

// verdict returns the error of a text that has failed alone: a permanent one where
// nothing but this text fails. Where nobody else shows how the provider is, it is asked.
func (h *halver) verdict(ctx context.Context, a ask, err error) error {
	if !dubious(err) {
		return err
	}
	if h.doubts.quiet(a.text) && ctx.Err() == nil {
		_ = h.probe(ctx, a.account) // it is counted
	}
	if h.doubts.convict(a.text) {
		return &fault.Error{
			Class: fault.Permanent, Reason: fault.Exhausted, Status: fault.StatusOf(err),
			Err: fmt.Errorf("the provider fails on this text alone, again and again, while it serves the others: %w", err),
		}
	}
	return err
}

func allPassed(answers []answer) bool {
	return !slices.ContainsFunc(answers, func(a answer) bool { return a.err != nil })
}

// request asks once for those texts whose pipelines have budget left, and has the others turned away.
func (h *halver) request(ctx context.Context, asks []ask, answers []answer) error {
	admitted, places := h.ledger.purses.admit(asks, answers)
	defer h.ledger.purses.dismiss(admitted)
	if len(admitted) == 0 {
		return nil
	}
	got := make([]answer, len(admitted))
	err := h.call(ctx, admitted, got)
	if err == nil {
		for i, place := range places {
			answers[place] = got[i]
		}
	}
	return err
}

// call asks once, as soon as the budget allows it, and sets answers where all is well. A panic is a refusal, so that
// halving finds the text that causes it: the stage cannot recover one of a request,
// which has its own goroutine. What it says may quote the text, and is not told.
func (h *halver) call(ctx context.Context, asks []ask, answers []answer) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fault.Reject(fault.Panic, "the provider panics on this text, with a %T", p)
		}
	}()
	texts, estimated := make([]string, len(asks)), int64(sizeOf(asks).Tokens)
	for i, a := range asks {
		texts[i] = a.text
	}
	began := time.Now()
	err = h.ledger.budget.reserve(ctx, estimated)
	telemetry.Waited(ctx, "budget", began)
	if err != nil {
		return err
	}
	defer h.ledger.budget.release(estimated)
	h.requests.Add(1)
	got, err := h.provider.Embed(ctx, texts)
	if got.Wasted > 0 { // the next answer is paid again then
		h.ledger.pay(ctx, asks, got.Wasted)
	}
	if ctx.Err() == nil {
		h.failing.Store(err != nil && fault.ClassOf(err) == fault.Transient)
	}
	if err != nil {
		if dubious(err) && ctx.Err() == nil {
			h.doubts.fail(texts)
		}
		return err
	}
	h.doubts.pass(texts)
	h.ledger.pay(ctx, asks, got.Tokens)
	telemetry.Note(ctx, telemetry.Int(telemetry.AttrTokens, got.Tokens))
	telemetry.Note(ctx, telemetry.Text(telemetry.AttrAnsweredModel, got.Model))
	if len(got.Vectors) != len(texts) {
		return fmt.Errorf("the provider gave %d vectors for %d texts", len(got.Vectors), len(texts))
	}
	for i, v := range got.Vectors {
		if len(v) != h.dimensions {
			return fault.Halt("the provider's vectors have %d dimensions, the pipeline file says %d: vectors of two spaces are never mixed", len(v), h.dimensions)
		}
		answers[i].vector = record.AppendVector(make([]byte, 0, 4*len(v)), v)
	}
	h.texts.Add(int64(len(texts)))
	h.fallbacks.Add(int64(len(got.Fallbacks)))
	return nil
}

func sizeOf(asks []ask) provider.Size {
	s := provider.Size{Texts: len(asks)}
	for _, a := range asks {
		s.Tokens += a.tokens
		s.Bytes += len(a.text)
	}
	return s
}
