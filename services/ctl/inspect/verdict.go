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
	if len(all) == 0 {
		all = append(all, q.whyUnknown())
		if q.indexed == nil {
			all = append(all, *q.indexBroken())
		}
	}
	return slices.CompactFunc(all, func(a, b Cause) bool { return a.Code == b.Code && a.Summary == b.Summary })
}

// sure reports whether all was looked at that could hold a newer change.
func (q *inquiry) sure() bool {
	_, ingest := q.now.standings[stageIngest]
	return ingest && q.srcWhole && q.logWhole && q.indexed != nil
}

func (q *inquiry) whyUnknown() Cause {
	c := Cause{Code: CauseUnknown, Summary: "not known: what decides could not be looked at", Do: "make what is listed as unknown answer, and ask again"}
	if q.sure() {
		c.Summary, c.Do = "not known: its newest record has passed all stages, and the index shows nothing of it", "ask again in a moment; if it stays, look into the logs of embed and write for its partition"
	}
	return c
}

// whyWaiting says why a record of the item waits.
func (q *inquiry) whyWaiting(w Waiting) []Cause {
	stand := q.now.standings[w.Stage]
	p := q.now.position(w.Stage, w.Topic, w.Partition)
	if p == nil { // the last look at it has failed: that is no group without members
		return []Cause{{Code: CauseUnknown, Summary: "it waits for " + w.Stage + ", and where that is now could not be looked at", Detail: "it waits at " + w.String(), Do: "ask again"}}
	}
	queue := fmt.Sprintf("%s, %s ahead of it", w.Place, plural(int(w.Ahead), "record", "records"))
	if stand.Members == 0 {
		c := stageDown(w.Stage, w.Group, 0)
		c.Detail = "it waits at " + queue
		return []Cause{c}
	}
	if broken := q.whyBroken(w); len(broken) > 0 {
		if w.Owed {
			broken[0].Detail = strings.TrimPrefix(broken[0].Detail+"; its row is there and waits for its vector", "; ")
		}
		return broken
	}
	stuck := q.earlier != nil && q.now.at.Sub(q.earlier.at) >= stuckLook && !moved(q.earlier, w.Stage, p)
	switch {
	case w.Owed:
		return []Cause{{Code: CauseVectorPending, Summary: "its vector is yet to follow: embed has let it pass without, and comes back to it", Detail: fmt.Sprintf("%s, %s ahead of it", w.Place, plural(int(w.Ahead), "text", "texts"))}}
	case stuck && p.Doubt:
		return []Cause{{Code: CauseQueue, Summary: w.Stage + " commits nothing for a while: the one that had the partition before did not leave cleanly", Detail: "what waits at " + queue + " may be in the index already", Do: "wait FRESHET_WRITE_DOUBT (90 s): it works once more on all since, and goes on"}}
	case stuck && p.Owner == "":
		return []Cause{{
			Code:    CauseStuck,
			Summary: fmt.Sprintf("stuck: partition %d of %s is nobody's, while group %s has %s", w.Partition, w.Topic, w.Group, plural(stand.Members, "member", "members")),
			Detail:  "it waits at " + queue, Do: "wait for the end of a rebalance; else look into the logs of " + w.Stage,
		}}
	case stuck:
		return []Cause{{
			Code:    CauseStuck,
			Summary: fmt.Sprintf("stuck: partition %d of %s does not move; %s", w.Partition, w.Topic, q.others(w)),
			Detail:  fmt.Sprintf("%s stands at offset %d, the item waits at %s", w.Stage, p.Done(), queue),
			Do: fmt.Sprintf("look into the log of %s at %s, which has the partition: `trying a batch again` says why; freshet why %s/%d/%d shows the record that holds it up; restart that process if it hangs",
				w.Stage, strings.TrimPrefix(p.Owner, "/"), w.Topic, w.Partition, p.Done()),
		}}
	}
	c := Cause{Code: CauseQueue, Summary: fmt.Sprintf("under way: it waits for %s, and the partition moves", w.Stage), Detail: queue}
	if q.earlier == nil || !moved(q.earlier, w.Stage, p) {
		c.Summary = "under way: it waits for " + w.Stage
	}
	if q.earlier != nil {
		if was := q.earlier.position(w.Stage, w.Topic, w.Partition); was != nil {
			if done := p.Next - was.Next; done > 0 {
				rate := float64(done) / q.now.at.Sub(q.earlier.at).Seconds()
				c.Detail += fmt.Sprintf("; %.0f a second are finished, so its turn comes in about %s", rate, spanOf(float64(w.Ahead)/rate))
			}
		}
	}
	return []Cause{c}
}

