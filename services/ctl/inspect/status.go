package inspect

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/weaviate"
)

const (
	// stuckAfter is how old the first unfinished record of a partition is that does not move, before that is trouble: a
	// batch may take its time.
	stuckAfter = 15 * time.Second
	// steady is how many seconds of looks are enough for percentiles of what is now; before, they are of all since the start.
	steady = 20 * time.Second
	// outcomeCompleted is the outcome of a record whose vector follows its row.
	outcomeCompleted = "completed"
)

// Status tells how the installation is. Rates and stuck partitions are seen by looking twice: it compares with the last
// call where that was in the last minute, and else looks twice itself, 2 s apart. Its error is that of ctx.
func (i *Inspector) Status(ctx context.Context) (Status, error) {
	ctx, cancel := context.WithTimeout(ctx, answerBound)
	defer cancel()
	w, err := i.window(ctx)
	if err != nil {
		return Status{}, err
	}
	s := Status{
		At: w.now.at, Window: Seconds(w.now.at.Sub(w.earlier.at)), Stages: make([]Stage, len(w.now.lanes)), Services: w.now.services,
		Freshness: w.freshness(), Provider: w.provider(), Registry: w.now.registry(),
	}
	var unknown notes
	var asking sync.WaitGroup
	ask := func(what string, f func() error) {
		asking.Go(func() {
			if err := f(); err != nil {
				unknown.note("%s: %v", what, err)
			}
		})
	}
	for n, l := range w.now.lanes {
		ask("how late "+l.stage+" is", func() (err error) { s.Stages[n], err = w.stage(ctx, l); return err })
	}
	ask("the dead letters", func() (err error) { s.Letters, err = i.countLetters(ctx, w.now.at); return err })
	ask("the cost ledger", func() (err error) { s.Money, err = i.money(ctx, w); return err })
	ask("the index", func() (err error) { s.Index, err = i.indexStates(ctx, w.now); return err })
	asking.Wait()
	s.Unknown = w.now.with(&unknown)
	s.Trouble = s.trouble()
	if silent := i.silent(w.now, s.Index); len(silent) > 0 {
		s.Trouble = append(s.Trouble, because(CauseUnknown, "").summary("whether all is well is not known: %s could not be asked", listed(silent)).
			do("see whether each is up, takes these credentials, and is named rightly: FRESHET_KAFKA_BROKERS, FRESHET_WEAVIATE_URL, FRESHET_ADMIN_ADDRESSES"))
	}
	return s, nil
}

// silent names each server once that decides whether all is well and has not said: what a stage reads and its members, whether
// the index takes writes, and the metrics that are asked for.
func (i *Inspector) silent(now *look, index []IndexState) (all []string) {
	for _, l := range now.lanes {
		if _, ok := now.standings[l.stage]; !ok && !slices.Contains(all, l.cluster.name) {
			all = append(all, l.cluster.name)
		}
	}
	if slices.ContainsFunc(index, func(x IndexState) bool { return x.Writable == nil }) {
		all = append(all, i.index.name)
	}
	for _, address := range now.silent {
		all = append(all, "the metrics of "+address)
	}
	return all
}

// counted returns what the metrics say of a stage: nothing of one that no process shows.
func (w window) counted(l lane) Stage {
	s := Stage{Name: l.stage, Group: l.group, Topics: l.topics, Members: -1, Lag: -1, Rate: -1, Retries: -1, Replicas: w.now.replicas(l.stage)}
	if handled, ok := w.rate(metricItems, "stage", l.stage); ok || s.Replicas > 0 { // it may have handled nothing since its start
		s.Rate, s.Outcomes = handled, map[string]float64{}
		before := w.earlier.sums(metricItems, "outcome", "stage", l.stage)
		for outcome, n := range w.now.sums(metricItems, "outcome", "stage", l.stage) {
			if more := n - before[outcome]; more > 0 {
				s.Outcomes[outcome] = more / w.seconds()
			}
		}
	}
	if s.Replicas > 0 { // it may never have tried a batch again
		s.Retries, _ = w.rate(metricRetries, "stage", l.stage)
	}
	later, _ := w.now.sum(metricLater, "stage", l.stage)
	s.Later = int64(later)
	return s
}

// stage returns how a stage is. Its error says what is left out.
func (w window) stage(ctx context.Context, l lane) (Stage, error) {
	s := w.counted(l)
	stand, ok := w.now.standings[l.stage]
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
		if was := w.earlier.position(l.stage, p.Topic, p.Partition); was != nil {
			finished += max(was.Unfinished()+p.End-was.End-p.Unfinished(), 0)
		}
	}
	if _, looked := w.earlier.standings[l.stage]; s.Rate < 0 && looked {
		s.Rate = float64(finished) / w.seconds()
	}
	heads, err := l.cluster.heads(ctx, stand.Partitions)
	for head, at := range heads {
		age := w.now.at.Sub(at)
		s.LagTime = max(s.LagTime, Seconds(age))
		p := w.now.position(l.stage, head.Topic, head.Partition)
		if age > stuckAfter && p.Next < p.End && p.Owner != "" && !p.Doubt && w.now.at.Sub(w.oldest.at) >= stuckLook && !moved(w.oldest, l.stage, p) {
			s.Stuck = append(s.Stuck, head)
		}
	}
	slices.SortFunc(s.Stuck, func(a, b Place) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	return s, err
}

