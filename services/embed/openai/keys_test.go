package openai

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-io/freshet/libs/fault"
)

func withKeys(t *testing.T, cfg Config, keys func() string) *Client {
	t.Helper()
	c, err := New(cfg, Options{Model: "text-embedding-3-large", Dimensions: dims, Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestEachKeyHasItsOwnLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newLimited(3, 0)
		cfg := virtual()
		cfg.RequestsPerMinute = 3
		c := withKeys(t, cfg, func() string { return "a, b\n" })
		connect(t, c, s)
		took := embedAll(t, c, chunks(46, 20), 8)
		within(t, s, 46, took, 23*20*time.Second)
		if s.refused > 0 || s.byKey["a"] < 20 || s.byKey["b"] < 20 {
			t.Errorf("%v, refused %d times", s.byKey, s.refused)
		}
	})
}

// refuseKeys answers requests with some keys as the server does that does not take them.
func refuseKeys(bad map[string]reply) func(http.ResponseWriter, string) bool {
	return func(w http.ResponseWriter, key string) bool {
		if r := bad[key]; r != nil {
			r(w, nil, asked{})
			return false
		}
		return true
	}
}

func TestRefusedKeyIsPutAsideAndTriedAgain(t *testing.T) {
	for name, refusal := range map[string]reply{
		"401":      apiError(401, "invalid_request_error", "invalid_api_key"),
		"403":      status(403, ""),
		"no quota": apiError(429, "insufficient_quota", "insufficient_quota"),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newLimited(0, 0)
				tried := 0
				bad := map[string]reply{"a": func(w http.ResponseWriter, r *http.Request, req asked) { tried++; refusal(w, r, req) }}
				s.before = refuseKeys(bad)
				keys := "a,b"
				c := withKeys(t, virtual(), func() string { return keys })
				connect(t, c, s)
				began := time.Now()
				embedAll(t, c, chunks(20, 20), 1)
				if tried != 1 || s.byKey["b"] != 20 || time.Since(began) > time.Second {
					t.Errorf("tried %d times, %v, in %s", tried, s.byKey, time.Since(began))
				}
				keys = "b,a" // the other one, with all the room there is, goes first
				time.Sleep(askAgain)
				embedAll(t, c, chunks(5, 21), 1)
				if tried != 2 {
					t.Errorf("tried %d times", tried)
				}
				delete(bad, "a")
				time.Sleep(askAgain)
				embedAll(t, c, chunks(5, 22), 1)
				if s.byKey["a"] != 1 {
					t.Errorf("%v when the key is taken again", s.byKey)
				}
			})
		})
	}
}

func TestOnlyWhenAllKeysAreRefusedItIsFatal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newLimited(0, 0)
		keys := "a,b"
		refusal := apiError(401, "invalid_request_error", "invalid_api_key")
		s.before = refuseKeys(map[string]reply{"a": refusal, "b": refusal})
		c := withKeys(t, virtual(), func() string { return keys })
		connect(t, c, s)
		for range 2 {
			_, err := c.Embed(t.Context(), []string{"x"})
			if fault.ClassOf(err) != fault.Fatal || !strings.Contains(err.Error(), "all 2 keys") {
				t.Fatalf("error is %v", err)
			}
		}
		keys = "a,new"
		if _, err := c.Embed(t.Context(), []string{"x"}); err != nil || s.byKey["new"] != 1 {
			t.Errorf("with a new key: %v, %v", s.byKey, err)
		}
	})
}
