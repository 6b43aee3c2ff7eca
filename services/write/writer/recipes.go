package writer

import (
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"sync"

	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/recipe"
)

// Recipes finds the recipe that a document names. Those of the writer's own pipeline file would not do: while a new
// file is rolled out, two of them would take turns and pay for the catalogue twice.
type Recipes interface {
	// Recipe returns the recipe of a hash. An unknown one is a transient error: ingest writes each before it is named.
	Recipe(ctx context.Context, hash []byte) (*recipe.Recipe, error)
}

// Published is the recipes of the control topic. It is safe for concurrent use.
type Published struct {
	cluster kafka.Config
	topics  kafka.Topics
	log     *slog.Logger

	mu    sync.Mutex
	known map[string]*recipe.Recipe // by hash, in hexadecimal
}

// NewPublished returns the recipes of a control topic, which is read when one is asked for that is not known yet.
func NewPublished(cluster kafka.Config, topics kafka.Topics, log *slog.Logger) *Published {
	return &Published{cluster: cluster, topics: topics, log: log, known: map[string]*recipe.Recipe{}}
}

// Recipe implements Recipes.
func (p *Published) Recipe(ctx context.Context, hash []byte) (*recipe.Recipe, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	name := hex.EncodeToString(hash)
	if p.known[name] == nil {
		if err := p.read(ctx); err != nil {
			return nil, err
		}
	}
	if r := p.known[name]; r != nil {
		return r, nil
	}
	return nil, fmt.Errorf("recipe %s is not in topic %s: restart ingest, which writes its recipes there", name, p.topics.Control())
}

func (p *Published) read(ctx context.Context) error {
	client, err := kafka.Producer(ctx, p.cluster, p.topics, true, p.log)
	if err != nil {
		return fmt.Errorf("looking for a recipe: %w", err)
	}
	defer client.Close()
	control, err := kafka.ReadControl(ctx, client, p.topics)
	if err != nil {
		return fmt.Errorf("looking for a recipe: %w", err)
	}
	for name, published := range control.Recipes {
		if p.known[name] != nil {
			continue
		}
		compiled, err := recipe.Parse(published.GetBody())
		if err != nil {
			p.log.WarnContext(ctx, "a recipe in the control topic cannot be used: a newer build wrote it", "recipe", name, "error", err)
			continue
		}
		p.known[name] = compiled
	}
	return nil
}
