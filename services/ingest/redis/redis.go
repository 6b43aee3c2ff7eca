// Package redis passes the entries of Redis streams on to source topics, where ingest reads them as any other producer's
// changes:
//
//	stream ─▶ take (pending ones first) ─▶ record ─▶ source topic ─▶ acknowledge
//
// It owns who reads a stream, and that nothing is lost, passed over or out of order on the way. A process reads while it
// has the stream's lease, which is renewed while it works and asked for by the very script that reads; and only the last one
// that opened the topic's writer can write (docs/decisions/2026-11-30-a-stream-is-copied-to-a-topic.md). It never looks into a change.
package redis

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/service"
	"github.com/freshet-io/freshet/libs/telemetry"
)

// Check tells whether the settings say where the streams are.
func (c Config) Check(feeds []pipeline.Feed) error {
	if len(feeds) > 0 && c.URL == "" {
		return fault.Halt("FRESHET_REDIS_URL is not set, and the pipeline file has source.redis of stream %s", feeds[0].Stream)
	}
	return nil
}

// Run passes on what the streams of the pipeline file have, to topics of the cluster, until ctx ends, which is no error,
// or a fatal fault stops it. Without streams it returns at once. name begins the names of transactions, and is the
// consumer group where the settings leave it open.
func Run(ctx context.Context, p *service.Process, cfg Config, cluster kafka.Config, name string, feeds []pipeline.Feed) error {
	if len(feeds) == 0 {
		return nil
	}
	if err := cfg.Check(feeds); err != nil {
		return err
	}
	if cfg.Group == "" {
		cfg.Group = name
	}
	goredis.SetLogger(quiet{p.Log})
	host, _ := os.Hostname() // for people who ask who has the lease
	holder := host + "/" + rand.Text()[:8]
	group, work := errgroup.WithContext(ctx)
	var readers readers
	for _, feed := range feeds {
		log := p.Log.With("stream", feed.Stream)
		r := &reader{cfg: cfg, feed: feed, holder: holder, log: log, open: func(ctx context.Context) (writer, error) {
			return kafka.OpenWriter(ctx, cluster, name+"-redis-"+feed.Stream, feed.Topic, log)
		}}
		readers = append(readers, r)
		p.Health.Note("redis stream "+feed.Stream, r.note)
	}
	if err := readers.publish(p.Telemetry.Metrics); err != nil {
		return err
	}
	for _, r := range readers {
		group.Go(func() error { return r.run(work) })
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("reading Redis streams: %w", err)
	}
	return nil
}

// writer is where the entries go.
type writer interface {
	Write(ctx context.Context, records []kafka.Raw) error
	MaxBytes() int
	Close()
}

// reader passes on one stream. Its methods but note are for one goroutine.
type reader struct {
	cfg    Config
	feed   pipeline.Feed
	holder string
	log    *slog.Logger
	open   func(context.Context) (writer, error)

	worked         bool // it has read, or seen another one read
	trouble        atomic.Pointer[string]
	passed, missed atomic.Int64
	lag            atomic.Int64 // of the last look, where this is the reader
}

const (
	firstWait = 200 * time.Millisecond
	longWait  = 5 * time.Second
	// standBy is how often one who does not have the lease asks for it.
	standBy = time.Second
	// writeBound bounds one batch on its way to Kafka, also when the process is told to stop.
	writeBound = 30 * time.Second
	leaveBound = 2 * time.Second
)

// run reads while it can, and tries again what waiting cures.
func (r *reader) run(ctx context.Context) error {
	for wait := firstWait; ; wait = min(2*wait, longWait) {
		before := r.passed.Load()
		err := r.tenure(ctx)
		if err == nil || ctx.Err() != nil {
			return nil //nolint:nilerr // what is told to stop may fail by that
		}
		// What has worked once is waited for: a password is changed in two places, and not at one time.
		if fault.ClassOf(err) == fault.Fatal && !r.worked {
			return err
		}
		if r.passed.Load() > before {
			wait = firstWait
		}
		r.trouble.Store(new(err.Error()))
		r.log.WarnContext(ctx, "reading a Redis stream again", "error", err)
		pause(ctx, wait)
	}
}

// pause returns after a while, or when ctx ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// note is what the readiness text tells.
func (r *reader) note() string {
	if t := r.trouble.Load(); t != nil {
		return *t
	}
	return ""
}

