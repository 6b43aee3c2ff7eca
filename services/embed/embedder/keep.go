package embedder

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
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
	told := map[string]time.Time{} // by pipeline, the day of which a spent budget was told
	for {
		select {
		case <-ctx.Done():
			close(l.budget.stopped)
			return nil
		case <-beat.C:
		}
		l.beat(ctx, j, log)
		l.tell(told, log)
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
	if !l.bounded() {
		return nil
	}
	costs, err := j.Read(ctx)
	l.learn(costs)
	return err
}

// purchase is what is spent of one budget, and what waits because of it.
type purchase struct {
	pipeline     string // "" is the budget of all
	limit, spent int64
	waiting      int
}

// purchases returns how the budget of all stands, and then those of pipelines, by name.
func (l *ledger) purchases() []purchase {
	spent, waiting := l.budget.state()
	all := []purchase{{"", l.budget.limit, spent, waiting}}
	for _, name := range slices.Sorted(maps.Keys(l.purses)) {
		spent, away := l.purses[name].state()
		all = append(all, purchase{name, l.purses[name].limit, spent, away})
	}
	return all
}

// pauses reports whether paid calls wait for the next day. Those that wait when a day begins are about to go.
func (p purchase) pauses() bool { return p.waiting > 0 && p.spent > 0 }

// tell says once a day of each budget that texts wait for it.
func (l *ledger) tell(told map[string]time.Time, log *slog.Logger) {
	today := dayOf(time.Now())
	for _, p := range l.purchases() {
		if !p.pauses() || told[p.pipeline].Equal(today) {
			continue
		}
		told[p.pipeline] = today
		log.Warn("the embedding budget of the day is spent: texts that must be paid for wait", "pipeline", cmp.Or(p.pipeline, "(all)"),
			"spent", amount(l.money(p.spent)), "budget", amount(l.money(p.limit)), "currency", l.currency, "until", today.Add(day))
	}
}

// pause returns what to tell people while texts wait for a budget, else "".
func (l *ledger) pause() string {
	var notes []string
	for _, p := range l.purchases() {
		if !p.pauses() {
			continue
		}
		whose, wait, raise := "of the day", fmt.Sprintf("%d requests wait", p.waiting), "FRESHET_EMBED_BUDGET_PER_DAY"
		if p.pipeline != "" {
			whose, wait, raise = "of pipeline "+p.pipeline, fmt.Sprintf("%d texts wait", p.waiting), "budgetPerDay in the pipeline file"
		}
		notes = append(notes, fmt.Sprintf("the embedding budget %s is spent (%s of %s %s): %s until %s, or for a higher %s; nothing fails",
			whose, amount(l.money(p.spent)), amount(l.money(p.limit)), l.currency, wait, dayOf(time.Now()).Add(day).Format(time.RFC3339), raise))
	}
	return strings.Join(notes, "; ")
}

func amount(money float64) string { return strconv.FormatFloat(money, 'f', 4, 64) }