// others says whether the stage's other partitions move.
func (q *inquiry) others(w Waiting) string {
	moving, waiting := 0, 0
	all := q.now.standings[w.Stage].Partitions
	for n := range all {
		p := &all[n]
		if p.Topic == w.Topic && p.Partition == w.Partition {
			continue
		}
		if p.Unfinished() > 0 {
			waiting++
		}
		if moved(q.earlier, w.Stage, p) {
			moving++
		}
	}
	return fmt.Sprintf("of the %d others of %s, %d move or have nothing to do", len(all)-1, w.Stage, moving)
}

// whyBroken says what is broken at the stage that a record waits for.
func (q *inquiry) whyBroken(w Waiting) []Cause {
	switch w.Stage {
	case stageWrite:
		if c := q.indexBroken(); c != nil {
			return []Cause{*c}
		}
	case stageEmbed, stageBulk:
		return q.providerBroken()
	}
	return nil
}

func (q *inquiry) providerBroken() []Cause {
	earlier := q.earlier
	if earlier == nil {
		earlier = q.now
	}
	return providerOf(earlier, q.now).trouble()
}

// indexBroken says whether the index takes writes of the item's collection: as Weaviate says, or else as write does.
func (q *inquiry) indexBroken() *Cause {
	if q.indexed == nil {
		return &Cause{Code: CauseIndexAway, Summary: "Weaviate does not answer", Do: "restore it: write waits, and goes on by itself"}
	}
	c := &Cause{Code: CauseIndexReadOnly, Summary: "the index takes no writes of " + q.item.Collection, Detail: q.unwritable}
	if c.Detail == "" && q.now.scraped.sums(metricIndexBroken, "collection")[q.item.Collection] > 0 {
		c.Detail = "write says so itself"
		for _, s := range q.now.scraped.services {
			if s.Says != "" && slices.Contains(s.Stages, stageWrite) {
				c.Detail = s.Says
			}
		}
	}
	if c.Detail == "" {
		return nil
	}
	c.Do = "put that right: write tries one item at a time, and goes on by itself"
	return c
}

// whyRefused says what became of the item's newest change, where that is not what the index has.
func (q *inquiry) whyRefused() []Cause {
	if l := q.newerLetter(); l != nil {
		return []Cause{deadLetter(*l)}
	}
	if q.indexed == nil {
		return nil
	}
	if mark := q.indexed.State.Failed; mark != nil {
		c := Cause{Code: CauseDeadLetter, Summary: "a newer change of it is a dead letter: " + mark.GetReason(), Detail: "the letter itself is not among those that were looked at", Do: "freshet dlq list --reason " + mark.GetReason()}
		if mark.GetText() {
			c.Summary = "its text cannot be embedded: " + mark.GetReason()
		}
		return []Cause{c}
	}
	for _, d := range slices.Backward(q.documents) {
		if q.isWaiting(d) || d.Topic != q.cfg.Topics.DocumentsLive() {
			continue
		}
		if offset, ok := q.offsetOf(q.version()); ok && d.Offset <= offset {
			return nil
		}
		if q.isIndexed(&d) {
			return nil
		}
		if c := q.refused(d); c != nil {
			return []Cause{*c}
		}
	}
	return nil
}

func (q *inquiry) isWaiting(s seen) bool {
	p := q.now.position(stageEmbed, s.Topic, s.Partition)
	if p == nil || s.Offset >= p.Next || slices.Contains(p.Owed, s.Offset) {
		return true
	}
	return slices.ContainsFunc(q.vectors, func(v seen) bool {
		at := q.now.position(stageWrite, v.Topic, v.Partition)
		return v.version == s.version && at != nil && v.Offset >= at.Next
	})
}

