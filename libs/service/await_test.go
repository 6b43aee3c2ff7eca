package service

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-io/freshet/libs/fault"
)

func TestAwait_waitsOnlyForWhatWaitingCures(t *testing.T) {
	away := errors.New("connection refused")
	revoked := fault.Halt("the key is revoked")
	for name, tt := range map[string]struct {
		answers []error // of the tries, one after the other
		err     error
		took    time.Duration
	}{
		"it is there": {[]error{nil}, nil, 0},
		"it comes up while we wait, 200 + 400 ms": {[]error{away, away, nil}, nil, 600 * time.Millisecond},
		"it says itself how long":                 {[]error{fault.Wait(time.Minute, "busy"), nil}, nil, time.Minute},
		"the pause grows to 5 s at most":          {[]error{away, away, away, away, away, away, away, nil}, nil, 16200 * time.Millisecond},
		"a fatal fault is returned at once":       {[]error{revoked}, revoked, 0},
		"a fatal fault ends the waiting":          {[]error{away, revoked}, revoked, 200 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log strings.Builder
				begun, tries := time.Now(), 0
				got, err := Await(t.Context(), slog.New(slog.NewTextHandler(&log, nil)), "the index", func(context.Context) (int, error) {
					tries++
					return tries, tt.answers[tries-1]
				})
				if !errors.Is(err, tt.err) || got != len(tt.answers) {
					t.Errorf("got %d and error %v, want %d and %v", got, err, len(tt.answers), tt.err)
				}
				if took := time.Since(begun); took != tt.took {
					t.Errorf("took %s, want %s", took, tt.took)
				}
				if warned := strings.Count(log.String(), `msg="waiting for a dependency" dependency="the index"`); warned != len(tt.answers)-1 {
					t.Errorf("%d warnings, want %d:\n%s", warned, len(tt.answers)-1, log.String())
				}
			})
		})
	}
}

func TestAwait_endsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begun := time.Now()
		_, err := Await(ctx, slog.New(slog.DiscardHandler), "the index", func(context.Context) (int, error) {
			return 0, fault.Wait(time.Hour, "busy")
		})
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != time.Second {
			t.Errorf("got %v after %s, want the context's end after 1s", err, time.Since(begun))
		}
	})
}
