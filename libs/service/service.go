// Package service owns what every Freshet process does alike: it reads its
// configuration, logs, answers probes, obeys signals and ends with an exit code.
//
//	configuration ─▶ telemetry ─▶ admin port ─▶ run ─▶ flush ─▶ exit code
//
// It knows nothing of Kafka, of the index or of any stage.
package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/telemetry"
)

// Version is the version of the build; the linker sets it.
var Version = "dev"

// Exit codes of a process.
const (
	ExitOK      = 0 // told to stop, and everything that was begun is finished
	ExitFailure = 1 // stopped by a fatal fault; the last log line says what to do
	ExitUsage   = 2 // bad configuration or arguments
)

// flushBound is how long a stopping process may spend on sending its last spans.
const flushBound = 5 * time.Second

// Config is the part of the configuration that every process has.
type Config struct {
	Admin     Admin
	Log       Log
	Telemetry telemetry.Config `envconfig:"TRACES"`
	Metrics   Metrics
}

// Metrics says where metrics go besides the admin port.
type Metrics struct {
	Exporter string `default:"none" desc:"where metrics go besides the admin port's /metrics: none, or otlp (gRPC, each minute; OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_METRIC_EXPORT_INTERVAL and their siblings)"`
}

// Validate reports settings that cannot be.
func (m Metrics) Validate() error {
	return fault.If(m.Exporter != "none" && m.Exporter != "otlp", "EXPORTER is %q: it must be none or otlp", m.Exporter)
}

// Process is what a running service is given.
type Process struct {
	Name      string
	Log       *slog.Logger
	Telemetry *telemetry.Telemetry
	Health    *Health

	once   sync.Once
	places *semaphore.Weighted
}

// AllPlaces is how many things a process may work on at once: more than it ever does.
const AllPlaces = 1 << 20

// Places are what pieces of work take while they run: one each, or all where one must be
// alone because it may end the process.
func (p *Process) Places() *semaphore.Weighted {
	p.once.Do(func() { p.places = semaphore.NewWeighted(AllPlaces) })
	return p.places
}

// Main runs a service until it ends or a signal stops it, and exits. C is its
// configuration; see Load for how it is read. It is the only place that ends a
// service's process.
func Main[C any](name string, run func(context.Context, *Process, C) error) {
	os.Exit(mainCode(name, os.Args[1:], os.Environ(), os.Stdout, os.Stderr, run))
}

func mainCode[C any](name string, args, environ []string, stdout, stderr io.Writer, run func(context.Context, *Process, C) error) int {
	var cfg struct {
		Config  Config `inline:"true"`
		Service C      `inline:"true"`
	}
	if len(args) > 0 {
		return answer(name, args[0], &cfg, stdout, stderr)
	}
	if err := Load(environ, &cfg); err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", name, err)
		return ExitUsage
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM) //nolint:forbidigo // the root of all
	defer stop()
	log := cfg.Config.Log.Logger(stderr).With("service", name, "version", Version)
	for name, meant := range Mistyped(environ, &cfg) {
		log.WarnContext(ctx, "unknown setting is ignored", "setting", name, "probably_meant", meant)
	}
	if err := start(ctx, name, log, cfg.Config, cfg.Service, run); err != nil {
		log.Error("stopped by a fatal fault", "error", err)
		return ExitFailure
	}
	log.Info("stopped")
	return ExitOK
}

// answer serves the three flags of every service.
func answer(name, flag string, cfg any, stdout, stderr io.Writer) int {
	switch flag {
	case "-h", "--help", "help":
		fmt.Fprintf(stdout, "%s takes its settings from environment variables:\n\n%s", name, Table(Settings(cfg)))
	case "--config-table":
		fmt.Fprint(stdout, Markdown(Settings(cfg)))
	case "-v", "--version", "version":
		fmt.Fprintln(stdout, name, Version)
	default:
		fmt.Fprintf(stderr, "%s: unknown argument %q: it takes none but --help, --version and --config-table; settings are environment variables\n", name, flag)
		return ExitUsage
	}
	return ExitOK
}

func start[C any](ctx context.Context, name string, log *slog.Logger, common Config, cfg C, run func(context.Context, *Process, C) error) (err error) {
	common.Telemetry.Metrics = common.Metrics.Exporter
	tel, err := telemetry.New(ctx, common.Telemetry, name, Version)
	if err != nil {
		return fmt.Errorf("starting telemetry: %w", err)
	}
	p := &Process{Name: name, Log: log, Telemetry: tel, Health: NewHealth()}
	admin, err := common.Admin.serve(ctx, p)
	if err != nil {
		return fmt.Errorf("starting the admin port: %w", err)
	}
	log.InfoContext(ctx, "started", "admin_address", admin.Addr().String())
	err = run(ctx, p, cfg)
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = nil // asked to stop, and it did
	}
	flush, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushBound)
	defer cancel()
	err = errors.Join(err, admin.Close(flush))
	if lost := tel.Close(flush); lost != nil { // what a tracing back end does is no fault of the service
		log.WarnContext(flush, "the last traces are not exported", "error", lost)
	}
	return err
}
