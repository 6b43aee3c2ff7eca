package chaos

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/telemetry"
	"github.com/freshet-io/freshet/libs/weaviate"
)

// pipelineFile reads both formats of changes into one collection.
const pipelineFile = `
apiVersion: freshet/v1
space: {provider: hash, model: chaos, dimensions: 8}
pipelines:
- name: items
  source: {topics: [shop.items], format: debezium}
  match: {db: shop, table: items}
  collection: Item
  id: {from: [id]}
  text: {template: "{{text}} {{notes}}"}
  properties:
  - {name: seq, type: int}
- name: rows
  source: {topics: [shop.rows], format: rows}
  collection: Item
  id: {from: [id]}
  text: {template: "{{text}}"}
  properties:
  - {name: seq, type: int}
`

// recordLimit returns the largest record, in bytes, that the topic of documents takes. With
// half of the seeds it is the broker that refuses larger ones, and not the client already.
func (p *plan) recordLimit() int {
	if p.brokerLimits() {
		return 16 << 10
	}
	return int(kafka.Topics{}.MaxBytes(""))
}

func (p *plan) brokerLimits() bool { return p.seed%2 == 0 }

// settleBound is within what all must have arrived once the last fault has healed.
const settleBound = 10 * time.Minute

// aftermath is within what a write that failed has landed, and the stage looks whether it has.
const aftermath = doubt + time.Minute

// world is one simulation: a broker, the stages' processes around the stand-ins, a
// producer, and an observer of all logs.
type world struct {
	t     *testing.T
	plan  *plan
	stuck bool // a group of the stand-in broker waits for nobody
	start time.Time
	ctx   context.Context // ends with the plan
	end   context.CancelFunc

	network   *network
	cluster   *kfake.Cluster
	topics    kafka.Topics
	identity  kafka.Identity
	file      *pipeline.File
	log       *slog.Logger
	telemetry *telemetry.Telemetry
	client    *kgo.Client // the driver's

	trouble  *trouble
	provider *paidTexts
	index    *index
	observed *observed

	running sync.WaitGroup // processes, killed ones too
	mu      sync.Mutex
	members []*process
	killed  []*process
	born    map[string]int
	outages int
	did     [kinds]int
	newest  map[string]*change // by item: the last one sent
	rows    []*row             // of the backfill
	found   []violation
}

func newWorld(t *testing.T, p *plan, tel *telemetry.Telemetry) *world {
	w := &world{
		t: t, plan: p, start: time.Now(), network: newNetwork(p.seed), topics: kafka.Topics{Prefix: "f"},
		log: slog.New(slog.DiscardHandler), telemetry: tel, born: map[string]int{}, newest: map[string]*change{},
		trouble: &trouble{random: rand.New(rand.NewPCG(p.seed, 2))}, //nolint:gosec // repeatable, on purpose
	}
	w.ctx, w.end = context.WithCancel(t.Context())
	w.provider = &paidTexts{trouble: w.trouble, times: map[string]int{}, now: w.now}
	w.index = &index{trouble: w.trouble, now: w.now, main: map[string]record.State{}, side: map[string]record.State{}, history: map[string][]moment{}, ledgers: map[int32]weaviate.Ledger{}}
	if os.Getenv("FRESHET_CHAOS_LOG") != "" { // for one seed
		w.log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	var err error
	if w.file, err = pipeline.Parse([]byte(pipelineFile)); err != nil {
		t.Fatal(err)
	}
	versions := kversion.Stable()
	versions.SetMaxKeyVersion(int16(kmsg.GetTelemetrySubscriptions), -1) // a tenth of the time, for nothing
	versions.SetMaxKeyVersion(int16(kmsg.PushTelemetry), -1)
	if w.cluster, err = kfake.NewCluster(kfake.NumBrokers(1), kfake.MaxVersions(versions), kfake.ListenFn(w.network.Listen), kfake.SeedTopics(p.partitions, w.file.Topics()...)); err != nil {
		t.Fatal(err)
	}
	if w.client, err = kafka.Producer(t.Context(), w.kafka(w.network.Host(0), "driver"), w.topics, false, w.log); err != nil {
		t.Fatal(err)
	}
	w.makeTopics()
	w.observe()
	return w
}

func (w *world) makeTopics() {
	if _, err := w.topics.Apply(w.t.Context(), w.client, kafka.Layout{Partitions: w.plan.partitions, Replication: 1}); err != nil {
		w.t.Fatal(err)
	}
	var err error
	if w.identity, err = w.topics.Check(w.t.Context(), w.client); err != nil {
		w.t.Fatal(err)
	}
	limit := strconv.Itoa(w.plan.recordLimit())
	limited := w.file.Topics()
	if w.plan.brokerLimits() {
		limited = []string{w.topics.DocumentsLive()}
	}
	_, err = kadm.NewClient(w.client).AlterTopicConfigs(w.t.Context(), []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "max.message.bytes", Value: &limit}}, limited...)
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) now() time.Duration { return time.Since(w.start) }

func (w *world) kafka(h *host, id string) kafka.Config {
	return kafka.Config{Brokers: w.cluster.ListenAddrs(), ClientID: id, MetadataMinAge: 250 * time.Millisecond, Dial: h.Dial}
}

