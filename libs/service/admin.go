package service

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"sync"
	"time"
)

// staleAfter is how old a heartbeat may be before the process counts as hung.
const staleAfter = 2 * time.Minute

// Admin is the port for probes and metrics. It is apart from any port that users reach.
type Admin struct {
	Address string `default:":9090" desc:"address of the admin port: /healthz, /readyz, /metrics"`
	Pprof   bool   `default:"false" desc:"serve /debug/pprof at the admin port"`
}

// Validate reports an address that cannot be.
func (a Admin) Validate() error { return CheckAddress("ADDRESS", a.Address) }

// CheckAddress reports whether a port can be opened at an address, host:port, as far as its text tells. name is the
// setting's, for the error.
func CheckAddress(name, address string) error {
	_, port, err := net.SplitHostPort(address)
	if err == nil {
		_, err = net.DefaultResolver.LookupPort(context.Background(), "tcp", port) //nolint:forbidigo // it asks no server
	}
	if err != nil {
		return fmt.Errorf("%s is %q: it must be host:port, or :port for all of the machine's addresses, with a port up to 65535", name, address)
	}
	return nil
}

// Health tells the probes how a process is. Its zero value is of no use; see NewHealth.
type Health struct {
	mu    sync.Mutex
	beat  time.Time         // the worker's last; zero before its first
	unfit map[string]string // part -> why it is not ready
	notes map[string]func() string
}

// NewHealth returns the health of a process that has just begun: alive, however long it waits for what it needs to begin its
// work, and ready when it has begun and no part says otherwise.
func NewHealth() *Health {
	return &Health{unfit: map[string]string{}, notes: map[string]func() string{}}
}

// Beat says that the worker is turning. From the first beat on, a dependency that is away must not stop it:
// a liveness probe on Kafka would restart every pod in an outage of Kafka.
func (h *Health) Beat() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.beat = time.Now()
}

// Unready says that a part of the process is not ready, and why.
func (h *Health) Unready(part, why string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.unfit[part] = why
}

// Ready says that a part of the process is ready.
func (h *Health) Ready(part string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.unfit, part)
}

// Note has the readiness text tell what people should know of a part that is ready all the
// same: to be unready would hold up the rollout that cures it. note is asked at each probe;
// it returns "" where there is nothing to tell.
func (h *Health) Note(part string, note func() string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.notes[part] = note
}

func (h *Health) alive(w http.ResponseWriter, _ *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if age := time.Since(h.beat); !h.beat.IsZero() && age > staleAfter {
		http.Error(w, fmt.Sprintf("the worker has not turned for %s", age.Round(time.Second)), http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ok")
}

func (h *Health) ready(w http.ResponseWriter, _ *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.beat.IsZero():
		http.Error(w, "waits for what it needs to begin its work; the log says for what", http.StatusServiceUnavailable)
	case len(h.unfit) == 0:
		fmt.Fprintln(w, "ok")
	default:
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	for part, why := range h.unfit {
		fmt.Fprintf(w, "%s: %s\n", part, why)
	}
	for part, note := range h.notes {
		if text := note(); text != "" {
			fmt.Fprintf(w, "%s: %s\n", part, text)
		}
	}
}

type server struct {
	net.Listener
	http *http.Server
	done chan error
}

// Serve opens the port for a process that is no service of its own, and returns its address, and what closes it.
func (a Admin) Serve(ctx context.Context, p *Process) (address string, closing func(context.Context) error, err error) {
	s, err := a.serve(ctx, p)
	if err != nil {
		return "", nil, err
	}
	return s.Addr().String(), s.Close, nil
}

func (a Admin) serve(ctx context.Context, p *Process) (*server, error) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", p.Health.alive)
	mux.HandleFunc("GET /readyz", p.Health.ready)
	mux.Handle("GET /metrics", p.Telemetry.Handler())
	if a.Pprof {
		mux.HandleFunc("/debug/pprof/", pprof.Index)
		mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", a.Address)
	if err != nil {
		return nil, fmt.Errorf("listening at %s: %w", a.Address, err)
	}
	s := &server{Listener: l, http: &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}, done: make(chan error, 1)}
	go func() { s.done <- s.http.Serve(l) }()
	return s, nil
}

func (s *server) Close(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if served := <-s.done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}
