package inspect

import (
	"fmt"
	"strings"

	"github.com/freshet-io/freshet/libs/fault"
)

// Code names a cause.
type Code string

// The causes, in the order in which they are looked for: those of what is broken first.
const (
	CauseUnknown       Code = "unknown"            // too much of what decides could not be looked at
	CauseIndexReadOnly Code = "index-read-only"    // the index takes no writes
	CauseIndexAway     Code = "index-away"         // Weaviate does not answer
	CauseStageDown     Code = "stage-down"         // nobody runs the stage that has to read it
	CauseThrottled     Code = "provider-throttled" // the embeddings provider lets through less than there is
	CauseKeyRefused    Code = "provider-key-refused"
	CauseProviderAway  Code = "provider-away"   // the provider fails
	CauseRegistryAway  Code = "registry-away"   // the schema registry answers nothing
	CauseBudget        Code = "budget-spent"    // of the day
	CauseStuck         Code = "stuck-partition" // its partition does not move, while others do or nothing else is wrong
	CauseQueue         Code = "queue"           // it waits behind others, and they move
	CauseDeadLetter    Code = "dead-letter"     // its newest change cannot be used
	CauseOlderRefused  Code = "older-refused"   // a change that came last is older than what the index has
	CauseHidden        Code = "hidden"          // `when` does not let it be found
	CauseDeleted       Code = "deleted"         // at its source
	CauseSkipped       Code = "skipped"         // ingest takes nothing of its record
	CauseUnfound       Code = "not-found-by-search"
	CauseVectorPending Code = "vector-pending" // it is there, found by the meaning of its older text
	CauseNotReady      Code = "not-ready"      // a service says so itself
	CauseNotInSource   Code = "not-in-source"  // no newer change of it is in the source topics
)

// Cause is a reason why an item is as it is.
type Cause struct {
	Code    Code   `json:"code"`
	Summary string `json:"summary"` // a sentence
	Detail  string `json:"detail,omitempty"`
	Do      string `json:"do,omitempty"` // what to do
}

// causes has what is said of each cause, and what to do, unless a situation has more to say.
var causes = map[Code]struct{ summary, do string }{
	CauseUnknown:       {"not known: what decides could not be looked at", "make what is listed as unknown answer, and ask again"},
	CauseIndexReadOnly: {"the index takes no writes of %s", "put that right: write tries one item at a time, and goes on by itself"},
	CauseIndexAway:     {"Weaviate does not answer", "restore it: write waits, and goes on by itself"},
	CauseStageDown:     {"no %s is running: group %s has no members", "start it, or look why it has stopped: its last log line says what to do"},
	CauseThrottled:     {"the embeddings provider throttles: it lets through less than there is", "ask the provider for a higher limit, add a key to FRESHET_OPENAI_KEY_FILE, or wait"},
	CauseKeyRefused:    {"the embeddings provider refuses the key", "put a good key into the file of FRESHET_OPENAI_KEY_FILE: it is read again by itself"},
	CauseProviderAway:  {"the embeddings provider fails: no request succeeds", "look whether it is up (freshet bench-provider asks it as embed does), and into the log of embed: embed goes on by itself"},
	CauseRegistryAway:  {"the schema registry does not answer, and ingest needs a schema of it", "restore it, or give ingest several URLs (FRESHET_SCHEMA_REGISTRY_URL): it asks again by itself"},
	CauseBudget:        {"the embedding budget of the day is spent", "wait, or raise FRESHET_EMBED_BUDGET_PER_DAY or the pipeline's budgetPerDay, and restart embed"},
	CauseStuck:         {"stuck: partition %d of %s does not move; %s", ""},
	CauseQueue:         {"under way: it waits for %s%s", ""},
	CauseDeadLetter:    {"its newest change is a dead letter of %s: %s", ""},
	CauseOlderRefused:  {"%s, and was refused", "if the last change is the right one, let the producer send the row again: a new event has a higher order"},
	CauseHidden:        {"it is kept and not to be found: its row does not meet the pipeline's `when`", "look at `when` in the pipeline file and at the row"},
	CauseDeleted:       {"it was deleted at its source%s", ""},
	CauseSkipped:       {"%s", "look whether match and format of the pipeline file fit it: freshet plan --sample"},
	CauseUnfound:       {"it is stored, and a search by its own vector does not find it", "let the producer send the row again with another text; look into the log of write for `the index does not find`"},
	CauseVectorPending: {"its row is there, and the vector of its text is yet to come", ""},
	CauseNotReady:      {"%s says: %s", ""},
	CauseNotInSource:   {"it is up to date: the index has the newest change of it that is in the source topics", "if its source has a newer one, look at the producer: has its connector read the change, and does it write to the source topics?"},
}

// because returns a cause as the table has it. args complete its summary.
func because(code Code, detail string, args ...any) Cause {
	return Cause{Code: code, Summary: fmt.Sprintf(causes[code].summary, args...), Detail: detail, Do: causes[code].do}
}

// summary returns a cause with another summary.
func (c Cause) summary(format string, args ...any) Cause {
	c.Summary = fmt.Sprintf(format, args...)
	return c
}

// do returns a cause with something else to do.
func (c Cause) do(format string, args ...any) Cause {
	c.Do = fmt.Sprintf(format, args...)
	return c
}

// listed writes names as a sentence has them: a, b and c.
func listed(names []string) string {
	last := len(names) - 1
	if last < 1 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:last], ", ") + " and " + names[last]
}

// plural writes a number of things.
func plural(n int, one, many string) string {
	if n == 1 {
		many = one
	}
	return fmt.Sprint(n, " ", many)
}

// mending says what to do about dead letters, by reason, as docs/formats.md does.
var mending = map[fault.Reason]string{
	fault.Malformed:         "mend the producer, and let it send the row again",
	fault.FormatMismatch:    "set the pipeline's format" + thenRedrive,
	fault.UnknownSchema:     "give ingest the registry that the producer writes to, or register the schema again" + thenRedrive,
	fault.MissingID:         "put the id columns into the key; or mend the pipeline's id or source.order" + thenRedrive,
	fault.FieldType:         "change the row; or the property's type" + thenRedrive,
	fault.UnavailableValue:  "send whole rows (REPLICA IDENTITY FULL)",
	fault.Oversize:          "shorten the row; or set oversize: truncate, or a higher limit" + thenRedrive,
	fault.MissingText:       "fill the text; or drop the field from require" + thenRedrive,
	fault.ProviderRejected:  "look at the text: the provider refuses it",
	fault.DimensionMismatch: "let embed and the collection have one space" + thenRedrive,
	fault.SpaceMismatch:     "let embed and the collection have one space" + thenRedrive,
	fault.IndexRejected:     "mend the property that the message names" + thenRedrive,
	fault.BelowHorizon:      "send the row again",
	fault.Panic:             "report it with the record: it is a fault of Freshet",
	fault.Exhausted:         "mend what the message says" + thenRedrive,
}

// thenRedrive follows what is mended on Freshet's side.
const thenRedrive = ", restart the services, and freshet dlq redrive"

func deadLetter(l *Letter) Cause {
	c := because(CauseDeadLetter, l.said(), l.Stage, l.Reason).do("%s", mending[fault.Reason(l.Reason)])
	if l.Item == "" {
		return c.summary("a dead letter of %s that does not say which item it is of: %s", l.Stage, l.Reason)
	}
	return c
}
