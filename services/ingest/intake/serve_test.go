package intake_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-io/freshet/libs/fake/certs"
	"github.com/freshet-io/freshet/libs/fake/embeddings"
	"github.com/freshet-io/freshet/services/ingest/intake"
)

// serve serves the bed until stop, which returns when all is answered.
func (b *bed) serve(t *testing.T, l net.Listener) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.Serve(ctx, l, b.health) }()
	return func() {
		t.Helper()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// dialler opens connections in memory, which virtual time knows.
type dialler func(ctx context.Context, network, address string) (net.Conn, error)

// dial opens a connection to a server in virtual time.
func dial(t *testing.T, to dialler) net.Conn {
	t.Helper()
	conn, err := to(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

const head = "POST /v1/items?source=products HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + token + "\r\nContent-Type: application/x-ndjson\r\n"

func write(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
}

// answerOf returns the status line and what follows, until the server closes the connection.
func answerOf(t *testing.T, conn net.Conn) string {
	t.Helper()
	text, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestServe_aSlowClientHoldsNothingForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, "FRESHET_HTTP_READ_TIMEOUT=30s")
		l, to := embeddings.Listen()
		stop := b.serve(t, l)
		begun := time.Now()
		header := dial(t, to)
		write(t, header, head)
		if got := answerOf(t, header); strings.Contains(got, "200") || time.Since(begun).Round(time.Second) != 5*time.Second {
			t.Errorf("a header that does not end: %q after %s", got, time.Since(begun))
		}
		begun = time.Now()
		slow := dial(t, to)
		write(t, slow, head+"Content-Length: 1000\r\n\r\n"+cup)
		if got := answerOf(t, slow); !strings.HasPrefix(got, "HTTP/1.1 408 ") || !strings.Contains(got, `"timeout"`) || time.Since(begun).Round(time.Second) != 30*time.Second {
			t.Errorf("a body that does not end: %q after %s", got, time.Since(begun))
		}
		short := dial(t, to)
		write(t, short, head+"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\nz\r\n")
		if got := answerOf(t, short); !strings.HasPrefix(got, "HTTP/1.1 400 ") || !strings.Contains(got, `"cut-short"`) {
			t.Errorf("a body that is none: %q", got)
		}
		if got := b.gauge(t); got != "0" || b.sink.all() != "" {
			t.Errorf("%s bytes are still held, written %q", got, b.sink.all())
		}
		stop()
	})
}

func TestServe_refusesUntilItIsOpenAndStopsAtOnceIfItNeverWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		post := func(to dialler) string {
			conn := dial(t, to)
			write(t, conn, fmt.Sprintf("%sContent-Length: %d\r\nConnection: close\r\n\r\n%s", head, len(cup), cup))
			return answerOf(t, conn)
		}
		for _, open := range []bool{false, true} {
			b := newBedOf(t, nil, "FRESHET_HTTP_STOP_DELAY=5s")
			l, to := embeddings.Listen()
			stop := b.serve(t, l)
			got := post(to)
			synctest.Wait()
			if why := b.health.told(); why != "http waits for Kafka" || !strings.HasPrefix(got, "HTTP/1.1 503 ") || !strings.Contains(got, "Retry-After: 5\r\n") || b.sink.all() != "" {
				t.Errorf("before it is open, the probe says %q, and a client hears %s", why, got)
			}
			delay := time.Duration(0)
			if open {
				b.Open(passes{}, b.sink)
				synctest.Wait()
				if why, got := b.health.told(), post(to); why != "http is ready" || !strings.HasPrefix(got, "HTTP/1.1 200 ") {
					t.Errorf("when it is open, the probe says %q, and a client hears %s", why, got)
				}
				delay = 5 * time.Second
			}
			begun := time.Now()
			stop()
			if took := time.Since(begun).Truncate(time.Second); took != delay || b.health.told() != "http is stopping" {
				t.Errorf("stopped after %s, not %s; the probe says %q", took, delay, b.health.told())
			}
		}
	})
}

// passes is a mapper that takes all.
type passes struct{}

func (passes) Try(_ context.Context, _ string, key, _ []byte) (intake.Trial, error) {
	return intake.Trial{Key: key}, nil
}

func (p passes) TryRow(ctx context.Context, _, topic string, row []byte) (intake.Trial, error) {
	return p.Try(ctx, topic, nil, row)
}

