package stagetest

import (
	"strings"
	"sync"
	"testing"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// front is a proxy before each node of a cluster: clients are told its address, so that the network between them and a
// node can be cut. The nodes reach each other without it.
type front struct {
	t      *testing.T
	server *toxiproxy.ApiServer

	mu      sync.Mutex
	proxies map[int]*toxiproxy.Proxy // by node
}

func newFront(t *testing.T) *front {
	t.Helper()
	// The server is only what proxies ask for their metrics: it listens nowhere.
	f := &front{t: t, server: toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()), proxies: map[int]*toxiproxy.Proxy{}}
	t.Cleanup(func() {
		for _, p := range f.proxies {
			p.Stop()
		}
	})
	return f
}

// advertise puts a proxy before a node.
func (f *front) advertise(node int, listens string) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p := f.proxies[node]; p != nil {
		p.Stop() // it stands before a port that was taken
	}
	p := toxiproxy.NewProxy(f.server, listens, "127.0.0.1:0", listens)
	if err := p.Start(); err != nil {
		return "", err
	}
	f.proxies[node] = p
	return p.Listen, nil
}

// cut drops every byte between clients and a node, both ways and without a word, as a network does that is down: the
// connections stay, and nothing is refused. heal ends that; the connections of the time before break then.
func (f *front) cut(node int) (heal func()) {
	f.t.Helper()
	toxics := f.proxies[node].Toxics
	for _, direction := range []string{"upstream", "downstream"} {
		toxic := `{"name": "` + direction + `", "type": "timeout", "stream": "` + direction + `", "attributes": {"timeout": 0}}`
		if _, err := toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
			f.t.Fatal(err)
		}
	}
	return func() { toxics.ResetToxics(f.t.Context()) }
}
