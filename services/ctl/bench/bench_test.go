package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/freshet-io/freshet/libs/service"
)

// Figure is one measurement.
type Figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	Floor float64 `json:"floor"` // in the same unit
	Ratio float64 `json:"ratio"` // of value to floor
	// Goal is the least ratio or, with AtMost, the highest value; nil where there is none,
	// and Met is nil then.
	Goal   *float64 `json:"goal"`
	AtMost bool     `json:"at_most"`
	Met    *bool    `json:"met"`
}

// Report is what a benchmark found.
type Report struct {
	Name    string   `json:"name"`
	Commit  string   `json:"commit"`  // as `make build` stamps it
	Machine string   `json:"machine"` // with its load when the benchmark began
	Figures []Figure `json:"figures"`
}

// Options says what to measure and where to tell of it.
type Options struct {
	Names    []string  // of benchmarks; none: all
	JSON     bool      // a line of JSON a benchmark instead of a table
	Tiny     bool      // sizes that only show that it works: the figures mean nothing
	Out      io.Writer // gets the reports, and nothing else
	Progress io.Writer // is told what is going on
}

// benchmark measures and returns its figures.
type benchmark func(context.Context, run) ([]Figure, error)

var benchmarks = map[string]benchmark{"stage": idleStage, "ingest": ingest, "embed": embed, "write": write, "e2e": e2e, "builtin": builtinModel}

// Names lists the benchmarks: of the runtime, in the order of the pipeline, and
// of the built-in model.
func Names() []string { return []string{"stage", "ingest", "embed", "write", "e2e", "builtin"} }

// Run runs benchmarks one after the other. A goal that is missed is no error: a busy
// machine misses them too.
func Run(ctx context.Context, o Options) error {
	if len(o.Names) == 0 {
		o.Names = Names()
	}
	for _, name := range o.Names {
		if benchmarks[name] == nil {
			return fmt.Errorf("no benchmark is called %q: there are %s", name, strings.Join(Names(), ", "))
		}
	}
	for _, name := range o.Names {
		report := Report{Name: name, Commit: service.Version, Machine: machine()}
		var err error
		if report.Figures, err = benchmarks[name](ctx, run{sizesOf(o), o.Progress}); err != nil {
			return fmt.Errorf("measuring %s: %w", name, err)
		}
		if err := report.write(o.Out, o.JSON); err != nil {
			return fmt.Errorf("printing the figures: %w", err)
		}
	}
	return nil
}

// run is one run of a benchmark.
type run struct {
	sizes
	progress io.Writer
}

func (r run) say(format string, args ...any) { fmt.Fprintf(r.progress, format+"\n", args...) }

// sizes is how much is measured.
type sizes struct {
	rounds    int // of stage, ingest and write; the median counts
	records   int // a round of stage
	envelopes int // a round of ingest
	objects   int // a round, of each dimension; full batches in each partition
	texts     int // that are embedded
	waiting   int // texts that wait, or changes of prices
	limited   int // texts, by a provider that bounds what comes a minute
	items     int // in the index while freshness is measured
	probes    int // of a floor that is a time
	paced     time.Duration
	soak      time.Duration
	look      time.Duration // between looks at a topic, which take CPU time of what is measured
}

func sizesOf(o Options) sizes {
	if o.Tiny {
		return sizes{rounds: 1, records: 20_000, envelopes: 10_000, objects: 300, texts: 400, waiting: 500, limited: 400, items: 50, probes: 5, paced: time.Second, soak: 3 * time.Second, look: watchPoll}
	}
	return sizes{rounds: 5, records: 200_000, envelopes: 100_000, objects: 1200, texts: 12_000, waiting: 10_000, limited: 15_000, items: 1000, probes: 50, paced: 20 * time.Second, soak: 30 * time.Second, look: 50 * time.Millisecond}
}

// rate is a figure that should be high: goal, if not 0, is its least ratio.
func rate(name, unit string, value, floor, goal float64) Figure {
	f := Figure{Name: name, Value: legible(value), Unit: unit, Floor: legible(floor), Ratio: legible(value / floor)}
	if goal > 0 {
		f.Goal, f.Met = &goal, new(f.Ratio >= goal)
	}
	return f
}

// latency is a figure that should be low: goal, if not 0, is its highest value.
func latency(name string, value, floor, goal time.Duration) Figure {
	return atMost(name, "s", value.Seconds(), floor.Seconds(), goal.Seconds())
}

// atMost is any figure that should be low: goal, if not 0, is its highest value.
func atMost(name, unit string, value, floor, goal float64) Figure {
	f := Figure{Name: name, Value: legible(value), Unit: unit, Floor: legible(floor), Ratio: legible(value / floor)}
	if goal > 0 {
		f.Goal, f.AtMost, f.Met = new(legible(goal)), true, new(value <= goal)
	}
	return f
}

// legible keeps what is worth reading: three places below 10, else whole numbers.
func legible(x float64) float64 {
	scale := 1.0
	if x < 10 {
		scale = 1000
	}
	return float64(int64(x*scale+0.5)) / scale
}

func (r Report) write(out io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(r)
	}
	fmt.Fprintf(out, "%s  (%s, %s)\n", r.Name, r.Commit, r.Machine)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "  \tvalue\tfloor\tunit\tratio\tgoal\tmet")
	for _, f := range r.Figures {
		goal, met := "-", "-"
		switch {
		case f.Goal == nil:
		case f.AtMost:
			goal, met = fmt.Sprintf("≤ %g %s", *f.Goal, f.Unit), yesNo[*f.Met]
		default:
			goal, met = fmt.Sprintf("≥ %g of the floor", *f.Goal), yesNo[*f.Met]
		}
		fmt.Fprintf(w, "  %s\t%g\t%g\t%s\t%g\t%s\t%s\n", f.Name, f.Value, f.Floor, f.Unit, f.Ratio, goal, met)
	}
	return w.Flush()
}

var yesNo = map[bool]string{true: "yes", false: "NO"}

// machine says what was measured on, and how busy others kept it: where there is no
// /proc, only what Go knows.
func machine() string {
	parts := []string{fmt.Sprintf("%d cores", runtime.NumCPU()), runtime.GOOS + "/" + runtime.GOARCH}
	cpus, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(cpus)) {
		if name, model, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			parts = append(parts, strings.TrimSpace(model))
			break
		}
	}
	load, _ := os.ReadFile("/proc/loadavg")
	if first, _, ok := strings.Cut(string(load), " "); ok {
		parts = append(parts, "load "+first)
	}
	return strings.Join(parts, ", ")
}
