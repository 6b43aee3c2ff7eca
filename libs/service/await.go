package service

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/freshet-io/freshet/libs/fault"
)

// AwaitDone is Await for what opens nothing.
func AwaitDone(ctx context.Context, log *slog.Logger, what string, do func(context.Context) error) error {
	_, err := Await(ctx, log, what, func(ctx context.Context) (struct{}, error) { return struct{}{}, do(ctx) })
	return err
}

// Await tries until open succeeds, meets a fault that waiting does not cure, or ctx
// ends. A dependency that is away when a pod starts is waited for: ending the
// process would only add restarts to an outage. Where ctx ends, the error also tells what it was waited for.
func Await[T any](ctx context.Context, log *slog.Logger, what string, open func(context.Context) (T, error)) (T, error) {
	var last error
	ended := func() error {
		if last == nil {
			return ctx.Err()
		}
		return fmt.Errorf("waiting for %s: %w (%w)", what, last, ctx.Err())
	}
	for wait := 200 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		got, err := open(ctx)
		if err == nil || fault.ClassOf(err) != fault.Transient {
			return got, err
		}
		if ctx.Err() != nil {
			return got, ended()
		}
		last = err
		log.WarnContext(ctx, "waiting for a dependency", "dependency", what, "error", err)
		select {
		case <-ctx.Done():
			return got, ended()
		case <-time.After(max(wait, fault.AfterOf(err))):
		}
	}
}