// freshness returns the percentiles of the last minute, or of all since the services' starts.
func (w window) freshness() []Freshness {
	all := []Freshness{}
	over := w.now.at.Sub(w.oldest.at)
	// A vector that comes late is no change that comes late: its change has arrived before.
	keep := func(labels map[string]string) bool { return labels["outcome"] != outcomeCompleted }
	for _, to := range []struct{ name, metric string }{{"acknowledged", metricFreshness}, {"searchable", metricSearchable}} {
		before, histograms := w.oldest.histograms(to.metric, "collection", keep), w.now.histograms(to.metric, "collection", keep)
		for _, name := range slices.Sorted(maps.Keys(histograms)) {
			h, f := histograms[name], Freshness{Collection: name, To: to.name}
			if recent := h.since(before[name]); over >= steady && recent.count() > 0 {
				h, f.Window = recent, Seconds(over)
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

// indexStates asks Weaviate and the services whether collections take writes.
func (i *Inspector) indexStates(ctx context.Context, now *look) (all []IndexState, err error) {
	ctx, cancel := context.WithTimeout(ctx, askBound)
	defer cancel()
	index, err := i.index.get(ctx)
	all = []IndexState{}
	for _, c := range i.file.Collections() {
		state, silent := takesWrites(ctx, index, now, c.Name)
		all, err = append(all, state), cmp.Or(err, silent)
	}
	slices.SortFunc(all, func(a, b IndexState) int { return cmp.Compare(a.Collection, b.Collection) })
	return all, err
}

// takesWrites returns whether a collection takes writes: as Weaviate says, or else as write does. index is nil where Weaviate
// does not answer; the error is that it does no more, or may not be asked.
func takesWrites(ctx context.Context, index *weaviate.Client, now *look, collection string) (s IndexState, err error) {
	s.Collection = collection
	var why error
	if index != nil {
		spec, undescribed := index.Describe(ctx, collection)
		switch {
		case undescribed == nil:
			s.Class = spec.Class()
			why, err = index.Unwritable(ctx, collection)
		case fault.ClassOf(undescribed) == fault.Fatal: // for write, too
			why = undescribed
		default:
			err = undescribed
		}
	}
	switch {
	case why != nil:
		s.Why = why.Error()
	case now.sums(metricIndexBroken, "collection")[collection] > 0:
		s.Why = "`write` says that the index takes no writes of it"
		for _, of := range now.services {
			if of.Says != "" && slices.Contains(of.Stages, stageWrite) {
				s.Why = "`write` says: " + of.Says
			}
		}
	}
	if takes := s.Why == ""; index != nil && err == nil || !takes { // else nobody says that it does
		s.Writable = &takes
	}
	return s, err
}

func (s *IndexState) trouble() []Cause {
	if s.Writable == nil || *s.Writable {
		return nil
	}
	return []Cause{because(CauseIndexReadOnly, s.Why, s.Collection)}
}

// trouble says what is wrong.
func (s *Status) trouble() []Cause {
	trouble := []Cause{}
	for n := range s.Index {
		trouble = append(trouble, s.Index[n].trouble()...)
	}
	away := len(s.Provider.trouble(noPipeline)) > 0
	registry := registryTrouble(s.Registry)
	explained := map[string]bool{stageIngest: len(registry) > 0, stageWrite: len(trouble) > 0, stageEmbed: away, stageBulk: away}
	for _, of := range s.Stages {
		if of.Members == 0 && (of.Lag > 0 || of.Name != stageBulk) {
			trouble = append(trouble, because(CauseStageDown, fmt.Sprintf("%d records wait for it", max(of.Lag, 0)), of.Name, of.Group))
		}
	}
	trouble = append(append(trouble, registry...), s.Provider.trouble(everyPipeline)...)
	for _, of := range s.Stages {
		if len(of.Stuck) > 0 && !explained[of.Name] {
			trouble = append(trouble, because(CauseStuck, "the first one stands at "+of.Stuck[0].String()).
				summary("%s: %s not moving", of.Name, plural(len(of.Stuck), "partition is", "partitions are")).do("look into the log of %s", of.Name))
		}
	}
	for _, x := range s.Services {
		told := explained[stageWrite] && strings.HasPrefix(x.Says, "index of ")
		if len(x.Stages) > 0 && x.Says != "" && !told {
			trouble = append(trouble, because(CauseNotReady, "", x.Address, x.Says))
		}
	}
	return trouble
}
