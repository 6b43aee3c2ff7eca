package inspect

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/weaviate"
)

const (
	// stuckAfter is how old the first unfinished record of a partition is that does not move, before that is trouble: a
	// batch may take its time.
	stuckAfter = 15 * time.Second
	// steady is how many seconds of looks are enough for percentiles of what is now; before, they are of all since the start.
	steady = 20 * time.Second
	// letterDays is how far back dead letters are counted.
	letterSince = 24 * time.Hour
)

// Status tells how the installation is. Rates and stuck partitions are seen by looking twice: it compares with the last
// call where that was in the last minute, and else looks twice itself, 2 s apart. Its error is that of ctx.
func (i *Inspector) Status(ctx context.Context) (Status, error) {
	ctx, cancel := context.WithTimeout(ctx, answerBound)
	defer cancel()
	oldest, earlier, now, err := i.pair(ctx)
	if err != nil {
		return Status{}, err
	}
	s := Status{
		At: now.at, Window: Seconds(now.at.Sub(earlier.at)), Stages: []Stage{}, Index: []IndexState{}, Services: now.scraped.services,
		Freshness: freshness(oldest, now), Provider: providerOf(earlier, now), Trouble: []Cause{},
	}
	var mu sync.Mutex
	unknown := append(slices.Clone(now.scraped.unknown), now.unknown...)
	note := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		unknown = append(unknown, fmt.Sprintf(format, args...))
	}
	var asking sync.WaitGroup
	stages := make([]Stage, len(now.lanes))
	for n, l := range now.lanes {
		asking.Go(func() {
			var err error
			if stages[n], err = i.stageOf(ctx, l, oldest, earlier, now); err != nil {
				note("how late %s is: %v", l.stage, err)
			}
		})
	}
	asking.Go(func() {
		var err error
		if s.Letters, err = i.letterCounts(ctx, now.at); err != nil {
			note("the dead letters: %v", err)
		}
	})
	asking.Go(func() {
		var err error
		if s.Money, err = i.money(ctx, earlier, now); err != nil {
			note("the cost ledger: %v", err)
		}
	})
	asking.Go(func() {
		var err error
		if s.Index, err = i.indexStates(ctx, now); err != nil {
			note("the index: %v", err)
		}
	})
	asking.Wait()
	slices.Sort(unknown)
	s.Stages, s.Unknown = stages, slices.Compact(unknown)
	s.Trouble = s.trouble()
	return s, nil
}

