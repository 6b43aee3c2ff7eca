package inspect

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/freshet-io/freshet/libs/record"
)

// Seconds is a time span; JSON has it as a number of seconds.
type Seconds time.Duration

func secondsOf(s float64) Seconds { return Seconds(s * float64(time.Second)) }

// String writes a time span with at most two units.
func (s Seconds) String() string {
	switch d := time.Duration(s); {
	case d < time.Millisecond:
		return d.Round(time.Microsecond).String()
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	default:
		return fmt.Sprintf("%dd%02dh", int(d.Hours())/24, int(d.Hours())%24)
	}
}

// MarshalJSON implements json.Marshaler.
func (s Seconds) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(s).Seconds()) }

// UnmarshalJSON implements json.Unmarshaler.
func (s *Seconds) UnmarshalJSON(b []byte) error {
	var n float64
	if err := json.Unmarshal(b, &n); err != nil {
		return fmt.Errorf("reading seconds: %w", err)
	}
	*s = Seconds(n * float64(time.Second))
	return nil
}

// Place is where a record stands in Kafka.
type Place struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
}

// String returns the place as people write it: topic/partition/offset.
func (p Place) String() string { return fmt.Sprintf("%s/%d/%d", p.Topic, p.Partition, p.Offset) }

// Subject is what a question is about: an item, or a record that stands somewhere in Kafka.
type Subject struct {
	Item  *record.Item // nil where Place says it
	Place *Place       // nil where Item says it; of a source topic, a topic of the pipeline or the dead letters
}

// Item answers why an item is as old as it is.
type Item struct {
	At      time.Time `json:"at"`      // when it was looked at, UTC
	Subject string    `json:"subject"` // as the question was asked

	Item      *ItemName `json:"item,omitempty"`   // nil where a record does not say which item it is of
	Record    *Record   `json:"record,omitempty"` // where the subject is a place in Kafka
	Index     *Index    `json:"index,omitempty"`  // nil where Weaviate does not answer
	Waiting   []Waiting `json:"waiting"`          // its records that a stage has not finished; the one that is furthest on first
	Timeline  *Timeline `json:"timeline,omitempty"`
	Letters   []Letter  `json:"dead_letters"` // newest first
	Cost      *Cost     `json:"cost,omitempty"`
	TraceID   string    `json:"trace_id,omitempty"`   // hexadecimal, of the record that the time line is of
	TraceLink string    `json:"trace_link,omitempty"` // where FRESHET_TRACES_LINK says how to make it

	Causes  []Cause  `json:"causes"`  // never empty; the first one is the verdict
	Unknown []string `json:"unknown"` // what could not be looked at, a line each with the reason
}

// ItemName says which item it is, and which partition of each topic of the pipeline has it.
type ItemName struct {
	Collection string   `json:"collection"`
	Tenant     string   `json:"tenant,omitempty"`
	ID         []string `json:"id"`
	UUID       string   `json:"uuid"`
	Partition  int32    `json:"partition"` // -1 where Kafka does not answer
}

// Record is a record of Kafka.
type Record struct {
	Place
	Timestamp time.Time         `json:"timestamp"`
	Key       string            `json:"key"` // printable; bytes that are not are escaped
	Value     string            `json:"value"`
	Headers   map[string]string `json:"headers"`
	// Said is what the stage that reads the topic makes of it, in words.
	Said string `json:"said"`
}

// Standing is in what form the index has an item.
type Standing string

// The standings of an item.
const (
	Absent     Standing = "absent"     // the index knows nothing of it
	Searchable Standing = "searchable" // a search by its own vector finds it
	Unfound    Standing = "unfound"    // stored with its vector, and a search by that does not find it
	Hidden     Standing = "hidden"     // the pipeline's `when` does not let it be found
	Deleted    Standing = "deleted"    // a tombstone
	Stub       Standing = "stub"       // kept beside: it lacks its vector or some of its columns
	MarkOnly   Standing = "mark"       // nothing but the mark of a dead letter is known
)

