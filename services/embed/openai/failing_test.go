package openai

import (
	"testing"
	"time"
)

func TestFailing_countsFromTheFirstFailureUntilAnAnswer(t *testing.T) {
	var f failing
	start := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	for _, step := range []struct {
		second int
		status string
		want   time.Duration
	}{
		{0, "200", 0},
		{10, "503", 1},
		{20, "error", 10 * time.Second},
		{30, "429", 20 * time.Second},
		{40, "408", 30 * time.Second},
		{50, "400", 0},
		{60, "500", 1},
		{65, "401", 0},
		{70, "503", 1},
	} {
		f.see(step.status, at(step.second))
		if got := f.time(at(step.second)); got != step.want {
			t.Errorf("after %s at %d s it has been failing for %s, want %s", step.status, step.second, got, step.want)
		}
	}
	if got := f.time(at(80)); got != 10*time.Second {
		t.Errorf("10 s later: %s", got)
	}
	if got := f.time(at(71).Add(failingShown)); got != 0 {
		t.Errorf("long after the last request it still shows %s", got)
	}
	if f.see("503", at(2000)); f.time(at(2001)) != time.Second {
		t.Error("a failure after a long pause counts from the one before it")
	}
}
