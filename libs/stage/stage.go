package stage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"golang.org/x/sync/errgroup"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/service"
	"github.com/freshet-io/freshet/libs/telemetry"
)

// Stage describes one step. Run runs it.
type Stage[In, Out any] struct {
	Name string // of the step in metrics, logs and dead letters: ingest, embed, write
	From Source
	To   Sink

	// Received and Left are the hops of an item's way at which it comes to the stage and leaves it.
	Received, Left record.Hop

	Settings Settings
	// Items is the batch size, QueueBytes what is read ahead, where the settings leave them open.
	Items      int
	QueueBytes int64

	Decode   func(Record) (In, error)  // an unclassified error is malformed
	Encode   func(Out) (Output, error) // nil for the last stage
	Describe func(In) Facts            // what dead letters and freshness tell of an input
	Handler  Handler[In, Out]
	// Later, if set, handles again what had the outcome Later, beside the batches of its partition, however long that
	// takes; what it emits may come behind outputs of later inputs. It is for stages that have neither Doubt nor Keeper,
	// and one topic a worker.
	Later Handler[In, Out]
	// Flights is how many batches of one partition the handler may have at once; 0 is 1,
	// which a handler needs that must not have two states of an item at a time.
	Flights int
	// Mark, if set, returns the output that tells the next stages of one that was too large
	// for its topic: without it, nothing would say that the item has a newer state.
	Mark func(Out, fault.Reason) Out
	// Doubt is how long a call of the handler may still land after its process was put out of
	// the group. After an owner that did not leave cleanly nothing is committed for so long, and
	// then all of it is worked on once more. 0 is for a handler whose late calls harm nothing.
	Doubt time.Duration
	// Assigned, if set, is called whenever partitions are given to this member, before their
	// first record is handled: what another member began there may be half done.
	Assigned func(partitions ...int32)
	// Again, if set, is called before records are worked on once more that this member has worked
	// on: a late call of another member may have landed meanwhile.
	Again func(partitions ...int32)
	// Keeper, if set, looks after what the handler has brought into a target that may forget.
	Keeper Keeper
}

// Source is what a stage reads.
type Source struct {
	Cluster kafka.Config
	Topics  []string // the first ones are read first where several wait
	Bulk    string   // the one of them whose records may wait for long: those of a backfill
	Group   string
	// More, if set, is asked again and again for topics to read besides, which are made later.
	More      func(ctx context.Context) ([]string, error)
	MoreEvery time.Duration // 30 s if 0
	// CoPartitioned has one goroutine serve a partition number of all topics, so that an
	// item that may be in several of them has one worker.
	CoPartitioned bool
}

// Sink is where a stage's outputs and dead letters go.
type Sink struct {
	Cluster  kafka.Config
	Topics   kafka.Topics
	Identity kafka.Identity
	Topic    string // "" for the last stage
	// Reader is the group that reads Topic: the stage waits for it before Kafka deletes
	// what it has not read. "" waits for nobody.
	Reader   string
	Compress bool
	// Versioned says that the log of Topic is the order of versions, so that the mark
	// produced before a dead letter gives the letter its version.
	Versioned bool
}

// Settings bounds a stage's work.
type Settings struct {
	Items            int           `envconfig:"BATCH_ITEMS" default:"0" desc:"most records that a partition hands to the handler at once; 0 is 500 for ingest and 100 for embed and write"`
	Drain            time.Duration `default:"70s" desc:"how long a partition that is taken away, or a process that is told to stop, may finish what it has begun"`
	SessionTimeout   time.Duration `default:"45s" desc:"silence after which Kafka gives this member's partitions to another"`
	RebalanceTimeout time.Duration `default:"120s" desc:"how long Kafka waits for members in a rebalance; longer than DRAIN"`
	QueueRecords     int           `default:"2000" desc:"records read ahead a partition"`
	QueueBytes       int64         `default:"0" desc:"bytes read ahead in all; bounds memory; 0 is 128 MB, and 32 MB for write, whose records are large"`
	StormBreaker     bool          `default:"true" desc:"stop where half of the last 1000 records of a topic cannot be read, instead of making dead letters of them all"`

	GroupProtocol kafka.GroupProtocol `default:"classic" desc:"how a group's members share partitions: classic, or consumer (KIP-848, from Kafka 4.0, better 4.3), where only members whose partitions move notice a rebalance, and the broker's group.consumer.session.timeout.ms stands for SESSION_TIMEOUT; write's group is always classic"`
}

const defaultQueueBytes = 128 << 20

// Validate reports settings that cannot be.
func (s Settings) Validate() error {
	switch {
	case s.Items < 0 || s.QueueBytes < 0 || s.QueueRecords < 1:
		return errors.New("BATCH_ITEMS and QUEUE_BYTES must not be negative, QUEUE_RECORDS at least 1")
	case s.RebalanceTimeout <= s.Drain:
		return fmt.Errorf("REBALANCE_TIMEOUT %s must be longer than DRAIN %s, or Kafka gives a partition away before its last batch is finished", s.RebalanceTimeout, s.Drain)
	}
	return nil
}

func (s *Stage[In, Out]) setDefaults() {
	s.Settings.Items = cmp.Or(s.Settings.Items, s.Items, 1)
	s.Settings.QueueBytes = cmp.Or(s.Settings.QueueBytes, s.QueueBytes, defaultQueueBytes)
	for _, hook := range []*func(...int32){&s.Assigned, &s.Again} {
		if *hook == nil {
			*hook = func(...int32) {}
		}
	}
}

