package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/kafka"
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
	hint := "or start `freshet dev` in another terminal, and this command uses it"
	if !slices.ContainsFunc(environ, named) {
		running := dev.Running()
		folders := slices.Sorted(maps.Keys(running))
		if len(folders) == 1 {
			fmt.Fprintf(stderr, "using the `freshet dev` that runs in %s\n", folders[0])
			environ = append(environ, running[folders[0]]...)
		} else if len(folders) > 1 {
			hint = fmt.Sprintf("`freshet dev` runs in each of %s: choose one by `set -a; . FOLDER/settings.env; set +a`", strings.Join(folders, ", "))
		}
	}
	if err := service.Load(environ, cfg); err != nil {
		return fmt.Errorf("%w\n(%s)", err, hint)
	}
	return nil
}

// connectBound is how long a command waits for Kafka. A service waits without end; a
// person, or a job that is tried again, is better served by an answer.
const connectBound = 30 * time.Second

// silentWait is after how long a command says that it waits.
const silentWait = 2 * time.Second

type cluster struct {
	Kafka  kafka.Config
	Topics kafka.Topics `inline:"true"`
}

func connect(ctx context.Context, c kafka.Config) (*kgo.Client, error) {
	return within(ctx, c, func(ctx context.Context, log *slog.Logger) (*kgo.Client, error) {
		return c.Connect(ctx, log)
	})
}

func producer(ctx context.Context, c kafka.Config, t kafka.Topics) (*kgo.Client, error) {
	return within(ctx, c, func(ctx context.Context, log *slog.Logger) (*kgo.Client, error) {
		return kafka.Producer(ctx, c, t, true, log)
	})
}

// within bounds the time, and says on standard error that it takes long. A client's log is not shown: the error tells what was
// wrong last.
func within(ctx context.Context, c kafka.Config, open func(context.Context, *slog.Logger) (*kgo.Client, error)) (*kgo.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, connectBound)
	defer cancel()
	brokers := strings.Join(c.Brokers, ",")
	saying := time.AfterFunc(silentWait, func() { fmt.Fprintf(os.Stderr, "waiting up to %s for Kafka at %s\n", connectBound, brokers) })
	defer saying.Stop()
	client, err := open(ctx, slog.New(slog.DiscardHandler))
	if errors.Is(err, context.DeadlineExceeded) {
		return nil, fmt.Errorf("Kafka at %s does not answer within %s: %w", brokers, connectBound, err) //nolint:staticcheck // a name
	}
	return client, err
}
