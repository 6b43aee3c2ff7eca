package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/freshet-io/freshet/libs/service"
	"github.com/freshet-io/freshet/services/ctl/dev"
)

// load fills a command's settings from the environment. Where it names neither a
// Kafka nor a Weaviate, the settings of a running `freshet dev` are used, and said.
func load(cfg any, stderr io.Writer) error {
	environ := os.Environ()
	if !sets(environ, "FRESHET_KAFKA_BROKERS") && !sets(environ, "FRESHET_WEAVIATE_URL") {
		if lines, data, ok := dev.Running(); ok {
			fmt.Fprintf(stderr, "using the `freshet dev` that runs in %s\n", data)
			environ = append(environ, lines...)
		}
	}
	if err := service.Load(environ, cfg); err != nil {
		return fmt.Errorf("%w\n(or start `freshet dev` in another terminal, and this command uses it)", err)
	}
	return nil
}

func sets(environ []string, name string) bool {
	for _, kv := range environ {
		if strings.HasPrefix(kv, name+"=") {
			return true
		}
	}
	return false
}

// logger is for the rare thing that a command has to say beside its output.
func logger(stderr io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
}
