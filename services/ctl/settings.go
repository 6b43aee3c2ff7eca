package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/service"
	"github.com/freshet-io/freshet/services/ctl/dev"
)

// load fills a command's settings from the environment. Where it names neither a
// Kafka nor a Weaviate, the settings of a running `freshet dev` are used, and said.
func load(cfg any, stderr io.Writer) error {
	environ := os.Environ()
	named := func(kv string) bool {
		return strings.HasPrefix(kv, "FRESHET_KAFKA_BROKERS=") || strings.HasPrefix(kv, "FRESHET_WEAVIATE_URL=")
	}
	if !slices.ContainsFunc(environ, named) {
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

// connectBound is how long a command waits for Kafka. A service waits without end; a
// person, or a job that is tried again, is better served by an answer.
const connectBound = 30 * time.Second

// connect opens a Kafka client. Its log is not shown: the error tells what was wrong last.
func connect(ctx context.Context, brokers []string, open func(context.Context, *slog.Logger) (*kgo.Client, error)) (*kgo.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, connectBound)
	defer cancel()
	client, err := open(ctx, slog.New(slog.DiscardHandler))
	if errors.Is(err, context.DeadlineExceeded) {
		return nil, fmt.Errorf("Kafka at %s does not answer within %s: %w", strings.Join(brokers, ","), connectBound, err) //nolint:staticcheck // a name
	}
	return client, err
}
