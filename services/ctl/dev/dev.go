// Package dev runs the whole of Freshet on one machine: a Kafka broker inside the
// process, a real Weaviate beside it, the three services as they run in production,
// and a catalogue that keeps changing.
//
//	catalogue ─▶ Kafka ─▶ ingest ─▶ embed ─▶ write ─▶ Weaviate ◀─ search
//
// It owns the wiring and the show; every item takes the way that it takes in production.
package dev

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"
	"golang.org/x/sync/errgroup"

	"github.com/freshet-io/freshet/libs/fake/local"
	"github.com/freshet-io/freshet/services/ingest/ingester"
	"github.com/freshet-io/freshet/services/ingest/intake"
)

// Options says what to run, and against what.
type Options struct {
	Data         string // folder of all state; "" for the default one, or a temporary one with Once
	Once         bool   // show everything, check it, and end
	Brokers      string // a Kafka of one's own instead of the one inside
	Weaviate     string // URL of a Weaviate of one's own
	WeaviateGRPC string // its gRPC port, host:port
	Provider     string // builtin, hash, openai, or the base URL of an OpenAI-compatible server; "" for that of the pipeline file
	Model        string // of that server
	Dimensions   int    // of that model
	Pipeline     string // pipeline file of one's own; goes with Events
	Events       string // file of change events to send instead of the catalogue
	Rate         float64
	ConsolePort  uint16 // of 127.0.0.1; 0 for a free one. With Once there is no console

	Out io.Writer // gets the show
	TTY bool      // Out is a terminal
}

// stopBound is how long the services may take to finish what they have begun.
const stopBound = 30 * time.Second