// refused says why the index did not take a document that has passed all stages; nil where it did, or would.
func (q *inquiry) refused(s seen) *Cause {
	state := &q.indexed.State
	taken := state.Judge(&record.Vector{Document: s.document, Version: s.version, VersionOrigin: s.origin, State: record.VectorState_VECTOR_STATE_NONE})
	c := &Cause{
		Code: CauseOlderRefused,
		Do:   "if the last change is the right one, let the producer send the row again: a new event has a higher order",
	}
	switch taken {
	case record.OutOfOrder:
		so := olderOrder(state, s.document)
		if so == nil {
			return nil // it is the change that the index has, once more
		}
		c.Summary = "the change that came last is older than what the index has, and was refused"
		c.Detail = fmt.Sprintf("%s, of %s: its place in its source is %s, the index has had %s of %s", s.Place, s.at.Format(time.DateTime),
			record.FormatOrder(so.GetOrder()), record.FormatOrder(state.Sources[so.GetSource()]), so.GetSource())
	case record.Stale:
		c.Summary = "an older version came after the one that the index has, and was refused"
		c.Detail = fmt.Sprintf("%s, of %s, has version %d, the index has %d", s.Place, s.at.Format(time.DateTime), s.version, q.version())
		c.Do = "if it was a redriven dead letter there is nothing to do: a newer change had come meanwhile"
	case record.TakenNew, record.TakenAgain:
		return nil
	}
	return c
}

// olderOrder returns the order of a document that is below what the state has had of its source.
func olderOrder(state *record.State, d *record.Document) *record.SourceOrder {
	for _, so := range d.GetSources() {
		if state.Sources.Compare(so) < 0 {
			return so
		}
	}
	return nil
}

// newerLetter returns the newest dead letter of a change that the index does not have a newer one of.
func (q *inquiry) newerLetter() *Letter {
	for n := range q.answer.Letters { // newest first
		l := &q.answer.Letters[n]
		if q.letter != nil && (l.Partition != q.letter.Partition || l.Offset != q.letter.Offset) {
			continue // it is asked about that one
		}
		if q.letter != nil {
			return l
		}
		if q.indexed == nil {
			return nil // it may have been mended since
		}
		if version, err := strconv.ParseInt(l.Version, 10, 64); err == nil {
			if version > q.version() || q.indexed.State.Failed.GetVersion() == version {
				return l
			}
			continue
		}
		if l.At.After(q.indexed.UpdatedAt) {
			return l
		}
	}
	return nil
}

func deadLetter(l Letter) Cause {
	c := Cause{
		Code:    CauseDeadLetter,
		Summary: fmt.Sprintf("its newest change is a dead letter of %s: %s", l.Stage, l.Reason),
		Detail:  strings.TrimPrefix(l.Text, l.Reason+": "),
		Do:      dos[l.Reason],
	}
	if l.Item == "" {
		c.Summary = fmt.Sprintf("a dead letter of %s that does not say which item it is of: %s", l.Stage, l.Reason)
	}
	return c
}

// dos says what to do about dead letters, by reason, as FORMAT.md does.
var dos = map[string]string{
	"malformed":          "mend the producer, and let it send the row again",
	"format-mismatch":    "set the pipeline's format, and let the producer send the row again",
	"unknown-schema":     "give ingest the registry that the producer writes to, or register the schema again",
	"missing-id":         "put the id columns into the key",
	"field-type":         "change the property's type, or the row",
	"unavailable-value":  "send whole rows (REPLICA IDENTITY FULL)",
	"oversize":           "set oversize: truncate, or shorten the row",
	"missing-text":       "fill the text, or drop the field from require",
	"provider-rejected":  "look at the text: the provider refuses it",
	"dimension-mismatch": "let embed and the collection have one space",
	"space-mismatch":     "let embed and the collection have one space",
	"index-rejected":     "mend the property that the message names",
	"below-horizon":      "send the row again",
	"panic":              "report it with the record: it is a fault of Freshet",
	"exhausted":          "look at the message, and send the row again",
}

