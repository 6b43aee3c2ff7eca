package redis

import (
	"context"
	"fmt"
	"time"
)

// keep renews the lease until done is called, also when ctx has ended, since what was begun is finished then. held ends
// where the lease is lost, with the reason as its cause. Before done returns the last renewal has: none comes behind a
// release.
func (s *stream) keep(ctx context.Context) (held context.Context, done func()) {
	held, end := context.WithCancelCause(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		end(s.renew(held))
	}()
	return held, func() {
		end(nil)
		<-ended
	}
}

// renew takes the lease again each third of it. It returns why it is lost, or nil where ctx has ended. It gives up before
// the lease ends, when a second try in a row fails: nobody else reads then.
func (s *stream) renew(ctx context.Context) error {
	for renewed := time.Now(); ; {
		pause(ctx, s.cfg.Lease/3)
		asked := time.Now()
		try, cancel := context.WithTimeout(ctx, s.cfg.Lease/3)
		holder, err := s.acquire(try)
		cancel()
		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // it was told to end
		case err == nil && holder == "":
			renewed = asked
		case err == nil:
			return fmt.Errorf("the lease of stream %s is lost: %s reads it now", s.name, holder)
		case time.Since(renewed) > s.cfg.Lease/2:
			return fmt.Errorf("the lease of stream %s is lost: it was not renewed for %s: %w", s.name, time.Since(renewed), err)
		}
	}
}

// because says so where work failed since the lease was lost.
func because(held context.Context, err error) error {
	if held.Err() != nil {
		return fmt.Errorf("%w: %w", context.Cause(held), err)
	}
	return err
}
