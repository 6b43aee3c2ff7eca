package dev

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/services/ctl/rig"
	"github.com/freshet-io/freshet/services/embed/providers"
)

// providerURL returns the base URL of the server that embeds, "" where it is one of
// the providers inside, or the server of FRESHET_OPENAI_URL.
func (o Options) providerURL() string {
	if strings.Contains(o.Provider, "://") {
		return o.Provider
	}
	return ""
}

// provider returns what a pipeline file calls the chosen provider, "" where none is chosen.
func (o Options) provider() string {
	if o.providerURL() != "" {
		return "openai"
	}
	return o.Provider
}

// pipelineFile returns the catalogue's pipeline file in the space of the chosen provider.
func (o Options) pipelineFile() []byte {
	space := rig.BuiltinSpace
	switch o.provider() {
	case "openai":
		space = fmt.Sprintf("space: {provider: openai, model: %q, dimensions: %d}", o.Model, o.Dimensions)
	case "hash":
		space = fmt.Sprintf("space: {provider: hash, model: hash, dimensions: %d}", o.Dimensions)
	}
	return rig.PipelineFile(space)
}

// checkSpace refuses a pipeline file whose space is of another provider than the chosen one, and a server that is not named, by
// FRESHET_OPENAI_URL or --provider: the default one is a third party, which would get every text and be paid for it. A key
// alone names none: it may be in the environment for something else.
func (o Options) checkSpace(space pipeline.Space, named bool) error {
	switch chosen := o.provider(); {
	case chosen != "" && chosen != space.Provider:
		return fmt.Errorf("%s: its space has provider: %s, and --provider is %s: leave --provider out, or change the space of the file (the built-in embedder: `%s`)",
			o.Pipeline, space.Provider, o.Provider, rig.BuiltinSpace)
	case chosen == "" && space.Provider == "openai" && !named:
		return fmt.Errorf("%s: its space has provider: openai, and nothing says which server gets the texts: "+
			"give --provider URL, or --provider openai for api.openai.com, which costs money; or change the space of the file to the built-in embedder (`%s`)",
			o.Pipeline, rig.BuiltinSpace)
	}
	return nil
}

// openPipeline reads the pipeline file, the catalogue's one where none is given, and says who embeds, before anything starts.
func (s *stack) openPipeline(context.Context) error {
	path := s.options.Pipeline
	if path == "" {
		path = filepath.Join(s.options.Data, "pipeline.yaml")
		if err := os.WriteFile(path, s.options.pipelineFile(), 0o600); err != nil {
			return fmt.Errorf("writing the pipeline file: %w", err)
		}
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("finding the pipeline file: %w", err)
	}
	if s.file, err = pipeline.Load(path); err != nil {
		return err
	}
	space := s.file.Space
	var cfg struct {
		OpenAI providers.OpenAI `envconfig:"OPENAI"`
		Named  string           `envconfig:"OPENAI_URL"` // as the caller has set it, without a default
	}
	if err := s.settings(&cfg); err != nil {
		return err
	}
	if err := s.options.checkSpace(space, cfg.Named != ""); err != nil {
		return err
	}
	s.environ = append(s.environ, "FRESHET_PIPELINE="+path)
	if space.Provider != "openai" {
		s.say("texts are embedded on this machine, by the provider %s", space.Provider)
		return nil
	}
	server, backup := cmp.Or(s.options.providerURL(), cfg.OpenAI.Server.URL), cfg.OpenAI.Backup.Server.URL
	if s.options.Provider != "" { // the backup in the environment is that of another server
		backup = ""
		for _, name := range []string{"URL", "MODEL", "KEY", "KEY_FILE"} {
			s.environ = append(s.environ, "FRESHET_OPENAI_BACKUP_"+name+"=")
		}
	}
	s.environ = append(s.environ, "FRESHET_OPENAI_URL="+server) // `freshet search` beside asks the same one
	s.say("texts are embedded by %s, model %s", strings.Join(slices.DeleteFunc([]string{server, backup}, func(s string) bool { return s == "" }), " and, while that is away, by "), space.Model)
	return nil
}

// openProvider refuses a space that nobody here can embed, before there are collections of it.
func (s *stack) openProvider(context.Context) (err error) {
	var cfg struct {
		OpenAI providers.OpenAI `envconfig:"OPENAI"`
	}
	if err := s.settings(&cfg); err != nil {
		return err
	}
	s.provider, err = providers.Open(s.file.Space, cfg.OpenAI, s.process.Log)
	return err
}
