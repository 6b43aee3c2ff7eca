package embedder

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/freshet-io/freshet/libs/record"
)

const (
	// keepEvery is how often the ledger is written, and so how much of it a process that is
	// killed takes with it.
	keepEvery = 15 * time.Second
	// keepBound is how long a process that stops may spend on writing it a last time.
	keepBound = 5 * time.Second
)

// Journal keeps the entries of all replicas.
type Journal interface {
	// Put returns when the entries are kept. Each replaces what was put under its key before.
	Put(ctx context.Context, costs []*record.Cost) error
	// Read returns what all replicas have put since the last Read; the first Read, what they
	// have put today.
	Read(ctx context.Context) ([]*record.Cost, error)
}

// keep exchanges the ledger with the journal until ctx ends. What fails is tried again at the
// next beat, so it returns no error.
func (l *ledger) keep(ctx context.Context, j Journal, log *slog.Logger) error {
	beat := time.NewTicker(keepEvery)
	defer beat.Stop()
	var told time.Time // the day of which a spent budget was told
	for {
		select {
		case <-ctx.Done():
			close(l.budget.stopped)
			return nil
		case <-beat.C:
		}
		l.beat(ctx, j, log)
		told = l.tell(told, log)
	}
}

// beat never takes longer than until the next one.
func (l *ledger) beat(ctx context.Context, j Journal, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(ctx, keepEvery)
	defer cancel()
	if err := errors.Join(l.write(ctx, j), l.read(ctx, j)); err != nil {
		log.WarnContext(ctx, "the cost ledger is behind, and is tried again", "error", err)
	}
}

// finish writes what is left. ctx may have ended.
func (l *ledger) finish(ctx context.Context, j Journal) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepBound)
	defer cancel()
	return l.write(ctx, j)
}

func (l *ledger) write(ctx context.Context, j Journal) error {
	costs := l.unwritten()
	if len(costs) == 0 {
		return nil
	}
	err := j.Put(ctx, costs)
	l.written(costs, err)
	return err
}

// read learns what others have spent, where that matters.
func (l *ledger) read(ctx context.Context, j Journal) error {
	if l.budget.limit == 0 {
		return nil
	}
	costs, err := j.Read(ctx)
	l.learn(costs)
	return err
}

// tell says once a day that calls wait for the budget. Those that wait when a day begins are about
// to go.
func (l *ledger) tell(told time.Time, log *slog.Logger) time.Time {
	today := dayOf(time.Now())
	if l.pause() == "" || told.Equal(today) {
		return told
	}
	tokens, _ := l.budget.state()
	log.Warn("the embedding budget of the day is spent: texts that must be paid for wait",
		"spent", amount(l.money(tokens)), "budget", amount(l.money(l.budget.limit)), "currency", l.currency, "until", today.Add(day))
	return today
}

// pause returns what to tell people while calls wait for the budget, else "".
func (l *ledger) pause() string {
	tokens, waiting := l.budget.state()
	if waiting == 0 || tokens == 0 {
		return ""
	}
	return fmt.Sprintf("the embedding budget of the day is spent (%s of %s %s): %d requests wait until %s, or for a higher FRESHET_EMBED_BUDGET_PER_DAY; nothing fails",
		amount(l.money(tokens)), amount(l.money(l.budget.limit)), l.currency, waiting, dayOf(time.Now()).Add(day).Format(time.RFC3339))
}

func amount(money float64) string { return strconv.FormatFloat(money, 'f', 4, 64) }
