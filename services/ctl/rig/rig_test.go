package rig

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
)

func TestPoll_ofAnEndedContextHasItsErrorAndSpeaksOfNoBound(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	err := Poll(ctx, time.Hour, time.Millisecond, func(context.Context) (bool, error) {
		stop()
		return false, errors.New("asking: it is over")
	})
	if err != context.Canceled { //nolint:errorlint // the very error
		t.Errorf("it returns %v", err)
	}
}

func TestPoll_waitsForWhatWillPassAndForNothingElse(t *testing.T) {
	passing := fmt.Errorf("counting: %w", kerr.LeaderNotAvailable)
	other := errors.New("no such thing")
	for _, tt := range []struct {
		name    string
		answers []error
		want    string
	}{
		{"a yes", []error{nil}, ""},
		{"no leader for a moment", []error{passing, passing, nil}, ""},
		{"no leader for good", []error{passing}, "not within 1s\ncounting: LEADER_NOT_AVAILABLE"},
		{"another error", []error{passing, other, nil}, "no such thing"},
	} {
		synctest.Test(t, func(t *testing.T) {
			asked := 0
			err := Poll(t.Context(), time.Second, 100*time.Millisecond, func(context.Context) (bool, error) {
				answer := tt.answers[min(asked, len(tt.answers)-1)]
				asked++
				return answer == nil, answer
			})
			if (err == nil) != (tt.want == "") || err != nil && !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("%s: %v", tt.name, err)
			}
		})
	}
}
