package inspect

import (
	"context"
	"errors"
	"testing"
)

func TestServer_isNotAwayForOthersWhereOneDoesNotWait(t *testing.T) {
	s := server[int]{name: "Kafka", open: func(ctx context.Context) (int, error) { return 7, ctx.Err() }}
	gone, leave := context.WithCancel(t.Context())
	leave()
	if _, err := s.get(gone); !errors.Is(err, context.Canceled) {
		t.Errorf("who does not wait is told %v", err)
	}
	if client, err := s.get(t.Context()); err != nil || client != 7 {
		t.Errorf("the next one is told that it is away: %v", err)
	}
}

func TestServer_thatIsAwayIsNotAskedAtEachQuestion(t *testing.T) {
	away, tries := errors.New("connection refused"), 0
	s := server[int]{name: "Kafka", open: func(context.Context) (int, error) { tries++; return 0, away }}
	for range 3 {
		if _, err := s.get(t.Context()); !errors.Is(err, away) {
			t.Error(err)
		}
	}
	if tries != 1 {
		t.Errorf("it is asked %d times", tries)
	}
}