// Index is what the index has of an item.
type Index struct {
	Standing    Standing   `json:"standing"`
	Class       string     `json:"class,omitempty"` // of Weaviate, with the generation
	Generation  int        `json:"generation,omitempty"`
	Version     int64      `json:"version,omitempty"`     // of the newest row, or of the delete where it is deleted
	Versioned   *Place     `json:"versioned,omitempty"`   // the record of the live documents that the version counts; nil where it is of a log that is gone
	Text        string     `json:"text,omitempty"`        // the first words
	Properties  []Property `json:"properties,omitempty"`  // in the pipeline's order
	Fingerprint string     `json:"fingerprint,omitempty"` // of the text, hexadecimal
	VectorOf    string     `json:"vector_of,omitempty"`   // fingerprint of the text that the vector is of; another one than Fingerprint where the vector is yet to follow
	Tokens      int64      `json:"tokens,omitempty"`      // of the text, before it was cut; 0 where they were not counted
	Truncated   bool       `json:"truncated,omitempty"`
	CommittedAt time.Time  `json:"committed_at,omitzero"` // of the newest row, at its source
	UpdatedAt   time.Time  `json:"updated_at,omitzero"`   // when Weaviate last stored the object
	Origin      *Place     `json:"origin,omitempty"`      // the producer's record of the newest row
	Position    string     `json:"position,omitempty"`    // the source's own
	Failed      *Mark      `json:"failed,omitempty"`      // a newer change, or its text, is a dead letter
}

// Property is a value that the index has of an item, as people read it.
type Property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Mark says that a newer change of an item is a dead letter, or that its text cannot be embedded.
type Mark struct {
	Version int64  `json:"version"`
	Reason  string `json:"reason"`
	Text    bool   `json:"text"` // the item's own text, and no newer change
}

// Waiting is a record of an item that a stage has not finished.
type Waiting struct {
	Place
	Stage  string    `json:"stage"` // that reads it: ingest, embed, embed-bulk or write
	Group  string    `json:"group"`
	Since  time.Time `json:"since"`  // when it came to the topic
	Ahead  int64     `json:"ahead"`  // unfinished records of the partition before it
	Behind int       `json:"behind"` // later records of the item that wait in the same partition
	// Owed: the stage has let it pass, and comes back to it: its vector follows.
	Owed bool `json:"owed,omitempty"`
}

// Timeline is how one change of an item has come through, or how far.
type Timeline struct {
	Version int64     `json:"version,omitempty"` // of the change; 0 where it is in no log yet
	Of      Place     `json:"of"`                // the record whose stamps these are
	Start   time.Time `json:"start"`             // committed at its source
	End     time.Time `json:"end"`               // written to the index; now where it is not there yet
	Done    bool      `json:"done"`              // it is in the index
	Hops    []Hop     `json:"hops"`              // without gaps, from Start to End
	Unsplit string    `json:"unsplit,omitempty"` // what is not known of the last one, and what is instead
}

// Hop is a part of a change's way.
type Hop struct {
	Name  string    `json:"name"`
	Stage string    `json:"stage,omitempty"` // in which it was spent
	Start time.Time `json:"start"`
	Took  Seconds   `json:"seconds"`
	Share float64   `json:"share"` // of the whole, 0 to 1
	Open  bool      `json:"open,omitempty"`
}

// Cost is what the text of an item's last change has cost.
type Cost struct {
	Tokens   int64   `json:"tokens"`
	Counted  bool    `json:"counted"`       // by the model's own tokenizer; else estimated from the text's length
	Paid     *bool   `json:"paid"`          // false: the vector was known; null where the log does not tell
	Money    float64 `json:"money"`         // at the last price that the ledger knows; 0 where it knows none
	Currency string  `json:"currency"`      // "" with no price
	Why      string  `json:"why,omitempty"` // how it is known whether it was paid
}

// Status is how an installation is.
type Status struct {
	At        time.Time     `json:"at"`
	Window    Seconds       `json:"window_seconds"`                            // what rates are of
	Stages    []Stage       `json:"stages"`                                    // in the order of an item's way
	Freshness []Freshness   `json:"freshness"`                                 // by collection, sorted; none where no service of write answers
	Provider  *Provider     `json:"provider,omitempty"`                        // nil where no service of embed answers
	Registry  Seconds       `json:"schema_registry_failing_seconds,omitempty"` // for how long it has answered nothing
	Money     *Money        `json:"money,omitempty"`                           // nil where Kafka does not answer
	Index     []IndexState  `json:"index"`                                     // by collection, sorted
	Letters   *LetterCounts `json:"dead_letters,omitempty"`                    // nil where Kafka does not answer
	Services  []Service     `json:"services"`                                  // the admin ports
	Trouble   []Cause       `json:"trouble"`                                   // what is wrong, the worst first; the last one is CauseUnknown where what decides could not be asked
	Unknown   []string      `json:"unknown"`
}