// tenure waits for the lease and reads until something fails or ctx ends, which is no error.
func (r *reader) tenure(ctx context.Context) error {
	client, err := r.cfg.open(r.log)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }() // nothing is under way
	s := newStream(client, r.cfg, r.feed, r.holder)
	if err := s.prepare(ctx, r.log); err != nil {
		return err
	}
	if err := r.await(ctx, s); err != nil || ctx.Err() != nil {
		return err
	}
	defer func() {
		leave, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveBound)
		defer cancel()
		s.release(leave)
	}()
	held, done := s.keep(ctx)
	defer done() // before the release
	// Before the first entry is read: nobody who read before can write any more then, so nothing old comes behind.
	opening, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(held, cancel)()
	out, err := r.open(opening)
	if err != nil {
		return because(held, err)
	}
	defer out.Close()
	r.log.InfoContext(ctx, "reading a Redis stream", "topic", r.feed.Topic)
	for ctx.Err() == nil {
		if err := r.turn(ctx, held, s, out); err != nil {
			return err
		}
		r.worked = true
		r.trouble.Store(nil)
	}
	return nil
}

// await returns when the lease is ours, or ctx ends.
func (r *reader) await(ctx context.Context, s *stream) error {
	for ctx.Err() == nil {
		holder, err := s.acquire(ctx)
		if err != nil || holder == "" {
			return err
		}
		// Another one reads, so the settings are good: this one waits, too, while a password is changed.
		r.worked = true
		r.trouble.Store(nil)
		r.lag.Store(0)
		r.log.DebugContext(ctx, "another process reads the stream", "holder", holder)
		pause(ctx, standBy)
	}
	return nil
}

// turn passes one batch on, or waits for one. held ends where the lease is lost.
func (r *reader) turn(ctx, held context.Context, s *stream, out writer) error {
	t, err := s.take(ctx)
	if err != nil {
		return err
	}
	r.tell(ctx, t)
	if len(t.entries) == 0 {
		return s.wait(ctx, t.last)
	}
	records := make([]kafka.Raw, len(t.entries))
	for i, e := range t.entries {
		records[i] = e.raw(r.feed, out.MaxBytes(), time.Now())
	}
	// What is read is finished, also when the process is told to stop, but not where another one reads it too.
	work, cancel := context.WithTimeout(held, writeBound)
	defer cancel()
	if err := out.Write(work, records); err != nil {
		return because(held, err)
	}
	if err := s.acknowledge(work, t.entries); err != nil {
		return err
	}
	r.passed.Add(int64(len(t.entries)))
	return nil
}

// tell warns of what the stream has lost. To stop would not help: more would be removed unread meanwhile.
func (r *reader) tell(ctx context.Context, t taken) {
	r.lag.Store(max(0, t.lag))
	if t.missed > 0 {
		r.missed.Add(t.missed)
		r.log.ErrorContext(ctx, "entries were removed from the stream before they were read: send their rows again, and have the producers keep more (MAXLEN)", "entries", t.missed, "behind", t.last)
	}
	if len(t.gone) > 0 {
		r.missed.Add(int64(len(t.gone)))
		r.log.ErrorContext(ctx, "entries were removed from the stream after they were read and before that was acknowledged: they may be lost, send their rows again", "entries", len(t.gone), "first", t.gone[0], "last", t.gone[len(t.gone)-1])
	}
}

// readers are those of all streams.
type readers []*reader

// publish shows what the readers have done.
func (rs readers) publish(m *telemetry.Metrics) error {
	sum := func(of func(*reader) *atomic.Int64) func() float64 {
		return func() (n float64) {
			for _, r := range rs {
				n += float64(of(r).Load())
			}
			return n
		}
	}
	if err := m.Counter(telemetry.RedisPassed, sum(func(r *reader) *atomic.Int64 { return &r.passed })); err != nil {
		return err
	}
	if err := m.Counter(telemetry.RedisMissed, sum(func(r *reader) *atomic.Int64 { return &r.missed })); err != nil {
		return err
	}
	return m.Gauge(telemetry.RedisLag, func(observe func(float64, ...string)) {
		for _, r := range rs {
			observe(float64(r.lag.Load()), "stream", r.feed.Stream)
		}
	})
}
