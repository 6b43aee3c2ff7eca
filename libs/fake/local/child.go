package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// startLimit bounds how long a server may take until it answers; a busy machine needs several seconds.
	startLimit = 90 * time.Second
	// stopLimit bounds how long a server may take to end after SIGTERM.
	stopLimit = 20 * time.Second
	// pollEvery is the time between two questions whether a server answers yet.
	pollEvery = 50 * time.Millisecond
)

type child struct {
	name string
	pid  int
	cmd  *exec.Cmd
	tail *tail
	done chan struct{} // closed once the process is gone and reaped
}

// startChild starts a process in its own process group, so that a Ctrl-C in the terminal reaches only this process,
// which then ends its children in order. Its environment is env alone: settings of a developer's shell (a data path,
// another key) must not reach it.
func startChild(name string, cmd *exec.Cmd, env []string, log io.Writer) (*child, error) {
	c := &child{name: name, cmd: cmd, tail: &tail{next: log}, done: make(chan struct{})}
	// An empty but non-nil slice: nil would mean this process's whole environment.
	cmd.Env = append([]string{}, env...)
	cmd.Stdout, cmd.Stderr = c.tail, c.tail
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = attributes()
	}
	started := make(chan error)
	go func() {
		// The kernel sends the death signal when the THREAD that started the child ends, not when the process does. The
		// goroutine therefore keeps its thread until the child is gone.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		_ = cmd.Wait() // how a server ended says less than its last line of log
		close(c.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	c.pid = cmd.Process.Pid
	return c, nil
}

// awaitReady polls ready until it answers nil. It returns early where the process ends: with errPortTaken if that is
// the reason. On an error the process is gone.
func (c *child) awaitReady(ctx context.Context, ready func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	last := errors.New("it was not asked") // the last answer's error: the one at the end only says that the time is over
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() == nil {
			last = err
		}
		select {
		case <-c.done:
			line := c.tail.last()
			said := strings.ToLower(c.tail.String())
			if strings.Contains(said, "address already in use") || strings.Contains(said, "already bound") { // the second is Quarkus'
				return fmt.Errorf("starting %s: %w: %s", c.name, errPortTaken, line)
			}
			return fmt.Errorf("starting %s: it ended: %s", c.name, line)
		case <-ctx.Done():
			c.kill()
			return fmt.Errorf("waiting until %s answers: %w (%w): %s", c.name, ctx.Err(), last, c.tail.last())
		case <-tick.C:
		}
	}
}

// stop asks the process to end and waits for it. After stopLimit, or once ctx is done, it kills the process and says so.
func (c *child) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stopLimit)
	defer cancel()
	_ = c.cmd.Process.Signal(syscall.SIGTERM) // an error means that it has ended already
	select {
	case <-c.done:
		return nil
	case <-ctx.Done():
		c.kill()
		return fmt.Errorf("waiting until %s ends: %w; it was killed", c.name, ctx.Err())
	}
}

// kill ends the process at once and waits until it is gone.
func (c *child) kill() {
	_ = c.cmd.Process.Kill() // an error means that it has ended already
	<-c.done
}

func (c *child) running() bool {
	select {
	case <-c.done:
		return false
	default:
		return true
	}
}

// tail passes a log on and keeps the end of it, so that an error can say why a server ended.
type tail struct {
	next io.Writer // nil: nowhere
	mu   sync.Mutex
	kept []byte
}

const tailBytes = 64 << 10 // a JVM that ends says why, and then much more

// Write implements io.Writer. A failing log does not fail the server.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, p...)
	if extra := len(t.kept) - tailBytes; extra > 0 {
		t.kept = append(t.kept[:0], t.kept[extra:]...)
	}
	if t.next != nil {
		_, _ = t.next.Write(p)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.kept)
}

// last returns the last line, shortened to what fits into an error.
func (t *tail) last() string {
	lines := bytes.Split(bytes.TrimSpace([]byte(t.String())), []byte("\n"))
	line := lines[len(lines)-1]
	if len(line) > 300 {
		line = line[:300]
	}
	return string(line)
}
