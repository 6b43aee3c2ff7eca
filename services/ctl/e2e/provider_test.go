package e2e_test

import (
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/services/embed/hash"
)

// How the stand-in provider answers, and what embed may have under way with it.
const (
	providerTime  = 40 * time.Millisecond
	embedInFlight = 4  // requests
	embedItems    = 25 // texts a request
	// probe is what embed asks to see whether a provider that has failed on one text is well. It is nobody's text: two of
	// them when a provider comes back are not a text that is paid for twice.
	probe = "freshet"
)

// provider is an OpenAI-compatible server that gives each text the vector of the hash
// provider, and knows what it was paid for. A request counts when it has been read,
// whoever hears the answer: so it does with a provider.
type provider struct {
	url        string
	dimensions int // of its vectors

	away atomic.Bool // it answers 503
	told atomic.Bool // a request had something about a trace
	busy atomic.Bool // it answers 429, and that one may come back in 15 s

	mu        sync.Mutex
	paid      map[string]int // by text
	onRequest map[string]func()
	reach     func(point) // nil: nobody watches
}

// point is how far a request has come.
type point string

const (
	asked    point = "asked"    // it is read and paid for
	half     point = "half"     // half of the answer is sent
	answered point = "answered" // all of it is
)

// watch has f called by each request at each point; the request waits for it.
func (p *provider) watch(f func(point)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reach = f
}

// startProvider starts the server, which ends with the test.
func startProvider(t *testing.T) *provider {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ports.add(listener.Addr().String())
	p := &provider{url: "http://" + listener.Addr().String(), paid: map[string]int{}, onRequest: map[string]func(){}, dimensions: dimensions}
	server := &http.Server{Handler: p, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }() // ends with Close
	t.Cleanup(func() { _ = server.Close() })
	return p
}

// environ is the settings of a service that asks the provider; name tells apart who asks.
func (p *provider) environ(name string) []string {
	return []string{"FRESHET_OPENAI_URL=" + p.url + "/" + name}
}

// ServeHTTP implements http.Handler.
func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var request struct {
		Input []string `json:"input"`
		Model string   `json:"model"`
	}
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	p.told.CompareAndSwap(false, r.Header.Get("Traceparent")+r.Header.Get("Tracestate")+r.Header.Get("Baggage") != "")
	if p.refuses(w) {
		return
	}
	ready := time.NewTimer(providerTime)
	reach := p.begin(request.Input, strings.Split(r.URL.Path, "/")[1])
	reach(asked)
	type embedding struct {
		Index  int    `json:"index"`
		Vector []byte `json:"embedding"` // base64 of little-endian float32
	}
	answer := struct {
		Model string      `json:"model"`
		Data  []embedding `json:"data"`
	}{Model: request.Model}
	for i, text := range request.Input {
		answer.Data = append(answer.Data, embedding{i, record.AppendVector(nil, hash.Vector(text, p.dimensions))})
	}
	body, err := json.Marshal(answer)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	<-ready.C
	for i, at := range []point{half, answered} {
		_, _ = w.Write(body[i*len(body)/2 : (i+1)*len(body)/2]) // a client that is gone needs none
		_ = http.NewResponseController(w).Flush()
		reach(at)
	}
}

func (p *provider) begin(texts []string, name string) (reach func(point)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, text := range texts {
		if text != probe {
			p.paid[text]++
		}
	}
	if f := p.onRequest[name]; f != nil {
		delete(p.onRequest, name)
		f()
	}
	if p.reach == nil {
		return func(point) {}
	}
	return p.reach
}

// times returns how often a text was paid for.
func (p *provider) times(text string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.paid[text]
}

// atNextRequest calls f once, when the next request of name has been read and is not answered.
func (p *provider) atNextRequest(name string, f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.onRequest[name] = f
}

// paidAgain returns how many texts were paid for that had been paid for before, each further time counted.
func (p *provider) paidAgain() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	again := 0
	for _, n := range p.paid {
		again += n - 1
	}
	return again
}
