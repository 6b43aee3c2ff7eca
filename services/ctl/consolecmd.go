package main

import (
	"context"
	"fmt"
	"sync"

	"github.com/spf13/cobra"

	"github.com/freshet-io/freshet/libs/weaviate"
	"github.com/freshet-io/freshet/services/ctl/console"
	"github.com/freshet-io/freshet/services/ctl/finder"
	"github.com/freshet-io/freshet/services/ctl/inspect"
	"github.com/freshet-io/freshet/services/embed/providers"
)

type consoleConfig struct {
	inspect.Config `inline:"true"`
	OpenAI         providers.OpenAI `envconfig:"OPENAI"`
}

func consoleCommand() *cobra.Command {
	var port uint16
	cmd := &cobra.Command{
		Use: "console", Args: cobra.NoArgs, Short: "Serve a page that shows the pipeline, an item's way, search, and dead letters",
		Long: "Serves a page at a port of this machine alone, since it has no password. It only reads; a search embeds\n" +
			"its text, as `freshet search` does. `freshet dev` serves the page by itself.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			var cfg consoleConfig
			if err := load(&cfg, cmd.ErrOrStderr()); err != nil {
				return err
			}
			inspector, err := inspect.Open(cfg.Config)
			if err != nil {
				return err
			}
			defer inspector.Close()
			search := &lateFinder{config: searchConfig{Weaviate: cfg.Weaviate, OpenAI: cfg.OpenAI, Pipeline: cfg.Pipeline}}
			defer search.close()
			listener, err := console.Listen(cmd.Context(), port)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "the console is at http://%s; Ctrl-C ends it\n", listener.Addr())
			return console.Console{Facts: inspector, Finder: search, File: cfg.Pipeline.File}.Serve(cmd.Context(), listener)
		},
	}
	cmd.Flags().Uint16Var(&port, "port", 0, "port of 127.0.0.1; a free one if 0")
	return cmd
}

// lateFinder connects when it is asked: the page must show that the index is away, too.
type lateFinder struct {
	config searchConfig
	mu     sync.Mutex
	finder *finder.Finder // nil until the index has answered
}

func (l *lateFinder) Find(ctx context.Context, q finder.Query) ([]weaviate.Hit, error) {
	f, err := l.open(ctx)
	if err != nil {
		return nil, err
	}
	return f.Find(ctx, q)
}

func (l *lateFinder) open(ctx context.Context) (*finder.Finder, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.finder != nil {
		return l.finder, nil
	}
	var err error
	l.finder, err = l.config.open(ctx)
	return l.finder, err
}

func (l *lateFinder) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.finder != nil {
		_ = l.finder.Index.Close() // it was only read
	}
}
