package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// firstPort is the port of the first listener. No socket is opened.
const firstPort = 20001

// A client waits before it tries again where the system refuses it, and perhaps not for an
// error that it does not know: so these are the system's.
var (
	errRefused    = os.NewSyscallError("connect", syscall.ECONNREFUSED)
	errReset      = os.NewSyscallError("write", syscall.ECONNRESET)
	errHostKilled = errors.New("the process was killed")
)

// network is one inside this process: for virtual time, where a goroutine that waits for a socket would stop the clock,
// and for the faults that a loopback socket does not have.
//
//	host.Dial ─▶ conn ══ bytes, each with a delay ══▶ conn ◀─ network.Listen
//	  Kill: what was sent may still arrive, nothing else does, until Release
//	  Freeze: neither reads nor writes return until Thaw
//	  Disconnect: connections break, new ones are refused until Connect
//
// It keeps the order of a connection's bytes and loses none of a connection that lives. It connects hosts to listeners. It is safe for concurrent use.
type network struct {
	mu        sync.Mutex
	random    *rand.Rand
	port      int
	listeners map[string]*listener
}

// newNetwork returns a network whose delays are drawn from a seed.
func newNetwork(seed uint64) *network {
	return &network{
		random: rand.New(rand.NewPCG(seed, seed)), //nolint:gosec // delays, repeatable
		port:   firstPort, listeners: map[string]*listener{},
	}
}

// Listen opens a listener on the next free port of the loopback address, whatever the
// address asks for: a broker's kfake.ListenFn.
func (n *network) Listen(_, _ string) (net.Listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	l := &listener{
		at:       &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: n.port},
		incoming: make(chan net.Conn), done: make(chan struct{}),
	}
	n.port++
	n.listeners[l.at.String()] = l
	return l, nil
}

func (n *network) listener(address string) *listener {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.listeners[address]
}

// delay returns a time between a tenth of the latency and all of it.
func (n *network) delay(latency time.Duration) time.Duration {
	if latency == 0 {
		return 0
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return latency/10 + time.Duration(n.random.Int64N(int64(latency)))*9/10
}

// toss returns true in half of the cases.
func (n *network) toss() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.random.IntN(2) == 0
}

type listener struct {
	at       *net.TCPAddr
	incoming chan net.Conn
	done     chan struct{}
	once     sync.Once
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.incoming:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error   { l.once.Do(func() { close(l.done) }); return nil }
func (l *listener) Addr() net.Addr { return l.at }

// host is a process as the network sees it.
type host struct {
	network *network
	latency time.Duration

	mu     sync.Mutex
	down   error         // why nothing can be dialled; nil where it can
	thawed chan struct{} // closed while the host is not frozen
	conns  map[*conn]struct{}
}

// Host returns a host whose bytes take up to latency each way.
func (n *network) Host(latency time.Duration) *host {
	open := make(chan struct{})
	close(open)
	return &host{network: n, latency: latency, thawed: open, conns: map[*conn]struct{}{}}
}

// Dial opens a connection to a listener.
func (h *host) Dial(ctx context.Context, _, address string) (net.Conn, error) {
	if err := h.await(ctx); err != nil {
		return nil, err
	}
	if err := wait(ctx, h.network.delay(h.latency)); err != nil {
		return nil, err
	}
	l := h.network.listener(address)
	if l == nil {
		return nil, connectionRefused(address)
	}
	up, down := newStream(), newStream()
	mine := &conn{host: h, in: down, out: up, local: &net.TCPAddr{IP: l.at.IP, Port: 9}, remote: l.at}
	theirs := &conn{host: nil, network: h.network, latency: h.latency, in: up, out: down, local: l.at, remote: mine.local}
	mine.network, mine.latency = h.network, h.latency
	if !h.admit(mine) {
		return nil, connectionRefused(address)
	}
	select {
	case l.incoming <- theirs:
		return mine, nil
	case <-l.done:
		_ = mine.Close()
		return nil, connectionRefused(address)
	case <-ctx.Done():
		_ = mine.Close()
		return nil, fmt.Errorf("dialling %s: %w", address, ctx.Err())
	}
}

// await returns when the host is not frozen.
func (h *host) await(ctx context.Context) error {
	select {
	case <-h.gate():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (h *host) gate() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.thawed
}

func (h *host) admit(c *conn) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.down != nil {
		return false
	}
	h.conns[c] = struct{}{}
	return true
}

func connectionRefused(address string) error {
	at, _ := net.ResolveTCPAddr("tcp", address)
	return &net.OpError{Op: "dial", Net: "tcp", Addr: at, Err: errRefused}
}

func (h *host) forget(c *conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.conns, c)
}

// Kill breaks the host's connections. What was sent before arrives, or does not, as after a
// kill -9. What is left of the process waits in Dial for Release.
func (h *host) Kill() {
	h.Freeze()
	h.breakAll(errHostKilled)
}

// Release lets the goroutines of a killed process come to their end, now that it does not
// matter any more what they send: a client that does not know whether a record was
// written goes on until it does.
func (h *host) Release() {
	h.mu.Lock()
	h.down = nil
	h.mu.Unlock()
	h.thaw()
}

// Disconnect breaks the host's connections and refuses new ones.
func (h *host) Disconnect() { h.breakAll(errRefused) }

// Connect lets a host that was disconnected dial again.
func (h *host) Connect() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if errors.Is(h.down, errRefused) {
		h.down = nil
	}
}

func (h *host) breakAll(why error) {
	h.mu.Lock()
	if h.down == nil || !errors.Is(h.down, errHostKilled) {
		h.down = why
	}
	conns := h.conns
	h.conns = map[*conn]struct{}{}
	h.mu.Unlock()
	for c := range conns {
		c.out.end(h.network.toss())
		c.in.reset()
	}
}

// Freeze stops the host's reads, writes and dials where they are, as a SIGSTOP does. Its
// deadlines pass all the same.
func (h *host) Freeze() {
	h.mu.Lock()
	defer h.mu.Unlock()
	select {
	case <-h.thawed:
		h.thawed = make(chan struct{})
	default:
	}
}

// Thaw lets a frozen host go on, but for a killed one.
func (h *host) Thaw() {
	h.mu.Lock()
	killed := errors.Is(h.down, errHostKilled)
	h.mu.Unlock()
	if !killed {
		h.thaw()
	}
}

func (h *host) thaw() {
	h.mu.Lock()
	defer h.mu.Unlock()
	select {
	case <-h.thawed:
	default:
		close(h.thawed)
	}
}
