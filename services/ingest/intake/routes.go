package intake

import (
	_ "embed"
	"fmt"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Document is the OpenAPI 3.1 document of what Handler serves.
//
//go:embed openapi.yaml
var Document []byte

// handler answers a request: with what became of its lines, or with an error, of type refusal where it is the client's to
// know. It leaves room that it has taken to its caller, unless it has handed it over.
type handler func(r *http.Request, h *hold) (Result, error)

// methods are the handlers of a path.
type methods map[string]http.Handler

func (m methods) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h := m[r.Method]; h != nil {
		h.ServeHTTP(w, r)
		return
	}
	var allowed []string
	for method := range m {
		allowed = append(allowed, method)
	}
	slices.Sort(allowed)
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	write(w, Result{}, refuse(http.StatusMethodNotAllowed, "method-not-allowed", "this path takes %s", strings.Join(allowed, " and ")))
}

// Handler returns what Serve serves.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/v1/items", methods{"POST": s.route("POST /v1/items", s.postItems)})
	mux.Handle("/v1/items/{id}", methods{"PUT": s.route("PUT /v1/items/{id}", s.putItem), "DELETE": s.route("DELETE /v1/items/{id}", s.deleteItem)})
	mux.Handle("/v1/sources/{name}/events", methods{"POST": s.route("POST /v1/sources/{name}/events", s.postEvents)})
	mux.Handle("/v1/openapi.yaml", methods{"GET": http.HandlerFunc(document)})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		write(w, Result{}, refuse(http.StatusNotFound, "not-found", "there is nothing at this path: see /v1/openapi.yaml"))
	})
	return mux
}

func document(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/yaml")
	_, _ = w.Write(Document) // the client may have gone
}

// route has known clients reach a handler, in a span, and measures it. Strangers get no span: which are kept is decided by an
// id that the client may choose.
func (s *Server) route(name string, handle handler) http.Handler {
	answer := func(w http.ResponseWriter, r *http.Request, begun time.Time, result Result, err error) {
		status := write(w, result, err)
		s.telemetry.Metrics.HTTPAnswered(r.Context(), name, strconv.Itoa(status), time.Since(begun))
	}
	known := s.telemetry.Traced(name, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun, h := time.Now(), &hold{room: &s.room}
		defer h.answered()
		result, err := s.handle(r, h, handle)
		answer(w, r, begun, result, err)
	}))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := s.config.authorise(r); err != nil {
			answer(w, r, time.Now(), Result{}, err)
			return
		}
		known.ServeHTTP(w, r)
	})
}

// handle calls a handler, and has a fault of this program answered with 500 and logged.
func (s *Server) handle(r *http.Request, h *hold, handle handler) (result Result, err error) {
	ctx := r.Context()
	defer func() {
		h.handOver()() // what is not at the sink
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
		if err != nil && !isRefusal(err) {
			s.log.ErrorContext(ctx, "a request failed", "error", err)
		}
	}()
	select {
	case <-s.opened:
		return handle(r, h)
	default:
		return Result{}, refuse(http.StatusServiceUnavailable, "starting", "Kafka is not there yet, and nothing is taken: send the request again").again(awayFor)
	}
}
