package stage

import (
	"context"
	"strconv"
	"time"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/telemetry"
)

// Handler turns a batch of inputs into one outcome per input, in the order of the
// inputs: Emit (any number of records for the next topic), Skip, Reject (one dead
// letter) or Done.
//
// An error means that the whole batch had no outcome; its class (package fault)
// says what the stage does: a transient one is tried again without end, a
// permanent one has the batch halved until the culprit is alone, a fatal one stops
// the service. A Handler is called from several goroutines at once, but never with more
// than Stage.Flights batches of one partition. It may keep nothing of batch after it
// has returned. ctx ends when the partition is taken away, or the process told to
// stop, and the bound for finishing has passed.
type Handler[In, Out any] interface {
	Handle(ctx context.Context, batch []In) ([]Outcome[Out], error)
}

// Outcome is the fate of one input.
type Outcome[Out any] struct {
	// Out is produced to the stage's sink, in order, and acknowledged before the
	// input's offset is marked.
	Out []Out
	// Err, where it is not nil, makes the input a dead letter once Out is acknowledged.
	Err error
	// Label counts the outcome in freshet.items: a word of a short, closed list.
	Label string
	// Arrived says that the input reached the index, so that its freshness counts.
	Arrived bool
	// Again says that the index had all of this before it was handled.
	Again bool
	// Later leaves the input's offset unmarked once Out is acknowledged, while the partition goes on. Only the offset
	// is kept: the record is read again for Stage.Later, until that one gives it another outcome.
	Later bool
	// Batch is what the input had a part in, together with others', on the way to this outcome; nil for nothing that is
	// told. It has ended.
	Batch *telemetry.Batch
	// NotBefore is when Stage.Later may have it again; others that are left for later go before it meanwhile. The zero
	// time is as soon as can be.
	NotBefore time.Time
	// Measured, where it is not nil, is called when the input's freshness is measured, with the trace of the input, nil where
	// that is not told. It is not called for what is known to have been measured before. It must not wait.
	Measured func(*telemetry.Trace)
}

// Emit hands records on to the next topic.
func Emit[Out any](label string, out ...Out) Outcome[Out] {
	return Outcome[Out]{Out: out, Label: label}
}

// Skip drops the input: there is nothing to do for it, and label says why.
func Skip[Out any](label string) Outcome[Out] { return Outcome[Out]{Label: label} }

// Later hands records on and has Stage.Later handle the input again; see Outcome.Later.
func Later[Out any](label string, out ...Out) Outcome[Out] {
	return Outcome[Out]{Out: out, Label: label, Later: true}
}

// Done says that the input has reached the index.
func Done[Out any](label string) Outcome[Out] { return Outcome[Out]{Label: label, Arrived: true} }

const labelDeadLettered = "deadlettered"

// Reject makes the input a dead letter. mark, if given, is produced first: the
// records that tell the next stages of it.
func Reject[Out any](err error, mark ...Out) Outcome[Out] {
	return Outcome[Out]{Out: mark, Err: err, Label: labelDeadLettered}
}

// Record is a record of Kafka as decoders see it, so that no handler knows Kafka.
// Its slices belong to the stage: a decoder that keeps them must not change them.
type Record struct {
	Topic       string
	TopicID     [16]byte
	Partition   int32
	Offset      int64
	LeaderEpoch int32     // -1 where the broker gave none
	Time        time.Time // the broker's or the producer's, by the topic's setting
	Key         []byte    // nil for a null key
	Value       []byte    // nil for a null value
	Version     []byte    // nil without a header record.HeaderVersion
	Fault       []byte    // nil without a header record.HeaderFault
	Force       bool      // a header record.HeaderForce says true
	Trace       telemetry.Item
}

// ExplicitVersion returns the version that the record brings along in its header, as redriven dead letters do; ok is
// false where it has none.
func (r Record) ExplicitVersion() (version int64, ok bool, err error) {
	if r.Version == nil {
		return 0, false, nil
	}
	version, err = strconv.ParseInt(string(r.Version), 10, 64)
	if err != nil || version <= 0 {
		return 0, false, fault.Reject(fault.Malformed, "header %s is no version", record.HeaderVersion)
	}
	return version, true, nil
}

// Output is a record for the next topic. The stage places it by its key.
type Output struct {
	Topic string // "" is the sink's
	Key   []byte
	Value []byte
	// CommittedAt is when the change was committed at its source, where the stage's input did not tell.
	CommittedAt time.Time
}
