package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/services/ctl/rig"
)

// How the stand-in answers: a request takes the time of a good provider in the same
// region, and no more than so many are served at a time.
const (
	requestTime = 60 * time.Millisecond
	itemTime    = 200 * time.Microsecond
	atATime     = 8
)

// standIn is an OpenAI-compatible server whose speed and limits are known.
type standIn struct {
	url        string
	dimensions int
	slots      chan struct{}
	client     *http.Client

	served           pace // texts
	requests, tokens atomic.Int64
	unlimited        atomic.Bool // it takes no longer than its own work does, and as many requests as come
	limits           atomic.Pointer[limits]
}

// tokensOf is what the stand-in charges.
func tokensOf(texts ...string) (n int64) {
	for _, text := range texts {
		n += int64(len(text)/4 + 1)
	}
	return n
}

type (
	embeddingsRequest struct {
		Input []string `json:"input"`
		Model string   `json:"model"`
	}
	embedding struct {
		Index  int    `json:"index"`
		Vector []byte `json:"embedding"` // base64 of little-endian float32
	}
	embeddingsAnswer struct {
		Model string      `json:"model"`
		Data  []embedding `json:"data"`
		Usage charge      `json:"usage"`
	}
	charge struct {
		TotalTokens int64 `json:"total_tokens"`
	}
)

// startStandIn starts the server. The caller ends it with stop.
func startStandIn(ctx context.Context, dimensions int) (s *standIn, stop func() error, err error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, fmt.Errorf("opening a port: %w", err)
	}
	pool := &http.Transport{MaxIdleConnsPerHost: atATime}
	s = &standIn{
		url: "http://" + listener.Addr().String(), dimensions: dimensions,
		slots: make(chan struct{}, atATime), client: &http.Client{Transport: pool},
	}
	server := &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }() // ends with stop
	return s, func() error { pool.CloseIdleConnections(); return server.Close() }, nil
}

// ServeHTTP implements http.Handler.
func (s *standIn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var request embeddingsRequest
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	charged := tokensOf(request.Input...)
	if l := s.limits.Load(); l != nil && !l.admit(w, charged) {
		return
	}
	ready := time.NewTimer(0)
	if !s.unlimited.Load() {
		s.slots <- struct{}{}
		defer func() { <-s.slots }()
		// The time that its own work takes is part of it.
		ready.Reset(requestTime + time.Duration(len(request.Input))*itemTime)
	}
	answer := embeddingsAnswer{Model: request.Model, Data: make([]embedding, len(request.Input)), Usage: charge{charged}}
	for i, text := range request.Input {
		answer.Data[i] = embedding{i, record.AppendVector(nil, vectorOf(text, s.dimensions))}
	}
	body, err := json.Marshal(answer)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	<-ready.C
	s.requests.Add(1)
	s.tokens.Add(charged)
	_, _ = w.Write(body) // a client that has left needs no answer
	s.served.add(len(request.Input))
}

// ask is the bare client of the stand-in: it reads the answer and does not look at it.
func (s *standIn) ask(ctx context.Context, texts []string) error {
	body, err := json.Marshal(embeddingsRequest{texts, model})
	if err != nil {
		return fmt.Errorf("encoding a request: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/embeddings", bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("making a request: %w", err)
	}
	answer, err := s.client.Do(request)
	if err != nil {
		return fmt.Errorf("asking the stand-in: %w", err)
	}
	_, err = io.Copy(io.Discard, answer.Body)
	return errors.Join(err, answer.Body.Close())
}

// capacity returns how many texts a second full requests get, all slots always taken.
func (s *standIn) capacity(ctx context.Context, texts []string, aRequest int) (float64, error) {
	p := newPace()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atATime)
	for from := 0; from+aRequest <= len(texts); from += aRequest {
		group.Go(func() error {
			err := s.ask(ctx, texts[from:from+aRequest])
			p.add(aRequest)
			return err
		})
	}
	err := group.Wait()
	return p.rate().perSecond, err
}

// latency returns the median time of a request of one text.
func (s *standIn) latency(ctx context.Context, probes int) (time.Duration, error) {
	times, err := timed(probes, func(i int) error { return s.ask(ctx, []string{fmt.Sprint("probe ", i)}) })
	return rig.Percentile(times, 50), err
}
