package local

import (
	"context"
	"fmt"
	"os"
	"sync"
)

// server is what Weaviate and Kafka have in common: a child, its data folder, and how to start it again.
type server struct {
	name      string
	data      string
	temporary bool                                  // the data folder goes with Stop
	launch    func(context.Context) (*child, error) // starts the process on the same ports and data; ready on return

	mu    sync.Mutex // serialises Stop, Kill and Restart
	child *child
}

// newServer prepares the data folder: the named one, or a temporary one where the name is empty.
func newServer(name, data string) (*server, error) {
	s := &server{name: name, data: data, temporary: data == ""}
	if s.temporary {
		dir, err := os.MkdirTemp("", "freshet-"+name+"-")
		if err != nil {
			return nil, fmt.Errorf("making a folder for %s: %w", name, err)
		}
		s.data = dir
	}
	if err := os.MkdirAll(s.data, 0o700); err != nil {
		return nil, fmt.Errorf("making a folder for %s: %w", name, err)
	}
	return s, nil
}

// PID returns the id of the server's process, 0 where it does not run.
func (s *server) PID() int {
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
func (s *server) Stop(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	if s.child != nil {
		err = s.child.stop(ctx)
		s.child = nil
	}
	if s.temporary {
		if rmErr := os.RemoveAll(s.data); rmErr != nil && err == nil {
			err = fmt.Errorf("removing the folder of %s: %w", s.name, rmErr)
		}
	}
	return err
}

// Kill ends the server at once, as kill -9 and a crash do, and returns when it is gone. Its data stays for Restart.
func (s *server) Kill() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.child == nil || !s.child.running() {
		return fmt.Errorf("killing %s: it does not run", s.name)
	}
	s.child.kill()
	return nil
}

// Restart starts the server again on the same ports and data and returns when it answers. One that still runs is
// stopped before. It cannot bring back a server after Stop: a temporary folder is gone then.
func (s *server) Restart(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.child == nil {
		return fmt.Errorf("restarting %s: it was stopped", s.name)
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

// startFirst launches the server on n free ports; use gives the ports to the launch.
func (s *server) startFirst(ctx context.Context, n int, use func(ports []int)) error {
	err := startOnFreePorts(ctx, n, func(ports []int) error {
		use(ports)
		c, err := s.launch(ctx)
		s.child = c
		return err
	})
	if err != nil && s.temporary {
		_ = os.RemoveAll(s.data) // the reason why it did not start is the error worth having
	}
	return err
}
