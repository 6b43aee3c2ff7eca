package registry

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/freshet-io/freshet/libs/fault"
)

const (
	maxAnswer     = 4 << 20 // a schema within JSON
	maxRetryAfter = time.Minute
)

// bounded reads answers whole, up to a limit. One of a server that cannot serve now is an error, so that the client goes
// on to the next URL as it does where there is no connection.
type bounded struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := b.RoundTripper.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }() // it was only read
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= http.StatusInternalServerError:
		return nil, &fault.Error{Class: fault.Transient, Status: resp.StatusCode, After: retryAfter(resp), Err: fmt.Errorf("it answers %d", resp.StatusCode)}
	case err != nil:
		return nil, fmt.Errorf("reading the answer: %w", err)
	case len(body) > maxAnswer:
		return nil, fault.Reject(fault.UnknownSchema, "its answer has more than %d bytes", maxAnswer)
	}
	answer := *resp
	answer.Body = io.NopCloser(bytes.NewReader(body))
	return &answer, nil
}

func retryAfter(resp *http.Response) time.Duration {
	seconds, err := strconv.Atoi(resp.Header.Get("Retry-After"))
	if err != nil || seconds < 0 {
		return 0
	}
	return min(time.Duration(seconds)*time.Second, maxRetryAfter)
}
