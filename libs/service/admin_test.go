package service

import (
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/freshet-io/freshet/libs/telemetry"
)

func TestAdmin_theProbesTellHowTheProcessIs(t *testing.T) {
	for name, tt := range map[string]struct {
		change      func(*Health)
		healthz     int
		healthzText string
		readyz      int
		readyzText  string
	}{
		"a process that waits before its work has begun is alive and not ready": {
			func(h *Health) { h.beat = time.Time{} },
			200, "ok\n", 503, "waits for what it needs to begin its work; the log says for what\n",
		},
		"a worker that turns is alive and ready": {func(*Health) {}, 200, "ok\n", 200, "ok\n"},
		"a worker that hangs is not alive": {
			func(h *Health) { h.beat = time.Now().Add(-staleAfter - 10*time.Second) },
			503, "the worker has not turned for 2m10s\n", 200, "ok\n",
		},
		"a worker that turns again is alive": {
			func(h *Health) { h.beat = time.Now().Add(-time.Hour); h.Beat() }, 200, "ok\n", 200, "ok\n",
		},
		"a part that waits makes it unready and not dead": {
			func(h *Health) { h.Unready("live", "has not joined its group yet") },
			200, "ok\n", 503, "live: has not joined its group yet\n",
		},
		"one part that is ready does not hide another": {
			func(h *Health) { h.Unready("live", "waits"); h.Unready("bulk", "waits"); h.Ready("live") },
			200, "ok\n", 503, "bulk: waits\n",
		},
		"what is told of a part does not make it unready": {
			func(h *Health) {
				h.Note("budget", func() string { return "spent" })
				h.Note("another", func() string { return "" })
			},
			200, "ok\n", 200, "ok\nbudget: spent\n",
		},
		"all parts are ready again": {
			func(h *Health) { h.Unready("live", "waits"); h.Ready("live") }, 200, "ok\n", 200, "ok\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			health := NewHealth()
			health.Beat()
			tt.change(health)
			url := serveAdmin(t, Admin{}, health)
			if status, text := get(t, url+"/healthz"); status != tt.healthz || text != tt.healthzText {
				t.Errorf("/healthz: %d %q, want %d %q", status, text, tt.healthz, tt.healthzText)
			}
			if status, text := get(t, url+"/readyz"); status != tt.readyz || text != tt.readyzText {
				t.Errorf("/readyz: %d %q, want %d %q", status, text, tt.readyz, tt.readyzText)
			}
		})
	}
}

func TestAdmin_profilesAreServedOnlyWhereTheyAreAskedFor(t *testing.T) {
	for pprof, want := range map[bool]int{false: http.StatusNotFound, true: http.StatusOK} {
		if status, _ := get(t, serveAdmin(t, Admin{Pprof: pprof}, NewHealth())+"/debug/pprof/"); status != want {
			t.Errorf("pprof %t: status %d, want %d", pprof, status, want)
		}
	}
}

// serveAdmin returns the URL of an admin port that ends with the test.
func serveAdmin(t *testing.T, a Admin, health *Health) string {
	t.Helper()
	tel, err := telemetry.New(t.Context(), telemetry.Config{Exporter: "none"}, "test", "test")
	if err != nil {
		t.Fatal(err)
	}
	a.Address = "127.0.0.1:0"
	s, err := a.serve(t.Context(), &Process{Telemetry: tel, Health: health})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		if err := s.Close(ctx); err != nil {
			t.Error(err)
		}
		if err := tel.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return "http://" + s.Addr().String()
}

func get(t *testing.T, url string) (status int, text string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}