func TestServe_aStopIsToldFirstThenWhatHasBegunIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, "FRESHET_HTTP_STOP_DELAY=5s", "FRESHET_HTTP_WAIT=1m")
		l, to := embeddings.Listen()
		held := make(chan struct{})
		b.sink.set(held, nil)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- b.Serve(ctx, l, b.health) }()
		first := dial(t, to)
		write(t, first, fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", head, len(cup), cup))
		time.Sleep(time.Second)
		cancel()
		synctest.Wait()
		if why := b.health.told(); why != "http is stopping" {
			t.Errorf("the probe says %q", why)
		}
		late := dial(t, to) // of a balancer that has not looked yet
		write(t, late, fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", head, len(cup), cup))
		time.Sleep(10 * time.Second)
		if _, err := to(t.Context(), "", ""); err == nil {
			t.Error("a connection is taken after the stop")
		}
		select {
		case err := <-ended:
			t.Fatalf("the server ended with requests in hand: %v", err)
		default:
		}
		close(held)
		for name, conn := range map[string]net.Conn{"the one before": first, "the one after": late} {
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err == nil {
				err = resp.Body.Close()
			}
			if err != nil || resp.StatusCode != http.StatusOK || !resp.Close {
				t.Errorf("%s: %+v %v", name, resp, err)
			}
			_ = conn.Close()
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestServe_mutualTLSAndItsRotation(t *testing.T) {
	dir := t.TempDir()
	clients, servers, others := certs.Make(t, dir, "clients", nil), certs.Make(t, dir, "servers", nil), certs.Make(t, dir, "others", nil)
	known, stranger := &certs.Make(t, dir, "known", clients).Pair, &certs.Make(t, dir, "stranger", others).Pair
	server := certs.Make(t, dir, "server", servers)
	files := []string{"FRESHET_HTTP_TLS_CERT_FILE=" + server.CertFile, "FRESHET_HTTP_TLS_KEY_FILE=" + server.KeyFile, "FRESHET_HTTP_TLS_CLIENT_CA_FILE=" + clients.CertFile}
	for name, tokens := range map[string]string{"certificates alone": "FRESHET_HTTP_TOKENS=", "tokens besides": "FRESHET_HTTP_TOKENS=" + token} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, append(files, tokens, "FRESHET_HTTP_STOP_DELAY=0s")...)
			l, err := b.Listen(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			stop := b.serve(t, l)
			defer stop()
			post := func(pair *tls.Certificate, token string) (status int, answers *x509.Certificate) {
				t.Helper()
				cfg := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: servers.Pool()}
				if pair != nil {
					cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return pair, nil }
				}
				transport := &http.Transport{TLSClientConfig: cfg, DisableKeepAlives: true, ForceAttemptHTTP2: true}
				defer transport.CloseIdleConnections()
				r := request(t, "POST", "/", cup, "Authorization", token)
				r.RequestURI = ""
				r.URL.Scheme, r.URL.Host, r.URL.Path, r.URL.RawQuery = "https", l.Addr().String(), "/v1/items", "source=products"
				resp, err := transport.RoundTrip(r)
				if err != nil {
					return 0, nil
				}
				_ = resp.Body.Close()
				return resp.StatusCode, resp.TLS.PeerCertificates[0]
			}
			nobody, bearer := 0, 0
			if strings.HasSuffix(tokens, token) {
				nobody, bearer = http.StatusUnauthorized, http.StatusOK
			}
			for _, test := range []struct {
				what   string
				pair   *tls.Certificate
				token  string
				status int
			}{
				{"a client of the authority", known, "", http.StatusOK},
				{"a client of another one", stranger, "Bearer " + token, 0},
				{"nobody", nil, "", nobody},
				{"a token", nil, "Bearer " + token, bearer},
			} {
				if status, _ := post(test.pair, test.token); status != test.status {
					t.Errorf("%s: %d, want %d", test.what, status, test.status)
				}
			}
			if err := os.WriteFile(server.CertFile, []byte("half of a rotation"), 0o600); err != nil {
				t.Fatal(err)
			}
			if status, answers := post(known, ""); status != http.StatusOK || !answers.Equal(server.Pair.Leaf) {
				t.Errorf("with a broken file: %d, or another certificate", status)
			}
			server = certs.Make(t, dir, "server", servers)
			if status, answers := post(known, ""); status != http.StatusOK || !answers.Equal(server.Pair.Leaf) {
				t.Errorf("after the rotation: %d, or another certificate", status)
			}
		})
	}
}
