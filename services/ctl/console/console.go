// Package console serves one page on loopback: the pipeline as a picture, search by meaning, an item with its time line and
// cost, and the dead letters. In `freshet dev` a product can be changed there, too.
//
//	browser ─▶ guard ─▶ page (embedded files)
//	             └────▶ /api ─▶ Facts (package inspect), Finder, Shop
//
// It decides nothing about an installation: it hands on what these answer. Everything that an item says reaches the page as
// JSON, and the page shows it as text alone.
package console

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/service"
	"github.com/freshet-io/freshet/libs/weaviate"
	"github.com/freshet-io/freshet/services/ctl/finder"
	"github.com/freshet-io/freshet/services/ctl/inspect"
)

//go:embed page
var files embed.FS

const (
	mostHits    = 100
	mostLetters = 1000
	// answerTime is longer than any answer that a person waits for.
	answerTime = 60 * time.Second
	// bodyLimit bounds a request that changes a product.
	bodyLimit = 16 << 10
)

// Facts answers questions about an installation. It must be safe for concurrent use.
type Facts interface {
	Parse(text, collection, tenant string) (inspect.Subject, error)
	Item(ctx context.Context, s inspect.Subject) (inspect.Item, error)
	Status(ctx context.Context) (inspect.Status, error)
	Letters(ctx context.Context, reason string, limit int) ([]inspect.Letter, error)
}

// Finder searches by meaning. It must be safe for concurrent use.
type Finder interface {
	Find(ctx context.Context, q finder.Query) ([]weaviate.Hit, error)
}

// Shop is a table whose rows a person may change to see what becomes of it.
type Shop interface {
	// Collection returns the collection that has the rows as items.
	Collection() string
	// Change commits new values of a row and returns when a search finds the item with them. A value that cannot be is a
	// permanent fault.
	Change(ctx context.Context, c Change) (Seen, error)
}

// Change is what a person wants a row to be.
type Change struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Price string `json:"price"` // a decimal number
}

// Seen says how a change was found.
type Seen struct {
	Took inspect.Seconds `json:"seconds"` // from before it was sent to the answer of the search that found it
	By   string          `json:"by"`      // that search, in words
}

// Console is the page and what it asks.
type Console struct {
	Facts  Facts
	Finder Finder
	Shop   Shop           // nil: nothing can be changed
	File   *pipeline.File // for the names of the collections
}

// Listen opens a port of loopback, a free one for port 0. There is no other address: the page has no password.
func Listen(ctx context.Context, port uint16) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port))))
	if err != nil {
		return nil, fmt.Errorf("opening a port for the console: %w", err)
	}
	return l, nil
}

// Serve answers at l until ctx ends, and closes l. Answers under way then are cut off: they only tell.
func (c Console) Serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler: c.Handler(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 2 * answerTime,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() }) // it closes only what is ours
	defer stop()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving the console at %s: %w", l.Addr(), err)
	}
	return nil
}

// Handler serves the page and its answers, with a token of its own.
func (c Console) Handler() http.Handler {
	g := newGuard()
	api := http.NewServeMux()
	api.HandleFunc("GET /api/about", answer(c.about))
	api.HandleFunc("GET /api/status", answer((&latest{facts: c.Facts}).status))
	api.HandleFunc("GET /api/item", answer(c.item))
	api.HandleFunc("GET /api/letters", answer(c.letters))
	api.HandleFunc("GET /api/search", answer(c.search))
	if c.Shop != nil {
		api.HandleFunc("POST /api/changes", answer(c.change))
	}
	mux := http.NewServeMux()
	mux.Handle("/api/", g.withToken(api))
	mux.Handle("/", pages(g.token))
	return g.protect(mux)
}

// pages serves the embedded files; the first of them gets the token.
func pages(token string) http.Handler {
	page, _ := fs.Sub(files, "page")            // it is embedded
	index, _ := fs.ReadFile(page, "index.html") // so is this
	index = bytes.Replace(index, []byte("{{token}}"), []byte(token), 1)
	others := http.FileServerFS(page)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-cache")
		if r.URL.Path != "/" {
			others.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(index) // the browser went away
	})
}

// answer writes what f returns as JSON, or its error as text.
func answer(f func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), answerTime)
		defer cancel()
		said, err := f(r.WithContext(ctx))
		if err != nil {
			http.Error(w, fault.Plainly(err), statusOf(err))
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_ = json.NewEncoder(w).Encode(said) // the browser went away
	}
}

