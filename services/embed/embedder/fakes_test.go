package embedder

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/services/embed/hash"
	"github.com/freshet-io/freshet/services/embed/provider"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const dims = 8

var space = Space{Name: "test/model/8", Model: "model", Dimensions: dims}

func settings() Config {
	return Config{Tokenizer: "auto", BatchItems: 256, BatchTokens: 100_000, BatchBytes: 4 << 20, InFlight: 8, CacheBytes: 1 << 20}
}

// fakeProvider gives each text its hash vector, and keeps what it was asked.
type fakeProvider struct {
	before func(ctx context.Context, texts []string) error // nil, or what comes first

	mu   sync.Mutex
	asks [][]string
}

func (p *fakeProvider) Embed(ctx context.Context, texts []string) (provider.Embeddings, error) {
	p.mu.Lock()
	p.asks = append(p.asks, slices.Clone(texts))
	p.mu.Unlock()
	if p.before != nil {
		if err := p.before(ctx, texts); err != nil {
			return provider.Embeddings{}, err
		}
	}
	h, err := hash.New(dims)
	if err != nil {
		return provider.Embeddings{}, err
	}
	return h.Embed(ctx, texts)
}

func (p *fakeProvider) asked() [][]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.asks)
}

// fakeIndex has states by item.
type fakeIndex struct {
	states map[string]record.State
	err    error

	mu   sync.Mutex
	asks []string // collections
}

func (x *fakeIndex) Lookup(_ context.Context, collection string, items []record.Item) ([]record.State, error) {
	x.mu.Lock()
	x.asks = append(x.asks, collection)
	x.mu.Unlock()
	if x.err != nil {
		return nil, x.err
	}
	states := make([]record.State, len(items))
	for i, it := range items {
		if it.Collection != collection {
			return nil, errors.New("an item of another collection")
		}
		states[i] = x.states[it.String()]
	}
	return states, nil
}

func vectorOf(text string) []byte { return record.AppendVector(nil, hash.Vector(text, dims)) }

func print16(text string) []byte { return record.Fingerprint(space.Name, text) }

// upsert returns a whole row of Product/id at a place in the log.
func upsert(id, text string, version int64, change ...func(*record.Document)) Input {
	return input(record.Op_OP_UPSERT, id, text, version, change...)
}

func input(op record.Op, id, text string, version int64, change ...func(*record.Document)) Input {
	d := &record.Document{
		Op: op, Collection: "Product", Id: []string{id}, Pipeline: "products", Text: text,
		Sources: []*record.SourceOrder{{Source: "shop", Order: []uint64{uint64(version)}}}, //nolint:gosec // small
	}
	for _, c := range change {
		c(d)
	}
	return Input{Document: d, Version: version, Origin: record.VersionOrigin_VERSION_ORIGIN_LOG}
}

func remove(id string, version int64) Input { return input(record.Op_OP_DELETE, id, "", version) }

func force(d *record.Document) { d.Force = true }

func hidden(d *record.Document) { d.Hidden = true }

func deadLetterIfLong(d *record.Document) { d.Oversize = record.Oversize_OVERSIZE_DEADLETTER }

func order(source string, n uint64) func(*record.Document) {
	return func(d *record.Document) { d.Sources = []*record.SourceOrder{{Source: source, Order: []uint64{n}}} }
}

// stored is the state of an item at version 5 whose text and vector are in the index.
func stored(text string) record.State {
	return record.State{
		Base: 5, Wanted: print16(text), Held: print16(text), Space: space.Name, Vector: vectorOf(text),
		Sources: record.Orders{"shop": {5}},
	}
}

func newEmbedder(t *testing.T, p Provider, x Index, change ...func(*Config)) *Embedder {
	t.Helper()
	cfg := settings()
	for _, c := range change {
		c(&cfg)
	}
	e, err := New(p, x, space, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// refuse is a provider's refusal of the texts for which bad is true.
func refuse(bad func(texts []string) bool) func(context.Context, []string) error {
	return func(_ context.Context, texts []string) error {
		if bad(texts) {
			return &fault.Error{Class: fault.Permanent, Reason: fault.ProviderRejected, Status: 400, Err: errors.New("refused")}
		}
		return nil
	}
}
