// Package schemaregistry is a schema registry for tests, in memory: what of Confluent's API reads schemas.
//
//	test ─▶ registered, an id for each new text ─▶ readers
//	              └─ Trouble, where it is set, answers first
package schemaregistry

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"strconv"
	"sync"
)

// Schema is a registered schema. Its id is its place among all, from 1.
type Schema struct {
	Text       string      `json:"schema"`
	Type       string      `json:"schemaType,omitempty"` // JSON or PROTOBUF; Avro where it is empty
	References []Reference `json:"references,omitempty"`

	subject string
}

// Reference names a schema by its subject and place in it.
type Reference struct {
	Name    string `json:"name"`
	Subject string `json:"subject"`
	Version int    `json:"version"`
}

// Trouble answers a request in place of the registry, and reports whether it did.
type Trouble func(w http.ResponseWriter, r *http.Request) bool

// Server is a registry. Its zero value is empty and ready; it is safe for concurrent use.
type Server struct {
	mu      sync.Mutex
	schemas map[int]Schema
	last    int
	trouble Trouble
	asked   map[string]int // by path
}

// Register returns the id of a schema.
func (s *Server) Register(subject string, schema Schema) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, known := range s.schemas {
		if known.Text == schema.Text && known.Type == schema.Type {
			return id
		}
	}
	schema.subject = subject
	s.put(s.last+1, schema)
	return s.last
}

// Put registers a schema under an id.
func (s *Server) Put(id int, schema Schema) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(id, schema)
}

func (s *Server) put(id int, schema Schema) {
	if s.schemas == nil {
		s.schemas = map[int]Schema{}
	}
	s.schemas[id] = schema
	s.last = max(s.last, id)
}

// Have has all further requests answered by trouble first; nil: none.
func (s *Server) Have(trouble Trouble) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trouble = trouble
}

// Asked returns how often a path was asked for.
func (s *Server) Asked(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[path]
}

// Status is the trouble of a server that answers all with a status, as one does whose own store is away, or who does not
// know the client.
func Status(code int) Trouble {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(code)
		return true
	}
}

// Away is the trouble of a server that breaks the connection off.
func Away() Trouble {
	return func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) }
}

// Slow is the trouble of a server that answers nothing before the client gives up.
func Slow() Trouble {
	return func(_ http.ResponseWriter, r *http.Request) bool {
		<-r.Context().Done()
		return true
	}
}

// Asking is the trouble of a server that answers 401 to all that do not send this header Authorization.
func Asking(authorization string) Trouble {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Authorization") == authorization {
			return false
		}
		w.WriteHeader(http.StatusUnauthorized)
		return true
	}
}

// Start serves on a free port of this machine. stop ends it.
func (s *Server) Start(ctx context.Context) (url string, stop func() error, err error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{Handler: s}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener) // it says that it was closed
	}()
	return "http://" + listener.Addr().String(), func() error {
		err := server.Close()
		<-done
		return err
	}, nil
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	if s.asked == nil {
		s.asked = map[string]int{}
	}
	s.asked[r.URL.Path]++
	trouble := s.trouble
	s.mu.Unlock()
	if trouble != nil && trouble(w, r) {
		return
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /schemas/ids/{id}", s.byID)
	mux.HandleFunc("GET /subjects/{subject}/versions/{version}", s.byVersion)
	mux.ServeHTTP(w, r)
}

func (s *Server) byID(w http.ResponseWriter, r *http.Request) {
	id, _ := strconv.Atoi(r.PathValue("id"))
	s.mu.Lock()
	schema, found := s.schemas[id]
	s.mu.Unlock()
	if !found {
		reply(w, http.StatusNotFound, map[string]any{"error_code": 40403, "message": "Schema " + r.PathValue("id") + " not found"})
		return
	}
	reply(w, http.StatusOK, schema)
}

// byVersion takes the place among all of a subject's schemas, in the order of their ids.
func (s *Server) byVersion(w http.ResponseWriter, r *http.Request) {
	want, _ := strconv.Atoi(r.PathValue("version"))
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, version := 1, 0; id <= s.last; id++ {
		schema, found := s.schemas[id]
		if !found || schema.subject != r.PathValue("subject") {
			continue
		}
		if version++; version == want {
			reply(w, http.StatusOK, struct {
				Schema
				Subject     string `json:"subject"`
				ID, Version int
			}{schema, schema.subject, id, version})
			return
		}
	}
	reply(w, http.StatusNotFound, map[string]any{"error_code": 40402, "message": "Version " + r.PathValue("version") + " not found"})
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/vnd.schemaregistry.v1+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a client that is gone reads nothing
}
