package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/sr"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/telemetry"
	"github.com/freshet-io/freshet/services/ingest/wire"
)

const (
	maxKnown      = 1024          // schemas: a table has two, and a new one when it is altered
	maxKnownBytes = 8 << 20       // of their texts
	maxReferences = 100           // of one schema, of its references too
	maxID         = math.MaxInt32 // registries count in Java's int
)

// Registry finds schemas by their ids, which stand for one text for ever. It may be used from several goroutines.
type Registry struct {
	client *sr.Client
	now    func() time.Time

	mu      sync.Mutex
	known   map[uint32]*wire.Schema
	bytes   int // of the texts of known
	missing missing
	// Of the first and the last of the requests that have all failed since.
	failing, failed time.Time
}

// Open returns the registry of a configuration that names one.
func Open(cfg Config, log *slog.Logger) (*Registry, error) {
	client, err := cfg.open(log)
	if err != nil {
		return nil, fmt.Errorf("opening the schema registry: %w", err)
	}
	return &Registry{client: client, now: time.Now, known: map[uint32]*wire.Schema{}, missing: missing{}}, nil
}

// Schema returns the schema of an id. Its error is permanent, fault.UnknownSchema, where the registry has not known the
// id for half a minute, or the schema cannot be read; transient, where it is away or, wrapping wire.ErrNotYet, has not
// known the id for less long. It is fatal where the registry refuses this client.
func (r *Registry) Schema(ctx context.Context, id uint32) (*wire.Schema, error) {
	if id > maxID {
		return nil, fault.Reject(fault.UnknownSchema, "no registry has a schema %d: the bytes only look like Confluent's wire format", id)
	}
	schema, before, err := r.recall(id)
	if schema != nil || err != nil {
		return schema, err
	}
	definition, err := r.fetch(ctx, id)
	if err != nil {
		err = classify(id, err)
	}
	r.heard(err != nil && !errors.Is(err, errUnknown) && fault.ClassOf(err) == fault.Transient)
	switch {
	case err == nil:
		return r.compile(id, definition)
	case errors.Is(err, errUnknown):
		return nil, r.miss(id, before)
	case fault.ClassOf(err) == fault.Permanent:
		r.refuse(id, err)
	}
	return nil, err
}

func (r *Registry) recall(id uint32) (*wire.Schema, miss, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if schema := r.known[id]; schema != nil {
		return schema, miss{}, nil
	}
	of := r.missing[id]
	return nil, of, of.at(id, r.now())
}

func (r *Registry) miss(id uint32, before miss) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.missing.add(id, before, r.now())
}

// failingShown is for how long a failure is shown that no request has followed: a batch is tried again after 30 s at most, but who
// had it may have lost the partition.
const failingShown = 5 * time.Minute

// heard takes note of whether the registry has answered a request.
func (r *Registry) heard(nothing bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch now := r.now(); {
	case !nothing:
		r.failing = time.Time{}
	case r.failing.IsZero() || now.Sub(r.failed) > failingShown:
		r.failing, r.failed = now, now
	default:
		r.failed = now
	}
}

// Publish shows for how long the registry has answered nothing.
func (r *Registry) Publish(m *telemetry.Metrics) error {
	return m.Gauge(telemetry.RegistryFailing, func(observe func(float64, ...string)) {
		r.mu.Lock()
		defer r.mu.Unlock()
		seconds, now := 0.0, r.now()
		if !r.failing.IsZero() && now.Sub(r.failed) <= failingShown {
			seconds = max(now.Sub(r.failing).Seconds(), 0.001)
		}
		observe(seconds)
	})
}

// refuse remembers for a while that a schema is of no use.
func (r *Registry) refuse(id uint32, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.missing[id] = miss{err: err, next: r.now().Add(unknownFor)}
}

// compile reads a schema and remembers it. It forgets all others where they become too many: what is in use comes back at
// once.
func (r *Registry) compile(id uint32, d wire.Definition) (*wire.Schema, error) {
	schema, err := wire.Compile(d)
	if err != nil {
		err = fault.Reject(fault.UnknownSchema, "schema %d cannot be read: %w", id, err)
		r.refuse(id, err)
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.known) >= maxKnown || r.bytes+len(d.Text) > maxKnownBytes {
		clear(r.known)
		r.bytes = 0
	}
	r.known[id] = schema
	r.bytes += len(d.Text)
	delete(r.missing, id)
	return schema, nil
}

func (r *Registry) fetch(ctx context.Context, id uint32) (wire.Definition, error) {
	var e entry
	if err := r.client.Do(ctx, http.MethodGet, "/schemas/ids/"+strconv.FormatUint(uint64(id), 10), nil, &e); err != nil {
		return wire.Definition{}, err
	}
	return e.define(func(to reference) (entry, error) {
		found, err := r.client.SchemaByVersion(ctx, to.Subject, to.Version)
		if err != nil {
			return entry{}, fmt.Errorf("reading %s, which it refers to: %w", to, err)
		}
		of := entry{Schema: found.Schema.Schema}
		for _, next := range found.References {
			of.References = append(of.References, reference{next.Subject, next.Version})
		}
		return of, nil
	})
}

// classify says what an answer means. One of 404 without a code of the API's is somebody else's: a proxy whose registry
// is not there yet, or a URL that is wrong. Neither is a reason to give records up.
func classify(id uint32, err error) error {
	if fault.ReasonOf(err) != "" {
		return err
	}
	refused, answered := errors.AsType[*sr.ResponseError](err)
	switch {
	case !answered:
		return fmt.Errorf("asking the schema registry for schema %d: %w", id, err)
	case refused.StatusCode == http.StatusUnauthorized || refused.StatusCode == http.StatusForbidden:
		return fault.Halt("the schema registry answers %d to %s: check FRESHET_SCHEMA_REGISTRY_USER and FRESHET_SCHEMA_REGISTRY_PASSWORD, or FRESHET_SCHEMA_REGISTRY_TOKEN", refused.StatusCode, refused.URL)
	case refused.StatusCode == http.StatusNotFound && refused.ErrorCode != 0:
		return fmt.Errorf("%w %d", errUnknown, id)
	}
	return fmt.Errorf("the schema registry answers %d to %s, which is no answer of its API: check FRESHET_SCHEMA_REGISTRY_URL", refused.StatusCode, refused.URL)
}
