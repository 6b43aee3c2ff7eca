package kafka

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/service"
)

func TestIssuer_aTokenIsRenewedBeforeItEndsAndKeptWhileTheEndpointIsAway(t *testing.T) {
	status, asked, life := http.StatusOK, 0, 3600
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"access_token":"t%d","token_type":"Bearer","expires_in":%d}`, asked, life)
	}))
	defer server.Close()
	var logged bytes.Buffer
	i, err := OAuth{TokenURL: server.URL, ClientID: "id", ClientSecret: service.NewSecret("s")}.issuer(slog.New(slog.NewTextHandler(&logged, nil)))
	if err != nil {
		t.Fatal(err)
	}
	want := func(token string) {
		t.Helper()
		if got, err := i.token(t.Context()); err != nil || got != token {
			t.Errorf("got %s, %v; want %s", got, err, token)
		}
	}
	want("t1")
	want("t1")
	if left := time.Until(i.renewAt); left < 47*time.Minute || left > 48*time.Minute {
		t.Errorf("it is renewed in %s, want when a fifth of the hour is left", left)
	}

	i.renewAt = time.Now()
	want("t2")
	i.renewAt, status = time.Now(), http.StatusServiceUnavailable
	want("t2")
	if !strings.Contains(logged.String(), "last one is still good") {
		t.Error("nobody was told that the endpoint is away")
	}
	i.last.Expiry = time.Now()
	if _, err := i.token(t.Context()); err == nil || fault.ClassOf(err) != fault.Transient {
		t.Errorf("with no good token left: %v", err)
	}

	status, life = http.StatusOK, 0 // the end of such a token is not known
	before := asked
	for range 2 {
		if _, err := i.token(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if asked != before+2 {
		t.Errorf("a token that ends at an unknown time was used twice")
	}
}

func TestIssuer_theSecretIsNotSentToWhereTheEndpointRedirects(t *testing.T) {
	leaked := false
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { leaked = true }))
	defer other.Close()
	server := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	defer server.Close()
	i, err := OAuth{TokenURL: server.URL, ClientID: "id", ClientSecret: service.NewSecret("s")}.issuer(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := i.token(t.Context()); fault.ClassOf(err) != fault.Fatal || leaked {
		t.Errorf("got %v; followed: %v", err, leaked)
	}
}