// stageOf returns how a stage is. Its error says what is left out.
func (i *Inspector) stageOf(ctx context.Context, l lane, oldest, earlier, now *look) (Stage, error) {
	s := Stage{Name: l.stage, Group: l.group, Topics: l.topics, Members: -1, Lag: -1, Rate: -1}
	seconds := now.at.Sub(earlier.at).Seconds()
	rate := func(metric string, pairs ...string) (float64, bool) {
		then, _ := earlier.scraped.sum(metric, pairs...)
		sum, ok := now.scraped.sum(metric, pairs...)
		return max(sum-then, 0) / seconds, ok
	}
	s.Replicas = now.replicas(l.stage)
	if handled, ok := rate(metricItems, "stage", l.stage); ok {
		s.Rate, s.Outcomes = handled, map[string]float64{}
		before := earlier.scraped.sums(metricItems, "outcome", "stage", l.stage)
		for outcome, n := range now.scraped.sums(metricItems, "outcome", "stage", l.stage) {
			if more := n - before[outcome]; more > 0 {
				s.Outcomes[outcome] = more / seconds
			}
		}
	} else if s.Replicas > 0 {
		s.Rate = 0 // it has handled nothing since its start
	}
	s.Retries, _ = rate(metricRetries, "stage", l.stage)
	later, _ := now.scraped.sum(metricLater, "stage", l.stage)
	s.Later = int64(later)

	stand, ok := now.standings[l.stage]
	if !ok {
		return s, nil
	}
	s.Members, s.Partitions, s.Lag = stand.Members, len(stand.Partitions), 0
	finished := int64(0)
	for _, p := range stand.Partitions {
		s.Lag += p.Unfinished()
		if p.Unfinished() > 0 && p.Owner == "" {
			s.Unassigned++
		}
		if was := earlier.position(l.stage, p.Topic, p.Partition); was != nil {
			finished += max(was.Unfinished()+p.End-was.End-p.Unfinished(), 0)
		}
	}
	if _, looked := earlier.standings[l.stage]; s.Rate < 0 && looked {
		s.Rate = float64(finished) / seconds
	}
	heads, err := i.heads(ctx, l, stand)
	for head, at := range heads {
		age := now.at.Sub(at)
		s.LagTime = max(s.LagTime, Seconds(age))
		p := now.position(l.stage, head.Topic, head.Partition)
		if age > stuckAfter && p.Next < p.End && p.Owner != "" && !p.Doubt && now.at.Sub(oldest.at) >= stuckLook && !moved(oldest, l.stage, p) {
			s.Stuck = append(s.Stuck, head)
		}
	}
	slices.SortFunc(s.Stuck, func(a, b Place) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	return s, err
}

// freshness returns the percentiles of the last minute, or of all since the services' starts.
func freshness(oldest, now *look) []Freshness {
	all := []Freshness{}
	window := now.at.Sub(oldest.at)
	for _, to := range []struct{ name, metric string }{{"acknowledged", metricFreshness}, {"searchable", metricSearchable}} {
		of := func(l *look) map[string]*histogram {
			// A vector that comes late is no change that comes late: its change has arrived before.
			return l.scraped.histograms(to.metric, "collection", func(of labels) bool { return of["outcome"] != outcomeCompleted })
		}
		before, histograms := of(oldest), of(now)
		for _, name := range slices.Sorted(maps.Keys(histograms)) {
			h, f := histograms[name], Freshness{Collection: name, To: to.name}
			if recent := h.since(before[name]); window >= steady && recent.count() > 0 {
				h, f.Window = recent, Seconds(window)
			}
			if f.Items = int64(h.count()); f.Items == 0 {
				continue
			}
			f.P50, f.P95, f.P99 = h.quantile(.5), h.quantile(.95), h.quantile(.99)
			all = append(all, f)
		}
	}
	slices.SortStableFunc(all, func(a, b Freshness) int { return cmp.Compare(a.Collection, b.Collection) })
	return all
}

// outcomeCompleted is the outcome of a record whose vector follows its row.
const outcomeCompleted = "completed"

// States of a gate.
const (
	gateOpen    = "open"
	gateLimited = "limited"
	gateShut    = "shut"
	gateRefused = "refused"
)

// replicas counts the processes that show a stage.
func (l *look) replicas(stage string) (n int) {
	for _, s := range l.scraped.services {
		if slices.Contains(s.Stages, stage) {
			n++
		}
	}
	return n
}

func (i *Inspector) letterCounts(ctx context.Context, now time.Time) (*LetterCounts, error) {
	client, err := i.kafka(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, scanTime)
	defer cancel()
	letters, kept, _, err := i.letters.look(ctx, i.cfg.Kafka, client, i.cfg.Topics.DeadLetters())
	if err != nil {
		return nil, err
	}
	c := &LetterCounts{Since: now.Add(-letterSince), Kept: kept}
	c.Counts, c.Total = countLetters(letters, c.Since)
	return c, nil
}

// money returns what embedding costs, by the ledger and by the services' metrics.
func (i *Inspector) money(ctx context.Context, earlier, now *look) (*Money, error) {
	client, err := i.kafka(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*connectBound)
	defer cancel()
	midnight := now.at.Truncate(24 * time.Hour)
	ledger, err := kafka.OpenCosts(ctx, client, i.cfg.Topics, midnight)
	if err != nil {
		return nil, err
	}
	entries, err := ledger.Read(ctx)
	if err != nil {
		return nil, err
	}
	m := &Money{PerHour: -1}
	last := map[string]*record.Cost{}
	for _, c := range entries {
		if !c.Hour.Before(midnight) {
			last[c.Key()] = c
		}
	}
	for _, key := range slices.Sorted(maps.Keys(last)) { // sums of money depend on the order
		c := last[key]
		m.Currency = c.Currency
		for _, tenant := range slices.Sorted(maps.Keys(c.Tenants)) {
			m.Today += float64(c.Tenants[tenant].Paid) * c.Price / 1e6
			m.Saved += float64(c.Tenants[tenant].Saved) * c.Price / 1e6
		}
	}
	if cost, ok := now.scraped.sum(metricCost); ok {
		then, _ := earlier.scraped.sum(metricCost)
		m.PerHour = max(cost-then, 0) / now.at.Sub(earlier.at).Hours()
	}
	now.scraped.each(metricBudgetLimit, func(l labels, g *dto.Metric) {
		if l["pipeline"] == "" { // each replica shows that of all
			m.Budget = max(m.Budget, g.GetGauge().GetValue())
		}
	})
	return m, nil
}

// indexStates asks Weaviate and the services whether collections take writes.
func (i *Inspector) indexStates(ctx context.Context, now *look) ([]IndexState, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*connectBound)
	defer cancel()
	broken := now.scraped.sums(metricIndexBroken, "collection")
	index, err := i.weaviate(ctx)
	all := []IndexState{}
	for _, c := range i.file.Collections() {
		s := IndexState{Collection: c.Name, Writable: broken[c.Name] == 0}
		if err == nil {
			var spec weaviate.CollectionSpec
			if spec, err = index.Describe(ctx, c.Name); err == nil {
				s.Class = spec.Class()
				if why := index.Unwritable(ctx, c.Name); why != nil {
					s.Writable, s.Why = false, why.Error()
				}
			} else {
				s.Writable, s.Why = false, err.Error()
			}
		}
		if !s.Writable && s.Why == "" {
			s.Why = "`write` says that the index takes no writes of it"
		}
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b IndexState) int { return cmp.Compare(a.Collection, b.Collection) })
	if err != nil && len(all) > 0 {
		err = away("Weaviate at "+i.cfg.Weaviate.URL, err)
	}
	return all, err
}

