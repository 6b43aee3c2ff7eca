package weaviate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/service"
)

// CreateAll makes the collections of a pipeline file, as far as they are missing,
// checks them, and returns the names of those that it made.
func (c *Client) CreateAll(ctx context.Context, file *pipeline.File, log kafka.Identity) (created []string, err error) {
	for _, p := range file.Collections() {
		spec, exists, err := c.wanted(ctx, file, p, log)
		if err != nil {
			return created, err
		}
		if err := c.Create(ctx, spec); err != nil {
			return created, err
		}
		if !exists {
			created = append(created, spec.Class())
		}
	}
	return created, nil
}

// CheckAll compares the collections of a pipeline file with what they must be, and
// remembers them for the calls that name them. Its warnings and its error are Check's.
func (c *Client) CheckAll(ctx context.Context, file *pipeline.File, log kafka.Identity) (warnings []string, err error) {
	for _, p := range file.Collections() {
		spec, _, err := c.wanted(ctx, file, p, log)
		if err != nil {
			return nil, err
		}
		of, err := c.Check(ctx, spec)
		if err != nil {
			return nil, err
		}
		warnings = append(warnings, of...)
	}
	return warnings, nil
}

// wanted returns the collection as the pipeline file wants it: of the generation that its
// alias points at where that exists, else of the first one.
func (c *Client) wanted(ctx context.Context, file *pipeline.File, p pipeline.CollectionSpec, log kafka.Identity) (spec CollectionSpec, exists bool, err error) {
	spec = CollectionSpec{
		Name: p.Name, Generation: 1, Space: file.Space.String(), Dimensions: file.Space.Dimensions,
		TopicID: log.TopicID, Partitions: log.Partitions, Epoch: log.Epoch, Properties: p.Properties,
		Recipes: p.Recipes, Settings: p.Collection,
	}
	class, err := c.resolve(ctx, p.Name)
	if err != nil || class == "" {
		return spec, false, err
	}
	live, err := c.Describe(ctx, p.Name)
	if err != nil {
		return spec, true, fmt.Errorf("looking at the collection behind alias %s: %w", p.Name, err)
	}
	spec.Generation = live.Generation
	return spec, true, nil
}

// Attach opens the index of a pipeline file and checks it. A Weaviate that is away is
// waited for; one that does not fit is a fatal fault, and what else is otherwise than the file
// wants it is warned of. The caller closes the client.
func Attach(ctx context.Context, cfg Config, file *pipeline.File, log kafka.Identity, logger *slog.Logger) (*Client, error) {
	cfg.Log = logger
	tries := 0
	return service.Await(ctx, logger, "weaviate", func(ctx context.Context) (*Client, error) {
		tries++
		c, err := Open(ctx, cfg)
		if err != nil {
			return nil, err
		}
		c.waited = tries > 1
		warnings, err := c.CheckAll(ctx, file, log)
		if err != nil {
			return nil, errors.Join(err, c.Close())
		}
		for _, warning := range warnings {
			logger.WarnContext(ctx, "a collection is not as the pipeline file says", "what", warning)
		}
		return c, nil
	})
}
