package local

import (
	"context"
	"io"
	"os/exec"
)

// Program is a program that runs as a child of this process, bound to its life as the servers are: for tests that run
// the project's own binaries. All methods are safe for concurrent use.
type Program struct{ child *child }

// StartProgram starts the program at a path without arguments. env is its whole environment, as NAME=value; log gets
// what it writes, nil: nowhere. The caller stops or kills it.
func StartProgram(name, path string, env []string, log io.Writer) (*Program, error) {
	c, err := startChild(name, &exec.Cmd{Path: path, Args: []string{path}}, env, log)
	if err != nil {
		return nil, err
	}
	return &Program{c}, nil
}

// PID returns the id of the process, also after its end.
func (p *Program) PID() int { return p.child.pid }

// Running reports whether the process lives.
func (p *Program) Running() bool { return p.child.running() }

// Kill ends the process at once, as kill -9 does, and returns when it is gone.
func (p *Program) Kill() { p.child.kill() }

// Stop asks the process to end by SIGTERM, waits for it, and returns its exit code, -1 where a signal ended it. After
// 20 s, or once ctx is done, it kills the process and says so.
func (p *Program) Stop(ctx context.Context) (exitCode int, err error) {
	err = p.child.stop(ctx)
	return p.child.cmd.ProcessState.ExitCode(), err
}
