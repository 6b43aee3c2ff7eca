package console_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

var tokenIn = regexp.MustCompile(`name="token" content="([A-Z0-9]{20,})"`)

// call asks a console; header has pairs of name and value.
func call(h http.Handler, method, path, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://127.0.0.1:8093"+path, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func tokenOf(t *testing.T, h http.Handler) string {
	t.Helper()
	m := tokenIn.FindStringSubmatch(call(h, "GET", "/", "").Body.String())
	if m == nil {
		t.Fatal("the page has no token")
	}
	return m[1]
}

func TestHandler_answersOnlyWhatItsOwnPageAsks(t *testing.T) {
	f := newFixture()
	h := f.console().Handler()
	token := tokenOf(t, h)
	if other := tokenOf(t, f.console().Handler()); other == token {
		t.Error("two consoles have the same token")
	}
	change := `{"id":"1001","name":"Kettle","price":"5"}`
	for _, c := range []struct {
		name, method, path, body string
		header                   []string
		want                     int
	}{
		{"its own page", "GET", "/api/about", "", []string{"Freshet-Token", token}, 200},
		{"its own page changes a product", "POST", "/api/changes", change, []string{"Freshet-Token", token, "Origin", "http://127.0.0.1:8093", "Sec-Fetch-Site", "same-origin"}, 200},
		{"by the name localhost", "GET", "/", "", []string{"Host", "localhost:1234"}, 200},
		{"by IPv6", "GET", "/", "", []string{"Host", "[::1]:1234"}, 200},
		{"without the token", "GET", "/api/status", "", nil, 403},
		{"with a wrong token", "GET", "/api/search?q=x", "", []string{"Freshet-Token", token + "x"}, 403},
		{"a name that was rebound to loopback", "GET", "/", "", []string{"Host", "evil.example:8093"}, 421},
		{"a rebound name with the token", "GET", "/api/status", "", []string{"Host", "127.0.0.1.evil.example", "Freshet-Token", token}, 421},
		{"a change from elsewhere, with the token", "POST", "/api/changes", change, []string{"Freshet-Token", token, "Origin", "http://evil.example", "Sec-Fetch-Site", "cross-site"}, 403},
		{"a change from another port of this machine", "POST", "/api/changes", change, []string{"Freshet-Token", token, "Origin", "http://127.0.0.1:9999", "Sec-Fetch-Site", "same-site"}, 403},
		{"a change from elsewhere, from a browser without fetch metadata", "POST", "/api/changes", change, []string{"Freshet-Token", token, "Origin", "http://evil.example"}, 403},
		{"a change by GET", "GET", "/api/changes", "", []string{"Freshet-Token", token}, 405},
		{"a change that says something unknown", "POST", "/api/changes", `{"id":"1001","is_admin":true}`, []string{"Freshet-Token", token}, 400},
		{"a change larger than any", "POST", "/api/changes", `{"name":"` + strings.Repeat("x", 20<<10) + `"}`, []string{"Freshet-Token", token}, 400},
		{"a search for nothing", "GET", "/api/search?q=+", "", []string{"Freshet-Token", token}, 400},
		{"a condition that is none", "GET", "/api/search?q=x&where=drop+table", "", []string{"Freshet-Token", token}, 400},
		{"no item", "GET", "/api/item", "", []string{"Freshet-Token", token}, 400},
		{"a file that is not there", "GET", "/console.go", "", nil, 404},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := len(f.changes)
			w := call(h, c.method, c.path, c.body, c.header...)
			if w.Code != c.want {
				t.Errorf("status %d, want %d: %s", w.Code, c.want, w.Body)
			}
			if c.want != 200 && len(f.changes) != before {
				t.Error("a product was changed")
			}
			if csp := w.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
				t.Errorf("the policy is %q", csp)
			}
		})
	}
}

// `freshet console` stands before an installation of others.
func TestHandler_withoutAShopChangesNothing(t *testing.T) {
	f := newFixture()
	c := f.console()
	c.Shop = nil
	h := c.Handler()
	token := tokenOf(t, h)
	if w := call(h, "POST", "/api/changes", `{"id":"1001","name":"x","price":"1"}`, "Freshet-Token", token); w.Code != http.StatusNotFound {
		t.Errorf("status %d, want 404", w.Code)
	}
	var about struct{ Changes string }
	if err := json.NewDecoder(call(h, "GET", "/api/about", "", "Freshet-Token", token).Body).Decode(&about); err != nil || about.Changes != "" {
		t.Errorf("the page is told that it may change %q: %v", about.Changes, err)
	}
}

func TestHandler_searchesAsTheCommandDoes(t *testing.T) {
	f := newFixture()
	h := f.console().Handler()
	w := call(h, "GET", "/api/search?q=+tent+&where=price%3C60+and+stock%3E%3D1&collection=Product&tenant=acme&limit=100000", "", "Freshet-Token", tokenOf(t, h))
	var answer struct {
		Hits []struct {
			ID         string
			Distance   float64
			Properties []struct{ Name, Value string }
		}
	}
	if err := json.NewDecoder(w.Body).Decode(&answer); err != nil || len(answer.Hits) != len(f.products) || answer.Hits[0].ID != "1001" || answer.Hits[0].Properties[0].Value != f.products[0].Name {
		t.Errorf("got %+v, %v", answer, err)
	}
	got := f.searched[0]
	if got.Text != "tent" || got.Collection != "Product" || got.Tenant != "acme" || got.Limit != 100 || len(got.Where) != 2 || got.Where[0].Op != "<" || got.Where[1].Value != "1" {
		t.Errorf("searched for %+v", got)
	}
}

func TestHandler_pagesThatAreOpenShareALook(t *testing.T) {
	f := newFixture()
	h := f.console().Handler()
	token := tokenOf(t, h)
	first, _ := io.ReadAll(call(h, "GET", "/api/status", "", "Freshet-Token", token).Body)
	for f.looks == 1 { // until the look is too old to be shown once more
		if again, _ := io.ReadAll(call(h, "GET", "/api/status", "", "Freshet-Token", token).Body); f.looks == 1 && string(again) != string(first) {
			t.Fatal("another answer of the same look")
		}
	}
}
