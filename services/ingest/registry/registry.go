package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/sr"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/services/ingest/wire"
)

const (
	maxKnown      = 1024            // schemas: a table has two, and a new one when it is altered
	maxKnownBytes = 8 << 20         // of their texts
	maxReferences = 100             // of one schema, of its references too
	unknownFor    = time.Minute     // how long the registry is not asked again for what it does not know
	askAgain      = 1 * time.Second // after the first time that it does not know an id
)

// Registry finds schemas by their ids, which stand for one text for ever. It may be used from several goroutines.
type Registry struct {
	client *sr.Client

	mu    sync.Mutex
	known map[uint32]answer
	bytes int // of the texts in known
}

// answer is what is known of an id: a schema, or that there is none until a time. Neither is known when the registry was
// asked once and did not know it.
type answer struct {
	schema *wire.Schema
	err    error
	until  time.Time
}

// Open returns the registry of a configuration that names one.
func Open(cfg Config, log *slog.Logger) (*Registry, error) {
	client, err := cfg.open(log)
	if err != nil {
		return nil, fmt.Errorf("opening the schema registry: %w", err)
	}
	return &Registry{client: client, known: map[uint32]answer{}}, nil
}

// Schema returns the schema of an id. Its error is permanent, fault.UnknownSchema, where the registry does not know the
// id or the schema cannot be read; transient, where it is away or, wrapping wire.ErrNotYet, where it did not know the id
// for the first time: its copies learn of a new schema one after the other, and the first record may be here before
// that. It is fatal where the registry refuses this client.
func (r *Registry) Schema(ctx context.Context, id uint32) (*wire.Schema, error) {
	before, asked := r.recall(id)
	if before.schema != nil || before.err != nil {
		return before.schema, before.err
	}
	definition, err := r.fetch(ctx, id)
	if err != nil {
		err = classify(id, err)
		if fault.ReasonOf(err) != fault.UnknownSchema {
			return nil, err
		}
		if !asked {
			r.remember(id, answer{}, 0)
			return nil, fault.Wait(askAgain, "schema %d: %w", id, wire.ErrNotYet)
		}
		r.remember(id, answer{err: err, until: time.Now().Add(unknownFor)}, 0)
		return nil, err
	}
	schema, err := wire.Compile(definition)
	if err != nil {
		err = fault.Reject(fault.UnknownSchema, "schema %d cannot be read: %w", id, err)
	}
	r.remember(id, answer{schema: schema, err: err, until: time.Now().Add(unknownFor)}, len(definition.Text))
	return schema, err
}

func (r *Registry) recall(id uint32) (known answer, asked bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	known, asked = r.known[id]
	if known.err != nil && time.Now().After(known.until) {
		known.err = nil
	}
	return known, asked
}

// remember forgets all others where they become too many: what is in use comes back at once.
func (r *Registry) remember(id uint32, a answer, size int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.known) >= maxKnown || r.bytes+size > maxKnownBytes {
		clear(r.known)
		r.bytes = 0
	}
	r.known[id] = a
	r.bytes += size
}

// entry is a schema in an answer of the API.
type entry struct {
	Schema     string      `json:"schema"`
	Type       string      `json:"schemaType"`
	References []reference `json:"references"`
}

type reference struct {
	Subject string `json:"subject"`
	Version int    `json:"version"`
}

func (r *Registry) fetch(ctx context.Context, id uint32) (wire.Definition, error) {
	var e entry
	if err := r.client.Do(ctx, http.MethodGet, "/schemas/ids/"+strconv.FormatUint(uint64(id), 10), nil, &e); err != nil {
		return wire.Definition{}, err
	}
	d := wire.Definition{Text: e.Schema, Language: e.Type}
	return d, r.follow(ctx, e.References, map[reference]bool{}, &d)
}

// follow adds the schemas that are referred to, each behind those that it needs itself.
func (r *Registry) follow(ctx context.Context, to []reference, seen map[reference]bool, d *wire.Definition) error {
	for _, next := range to {
		if seen[next] {
			continue
		}
		if seen[next] = true; len(seen) > maxReferences {
			return fault.Reject(fault.UnknownSchema, "it refers to more than %d others", maxReferences)
		}
		found, err := r.client.SchemaByVersion(ctx, next.Subject, next.Version)
		if err != nil {
			return fmt.Errorf("reading version %d of %s, which it refers to: %w", next.Version, next.Subject, err)
		}
		var inner []reference
		for _, of := range found.References {
			inner = append(inner, reference{Subject: of.Subject, Version: of.Version})
		}
		if err := r.follow(ctx, inner, seen, d); err != nil {
			return err
		}
		d.References = append(d.References, found.Schema.Schema)
	}
	return nil
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
		return fault.Halt("the schema registry answers %d to %s: check FRESHET_SCHEMA_REGISTRY_USER and _PASSWORD, or _TOKEN", refused.StatusCode, refused.URL)
	case refused.StatusCode == http.StatusNotFound && refused.ErrorCode != 0:
		return fault.Reject(fault.UnknownSchema, "the schema registry does not know schema %d", id)
	}
	return fmt.Errorf("the schema registry answers %d to %s, which is no answer of its API: check FRESHET_SCHEMA_REGISTRY_URL", refused.StatusCode, refused.URL)
}
