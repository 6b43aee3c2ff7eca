package local

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
)

// Description says how to run a server.
type Description struct {
	Name  string    // for errors, and the name of a temporary folder
	Data  string    // folder of the data, made if missing; empty: a temporary one that Stop removes
	Ports int       // how many it has, in a row
	Log   io.Writer // gets what it says; nil: nowhere (errors carry its last line). It must be safe to write to at any time
	// Command returns the command, whose Env is all of its environment, at the first start and at each later one. What
	// the data folder lacks it makes before. ctx is the start's: its end must not end what is started.
	Command func(ctx context.Context, s *Server) (*exec.Cmd, error)
	// Ready returns nil once the server answers.
	Ready func(ctx context.Context, s *Server) error
}

// Server is what all servers have in common: a child, its ports and data folder, and how to start it again. All methods
// are safe for concurrent use.
type Server struct {
	Data string // the folder of its data

	of        Description
	ports     []int
	temporary bool  // the data folder goes with Stop
	said      *tail // what it has written since it was launched

	mu    sync.Mutex // serialises Stop, Kill and Restart
	child *child
}

// Start runs a server on free ports and returns when it is ready. The caller stops it. ctx bounds the start only; the
// server lives on when it ends.
func Start(ctx context.Context, d Description) (*Server, error) {
	s, err := newServer(d)
	if err != nil {
		return nil, err
	}
	err = startOnFreePorts(ctx, d.Ports, func(ports []int) error {
		s.ports = ports
		s.child, err = s.launch(ctx)
		return err
	})
	if err != nil {
		if s.temporary {
			_ = os.RemoveAll(s.Data) // the reason why it did not start is the error worth having
		}
		return nil, err
	}
	return s, nil
}

// newServer prepares the data folder.
func newServer(d Description) (*Server, error) {
	s := &Server{of: d, Data: d.Data, temporary: d.Data == ""}
	if s.temporary {
		dir, err := os.MkdirTemp("", "freshet-"+d.Name+"-")
		if err != nil {
			return nil, fmt.Errorf("making a folder for %s: %w", d.Name, err)
		}
		s.Data = dir
	}
	if err := os.MkdirAll(s.Data, 0o700); err != nil {
		return nil, fmt.Errorf("making a folder for %s: %w", d.Name, err)
	}
	return s, nil
}

// launch starts the process on the same ports and data, and returns when it is ready.
func (s *Server) launch(ctx context.Context) (*child, error) {
	cmd, err := s.of.Command(ctx, s)
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", s.of.Name, err)
	}
	c, err := startChild(s.of.Name, cmd, cmd.Env, s.of.Log)
	if err != nil {
		return nil, err
	}
	s.said = c.tail
	return c, c.awaitReady(ctx, func(ctx context.Context) error { return s.of.Ready(ctx, s) })
}

// Port returns one of its ports, from 0.
func (s *Server) Port(i int) string { return strconv.Itoa(s.ports[i]) }

// Address returns host:port of one of its ports, from 0.
func (s *Server) Address(i int) string { return loopback(s.ports[i]) }

// Said is an answer for Ready: whether the server has written a text, which must come at the end of its start.
func (s *Server) Said(text string) error {
	if !strings.Contains(s.said.String(), text) {
		return fmt.Errorf("%s is still starting", s.of.Name)
	}
	return nil
}

// PID returns the id of the server's process, 0 where it does not run.
func (s *Server) PID() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.child == nil || !s.child.running() {
		return 0
	}
	return s.child.pid
}

// Stop asks the server to end, waits for it, and removes a temporary data folder. A server that does not end within
// 20 s, or before ctx is done, is killed, and the error says so; the folder is removed all the same. Pass a context that
// outlives a Ctrl-C. Stopping twice is no error.
func (s *Server) Stop(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	if s.child != nil {
		err = s.child.stop(ctx)
		s.child = nil
	}
	if s.temporary {
		if rmErr := os.RemoveAll(s.Data); rmErr != nil && err == nil {
			err = fmt.Errorf("removing the folder of %s: %w", s.of.Name, rmErr)
		}
	}
	return err
}

// Kill ends the server at once, as kill -9 and a crash do, and returns when it is gone. Its data stays for Restart.
func (s *Server) Kill() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.child == nil || !s.child.running() {
		return fmt.Errorf("killing %s: it does not run", s.of.Name)
	}
	s.child.kill()
	return nil
}

// Restart starts the server again on the same ports and data and returns when it answers. One that still runs is
// stopped before. It cannot bring back a server after Stop: a temporary folder is gone then.
func (s *Server) Restart(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.child == nil {
		return fmt.Errorf("restarting %s: it was stopped", s.of.Name)
	}
	if err := s.child.stop(ctx); err != nil {
		return err
	}
	c, err := s.launch(ctx)
	if err != nil {
		return err
	}
	s.child = c
	return nil
}
