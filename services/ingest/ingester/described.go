package ingester

import (
	"context"
	"errors"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/services/ingest/change"
	"github.com/freshet-io/freshet/services/ingest/wire"
)

// Schemas has the schemas of values in Confluent's wire format. Package registry implements it.
type Schemas interface {
	// Schema returns the schema of an id, which it keeps: it is asked for each batch, from several goroutines. Its error
	// is permanent where nobody will ever know the schema, and else that of a batch: transient or fatal.
	Schema(ctx context.Context, id uint32) (*wire.Schema, error)
}

// noSchemas says that there is no registry.
type noSchemas struct{}

// Schema implements Schemas.
func (noSchemas) Schema(context.Context, uint32) (*wire.Schema, error) {
	return nil, fault.Reject(fault.FormatMismatch, "a key or value is in Confluent's wire format, and no schema registry is set (FRESHET_SCHEMA_REGISTRY_URL)")
}

// described holds the schemas that a batch needs, by their ids.
type described map[uint32]struct {
	schema *wire.Schema
	err    error // permanent
}

// describe finds the schemas of a batch before any of it is handled, so that no record overtakes one whose schema is
// waited for: the stage has the whole batch wait in its place, and with it this partition alone. Where one schema is not
// there yet the others are asked for all the same, and a batch of many such waits once.
func (in *Ingester) describe(ctx context.Context, batch []Change) (known described, later error) {
	for i := range batch {
		for _, b := range [][]byte{batch[i].Key, batch[i].Value} {
			id, _, is := wire.Split(b)
			if _, done := known[id]; done || !is {
				continue
			}
			schema, err := in.registry.Schema(ctx, id)
			switch {
			case errors.Is(err, wire.ErrNotYet):
				later = err
			case err != nil && fault.ClassOf(err) != fault.Permanent:
				return nil, err
			}
			if known == nil {
				known = described{}
			}
			of := known[id]
			of.schema, of.err = schema, err
			known[id] = of
		}
	}
	return known, later
}

// open opens a value, in the wire format or as it is.
func (in *Ingester) open(value []byte, known described) (change.Body, error) {
	id, avro, is := wire.Split(value)
	if !is {
		return change.Open(value, in.limits)
	}
	of := known[id]
	if of.err != nil {
		return change.Body{}, of.err
	}
	json, err := of.schema.JSON(avro, in.limits)
	if err != nil {
		return change.Body{}, err
	}
	return change.OpenTyped(json, of.schema.Types, in.limits)
}

// openKey opens a key as open does a value.
func (in *Ingester) openKey(key []byte, known described) change.Key {
	id, avro, is := wire.Split(key)
	if !is {
		return change.OpenKey(key, in.limits, &in.schemas)
	}
	of := known[id]
	if of.err != nil {
		return change.Key{Err: of.err}
	}
	json, err := of.schema.JSON(avro, in.limits)
	if err != nil {
		return change.Key{Err: err}
	}
	return change.OpenTypedKey(json, of.schema.Types, in.limits)
}
