package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

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

// connectBound is how long a command waits for Kafka. A service waits without end; a
// person, or a job that is tried again, is better served by an answer.
const connectBound = 30 * time.Second

// connect opens a Kafka client. Its log is not shown, but for the last fault.
func connect(ctx context.Context, brokers []string, open func(context.Context, *slog.Logger) (*kgo.Client, error)) (*kgo.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, connectBound)
	defer cancel()
	last := &lastFault{}
	client, err := open(ctx, slog.New(last))
	if errors.Is(err, context.DeadlineExceeded) {
		return nil, fmt.Errorf("Kafka at %s does not answer within %s: %s", strings.Join(brokers, ","), connectBound, last.text) //nolint:staticcheck // a name
	}
	return client, err
}

// lastFault is a log that keeps the last error only.
type lastFault struct {
	mu   sync.Mutex
	text string
}

// Enabled implements slog.Handler.
func (*lastFault) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }

// Handle implements slog.Handler.
func (l *lastFault) Handle(_ context.Context, r slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "error" {
			l.text = a.Value.String()
		}
		return true
	})
	return nil
}

// WithAttrs implements slog.Handler.
func (l *lastFault) WithAttrs([]slog.Attr) slog.Handler { return l }

// WithGroup implements slog.Handler.
func (l *lastFault) WithGroup(string) slog.Handler { return l }
