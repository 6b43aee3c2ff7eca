package weaviate

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/pipeline"
)

// EpochFor returns the lowest epoch in which a log of live documents may count versions for the
// collections of a pipeline file: above that of another log which they belong to.
func (c *Client) EpochFor(ctx context.Context, file *pipeline.File, topicID string) (int32, error) {
	var least int32
	for _, p := range file.Collections() {
		spec, err := c.Describe(ctx, p.Name)
		if err != nil {
			return 0, err
		}
		epoch := spec.Epoch
		if spec.TopicID != topicID {
			epoch++
		}
		least = max(least, epoch)
	}
	return least, nil
}

// Adopt has the collections of a pipeline file belong to another log, and their ledgers say that
// nothing was fed yet from topics that were made anew. Their serials stay: a backup remains one. It returns the names of the classes
// that it changed. Only the command that raises the epoch calls it, while no service runs.
func (c *Client) Adopt(ctx context.Context, file *pipeline.File, log kafka.Identity) (changed []string, err error) {
	for _, p := range file.Collections() {
		spec, err := c.Describe(ctx, p.Name)
		if err != nil {
			return changed, err
		}
		if spec.Partitions != log.Partitions {
			return changed, fault.Halt("collection %s counts places by %d partitions, and the log has %d", spec.Class(), spec.Partitions, log.Partitions)
		}
		if err := c.adoptLedgers(ctx, spec, log); err != nil {
			return changed, err
		}
		for _, class := range []string{spec.Class(), spec.SideClass()} {
			did, err := c.adoptClass(ctx, class, log)
			if err != nil {
				return changed, err
			}
			if did {
				changed = append(changed, class)
			}
		}
	}
	return changed, nil
}

func (c *Client) adoptClass(ctx context.Context, name string, log kafka.Identity) (changed bool, err error) {
	class, err := c.class(ctx, name)
	if err != nil {
		return false, err
	}
	if class == nil {
		return false, fault.Halt("collection %s is missing in Weaviate at %s", name, c.url)
	}
	id, err := parseIdentity(class.Description)
	if err != nil {
		return false, fault.Halt("reading collection %s: %w", name, err)
	}
	if id.TopicID == log.TopicID && id.Epoch == log.Epoch {
		return false, nil
	}
	id.TopicID, id.Epoch = log.TopicID, log.Epoch
	description, err := json.Marshal(id)
	if err != nil {
		return false, fmt.Errorf("describing collection %s: %w", name, err)
	}
	class.Description = string(description)
	return true, classifyREST("changing the description of "+name, c.schema.ClassUpdater().WithClass(class).Do(ctx))
}

func (c *Client) adoptLedgers(ctx context.Context, spec CollectionSpec, log kafka.Identity) error {
	partitions := make([]int32, spec.Partitions)
	for i := range partitions {
		partitions[i] = int32(i) //nolint:gosec // less than their number
	}
	ledgers, err := c.Ledgers(ctx, spec.Name, partitions)
	if err != nil {
		return err
	}
	for p, l := range ledgers {
		changed := false
		for topic, fed := range l.Fed {
			if id := log.IDs[topic]; fed.TopicID != id {
				l.Fed[topic], changed = Fed{TopicID: id}, true // of the present one, nothing
			}
		}
		if !changed {
			continue
		}
		if err := c.PutLedger(ctx, spec.Name, p, l); err != nil {
			return err
		}
	}
	return nil
}
