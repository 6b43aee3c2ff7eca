// Package providers opens the embeddings provider that a space asks for.
package providers

import (
	"context"
	"log/slog"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/service"
	"github.com/freshet-io/freshet/libs/telemetry"
	"github.com/freshet-io/freshet/services/embed/builtin"
	"github.com/freshet-io/freshet/services/embed/hash"
	"github.com/freshet-io/freshet/services/embed/openai"
	"github.com/freshet-io/freshet/services/embed/provider"
)

// OpenAI is how to reach an OpenAI-compatible server, with its key.
type OpenAI struct {
	Server openai.Config  `inline:"true"`
	Key    service.Secret `desc:"keys of the server, separated by commas or white space, each with limits of its own; none is sent if empty"`
	Backup Backup
}

// Backup is how to reach a second server of the same model.
type Backup struct {
	Server openai.Backup  `inline:"true"`
	Key    service.Secret `desc:"keys of the backup"`
}

// Validate refuses a backup that would never be asked.
func (b Backup) Validate() error {
	alone := b.Server.URL == "" && (b.Server.Model != "" || b.Key.Set())
	return fault.If(alone, "URL is empty, while MODEL or KEY is set: set it, or unset the others")
}

// Provider makes vectors of texts.
type Provider interface {
	Embed(ctx context.Context, texts []string) (provider.Embeddings, error)
}

// CheckSpace refuses a space that no provider here can make, whatever the settings are.
func CheckSpace(space pipeline.Space) error {
	if space.Provider == "builtin" && (space.Model != builtin.Name || space.Dimensions != builtin.Dimensions) {
		return fault.Halt("the pipeline file asks for model %s with %d dimensions: the built-in one is %s with %d", space.Model, space.Dimensions, builtin.Name, builtin.Dimensions)
	}
	return nil
}

// Open returns the provider of a space. A space that no provider here can make is a
// fatal fault.
func Open(space pipeline.Space, cfg OpenAI, log *slog.Logger) (Provider, error) {
	if err := CheckSpace(space); err != nil {
		return nil, err
	}
	switch space.Provider {
	case "builtin":
		return builtin.New()
	case "hash":
		return hash.New(space.Dimensions)
	case "openai":
		options := openai.Options{Model: space.Model, Dimensions: space.Dimensions, Keys: cfg.Key.Value, Log: log}
		if cfg.Backup.Server.URL != "" {
			return openai.NewPair(cfg.Server, options, cfg.Backup.Server, cfg.Backup.Key.Value)
		}
		return openai.New(cfg.Server, options)
	}
	return nil, fault.Halt("the pipeline file names provider %q: openai, builtin or hash", space.Provider)
}

// Start shows what a provider is about in metrics, and checks what can be checked before
// there is work. Its error is fatal.
func Start(ctx context.Context, p Provider, m *telemetry.Metrics) error {
	if shows, ok := p.(interface {
		Publish(m *telemetry.Metrics) error
	}); ok {
		if err := shows.Publish(m); err != nil {
			return err
		}
	}
	if checks, ok := p.(interface {
		Check(ctx context.Context) error
	}); ok {
		return checks.Check(ctx)
	}
	return nil
}