// Stage is a stage and what it has to read.
type Stage struct {
	Name       string   `json:"name"`
	Group      string   `json:"group"`
	Members    int      `json:"members"` // of the group; -1 where Kafka does not answer
	Topics     []string `json:"topics"`
	Partitions int      `json:"partitions"`
	Lag        int64    `json:"lag_records"`     // not finished; -1 where Kafka does not answer
	LagTime    Seconds  `json:"lag_seconds"`     // age of the oldest record that is not finished; 0 where there is none
	Unassigned int      `json:"unassigned"`      // partitions with something to read that no member has
	Stuck      []Place  `json:"stuck,omitempty"` // partitions that have not moved for a while and have something to read: the record where each stands
	// Rate is records a second that were finished in the window. -1 where it is not known.
	Rate     float64            `json:"rate"`
	Outcomes map[string]float64 `json:"outcomes,omitempty"` // a second, by label; from the services' metrics
	Retries  float64            `json:"retries"`            // batches tried again, a second; -1 where no process shows its metrics
	Later    int64              `json:"later"`              // documents that have overtaken their vectors
	Replicas int                `json:"replicas"`           // processes whose metrics show the stage
}

// Freshness is the time from the commit at the source to the index.
type Freshness struct {
	Collection string  `json:"collection"`
	To         string  `json:"to"` // acknowledged, or searchable: a search has found it
	Items      int64   `json:"items"`
	P50        Seconds `json:"p50_seconds"`
	P95        Seconds `json:"p95_seconds"`
	P99        Seconds `json:"p99_seconds"`
	// Window is what the percentiles are of; 0: since the services' starts.
	Window Seconds `json:"window_seconds"`
}

// Provider is how the embeddings provider is reached.
type Provider struct {
	Endpoints     []Endpoint `json:"endpoints"`
	Requests      float64    `json:"requests"`       // a second
	Tokens        float64    `json:"tokens"`         // charged, a second
	Saved         float64    `json:"saved"`          // tokens not paid again, a second
	Waiting       int64      `json:"waiting"`        // requests that wait for a rate limit
	BudgetWaiting int64      `json:"budget_waiting"` // requests that wait for the budget of the next day

	unpaid map[string]float64 // what a budget keeps waiting, by pipeline; "" is that of all
}

// Endpoint is a server of the provider, of all replicas of embed together.
type Endpoint struct {
	Role     string  `json:"role"` // first or backup
	Gate     string  `json:"gate"` // open, limited: requests wait; shut: told to wait; refused: no key is taken
	Shut     Seconds `json:"shut_seconds"`
	Keys     int     `json:"keys"`
	Refused  int     `json:"keys_refused"`
	Requests float64 `json:"requests_per_minute"` // that all gates let pass now; 0 is no known limit
	Tokens   float64 `json:"tokens_per_minute"`
	Breaker  string  `json:"breaker,omitempty"` // closed, open or half-open; "" where there is no second server
	Failed   float64 `json:"failed"`            // requests a second that were not answered; one that is throttled or refused is
	Failing  Seconds `json:"failing_seconds"`   // for how long none has succeeded; 0 where the last one has

	answers bool // one has succeeded since the look before
	away    bool // none has succeeded for a while
}

// Money is what embedding costs.
type Money struct {
	Currency string  `json:"currency"`
	PerHour  float64 `json:"per_hour"` // at the rate of the window; -1 where no embed answers
	Today    float64 `json:"today"`    // since midnight, UTC, by the ledger
	Saved    float64 `json:"saved_today"`
	Budget   float64 `json:"budget,omitempty"` // of a day; 0 is no bound
}

// IndexState is a collection.
type IndexState struct {
	Collection string `json:"collection"`
	Class      string `json:"class,omitempty"`
	Writable   *bool  `json:"writable"`      // nil where neither Weaviate nor write says
	Why        string `json:"why,omitempty"` // it is not
}

// LetterCounts counts dead letters.
type LetterCounts struct {
	Since  time.Time     `json:"since"`
	Total  int64         `json:"total"`  // since then
	Kept   int64         `json:"kept"`   // that the topic has, of all times
	Counts []LetterCount `json:"counts"` // the most frequent first
}

// LetterCount counts the dead letters of a stage and reason.
type LetterCount struct {
	Stage  string    `json:"stage"`
	Reason string    `json:"reason"`
	Count  int64     `json:"count"`
	Last   time.Time `json:"last"`
}

// Service is a process at its admin port.
type Service struct {
	Address string   `json:"address"`
	Stages  []string `json:"stages"` // that it shows; none where it does not answer
	Ready   bool     `json:"ready"`
	Says    string   `json:"says,omitempty"` // the text of /readyz where it is not "ok", or why it does not answer
}
