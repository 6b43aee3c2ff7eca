package chaos

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/recipe"
	"github.com/freshet-io/freshet/libs/service"
	"github.com/freshet-io/freshet/libs/stage"
	"github.com/freshet-io/freshet/services/embed/embedder"
	"github.com/freshet-io/freshet/services/ingest/ingester"
	"github.com/freshet-io/freshet/services/write/writer"
)

const (
	sessionTimeout = 6 * time.Second
	drain          = 10 * time.Second
	// stopBound is within what a process that was told to stop must have ended: its drain,
	// the last commit, and leaving the group.
	stopBound = drain + 15*time.Second
	// deadline is that of a call to the index: a process that stands still between its look at
	// the lease and the call makes it so late, and no later.
	deadline = 20 * time.Second
	doubt    = deadline + 5*time.Second
	// overtakeAfter is how long a document waits for its vector.
	overtakeAfter = 2 * time.Second
	latency       = 8 * time.Millisecond // of the network, one way
)

// process is one member of a service, with all that can be done to it.
type process struct {
	name    string
	service string
	host    *host
	gate    *gate
	stop    context.CancelFunc
	done    chan struct{}
	err     error // of the run, once done is closed

	killed, stopped bool
	frozen          int
}

// gate is between a process and its provider and index: they are not reached over the
// network of the simulation.
type gate struct {
	mu     sync.Mutex
	dead   bool
	thawed chan struct{} // closed while not frozen
	midway bool          // frozen in the midst of its writes alone
	caught chan struct{} // closed when one of them stands there
}

var (
	errKilled = errors.New("the process was killed")
	errLate   = errors.New("the call's deadline has passed")
)

func newGate() *gate {
	g := &gate{thawed: make(chan struct{})}
	close(g.thawed)
	return g
}

// pass returns when the process may do what it is about to do.
func (g *gate) pass(ctx context.Context) error {
	g.mu.Lock()
	thawed, midway := g.thawed, g.midway
	g.mu.Unlock()
	if !midway {
		select {
		case <-thawed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.dead {
		return errKilled
	}
	return ctx.Err()
}

// passMidway is pass for a write that was begun.
func (g *gate) passMidway(ctx context.Context) error {
	g.mu.Lock()
	thawed := g.thawed
	if g.midway && g.caught != nil {
		close(g.caught)
		g.caught = nil
	}
	g.mu.Unlock()
	select {
	case <-thawed:
	case <-ctx.Done():
		return ctx.Err()
	}
	return g.pass(ctx)
}

// freeze stops the process where it is.
func (g *gate) freeze() {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.thawed:
		g.thawed = make(chan struct{})
	default:
	}
}

// trap stops the process when it is about to send its next write, behind its look at the
// lease: the worst moment, which chance hardly finds. The channel is closed then.
func (g *gate) trap() (caught <-chan struct{}) {
	g.freeze()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.midway, g.caught = true, make(chan struct{})
	return g.caught
}

func (g *gate) thaw() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.midway = false
	select {
	case <-g.thawed:
	default:
		close(g.thawed)
	}
}

func (g *gate) kill() {
	g.mu.Lock()
	g.dead = true
	g.mu.Unlock()
	g.thaw()
}

// kill ends the process as kill -9 does: nothing that it begins or has under way takes
// effect any more. What is left of it is goroutines that find this out.
func (p *process) kill() {
	p.killed = true
	p.gate.kill() // for ever, whatever the network does
	p.host.Kill()
	p.stop()
}

// wait takes d, unless ctx ends before.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// settings are small, so that few records are many batches and full queues.
func settings() stage.Settings {
	return stage.Settings{
		Items: 8, Drain: drain, SessionTimeout: sessionTimeout, RebalanceTimeout: 2 * drain,
		QueueRecords: 20, QueueBytes: 1 << 20,
	}
}

// run runs a service as its main does, around the stand-ins.
func (w *world) run(ctx context.Context, p *process) error {
	cluster := w.kafka(p.host, p.name)
	proc := &service.Process{Name: p.name, Log: w.log.With("process", p.name), Telemetry: w.telemetry, Health: service.NewHealth()}
	switch p.service {
	case "ingest":
		return w.runIngest(ctx, proc, cluster)
	case "embed":
		return w.runEmbed(ctx, proc, cluster, p)
	default:
		cfg := writer.Settings{Kafka: cluster, Topics: w.topics, Doubt: doubt, Stage: settings()}
		name := w.file.Pipelines[0].Collection
		index := &indexView{w.index, p}
		handler := writer.New(index, writer.Config{
			Collections: map[string]writer.Collection{name: {Space: w.file.Space.String(), Dimensions: dimensions}}, Recipes: w, Remembered: 1 << 20,
			Doubt: w.plan.lateBound(), Partitions: w.plan.partitions,
		})
		var keeper stage.Keeper
		if w.plan.lateBound() > 0 {
			keeper = writer.NewKeeper(handler, index, w.identity.IDs, 0)
		}
		s := writer.NewStage(cfg, w.identity, handler, keeper)
		s.To.Compress = false // as in runIngest
		return s.Run(ctx, proc)
	}
}

// Recipe implements writer.Recipes: only the first pipeline's rows can be partial.
func (w *world) Recipe(_ context.Context, hash []byte) (*recipe.Recipe, error) {
	if own, _ := w.file.Pipelines[0].ItemRecipe(); !bytes.Equal(own, hash) {
		return nil, fmt.Errorf("recipe %x is not published", hash)
	}
	return recipe.New(&w.file.Pipelines[0])
}

func (w *world) runIngest(ctx context.Context, proc *service.Process, cluster kafka.Config) error {
	cfg := ingester.Settings{Kafka: cluster, Topics: w.topics, Stage: settings()}
	cfg.Source.Kafka = cluster
	handler, err := ingester.New(w.file, ingester.Options{Config: ingester.DefaultConfig()})
	if err != nil {
		return err
	}
	s := ingester.NewStage(cfg, w.file.Topics(), w.identity, handler)
	// The readers' zstd decoders are closed by finalizers, outside of the bubble of virtual
	// time, which the runtime does not forgive.
	s.To.Compress = false
	return s.Run(ctx, proc)
}

func (w *world) runEmbed(ctx context.Context, proc *service.Process, cluster kafka.Config, p *process) error {
	space := embedder.Space{Name: w.file.Space.String(), Model: w.file.Space.Model, Dimensions: dimensions}
	cfg := embedder.Config{Tokenizer: "none", MaxBytes: 1 << 20, BatchItems: 16, BatchTokens: 100_000, BatchBytes: 1 << 20, InFlight: 4, CacheBytes: 1 << 20, OvertakeAfter: overtakeAfter}
	handler, err := embedder.New(&providerView{w.provider, p}, &indexView{w.index, p}, space, cfg)
	if err != nil {
		return err
	}
	defer handler.Close()
	live, bulk := embedder.NewStages(embedder.Settings{Kafka: cluster, Topics: w.topics, Stage: settings()}, w.identity, handler)
	lanes, ctx := errgroup.WithContext(ctx)
	lanes.Go(func() error { return live.Run(ctx, proc) })
	lanes.Go(func() error { return bulk.Run(ctx, proc) })
	return lanes.Wait()
}