// Run runs until ctx ends, or with Once until everything was shown; its error then
// says what did not hold. It leaves no process behind, and the data folder unless it
// was temporary.
func Run(ctx context.Context, o Options) (err error) {
	if err := o.complete(); err != nil {
		return err
	}
	if o.Once && o.Data == "" {
		if o.Data, err = os.MkdirTemp("", "freshet-dev-"); err != nil {
			return fmt.Errorf("making a data folder: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(o.Data)) }()
	}
	if o.Data == "" {
		if o.Data, err = o.defaultData(); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(o.Data, 0o700); err != nil {
		return fmt.Errorf("making the data folder: %w", err)
	}
	unlock, err := lock(o.Data)
	if err != nil {
		return err
	}
	defer unlock()
	// The services get a context of their own: the show ends first, then they finish.
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	s, err := start(ctx, work, o)
	if err != nil {
		return o.told(ctx, err)
	}
	defer func() { err = errors.Join(err, s.close(context.WithoutCancel(ctx))) }()
	show, showing := errgroup.WithContext(ctx)
	show.Go(func() error { return s.failure(showing) })
	show.Go(func() error { return s.serveConsole(showing) })
	show.Go(func() error {
		if err := s.show(showing); err != nil {
			return err
		}
		return errDone
	})
	err = show.Wait()
	if o.TTY && ctx.Err() != nil {
		fmt.Fprintln(o.Out) // the cursor is behind the live line and a ^C
	}
	if err = o.told(ctx, err); errors.Is(err, errDone) {
		err = nil
	}
	fmt.Fprintln(o.Out, "stopping: finishing what is in flight")
	stop()
	return err
}

// errDone ends the show.
var errDone = errors.New("done")

// told says where a signal has ended a run before it had shown everything, which is no error then, as in the services. With Once
// it is one: nobody may take it for a run in which all held.
func (o Options) told(ctx context.Context, err error) error {
	switch {
	case ctx.Err() == nil || !errors.Is(err, context.Canceled):
		return err
	case o.Once:
		return errors.New("interrupted before everything was checked")
	}
	fmt.Fprintln(o.Out, "interrupted; the next start goes on from here")
	return nil
}

func (o *Options) complete() error {
	switch {
	case (o.Events == "") != (o.Pipeline == ""):
		return errors.New("--events and --pipeline go together: events of your own need a pipeline file that maps them")
	case o.Once && o.Events != "":
		return errors.New("--once checks the catalogue of its own: leave --events out")
	case o.Weaviate != "" && o.WeaviateGRPC == "":
		return errors.New("--weaviate needs --weaviate-grpc, the address of its gRPC port")
	case o.Rate <= 0:
		return errors.New("--rate must be positive")
	case !slices.Contains([]string{"", "builtin", "hash", "openai"}, o.provider()):
		return fmt.Errorf("--provider %s: builtin, hash, openai, or a URL that begins with http:// or https://", o.Provider)
	}
	return nil
}

// Names of default data folders: that of the catalogue, and how those of pipeline files begin.
const (
	shopData = "dev"
	fileData = "dev-"
)

// defaultData is a folder in the one cache of the project, for each pipeline file another one: collections of one file do not
// fit another.
func (o Options) defaultData() (string, error) {
	cache, err := local.CacheDir()
	if err != nil {
		return "", err
	}
	if o.Pipeline == "" {
		return filepath.Join(cache, shopData), nil
	}
	file, err := filepath.Abs(o.Pipeline)
	if err != nil {
		return "", fmt.Errorf("finding the pipeline file: %w", err)
	}
	return filepath.Join(cache, fmt.Sprintf("%s%016x", fileData, xxhash.Sum64String(file))), nil
}

func (s *stack) show(ctx context.Context) error {
	if s.options.Events != "" {
		return s.playChanges(ctx)
	}
	if err := s.feedCatalogue(ctx); err != nil {
		return err
	}
	if s.options.Once {
		return s.scenario(ctx)
	}
	s.hint(`search "sleep outdoors in the mountains"`, `search "headset that blocks out noise" --where 'price<60' --limit 3`, "search --like 1001", "dlq list")
	return s.trickle(ctx)
}

// hint says how to look at what runs, by commands beside it among others.
func (s *stack) hint(commands ...string) {
	var use strings.Builder
	if running := Running(); len(running) != 1 || running[s.options.Data] == nil {
		fmt.Fprintf(&use, "\n  set -a; . '%s'; set +a    # by themselves the commands find only what runs alone, and without --data", connectionFile(s.options.Data))
	}
	for _, c := range commands {
		fmt.Fprintf(&use, "\n  %s %s", os.Args[0], c) // as it was started: in a clone it is not in the PATH
	}
	embeddings := ""
	if s.embedder != nil {
		embeddings = fmt.Sprintf(", embeddings for any OpenAI\nclient at http://%s/v1/embeddings", s.embedder.Addr())
	}
	again := ""
	if s.options.Events != "" {
		again = ", and sends the events anew"
	}
	s.say(`
Try in another terminal:%s
Or look at http://%s

Kafka is at %s, Weaviate at %s%s; the settings are in
%s, the log is
%s%s
Ctrl-C stops everything; the next start goes on from here%s.
`, use.String(), s.console.Addr(), s.brokers, s.weaviateURL, embeddings, connectionFile(s.options.Data), s.log.Name(), s.overHTTP(), again)
}

// overHTTP says where changes are taken over HTTP, as the caller's environment has it.
func (s *stack) overHTTP() string {
	var cfg struct{ HTTP intake.Config }
	sources := ingester.HTTPSources(s.file)
	if err := s.settings(&cfg); err != nil || cfg.HTTP.Address == "" || len(sources) == 0 {
		return "" // ingest would not have started with settings that cannot be
	}
	path := "/v1/sources/" + sources[0].Name + "/events"
	if slices.ContainsFunc(sources, func(s intake.Source) bool { return s.Rows }) {
		path = "/v1/items"
	}
	scheme, address := "http", cfg.HTTP.Address
	if cfg.HTTP.TLS.CertFile != "" {
		scheme = "https"
	}
	if strings.HasPrefix(address, ":") {
		address = "127.0.0.1" + address
	}
	return fmt.Sprintf("\nChanges over HTTP are taken at %s://%s%s", scheme, address, path)
}
