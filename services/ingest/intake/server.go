package intake

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/net/netutil"

	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/service"
	"github.com/freshet-io/freshet/libs/telemetry"
)

// When a request may be sent again, where only that helps.
const (
	busyFor = time.Second     // others are on their way
	awayFor = 5 * time.Second // Kafka, or this process, is
)

const (
	headerTimeout = 5 * time.Second
	idleTimeout   = 2 * time.Minute
	headerBytes   = 16 << 10
	connections   = 1024 // at once; those of strangers count, too, and each has a header in memory
)

// Part is what the probes and metrics call the server.
const Part = "http"

// Trial is what would become of a record, before it is written.
type Trial struct {
	Key   []byte // of the record; nil where there is none
	ID    string // of its last item, the parts of a composite one joined by +; "" where none is known
	Label string // why it would be skipped; "" where it would not
	Err   error  // of its dead letter, permanent
}

// Mapper tells what ingest would make of a record. It may be used from several goroutines. Its errors are those of what it
// needs for that, and is away: the record may pass later.
type Mapper interface {
	Try(ctx context.Context, topic string, key, value []byte) (Trial, error)
	// TryRow finds the key of a row of a pipeline, too; there is none where the row does not name its item.
	TryRow(ctx context.Context, pipeline, topic string, row []byte) (Trial, error)
}

// Sink is where changes go; see kafka.Intake.
type Sink interface {
	Produce(ctx context.Context, topic string, changes []kafka.Raw) (rejected []error, err error)
}

// Health is what the probes are told by; see service.Health.
type Health interface {
	Ready(part string)
	Unready(part, why string)
}

// Server takes requests. Before it is opened it refuses changes for now (503).
type Server struct {
	config    Config
	sources   []Source
	opened    chan struct{}
	mapper    Mapper // when opened
	sink      Sink   // when opened
	log       *slog.Logger
	telemetry *telemetry.Telemetry
	encodings map[string]unpacker
	room      room
	producing sync.WaitGroup
}

// New returns a server for the sources, which are of different names.
func New(config Config, sources []Source, p *service.Process) (*Server, error) {
	s := &Server{config: config, sources: sources, opened: make(chan struct{}), log: p.Log, telemetry: p.Telemetry}
	s.room.most = config.MaxInFlightBytes
	var err error
	if s.encodings, err = newEncodings(); err != nil {
		return nil, fmt.Errorf("preparing zstd: %w", err)
	}
	return s, p.Telemetry.Metrics.Gauge(telemetry.HTTPInFlight, func(observe func(float64, ...string)) { observe(float64(s.room.used.Load())) })
}

// Open has changes taken from now on. It is called once.
func (s *Server) Open(mapper Mapper, sink Sink) {
	s.mapper, s.sink = mapper, sink
	close(s.opened)
}

// Listen opens the server's address, with TLS where that is set.
func (s *Server) Listen(ctx context.Context) (net.Listener, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.config.Address)
	if err != nil {
		return nil, fmt.Errorf("listening for HTTP at %s: %w", s.config.Address, err)
	}
	listener = netutil.LimitListener(listener, connections)
	if s.config.TLS.CertFile == "" {
		return listener, nil
	}
	secure, err := s.config.TLS.open(len(s.config.tokens()) == 0, s.log)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("preparing TLS for HTTP: %w", err), listener.Close())
	}
	return tls.NewListener(listener, secure), nil
}

// Serve answers requests until ctx ends; then it says so to the probes, waits until balancers have noticed, and answers
// what has begun. The probes know it as ready when it is open. The caller closes the sink behind it, and then calls Wait.
func (s *Server) Serve(ctx context.Context, listener net.Listener, health Health) error {
	longest := s.config.ReadTimeout + 2*s.config.Wait // of a request
	server := &http.Server{
		Handler: s.Handler(), ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug), // what clients do wrong
		ReadHeaderTimeout: headerTimeout, ReadTimeout: s.config.ReadTimeout, WriteTimeout: longest, IdleTimeout: idleTimeout, MaxHeaderBytes: headerBytes,
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	s.log.InfoContext(ctx, "listening to HTTP, where changes are refused (503) until Kafka is there", "address", listener.Addr().String())
	health.Unready(Part, "waits for Kafka")
	opened, delay := s.opened, time.Duration(0)
	for ctx.Err() == nil {
		select {
		case err := <-failed:
			return fmt.Errorf("serving HTTP: %w", err)
		case <-opened:
			opened, delay = nil, s.config.StopDelay
			s.log.InfoContext(ctx, "taking changes over HTTP", "address", listener.Addr().String())
			health.Ready(Part)
		case <-ctx.Done():
		}
	}
	health.Unready(Part, "is stopping")
	server.SetKeepAlivesEnabled(false)
	<-time.After(delay)
	bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), longest)
	defer cancel()
	err := server.Shutdown(bound)
	if served := <-failed; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// Wait returns when the sink has let go of all changes.
func (s *Server) Wait() { s.producing.Wait() }

type answered struct {
	rejected []error
	err      error
}

// produce waits for the sink within the bound. What is on its way then stays there, and keeps its room until the sink lets
// go of it; and a client that leaves takes nothing away, which would tear records of others along.
func (s *Server) produce(ctx context.Context, topic string, changes []kafka.Raw, h *hold) ([]error, error) {
	bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.config.Wait)
	answers := make(chan answered, 1)
	release := h.handOver()
	s.producing.Go(func() {
		defer cancel()
		rejected, err := s.sink.Produce(bound, topic, changes)
		release()
		answers <- answered{rejected, err}
	})
	a := answered{err: context.DeadlineExceeded}
	select {
	case a = <-answers:
	case <-bound.Done():
		select {
		case a = <-answers: // and only therefore has the bound ended
		default:
		}
	}
	if a.err != nil {
		s.log.WarnContext(ctx, "Kafka did not take changes of HTTP", "topic", topic, "changes", len(changes), "error", a.err)
		return nil, refuse(http.StatusServiceUnavailable, "kafka-away", "Kafka has not acknowledged the changes within %s; some of them may be taken: send the whole request again", s.config.Wait).again(awayFor)
	}
	return a.rejected, nil
}

// count counts lines by what became of them.
func (s *Server) count(ctx context.Context, accepted int, fails []Failure) {
	s.telemetry.Metrics.Items(ctx, Part, "accepted", accepted)
	for i := range fails {
		s.telemetry.Metrics.Items(ctx, Part, fails[i].Code, 1)
	}
}