func itemKey(item string) record.Item { return record.Item{Collection: "Item", ID: []string{item}} }

// launch starts another member of a service.
func (w *world) launch(service string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.born[service]++
	ctx, cancel := context.WithCancel(w.t.Context())
	p := &process{
		name: fmt.Sprintf("%s-%d", service, w.born[service]), service: service,
		host: w.network.Host(latency), gate: newGate(), stop: cancel, done: make(chan struct{}),
	}
	if w.outages > 0 {
		p.host.Disconnect()
	}
	w.members = append(w.members, p)
	w.running.Go(func() {
		defer close(p.done)
		p.err = w.run(ctx, p)
		cancel()
		w.ended(p)
	})
}

// ended takes a process that has ended off the list. One that nobody ended has failed.
func (w *world) ended(p *process) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p.killed {
		return
	}
	w.expire(p)
	w.members = slices.DeleteFunc(w.members, func(m *process) bool { return m == p })
	// One that is stopped while it still connects says so, and that is all right here.
	if !p.stopped || p.err != nil && !errors.Is(p.err, context.Canceled) {
		w.found = append(w.found, violation{invariant: "alive", what: fmt.Sprintf("%s ended at %s by itself: %v", p.name, w.now(), p.err)})
	}
}

// expire takes a process that has ended out of its groups when its session is over. Kafka
// does it by itself, and so does kfake, but not where the answer to the join or the sync of
// a member did not reach it: that one stays, and has its partitions, for ever.
func (w *world) expire(p *process) {
	w.running.Go(func() {
		if wait(w.ctx, sessionTimeout+time.Second) != nil {
			return
		}
		for group := range w.groups() {
			info := w.cluster.GroupInfo(group)
			if info == nil {
				continue
			}
			req := kmsg.NewPtrLeaveGroupRequest()
			req.Group = group
			for _, m := range info.Members {
				if m.ClientID == p.name {
					req.Members = append(req.Members, kmsg.LeaveGroupRequestMember{MemberID: m.MemberID})
				}
			}
			if len(req.Members) > 0 {
				_, _ = req.RequestWith(w.ctx, w.client)
			}
		}
	})
}

// of returns the living members of a service that were not told to stop.
func (w *world) of(service string) []*process {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []*process
	for _, p := range w.members {
		if p.service == service && !p.stopped {
			list = append(list, p)
		}
	}
	return list
}

// groups are the stages' consumer groups and what each reads.
func (w *world) groups() map[string][]string {
	return map[string][]string{
		"f-ingest":     w.file.Topics(),
		"f-embed":      {w.topics.DocumentsLive()},
		"f-embed-bulk": {w.topics.DocumentsBulk()},
		"f-write":      {w.topics.VectorsLive(), w.topics.VectorsBulk()},
	}
}

// lag returns how many records of a group are not committed, or owed.
func (w *world) lag(group string) int64 {
	info := w.cluster.GroupInfo(group)
	var sum int64
	for _, topic := range w.groups()[group] {
		for _, p := range w.cluster.PartitionInfos(topic) {
			sum += p.HighWatermark
			if info != nil {
				c := info.Commits[topic][p.Partition]
				sum += int64(len(owedIn(c))) - c.Offset
			}
		}
	}
	return sum
}

// settle waits until every record is committed by every stage.
func (w *world) settle(ctx context.Context) {
	for since := w.now(); w.now()-since < settleBound; {
		behind := int64(0)
		for group := range w.groups() {
			behind += w.lag(group)
		}
		if behind == 0 {
			return
		}
		if wait(ctx, time.Second) != nil {
			return
		}
	}
	w.dump()
	for group := range w.groups() {
		if n := w.lag(group); n > 0 {
			if info := w.cluster.GroupInfo(group); info != nil && info.State == "PreparingRebalance" {
				w.stuck = true
			}
			w.report("settled", "%d records of group %s are not committed %s after the last fault has healed\n%s", n, group, settleBound, w.standing(group))
		}
	}
}

// dump writes what all goroutines do, where that is asked for.
func (*world) dump() {
	if os.Getenv("FRESHET_CHAOS_STACKS") != "" {
		_ = pprof.Lookup("goroutine").WriteTo(os.Stderr, 2)
	}
}

// standing tells who has which partitions of a group, and how far they are.
func (w *world) standing(group string) string {
	info := w.cluster.GroupInfo(group)
	if info == nil {
		return "  no such group\n"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "  group     %s, generation %d\n", info.State, info.Epoch)
	for _, m := range info.Members {
		fmt.Fprintf(&b, "  member    %s has %v\n", m.MemberID, m.Assignment)
	}
	for _, topic := range w.groups()[group] {
		for _, p := range w.cluster.PartitionInfos(topic) {
			fmt.Fprintf(&b, "  offsets   %s/%d committed %d of %d, owed %v\n", topic, p.Partition, info.Commits[topic][p.Partition].Offset, p.HighWatermark, owedIn(info.Commits[topic][p.Partition]))
		}
	}
	return b.String()
}

func (w *world) report(invariant, format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.found = append(w.found, violation{invariant: invariant, what: fmt.Sprintf(format, args...)})
}