// trouble says what is wrong.
func (s *Status) trouble() []Cause {
	trouble := []Cause{}
	for _, x := range s.Index {
		if !x.Writable {
			trouble = append(trouble, Cause{Code: CauseIndexReadOnly, Summary: "the index takes no writes of " + x.Collection, Detail: x.Why})
		}
	}
	for _, st := range s.Stages {
		if st.Members == 0 && (st.Lag > 0 || st.Name != stageBulk) {
			trouble = append(trouble, stageDown(st.Name, st.Group, st.Lag))
		}
	}
	trouble = append(trouble, s.Provider.trouble()...)
	explained := map[string]bool{stageWrite: slices.ContainsFunc(trouble, func(c Cause) bool { return c.Code == CauseIndexReadOnly }), stageEmbed: len(s.Provider.trouble()) > 0}
	for _, st := range s.Stages {
		if len(st.Stuck) > 0 && !explained[serviceOf(st.Name)] {
			trouble = append(trouble, Cause{
				Code:    CauseStuck,
				Summary: fmt.Sprintf("%s: %s not moving", st.Name, plural(len(st.Stuck), "partition is", "partitions are")),
				Detail:  "the first one stands at " + st.Stuck[0].String(),
				Do:      "look into the log of " + st.Name,
			})
		}
	}
	for _, x := range s.Services {
		told := explained[stageWrite] && strings.HasPrefix(x.Says, "index of ")
		if len(x.Stages) > 0 && x.Says != "" && !told {
			trouble = append(trouble, Cause{Code: CauseNotReady, Summary: x.Address + " says: " + x.Says})
		}
	}
	return trouble
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

func stageDown(stage, group string, lag int64) Cause {
	return Cause{
		Code:    CauseStageDown,
		Summary: fmt.Sprintf("no %s is running: group %s has no members", stage, group),
		Detail:  fmt.Sprintf("%d records wait for it", max(lag, 0)),
		Do:      "start freshet-" + serviceOf(stage) + ", or look why it has stopped: its last log line says what to do",
	}
}

func serviceOf(stage string) string {
	if stage == stageBulk {
		return stageEmbed
	}
	return stage
}

// String writes a time span with at most two units.
func (s Seconds) String() string {
	switch d := time.Duration(s); {
	case d < time.Millisecond:
		return d.Round(time.Microsecond).String()
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + "s"
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	default:
		return fmt.Sprintf("%dd%02dh", int(d.Hours())/24, int(d.Hours())%24)
	}
}

// roleFirst is the endpoint label of the provider's first server.
const roleFirst = "first"
