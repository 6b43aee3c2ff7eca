package redis_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/freshet-io/freshet/libs/fake/local"
	"github.com/freshet-io/freshet/libs/fake/local/localtest"
	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/services/ingest/redis"
)

// held is a writer whose process sleeps between what it has read and what it writes, or dies right behind it.
type held struct {
	*kafka.Writer

	begun chan int // how many records it sleeps with
	work  chan context.Context
	wake  chan struct{}
	ended chan error // of the write
	dead  bool
}

func (h *held) Write(ctx context.Context, records []kafka.Raw) error {
	h.begun <- len(records)
	h.work <- ctx
	<-h.wake
	// Not ctx: it has ended meanwhile. Nobody may count on a sleeper's clock.
	err := h.Writer.Write(context.WithoutCancel(ctx), records)
	h.ended <- err
	if err == nil && h.dead {
		return errors.New("dead before it could acknowledge")
	}
	return err
}

// sleeper runs a reader whose first writer is held; later ones are not.
func (r *rig) sleeper(dead bool) *held {
	h := &held{begun: make(chan int, 1), work: make(chan context.Context, 1), wake: make(chan struct{}), ended: make(chan error, 1), dead: dead}
	log := slog.New(slog.NewTextHandler(r.log, nil)).With("reader", "sleeper")
	ctx, cancel := context.WithCancel(r.t.Context())
	done := make(chan error, 1)
	first, cluster := true, kafkaAt(r.t, r.brokers)
	go func() {
		done <- redis.RunWith(ctx, r.cfg, feeds(stream, topic)[0], log, func(ctx context.Context) (redis.Writer, error) {
			w, err := kafka.OpenWriter(ctx, cluster, "freshet-redis-"+stream, topic, log)
			if err != nil || !first {
				return w, err
			}
			first, h.Writer = false, w
			return h, nil
		})
	}()
	r.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			r.t.Error(err)
		}
	})
	return h
}

// zombies has a reader sleep with entries in its hands until another one has passed them on, and newer ones.
func zombies(t *testing.T, brokers string) {
	server := localtest.Redis(t, local.RedisOptions{})
	r := newRig(t, brokers, "redis://"+server.Address, connect(t, server.Address))
	r.add(1, 50)
	h := r.sleeper(false)
	if n := <-h.begun; n != 50 {
		t.Fatalf("it sleeps with %d entries", n)
	}
	r.loseLease(<-h.work)
	r.begin()
	r.add(51, 100)
	r.await(topic, 100)
	close(h.wake)
	if err := <-h.ended; err == nil || !strings.Contains(err.Error(), "another process has taken over") {
		t.Errorf("what the sleeper had was taken: %v", err)
	}
	r.add(101, 150)
	r.await(topic, 150)
	r.settled()
	r.inOrder(r.read(topic), 1, 150)
}

// loseLease has somebody else take the lease, and free it when the reader's work is stopped for that.
func (r *rig) loseLease(work context.Context) {
	r.t.Helper()
	if err := r.redis.Set(r.t.Context(), lease, "somebody", 0).Err(); err != nil {
		r.t.Fatal(err)
	}
	<-work.Done()
	if cause := context.Cause(work); !strings.Contains(cause.Error(), "is lost: somebody reads it now") {
		r.t.Errorf("its work is stopped: %v", cause)
	}
	if err := r.redis.Del(r.t.Context(), lease).Err(); err != nil {
		r.t.Fatal(err)
	}
}

// Where Kafka takes longer than the lease nobody else begins.
func TestRun_theLeaseIsRenewedDuringAWrite(t *testing.T) {
	r, _ := newPlainRig(t)
	r.add(1, 50)
	h := r.sleeper(false)
	<-h.begun
	before := r.cfg.Lease
	for range 3 {
		r.until("the lease, which only runs down else, is longer than before", func() bool {
			left, err := r.redis.PTTL(t.Context(), lease).Result()
			longer := left > before
			before = left
			return err == nil && longer
		})
	}
	r.until("the reader has it", func() bool { return r.redis.Get(t.Context(), lease).Val() == "test" })
	close(h.wake)
	if err := <-h.ended; err != nil {
		t.Fatal(err)
	}
	r.await(topic, 50)
}

func TestRun_aReaderThatSleptChangesNothing(t *testing.T) { zombies(t, startKfake(t)) }

func TestRun_aReaderThatSleptChangesNothingInApacheKafka(t *testing.T) {
	zombies(t, localtest.Kafka(t, local.KafkaOptions{}).Brokers)
}

func TestRun_aReaderThatDiesBeforeItAcknowledges(t *testing.T) {
	r, _ := newPlainRig(t)
	r.add(1, 50)
	h := r.sleeper(true)
	<-h.begun
	close(h.wake)
	if err := <-h.ended; err != nil {
		t.Fatal(err)
	}
	r.add(51, 60)
	r.await(topic, 60)
	r.settled()
	records := r.read(topic)
	if r.inOrder(records, 1, 60); len(records) < 110 {
		t.Errorf("%d records: the 50 that nobody acknowledged should come again", len(records))
	}
}

// The kernel stops a real process wherever it is, and lets it go on when another one has done its work.
func TestRun_aStoppedProcessGoesOnLater(t *testing.T) {
	kafkaServer := localtest.Kafka(t, local.KafkaOptions{})
	server := localtest.Redis(t, local.RedisOptions{})
	r := newRig(t, kafkaServer.Brokers, "redis://"+server.Address, connect(t, server.Address))
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	start := func(name string) *local.Program {
		p, err := local.StartProgram(name, self, []string{
			readerEnv + "=1", "FRESHET_KAFKA_BROKERS=" + r.brokers, "FRESHET_REDIS_URL=" + r.cfg.URL,
			"FRESHET_REDIS_LEASE=1s", "FRESHET_REDIS_BATCH=20",
		}, r.log)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.Kill)
		return p
	}
	first := start("first")
	r.add(1, 10)
	r.await(topic, 10)
	second := start("second")
	const rounds, each = 3, 2000
	for i := range rounds {
		reads, waits := first, second
		if i%2 == 1 {
			reads, waits = second, first
		}
		from := 10 + i*each
		r.add(from+1, from+each/2)
		r.until("it is in the middle", func() bool { return len(r.read(topic)) > from })
		if err := syscall.Kill(reads.PID(), syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		r.add(from+each/2+1, from+each)
		r.await(topic, from+each)
		if err := syscall.Kill(reads.PID(), syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		if !reads.Running() || !waits.Running() {
			t.Fatal("a reader has ended")
		}
	}
	for _, p := range []*local.Program{first, second} {
		if code, err := p.Stop(t.Context()); code != 0 || err != nil {
			t.Errorf("a reader ends with %d: %v", code, err)
		}
	}
	r.settled()
	r.inOrder(r.read(topic), 1, 10+rounds*each)
}
