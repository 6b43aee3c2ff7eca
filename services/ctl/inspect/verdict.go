package inspect

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/record"
)

// causes returns why the item is as it is, the first one first: what is broken where its newest records wait, then what
// became of them, then how the index has it.
func (q *inquiry) causes() []Cause {
	var all []Cause
	for _, w := range q.answer.Waiting {
		all = append(all, q.whyWaiting(w)...)
	}
	if !q.srcWhole { // a record that needs a schema could not be read here either: the item may wait behind it
		all = append(all, registryTrouble(q.now.registry())...)
	}
	// What is broken anywhere on its way comes before what is only under way.
	underWay := func(c Cause) int {
		if c.Code == CauseQueue || c.Code == CauseVectorPending {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(all, func(a, b Cause) int { return underWay(a) - underWay(b) })
	all = append(all, q.whyRefused()...)
	all = append(all, q.whyStanding()...)
	switch {
	case len(all) > 0:
	case q.indexed == nil:
		all = []Cause{because(CauseUnknown, ""), because(CauseIndexAway, "")}
	case q.sure():
		all = []Cause{because(CauseUnknown, "").summary("not known: its newest record has passed all stages, and the index shows nothing of it").
			do("ask again in a moment; if it stays, look into the logs of embed and write for its partition")}
	default:
		all = []Cause{because(CauseUnknown, "")}
	}
	return slices.CompactFunc(all, func(a, b Cause) bool { return a.Code == b.Code && a.Summary == b.Summary })
}

// whyNoItem says what became of a record that does not say which item it is of.
func (q *inquiry) whyNoItem() Cause {
	switch {
	case q.letter != nil:
		q.answer.Letters = []Letter{*q.letter}
		return deadLetter(q.letter)
	case q.change != nil && q.change.err != nil:
		return because(CauseDeadLetter, "").summary("%s", q.answer.Record.Said).do("look for its dead letter: freshet dlq list")
	case q.change != nil:
		return because(CauseSkipped, "", q.answer.Record.Said)
	}
	return because(CauseUnknown, "").summary("the record does not say which item it is of").do("")
}

// sure reports whether all was looked at that could hold a newer change.
func (q *inquiry) sure() bool { return q.srcWhole && q.logWhole && q.indexed != nil }

// whyWaiting says why a record of the item waits.
func (q *inquiry) whyWaiting(w Waiting) []Cause {
	stand, p := q.now.standings[w.Stage], q.now.position(w.Stage, w.Topic, w.Partition)
	queue := fmt.Sprintf("it waits at %s, %s ahead of it", w.Place, plural(int(w.Ahead), "record", "records"))
	broken := q.whyBroken(w.Stage)
	stuck := p != nil && q.earlier != nil && q.now.at.Sub(q.earlier.at) >= stuckLook && !moved(q.earlier, w.Stage, p)
	switch {
	case p == nil: // the last look at it has failed: that is no group without members
		return []Cause{because(CauseUnknown, queue).summary("it waits for %s, and where that is now could not be looked at", w.Stage).do("ask again")}
	case stand.Members == 0:
		return []Cause{because(CauseStageDown, queue, w.Stage, w.Group)}
	case len(broken) > 0 && w.Owed:
		return waitingForItsVector(broken)
	case len(broken) > 0:
		return broken
	case w.Owed:
		return []Cause{because(CauseVectorPending, queue).summary("its vector is yet to follow: embed has let it pass without, and comes back to it")}
	case stuck && p.Doubt:
		return []Cause{because(CauseQueue, queue+"; it may be in the index already").
			summary("%s commits nothing for a while: the one that had the partition before did not leave cleanly", w.Stage).
			do("wait FRESHET_WRITE_DOUBT (90 s): it works once more on all since, and goes on")}
	case stuck && p.Owner == "":
		return []Cause{because(CauseStuck, queue, w.Partition, w.Topic, "it is nobody's, while group "+w.Group+" has "+plural(stand.Members, "member", "members")).
			do("wait for the end of a rebalance; else look into the logs of %s", w.Stage)}
	case stuck:
		return []Cause{because(CauseStuck, fmt.Sprintf("%s stands at offset %d; %s", w.Stage, p.Done(), queue), w.Partition, w.Topic, q.others(w)).
			do("look into the log of %s at %s, which has the partition: `trying a batch again` says why; freshet why %s/%d/%d shows the record that holds it up; restart that process if it hangs",
				w.Stage, strings.TrimPrefix(p.Owner, "/"), w.Topic, w.Partition, p.Done())}
	}
	return []Cause{q.whyQueued(w, queue)}
}

// whyQueued says that a record's turn is to come, and when.
func (q *inquiry) whyQueued(w Waiting, queue string) Cause {
	p, moves := q.now.position(w.Stage, w.Topic, w.Partition), ""
	if q.earlier != nil && moved(q.earlier, w.Stage, p) {
		moves = ", and the partition moves"
		if was := q.earlier.position(w.Stage, w.Topic, w.Partition); was != nil && p.Next > was.Next {
			rate := float64(p.Next-was.Next) / q.now.at.Sub(q.earlier.at).Seconds()
			queue += fmt.Sprintf("; %.0f a second are finished, so its turn comes in about %s", rate, secondsOf(float64(w.Ahead)/rate))
		}
	}
	return because(CauseQueue, queue, w.Stage, moves)
}

// others says whether the stage's other partitions move.
func (q *inquiry) others(w Waiting) string {
	moving, all := 0, q.now.standings[w.Stage].Partitions
	for n := range all {
		if p := &all[n]; (p.Topic != w.Topic || p.Partition != w.Partition) && moved(q.earlier, w.Stage, p) {
			moving++
		}
	}
	return fmt.Sprintf("of the %d others of %s, %d move or have nothing to do", len(all)-1, w.Stage, moving)
}

// whyBroken says what is broken at a stage, of what is not the stage itself.
func (q *inquiry) whyBroken(stage string) []Cause {
	switch stage {
	case stageIngest:
		return registryTrouble(q.now.registry())
	case stageWrite:
		if q.indexed == nil {
			return []Cause{because(CauseIndexAway, "")}
		}
		return q.takes.trouble()
	case stageEmbed, stageBulk:
		w := window{earlier: q.earlier, now: q.now}
		if w.earlier == nil {
			w.earlier = q.now
		}
		return w.provider().trouble(func(name string) bool {
			return slices.ContainsFunc(q.file.Pipelines, func(p pipeline.Pipeline) bool { return p.Name == name && p.Collection == q.item.Collection })
		})
	}
	return nil
}

// waitingForItsVector says of the first cause that it keeps a vector back, and no row.
func waitingForItsVector(broken []Cause) []Cause {
	broken[0].Detail = strings.TrimPrefix(broken[0].Detail+"; its row is there and waits for its vector", "; ")
	return broken
}

// whyRefused says what became of the item's newest change, where that is not what the index has.
func (q *inquiry) whyRefused() []Cause {
	if l := q.newerLetter(); l != nil {
		return []Cause{deadLetter(l)}
	}
	if q.indexed == nil {
		return nil
	}
	if mark := q.indexed.State.Failed; mark != nil {
		c := because(CauseDeadLetter, "the letter itself is not among those that were looked at").
			summary("a newer change of it is a dead letter: %s", mark.GetReason()).do("freshet dlq list --reason %s", mark.GetReason())
		if mark.GetText() {
			c = c.summary("its text cannot be embedded: %s", mark.GetReason())
		}
		return []Cause{c}
	}
	for _, d := range slices.Backward(q.documents) {
		switch offset, ok := q.offsetOf(q.version()); {
		case q.isWaiting(&d), d.bulk && (!d.document.GetOp().IsRow() || d.at.Before(q.indexed.UpdatedAt)):
			continue // of a backfill the last row counts, if nothing was taken since
		case !d.bulk && ok && d.Offset <= offset, q.isIndexed(&d):
			return nil
		}
		if c := q.refused(&d); c != nil {
			return []Cause{*c}
		}
	}
	return nil
}

func (q *inquiry) isWaiting(s *seen) bool {
	p := q.position(s)
	if p == nil || s.Offset >= p.Next || slices.Contains(p.Owed, s.Offset) {
		return true
	}
	return slices.ContainsFunc(q.vectors, func(v seen) bool {
		at := q.now.position(stageWrite, v.Topic, v.Partition)
		return v.version == s.version && at != nil && v.Offset >= at.Next
	})
}

// judge says what the index makes of a document, vector or not.
func (q *inquiry) judge(s *seen) record.Taken {
	return q.indexed.State.Judge(&record.Vector{Document: s.document, Version: s.version, VersionOrigin: s.origin, State: record.VectorState_VECTOR_STATE_NONE})
}

// refused says why the index did not take a document that has passed all stages; nil where it did, or would.
func (q *inquiry) refused(s *seen) *Cause {
	detail := fmt.Sprintf("%s, of %s", s.Place, s.at.Format(time.DateTime))
	var c Cause
	switch state := &q.indexed.State; q.judge(s) {
	case record.OutOfOrder:
		sources := s.document.GetSources()
		n := slices.IndexFunc(sources, func(so *record.SourceOrder) bool { return state.Sources.Compare(so) < 0 })
		if n < 0 {
			return nil // it is the change that the index has, once more
		}
		c = because(CauseOlderRefused, fmt.Sprintf("%s: its place in its source is %s, the index has had %s of %s", detail,
			record.FormatOrder(sources[n].GetOrder()), record.FormatOrder(state.Sources[sources[n].GetSource()]), sources[n].GetSource()),
			"the change that came last is older than what the index has")
	case record.Stale:
		c = because(CauseOlderRefused, fmt.Sprintf("%s, has version %d, the index has %d", detail, s.version, q.version()), "an older version came after the one that the index has").
			do("if it was a redriven dead letter there is nothing to do: a newer change had come meanwhile")
	case record.TakenNew, record.TakenAgain:
		return nil
	}
	if s.bulk {
		c = c.summary("the last row of a backfill is older than what the index has, and was refused").
			do("nothing, if the index is right: a change came after the backfill had read the row; else let the producer send the row again")
	}
	return &c
}

// newerLetter returns the newest dead letter of a change that the index does not have a newer one of.
func (q *inquiry) newerLetter() *Letter {
	for n := range q.answer.Letters { // newest first
		l := &q.answer.Letters[n]
		version, err := strconv.ParseInt(l.Version, 10, 64)
		switch {
		case q.letter != nil && l.isSame(q.letter):
			return l
		case q.letter != nil: // it is asked about that one
		case q.indexed == nil:
			return nil // it may have been mended since
		case err == nil && (version > q.version() || q.indexed.State.Failed.GetVersion() == version),
			err != nil && l.At.After(q.indexed.UpdatedAt):
			return l
		}
	}
	return nil
}

// whyStanding says how the index has the item, and that nothing newer is on its way.
func (q *inquiry) whyStanding() []Cause {
	if q.indexed == nil {
		return nil
	}
	var all []Cause
	state, standing, waiting := &q.indexed.State, q.standing(), q.answer.Waiting
	switch {
	case standing == Deleted:
		maybe := ""
		if slices.ContainsFunc(q.file.Pipelines, func(p pipeline.Pipeline) bool { return p.Collection == q.item.Collection && len(p.When) > 0 }) {
			maybe = ", or its row did not meet the pipeline's `when` any more"
		}
		all = append(all, because(CauseDeleted, fmt.Sprintf("the index keeps a tombstone of version %d", state.Floor), maybe))
	case standing == Hidden:
		all = append(all, because(CauseHidden, ""))
	case standing == Unfound:
		all = append(all, because(CauseUnfound, ""))
	case standing == Stub && (len(waiting) == 0 || !state.Known()), standing == Searchable && state.Lacks() && q.isThrough():
		all = append(all, q.whyStub()...)
	}
	if len(waiting) == 0 && !q.lacks() && q.newerLetter() == nil && q.sure() && !q.pending() {
		all = append(all, q.notInSource())
	}
	return all
}

// isThrough reports whether no stage has a record of the item to work on but ingest.
func (q *inquiry) isThrough() bool {
	return !slices.ContainsFunc(q.answer.Waiting, func(w Waiting) bool { return w.Stage != stageIngest })
}

// pending reports whether a document has passed all stages, and is neither in the index nor refused.
func (q *inquiry) pending() bool {
	for _, d := range slices.Backward(q.documents) {
		if op := d.document.GetOp(); !d.bulk && (op.IsRow() || op == record.Op_OP_DELETE) {
			return d.version > q.version() && !q.isIndexed(&d) && q.judge(&d) == record.TakenNew
		}
	}
	return false
}

func (q *inquiry) whyStub() []Cause {
	if state := &q.indexed.State; !state.Known() {
		var missing []string
		for name, version := range state.Older {
			if version == 0 {
				missing = append(missing, name)
			}
		}
		slices.Sort(missing)
		return []Cause{because(CauseVectorPending, "unknown: "+strings.Join(missing, ", ")).
			summary("some of its columns never came: its source sends parts of rows").do("let the producer send the whole row once")}
	}
	if broken := q.whyBroken(stageEmbed); len(broken) > 0 {
		return waitingForItsVector(broken[:1])
	}
	return []Cause{because(CauseVectorPending, "")}
}

// notInSource says that nothing newer of the item has come.
func (q *inquiry) notInSource() Cause {
	topics := strings.Join(q.now.lane(stageIngest).topics, ", ")
	if q.standing() == Absent {
		return because(CauseNotInSource, strings.TrimPrefix(takenForID(strings.Join(q.item.ID, "+"))+"; looked for in "+topics+", as far back as they reach", "; ")).
			summary("no change of it is in the source topics, and the index has never had it").
			do("if its source has it, look at the producer: has its connector read it, and does it write to the source topics?")
	}
	detail := "looked for in " + topics
	if at, origin := committedAt(&q.indexed.State), q.indexed.State.Origin; !at.IsZero() {
		detail += fmt.Sprintf("; its last change was committed at its source %s ago, %s, and is %s/%d/%d", Seconds(q.answer.At.Sub(at)), at.Format(time.DateTime),
			origin.GetTopic(), origin.GetPartition(), origin.GetOffset())
	}
	return because(CauseNotInSource, detail)
}
