package weaviate

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/freshet-io/freshet/libs/fault"
)

// answerLimit bounds an answer of the HTTP API, in bytes.
const answerLimit = 16 << 20

// call makes one request to the HTTP API where the official client has no function for it. in,
// if not nil, is sent as JSON; out, if not nil, receives the answer. A path may end
// in a query.
func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader = http.NoBody
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("encoding a request to %s: %w", path, err)
		}
		body = bytes.NewReader(b)
	}
	path, query, _ := strings.Cut(path, "?")
	target := c.base.JoinPath(path)
	target.RawQuery = query
	req, err := http.NewRequestWithContext(ctx, method, target.String(), body)
	if err != nil {
		return fmt.Errorf("making a request to %s: %w", path, err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("calling Weaviate: %w", err)
	}
	defer func() { _ = resp.Body.Close() }() // it was only read
	b, err := io.ReadAll(io.LimitReader(resp.Body, answerLimit))
	if err != nil {
		return fmt.Errorf("reading Weaviate's answer: %w", err)
	}
	if resp.StatusCode >= http.StatusMultipleChoices {
		return classifyStatus("calling "+path, resp.StatusCode, string(b))
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(b, out); err != nil {
		return fmt.Errorf("reading Weaviate's answer to %s: %w", path, err)
	}
	return nil
}

type alias struct {
	Alias string `json:"alias,omitempty"`
	Class string `json:"class"`
}

// resolve returns the collection behind an alias, "" where there is no such alias.
func (c *Client) resolve(ctx context.Context, name string) (string, error) {
	var a alias
	err := c.call(ctx, http.MethodGet, "aliases/"+name, nil, &a)
	if fault.StatusOf(err) == http.StatusNotFound {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("resolving alias %s: %w", name, err)
	}
	return a.Class, nil
}
