package chaos

import (
	"context"
	"errors"
	"hash/fnv"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	reason "github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/services/embed/provider"
)

const dimensions = 8

// vectorOf is the provider: a function of the text alone, so that a vector that was given
// to another text shows.
func vectorOf(text string) []float32 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(text))
	r := rand.New(rand.NewPCG(h.Sum64(), 0)) //nolint:gosec // a hash
	v := make([]float32, dimensions)
	for i := range v {
		v[i] = float32(r.NormFloat64())
	}
	return v
}

// trouble is what goes wrong at the moment: each kind for as long as it is counted.
type trouble struct {
	mu     sync.Mutex
	counts [kinds]int
	random *rand.Rand
}

func (t *trouble) add(k kind, n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts[k] += n
}

// hits reports whether the kind of trouble is on, and by chance hits this call.
func (t *trouble) hits(k kind) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.counts[k] > 0 && t.random.IntN(4) != 0
}

// takes returns how long a call takes.
func (t *trouble) takes() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	d := 5*time.Millisecond + time.Duration(t.random.Int64N(int64(50*time.Millisecond)))
	if t.counts[slow] > 0 {
		d *= 20
	}
	return d
}

// within returns a time below d.
func (t *trouble) within(d time.Duration) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return within(t.random, d)
}

func (t *trouble) toss() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.random.IntN(2) == 0
}

// How a provider is away.
const (
	answers503 = iota + 1
	answersNothing
)

// paidTexts is what the provider charged for.
type paidTexts struct {
	trouble *trouble
	away    atomic.Int32 // how it is away, 0 if it is not

	mu     sync.Mutex
	times  map[string]int // by text
	wasted int            // charged without an answer
	log    []string       // who asked when for what
	now    func() time.Duration
}

type providerView struct {
	*paidTexts
	by *process
}

func (v *providerView) Embed(ctx context.Context, texts []string) (provider.Embeddings, error) {
	if err := v.by.gate.pass(ctx); err != nil {
		return provider.Embeddings{}, err
	}
	if err := wait(ctx, v.trouble.takes()); err != nil {
		return provider.Embeddings{}, err
	}
	if err := v.by.gate.pass(ctx); err != nil {
		return provider.Embeddings{}, err
	}
	if err := v.refuse(ctx, texts); err != nil {
		return provider.Embeddings{}, err
	}
	out := v.charge(texts)
	err := wait(ctx, v.trouble.takes())
	if err == nil {
		err = v.by.gate.pass(ctx)
	}
	if err == nil && v.trouble.hits(failing) {
		err = errors.New("502 after the charge")
	}
	if err != nil {
		v.waste(len(texts))
		return provider.Embeddings{}, err
	}
	return out, nil
}

func (v *providerView) refuse(ctx context.Context, texts []string) error {
	switch {
	case v.away.Load() == answers503:
		return &reason.Error{Status: http.StatusServiceUnavailable, Err: errors.New("503")}
	case v.away.Load() == answersNothing:
		if err := wait(ctx, time.Minute); err != nil {
			return err
		}
		return errors.New("no answer within a minute")
	case v.trouble.hits(throttled):
		return &reason.Error{After: 2 * time.Second, Status: http.StatusTooManyRequests, Err: errors.New("429")}
	case v.trouble.hits(failing) && v.trouble.toss():
		return &reason.Error{Status: http.StatusServiceUnavailable, Err: errors.New("503")}
	case v.trouble.hits(hanging):
		if err := wait(ctx, 5*time.Second); err != nil {
			return err
		}
		return errors.New("no answer within 5 s")
	}
	for _, text := range texts {
		switch {
		case strings.Contains(text, wordRefused):
			return &reason.Error{Class: reason.Permanent, Reason: reason.ProviderRejected, Status: http.StatusBadRequest, Err: errors.New("a text is refused")}
		case strings.Contains(text, wordProviderDies):
			panic(wordProviderDies)
		}
	}
	return nil
}

func (v *providerView) charge(texts []string) provider.Embeddings {
	v.mu.Lock()
	defer v.mu.Unlock()
	out := provider.Embeddings{Model: "chaos"}
	for _, text := range texts {
		v.times[text]++
		v.log = append(v.log, v.now().String()+" "+v.by.name+" "+bounded(text))
		out.Vectors = append(out.Vectors, vectorOf(text))
		out.Tokens++
	}
	return out
}

func (v *paidTexts) waste(n int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.wasted += n
}

func bounded(text string) string {
	if len(text) > 60 {
		return text[:60] + "…"
	}
	return text
}
