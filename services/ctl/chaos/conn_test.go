package chaos

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// conn is one end of a connection.
type conn struct {
	host    *host // nil for the listener's end, which cannot be frozen
	network *network
	latency time.Duration
	in, out *stream

	local, remote net.Addr
}

func (c *conn) Read(p []byte) (int, error) {
	for {
		if err := c.thawed(c.in, &c.in.readBy); err != nil {
			return 0, err
		}
		n, err := c.in.read(p, c.frozen)
		if n > 0 || err != nil {
			return n, err
		}
	}
}

func (c *conn) Write(p []byte) (int, error) {
	if err := c.thawed(c.out, &c.out.writeBy); err != nil {
		return 0, err
	}
	return c.out.write(p, c.network.delay(c.latency))
}

// thawed returns when this end may go on.
func (c *conn) thawed(s *stream, by *time.Time) error {
	if c.host == nil {
		return nil
	}
	return s.passable(c.host.gate(), by)
}

func (c *conn) frozen() bool {
	if c.host == nil {
		return false
	}
	select {
	case <-c.host.gate():
		return false
	default:
		return true
	}
}

// Close ends both directions. What was written before still arrives.
func (c *conn) Close() error {
	if c.host != nil {
		c.host.forget(c)
	}
	c.out.end(true)
	c.in.reset()
	return nil
}

func (c *conn) LocalAddr() net.Addr  { return c.local }
func (c *conn) RemoteAddr() net.Addr { return c.remote }

func (c *conn) SetDeadline(t time.Time) error {
	c.in.expire(&c.in.readBy, t)
	c.out.expire(&c.out.writeBy, t)
	return nil
}

func (c *conn) SetReadDeadline(t time.Time) error { c.in.expire(&c.in.readBy, t); return nil }

func (c *conn) SetWriteDeadline(t time.Time) error { c.out.expire(&c.out.writeBy, t); return nil }

// stream is one direction of a connection.
type stream struct {
	mu      sync.Mutex
	chunks  []chunk
	ended   bool // its writer has closed: io.EOF behind the last chunk
	broken  bool // its reader is gone
	readBy  time.Time
	writeBy time.Time
	changed chan struct{} // closed and replaced at each change
}

// chunk is what one write brought, and when it arrives.
type chunk struct {
	bytes []byte
	due   time.Time
}

func newStream() *stream { return &stream{changed: make(chan struct{})} }

// change tells those who wait; s.mu is held.
func (s *stream) change() {
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *stream) write(p []byte, delay time.Duration) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ended:
		return 0, net.ErrClosed
	case s.broken:
		return 0, &net.OpError{Op: "write", Net: "tcp", Err: errReset}
	}
	due := time.Now().Add(delay)
	if n := len(s.chunks); n > 0 && s.chunks[n-1].due.After(due) {
		due = s.chunks[n-1].due // bytes of a connection never overtake each other
	}
	s.chunks = append(s.chunks, chunk{append([]byte(nil), p...), due})
	s.change()
	return len(p), nil
}

// read returns what has arrived, waiting for it. It returns nothing where its end is
// frozen meanwhile.
func (s *stream) read(p []byte, frozen func() bool) (int, error) {
	for {
		if frozen() {
			return 0, nil
		}
		s.mu.Lock()
		n, wait, err := s.take(p)
		changed, by := s.changed, s.readBy
		s.mu.Unlock()
		if n > 0 || err != nil {
			return n, err
		}
		sleep(changed, wait, by)
	}
}

// take returns bytes, or how long to wait for the next ones, 0 for no end; s.mu is held.
func (s *stream) take(p []byte) (n int, wait time.Duration, err error) {
	now := time.Now()
	switch {
	case s.broken:
		return 0, 0, net.ErrClosed
	case !s.readBy.IsZero() && !now.Before(s.readBy):
		return 0, 0, os.ErrDeadlineExceeded
	case len(s.chunks) == 0 && s.ended:
		return 0, 0, io.EOF
	case len(s.chunks) == 0:
		return 0, 0, nil
	}
	first := &s.chunks[0]
	if wait = first.due.Sub(now); wait > 0 {
		return 0, wait, nil
	}
	n = copy(p, first.bytes)
	if first.bytes = first.bytes[n:]; len(first.bytes) == 0 {
		s.chunks = s.chunks[1:]
	}
	return n, 0, nil
}

// sleep returns at a change, after wait where it is not 0, or at by where it is not zero.
func sleep(changed <-chan struct{}, wait time.Duration, by time.Time) {
	if !by.IsZero() && (wait == 0 || time.Until(by) < wait) {
		wait = max(time.Until(by), 1)
	}
	if wait == 0 {
		<-changed
		return
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-changed:
	case <-timer.C:
	}
}

// passable returns when gate is closed, or with why it does not matter any more.
func (s *stream) passable(gate <-chan struct{}, deadline *time.Time) error {
	for {
		select {
		case <-gate:
			return nil
		default:
		}
		s.mu.Lock()
		changed, by := s.changed, *deadline
		over := s.broken || s.ended && len(s.chunks) == 0
		s.mu.Unlock()
		switch {
		case over:
			return net.ErrClosed
		case !by.IsZero() && !time.Now().Before(by):
			return os.ErrDeadlineExceeded
		}
		awaitGate(gate, changed, by)
	}
}

func awaitGate(gate, changed <-chan struct{}, by time.Time) {
	var due <-chan time.Time
	if !by.IsZero() {
		timer := time.NewTimer(max(time.Until(by), 1))
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-gate:
	case <-changed:
	case <-due:
	}
}

// end closes the writer's side. Without arrive, what is under way is lost.
func (s *stream) end(arrive bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		s.ended = true
		if !arrive {
			s.chunks = nil
		}
		s.change()
	}
}

// reset closes the reader's side.
func (s *stream) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.broken {
		s.broken, s.chunks = true, nil
		s.change()
	}
}

func (s *stream) expire(field *time.Time, t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*field = t
	s.change()
}