// Run consumes until ctx ends, which is no error, or a fatal fault stops it. On the
// way out it finishes the batches in flight within Settings.Drain, commits and
// leaves the group. It is called once.
func (s *Stage[In, Out]) Run(ctx context.Context, p *service.Process) error {
	log := p.Log.With("stage", s.Name)
	p.Health.Unready(s.Name, "has not joined its group yet")
	s.From.Cluster.Meters, s.To.Cluster.Meters = p.Telemetry.Meters, p.Telemetry.Meters
	producer, err := kafka.Producer(ctx, s.To.Cluster, s.To.Topics, s.To.Compress, log)
	if err != nil {
		return fmt.Errorf("connecting to the pipeline's cluster: %w", err)
	}
	defer producer.Close()
	if err := s.From.pin(ctx, log); err != nil {
		return err
	}
	e := &engine[In, Out]{
		stage: s, log: log, telemetry: p.Telemetry,
		send: &sender{client: producer, topics: s.To.Topics, log: log}, storms: newStorms(s.Settings.StormBreaker),
	}

	group, work := errgroup.WithContext(ctx)
	s.setDefaults()
	members := newMembers(memberOptions{
		from: s.From, settings: s.Settings, flights: s.Flights, doubt: s.Doubt, keeper: s.Keeper, log: log,
		process: e.process, later: e.later(), commit: commit, export: p.Telemetry.Export, storms: e.storms, places: p.Places(), spawn: group.Go, again: s.Again,
	})
	next := &backlog{group: s.To.Reader, topic: s.To.Topic, adm: kadm.NewClient(producer), log: log, hold: members.hold}
	if s.To.Reader != "" {
		next.look(ctx)
	}
	s.begin(ctx, p.Telemetry.Metrics)
	for _, lane := range s.From.lanes() {
		p.Telemetry.Metrics.Unfinished(s.Name, lane, func() time.Duration { return members.oldest(lane) })
	}
	if err := members.publish(s.Name, p.Telemetry.Metrics); err != nil {
		return err
	}
	consumer, err := kafka.Consumer(work, s.From.Cluster, kafka.GroupOptions{
		Group: s.From.Group, Topics: s.From.Topics, CoPartitioned: s.From.CoPartitioned, Protocol: s.Settings.GroupProtocol,
		SessionTimeout: s.Settings.SessionTimeout, RebalanceTimeout: s.Settings.RebalanceTimeout,
		Callbacks: members.callbacks(ctx, func(partitions ...int32) {
			p.Health.Ready(s.Name)
			p.Telemetry.Metrics.Rebalance(ctx, s.Name)
			if len(partitions) > 0 {
				s.Assigned(partitions...)
			}
		}),
	}, log)
	if err != nil {
		return fmt.Errorf("connecting to the source cluster: %w", err)
	}
	group.Go(func() error { return members.poll(work, consumer, p.Health.Beat) })
	group.Go(func() error { return s.From.readMore(work, consumer, log) })
	if s.To.Reader != "" {
		group.Go(func() error { next.watch(work); return nil })
	}
	<-work.Done()
	members.shutdown(ctx, consumer)
	// The bound has passed for what a worker still produces: with Kafka away, a record
	// that was sent once is otherwise waited for without end.
	producer.Close()
	if err := group.Wait(); ctx.Err() == nil || fault.ClassOf(err) == fault.Fatal {
		return err
	}
	return nil
}

func (s *Stage[In, Out]) begin(ctx context.Context, m *telemetry.Metrics) {
	reasons := make([]string, len(fault.Reasons))
	for i, r := range fault.Reasons {
		reasons[i] = string(r)
	}
	m.Begin(ctx, s.Name, reasons...)
	m.Items(ctx, s.Name, labelDeadLettered, 0)
}

// lane returns that of a topic.
func (s Source) lane(topic string) string {
	if topic == s.Bulk {
		return telemetry.Bulk
	}
	return telemetry.Live
}

// lanes returns those that the topics are of.
func (s Source) lanes() (lanes []string) {
	for _, topic := range s.Topics {
		if lane := s.lane(topic); !slices.Contains(lanes, lane) {
			lanes = append(lanes, lane)
		}
	}
	return lanes
}

// pin fixes where the group begins, before it has members.
func (s Source) pin(ctx context.Context, log *slog.Logger) error {
	client, err := s.Cluster.Connect(ctx, log)
	if err != nil {
		return fmt.Errorf("connecting to the source cluster: %w", err)
	}
	defer client.Close()
	bound, cancel := context.WithTimeout(ctx, pinBound)
	defer cancel()
	// The coordinator of a new cluster's first group takes a while to come up.
	_, err = service.Await(bound, log, "the group's start offsets", func(ctx context.Context) (struct{}, error) {
		return struct{}{}, kafka.PinStart(ctx, client, s.Group, s.Topics...)
	})
	if ctx.Err() != nil || fault.ClassOf(err) == fault.Fatal {
		return err
	}
	if err != nil {
		log.WarnContext(ctx, "start offsets are not pinned; the group begins at the earliest records", "error", err)
	}
	return nil
}

// pinBound is how long a stage waits for what it can do without: a source topic may
// not be there yet, and begins at its first record anyway.
const pinBound = 15 * time.Second
