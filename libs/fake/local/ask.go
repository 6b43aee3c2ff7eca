package local

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// askLimit bounds one question to a server.
const askLimit = 2 * time.Second

// Ask asks a server once over HTTP, with a key where there is one, and reads the JSON of the answer where out is not nil.
func Ask(ctx context.Context, who, url, key string, out any) error {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return fmt.Errorf("asking %s: %w", who, err)
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	// A transport of its own: no idle connection is left behind, and no proxy setting applies to loopback.
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return fmt.Errorf("asking %s: %w", who, err)
	}
	defer func() { _ = resp.Body.Close() }() // it was only read
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("asking %s: it answers %s", who, resp.Status)
	}
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return fmt.Errorf("asking %s: %w", who, err)
	}
	return nil
}