// refuse marks an error as one of the question, which another server would not answer either.
func refuse(err error) error { return fault.Reject(fault.Malformed, "%w", err) }

func statusOf(err error) int {
	if fault.ClassOf(err) == fault.Permanent {
		return http.StatusBadRequest
	}
	return http.StatusBadGateway
}

type about struct {
	Version     string   `json:"version"`
	Model       string   `json:"model"`  // that embeds
	Inside      bool     `json:"inside"` // embed itself is the provider
	Collections []string `json:"collections"`
	Tenants     bool     `json:"tenants"` // items have tenants
	Changes     string   `json:"changes"` // the collection whose items can be changed; "" for none
}

func (c Console) about(*http.Request) (any, error) {
	space := c.File.Space
	a := about{Version: service.Version, Model: space.Model, Inside: space.Provider != "openai"}
	for _, p := range c.File.Pipelines {
		if !slices.Contains(a.Collections, p.Collection) {
			a.Collections = append(a.Collections, p.Collection)
		}
		a.Tenants = a.Tenants || p.Tenant != nil
	}
	if c.Shop != nil {
		a.Changes = c.Shop.Collection()
	}
	return a, nil
}

// latest has all pages that are open see the same look: it takes a while, and rates are of the time between two.
type latest struct {
	facts Facts
	mu    sync.Mutex
	at    time.Time
	said  inspect.Status
}

// lookEvery is how old a look may be that is shown once more.
const lookEvery = time.Second

func (l *latest) status(r *http.Request) (any, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Since(l.at) < lookEvery {
		return l.said, nil
	}
	said, err := l.facts.Status(r.Context())
	if err != nil {
		return nil, err
	}
	l.said, l.at = said, time.Now()
	return said, nil
}

func (c Console) item(r *http.Request) (any, error) {
	q := r.URL.Query()
	subject, err := c.Facts.Parse(q.Get("of"), q.Get("collection"), q.Get("tenant"))
	if err != nil {
		return nil, refuse(err)
	}
	item, err := c.Facts.Item(r.Context(), subject)
	if err != nil {
		return nil, refuse(err)
	}
	return item, nil
}

func (c Console) letters(r *http.Request) (any, error) {
	letters, err := c.Facts.Letters(r.Context(), r.URL.Query().Get("reason"), bounded(r, mostLetters))
	return append([]inspect.Letter{}, letters...), err // none are a list, too
}

// bounded returns the limit that is asked for, which must not be more than most.
func bounded(r *http.Request, most int) int {
	n, err := strconv.Atoi(r.URL.Query().Get("limit"))
	if err != nil {
		return most
	}
	return min(max(n, 1), most)
}

// found is an item as the page lists it.
type found struct {
	ID         string             `json:"id"`
	Tenant     string             `json:"tenant,omitempty"`
	Distance   float64            `json:"distance"`
	Properties []inspect.Property `json:"properties"`
}

func (c Console) search(r *http.Request) (any, error) {
	values := r.URL.Query()
	q := finder.Query{Text: strings.TrimSpace(values.Get("q")), Collection: values.Get("collection"), Tenant: values.Get("tenant"), Limit: bounded(r, mostHits)}
	if q.Text == "" {
		return nil, refuse(errors.New("say what to search for"))
	}
	for condition := range strings.SplitSeq(values.Get("where"), " and ") {
		if strings.TrimSpace(condition) == "" {
			continue
		}
		filter, err := finder.Condition(condition)
		if err != nil {
			return nil, refuse(err)
		}
		q.Where = append(q.Where, filter)
	}
	hits, err := c.Finder.Find(r.Context(), q)
	if err != nil {
		return nil, err
	}
	items := make([]found, len(hits))
	for i, h := range hits {
		items[i] = found{ID: strings.Join(h.Item.ID, "+"), Tenant: h.Item.Tenant, Distance: h.Distance, Properties: []inspect.Property{}}
		for _, p := range h.Properties {
			items[i].Properties = append(items[i].Properties, inspect.Property{Name: p.GetName(), Value: p.GetValue().Display()})
		}
	}
	return map[string]any{"hits": items}, nil
}

func (c Console) change(r *http.Request) (any, error) {
	var change Change
	d := json.NewDecoder(http.MaxBytesReader(nil, r.Body, bodyLimit))
	d.DisallowUnknownFields()
	if err := d.Decode(&change); err != nil {
		return nil, refuse(fmt.Errorf("reading the change: %w", err))
	}
	return c.Shop.Change(r.Context(), change)
}
