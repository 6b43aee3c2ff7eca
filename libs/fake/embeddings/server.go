// Package embeddings is an OpenAI-compatible server for tests: it plays the faults of a
// provider as a script of replies, and knows what it was asked and what it has charged for.
//
//	request ─▶ Server ─▶ the next Reply of the script; the last one from then on
//	              └─ charged: when a reply says so, whoever hears it
//
// It speaks HTTP over any listener, also over one in memory (Listen), for virtual time.
package embeddings

import (
	"context"
	"encoding/json"
	"errors"
	"hash/crc32"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Length is how many dimensions a vector has where a Server does not say.
const Length = 4

// Request is what a server was asked.
type Request struct {
	Model      string
	Input      []string
	Encoding   string `json:"encoding_format"`
	Dimensions int

	At     time.Duration      `json:"-"` // since the server was made
	Body   map[string]any     `json:"-"` // all of it
	Length int                `json:"-"` // of the vectors to answer with
	charge func(tokens int64) // nil: nobody counts
}

// Reply answers one request.
type Reply func(w http.ResponseWriter, r *http.Request, req Request)

// Server answers with its replies in turn. It is safe for concurrent use.
type Server struct {
	Length int // of its vectors; 0 means the package's

	mu      sync.Mutex
	began   time.Time
	replies []Reply
	asked   []Request
	charged int64
	times   map[string]int // that a text was charged for
}

// New returns a server that answers with the replies in turn, and with the last one from then on.
func New(replies ...Reply) *Server {
	return &Server{began: time.Now(), replies: replies, times: map[string]int{}}
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var req Request
	body, err := io.ReadAll(r.Body)
	if err := errors.Join(err, json.Unmarshal(body, &req), json.Unmarshal(body, &req.Body)); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.take(&req)(w, r, req)
}

func (s *Server) take(req *Request) Reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	req.At, req.Length = time.Since(s.began), s.Length
	texts := req.Input
	req.charge = func(tokens int64) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.charged += tokens
		for _, text := range texts {
			s.times[text]++
		}
	}
	s.asked = append(s.asked, *req)
	return s.replies[min(len(s.asked), len(s.replies))-1]
}

// Asked returns all requests, in the order in which they came.
func (s *Server) Asked() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

// Charged returns how many tokens were charged for, and how often each text.
func (s *Server) Charged() (tokens int64, times map[string]int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.charged, maps.Clone(s.times)
}

// Tokens returns what a text costs.
func Tokens(text string) int64 { return int64(len(text)/4 + 1) }

// Vector returns the right vector of a text. It begins with the text's length in bytes; two
// texts have two vectors, so that a mix-up shows.
func Vector(text string, length int) []float32 {
	v := make([]float32, length)
	for i := range v {
		v[i] = float32(len(text)) + float32(i)/8
	}
	v[length-1] += float32(crc32.ChecksumIEEE([]byte(text))%4096) / 16384
	return v
}

// Listen returns a listener and a dialler whose connections are in memory.
func Listen() (net.Listener, func(ctx context.Context, network, address string) (net.Conn, error)) {
	p := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
	return p, p.dial
}

type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error { p.once.Do(func() { close(p.done) }); return nil }
func (*pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	mine, theirs := net.Pipe()
	select {
	case p.conns <- theirs:
		return mine, nil
	case <-p.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
