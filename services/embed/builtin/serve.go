package builtin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// drainTime is how long a server that is told to stop may finish what it has begun.
const drainTime = 20 * time.Second

// Serve answers at l until ctx ends; then it finishes what it has begun, takes nothing
// new, and returns. It closes l. An error says that the port failed, or that requests
// were cut off because they took too long to finish.
func Serve(ctx context.Context, l net.Listener, h http.Handler) error {
	server := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      2 * answerTime, // from the end of the header: the answer and its way
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
		defer cancel()
		err := server.Shutdown(bound)
		if err != nil {
			err = errors.Join(fmt.Errorf("finishing requests for %s: %w", drainTime, err), server.Close())
		}
		stopped <- err
	})
	err := server.Serve(l)
	if stop() {
		return fmt.Errorf("serving at %s: %w", l.Addr(), err)
	}
	return <-stopped
}
