package hazards_test

import (
	"crypto/tls"
	"net"
	"sync"
	"testing"
	"time"
)

// putBytes is more than any request but a put of many objects has.
const putBytes = 24 << 10

// proxy stands before one port of Weaviate. It may hold answers back, end connections in the midst
// of a put, and speak TLS.
type proxy struct {
	address, upstream string
	delay             time.Duration // of each piece of an answer
	tls               *tls.Config   // nil: none

	mu    sync.Mutex
	conns map[net.Conn]struct{}
	onPut func()
	done  sync.WaitGroup
}

// start begins to listen; the proxy ends with the test.
func (p *proxy) start(t *testing.T) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.address, p.conns = listener.Addr().String(), map[net.Conn]struct{}{}
	if p.tls != nil {
		listener = tls.NewListener(listener, p.tls)
	}
	p.done.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			p.done.Go(func() { p.serve(conn) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		p.cut()
		p.done.Wait()
	})
	return p
}

func (p *proxy) serve(down net.Conn) {
	up, err := net.Dial("tcp", p.upstream)
	if err != nil {
		_ = down.Close()
		return
	}
	p.mu.Lock()
	p.conns[down], p.conns[up] = struct{}{}, struct{}{}
	p.mu.Unlock()
	p.done.Go(func() { pipe(down, up, func(int) { wait(p.delay) }) })
	var last time.Time
	burst := 0
	pipe(up, down, func(n int) {
		if time.Since(last) > 20*time.Millisecond {
			burst = 0
		}
		last, burst = time.Now(), burst+n
		if burst > putBytes {
			p.putSeen()
		}
	})
	p.mu.Lock()
	delete(p.conns, down)
	delete(p.conns, up)
	p.mu.Unlock()
}

// pipe copies until one side ends, and then ends both.
func pipe(to, from net.Conn, seen func(n int)) {
	defer func() { _, _ = to.Close(), from.Close() }()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			seen(n)
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// wait is for what happens in the midst of something that nothing tells of.
func wait(d time.Duration) {
	if d > 0 {
		time.Sleep(d)
	}
}

func (p *proxy) putSeen() {
	p.mu.Lock()
	f := p.onPut
	p.onPut = nil
	p.mu.Unlock()
	if f != nil {
		p.done.Go(f)
	}
}

// atNextPut calls f once, when the first part of the next put of many objects is on its way.
func (p *proxy) atNextPut(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.onPut = f
}

// cut ends all connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
}
