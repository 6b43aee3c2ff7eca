package console

import (
	"crypto/rand"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
)

// tokenHeader is of each request of the page to the API.
const tokenHeader = "Freshet-Token"

// policy lets the page run its own files and nothing else. Trusted Types keep even a mistake of ours from reading a text as
// markup.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; " +
	"form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// guard keeps other pages away that a browser on this machine has open. A page cannot read the token, since it is of
// another origin; it stays of another origin because a name of its own that it has pointed to loopback is not answered;
// and it cannot send a header of that name, nor a change, without being asked about first.
type guard struct{ token string }

func newGuard() guard { return guard{token: rand.Text()} }

// protect answers only to loopback's own names, and takes changes only from pages of these.
func (guard) protect(next http.Handler) http.Handler {
	next = http.NewCrossOriginProtection().Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		if !ofLoopback(r.Host) {
			http.Error(w, "the console answers only to the names of this machine: 127.0.0.1 or localhost", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// ofLoopback reports whether a Host header names loopback. The port does not matter: one that is forwarded has another.
func ofLoopback(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host
	}
	ip, err := netip.ParseAddr(name)
	return name == "localhost" || err == nil && ip.IsLoopback()
}

func (g guard) withToken(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if subtle.ConstantTimeCompare([]byte(r.Header.Get(tokenHeader)), []byte(g.token)) != 1 {
			http.Error(w, "the console was started again: load the page once more", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}
