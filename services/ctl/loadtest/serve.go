package loadtest

import (
	"context"
	"fmt"
	"net"

	"github.com/freshet-io/freshet/services/embed/builtin"
)

// Serve answers over HTTP with the built-in model, at a free port, until the caller
// calls stop. url is what clients take for their base URL.
func Serve(ctx context.Context, model *builtin.Model) (url string, stop func() error, err error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, fmt.Errorf("opening a port for the built-in model: %w", err)
	}
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	served := make(chan error, 1)
	go func() { served <- builtin.Serve(work, l, builtin.Handler(model)) }()
	return "http://" + l.Addr().String() + "/v1", func() error { cancel(); return <-served }, nil
}