// whyStanding says how the index has the item, and that nothing newer is on its way.
func (q *inquiry) whyStanding() []Cause {
	if q.indexed == nil {
		return nil
	}
	var all []Cause
	state := &q.indexed.State
	switch q.standing() {
	case Absent, MarkOnly, Searchable:
	case Deleted:
		summary := "it was deleted at its source"
		if slices.ContainsFunc(q.file.Pipelines, func(p pipeline.Pipeline) bool { return p.Collection == q.item.Collection && len(p.When) > 0 }) {
			summary += ", or its row did not meet the pipeline's `when` any more"
		}
		all = append(all, Cause{Code: CauseDeleted, Summary: summary, Detail: "the index keeps a tombstone of version " + strconv.FormatInt(state.Floor, 10)})
	case Hidden:
		all = append(all, Cause{Code: CauseHidden, Summary: "it is kept and not to be found: its row does not meet the pipeline's `when`", Do: "look at `when` in the pipeline file and at the row"})
	case Unfound:
		all = append(all, Cause{Code: CauseUnfound, Summary: "it is stored, and a search by its own vector does not find it", Do: "let the producer send the row again with another text; look into the log of write for `the index does not find`"})
	case Stub:
		if len(q.answer.Waiting) == 0 || !state.Known() {
			all = append(all, q.whyStub())
		}
	}
	if q.standing() == Searchable && state.Lacks() && !slices.ContainsFunc(q.answer.Waiting, func(w Waiting) bool { return w.Owed || w.Stage != stageIngest }) {
		all = append(all, q.whyStub())
	}
	if len(q.answer.Waiting) == 0 && !q.lacks() && q.newerLetter() == nil && q.sure() && !q.pending() {
		all = append(all, q.notInSource())
	}
	return all
}

// pending reports whether a document has passed all stages, and is neither in the index nor refused.
func (q *inquiry) pending() bool {
	for _, d := range slices.Backward(q.documents) {
		if d.Topic != q.cfg.Topics.DocumentsLive() || !d.document.GetOp().IsRow() && d.document.GetOp() != record.Op_OP_DELETE {
			continue
		}
		return d.version > q.version() && !q.isIndexed(&d) && q.refused(d) == nil && q.indexed.State.Judge(&record.Vector{Document: d.document, Version: d.version, VersionOrigin: d.origin}) == record.TakenNew
	}
	return false
}

func (q *inquiry) whyStub() Cause {
	state := &q.indexed.State
	if !state.Known() {
		return Cause{Code: CauseVectorPending, Summary: "some of its columns never came: its source sends parts of rows", Detail: "unknown: " + strings.Join(missingColumns(state), ", "), Do: "let the producer send the whole row once"}
	}
	if broken := q.providerBroken(); len(broken) > 0 {
		c := broken[0]
		c.Detail = strings.TrimPrefix(c.Detail+"; its row is there and waits for its vector", "; ")
		return c
	}
	return Cause{Code: CauseVectorPending, Summary: "its row is there, and the vector of its text is yet to come"}
}

func missingColumns(s *record.State) (names []string) {
	for name, version := range s.Older {
		if version == 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// notInSource says that nothing newer of the item has come.
func (q *inquiry) notInSource() Cause {
	topics := strings.Join(q.lane(stageIngest).topics, ", ")
	c := Cause{Code: CauseNotInSource, Do: "look at the producer: has its connector read the change, and does it write to " + topics + "?"}
	if q.standing() == Absent {
		c.Summary = fmt.Sprintf("no change of it is in the source %s, and the index has never had it", plural2(len(q.lane(stageIngest).topics), "topic", "topics"))
		c.Detail = "looked for in " + topics + ", as far back as they reach"
		return c
	}
	c.Summary = "nothing newer of it is in the source topics: all that came of it is in the index"
	if at := q.indexed.State.Origin.GetCommittedAt(); at > 0 {
		committed := time.UnixMicro(at).UTC()
		c.Detail = fmt.Sprintf("its last change was committed at its source %s ago, %s, and is %s/%d/%d", Seconds(q.answer.At.Sub(committed)), committed.Format(time.DateTime),
			q.indexed.State.Origin.GetTopic(), q.indexed.State.Origin.GetPartition(), q.indexed.State.Origin.GetOffset())
	}
	return c
}

func plural2(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}
