package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/service"
	"github.com/freshet-io/freshet/services/ctl/events"
	"github.com/freshet-io/freshet/services/ctl/plan"
	"github.com/freshet-io/freshet/services/embed/embedder"
	"github.com/freshet-io/freshet/services/embed/providers"
	"github.com/freshet-io/freshet/services/ingest/ingester"
	"github.com/freshet-io/freshet/services/ingest/registry"
)

// planConfig is what the services' settings say that matters without a server.
type planConfig struct {
	Pipeline string          `desc:"path of the pipeline file"`
	Ingest   ingester.Config `envconfig:"INGEST"`
	Embed    embedder.Config `envconfig:"EMBED"`
}

type planFlags struct {
	file, sample, topic, output string
	schemas                     string
	check, strict, schema       bool
	load                        plan.Load
}

func planCommand() *cobra.Command {
	var flags planFlags
	cmd := &cobra.Command{
		Use: "plan", Args: cobra.NoArgs,
		Short: "Show what sample events would become, or check a pipeline file, without any server",
		Long: "Reads events from a file, a folder or standard input (-), and prints what ingest would make of\n" +
			"each: documents, deletes, partial documents, skips and rejects. An event is a line: a bare value, or a record as\n" +
			"kcat -J prints it, or {\"key\": …, \"value\": …}; in a folder also a whole file. A summary follows: tokens, money\n" +
			"and what the load takes, by rough means. With -o ndjson it goes to standard error.",
		Example: `  freshet plan -f pipeline.yaml --check
  kcat -C -b kafka:9092 -t shop.catalog.products -J -c 1000 -e | freshet plan -f pipeline.yaml --sample -
  freshet plan -f pipeline.yaml --sample events/ --strict -o ndjson
  freshet plan -f pipeline.yaml --sample avro.ndjson --schemas schemas/`,
		RunE: func(cmd *cobra.Command, _ []string) error { return flags.run(cmd) },
	}
	f := cmd.Flags()
	f.StringVarP(&flags.file, "file", "f", "", "pipeline file; FRESHET_PIPELINE if empty")
	f.StringVar(&flags.sample, "sample", "", "file or folder of events, or - for standard input")
	f.StringVar(&flags.schemas, "schemas", "", "folder of schemas, for events in Avro or JSON Schema as a registry describes them: a file each, as 7.avsc, or what the registry answered, with its id")
	f.StringVar(&flags.topic, "topic", "", "topic of events that do not say theirs, where the pipeline file reads several")
	f.StringVarP(&flags.output, "output", "o", "table", "table or ndjson")
	f.BoolVar(&flags.check, "check", false, "check the pipeline file alone; faults are told with their lines")
	f.BoolVar(&flags.schema, "json-schema", false, "print the JSON Schema of pipeline files, for editors")
	f.BoolVar(&flags.strict, "strict", false, "exit 1 if anything is rejected")
	f.Float64Var(&flags.load.Rate, "rate", 10, "events a second that the summary reckons with")
	f.DurationVar(&flags.load.Freshness, "freshness", time.Second, "time from a change to its search that it reckons with")
	f.DurationVar(&flags.load.Request, "request", 250*time.Millisecond, "time that the provider takes for a request; freshet bench-provider measures it")
	f.Float64Var(&flags.load.Price, "price", -1, "what a million tokens cost; FRESHET_EMBED_PRICE_PER_MILLION if negative")
	return cmd
}

func (f planFlags) run(cmd *cobra.Command) error {
	if f.schema {
		schema, err := pipeline.JSONSchema()
		if err == nil {
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\n", schema)
		}
		return err
	}
	var cfg planConfig
	if err := service.Load(os.Environ(), &cfg); err != nil {
		return err
	}
	cfg.Pipeline = cmp.Or(f.file, cfg.Pipeline)
	switch {
	case cfg.Pipeline == "":
		return errors.New("name the pipeline file by -f or FRESHET_PIPELINE")
	case f.output != "table" && f.output != "ndjson":
		return fmt.Errorf("--output %s: table or ndjson", f.output)
	case f.check && f.sample != "":
		return errors.New("--sample and --check are both given: leave one out, --sample checks the file too")
	case !f.check && f.sample == "":
		return errors.New("give --sample with events, or --check to check the pipeline file alone")
	case f.load.Rate < 0 || f.load.Freshness <= 0 || f.load.Request <= 0:
		return errors.New("--rate, --freshness and --request must be above 0")
	}
	file, err := pipeline.Load(cfg.Pipeline)
	if err != nil {
		return err
	}
	if err := providers.CheckSpace(file.Space); err != nil { // embed would not start
		return fmt.Errorf("%s: space: %w", cfg.Pipeline, err)
	}
	if f.check {
		_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s: %s, no faults\n", cfg.Pipeline, plan.Count(len(file.Pipelines), "pipeline"))
		return err
	}
	return f.plan(cmd, file, cfg)
}

func (f planFlags) plan(cmd *cobra.Command, file *pipeline.File, cfg planConfig) error {
	var schemas ingester.Schemas
	if f.schemas != "" {
		folder, err := registry.OpenFolder(f.schemas)
		if err != nil {
			return err
		}
		schemas = folder
	}
	planner, err := plan.New(file, cfg.Ingest, f.topic, schemas)
	if err != nil {
		return err
	}
	measure, err := cfg.Embed.Measure(embedder.Space{Model: file.Space.Model, Prefix: file.Space.Prefix})
	if err != nil {
		return err
	}
	summary, show := plan.NewSummary(measure), newShow(cmd.OutOrStdout(), f.output)
	if at, err := os.Stat(f.sample); err == nil {
		show.files = at.IsDir()
	}
	passed := func(file string) {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s is passed over: in a folder, *.md are no events\n", file)
	}
	err = events.Read(f.sample, cmd.InOrStdin(), passed, func(e events.Event) error {
		lines, err := planner.Lines(cmd.Context(), e)
		if err != nil {
			return err
		}
		summary.Add(lines)
		return show.lines(lines)
	})
	if err != nil {
		return err
	}
	if err := show.end(); err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	if f.output == "ndjson" {
		out = cmd.ErrOrStderr()
	}
	if _, err := fmt.Fprint(out, summary, planner.Unseen(), summary.Describe(f.loadOf(cfg.Embed, file.Space.Model))); err != nil {
		return err
	}
	if f.strict && summary.Rejects > 0 {
		return fmt.Errorf("%d of %s rejected", summary.Rejects, plan.Count(summary.Events, "event"))
	}
	return nil
}

func (f planFlags) loadOf(cfg embedder.Config, model string) plan.Load {
	l := f.load
	l.InFlight, l.Batch, l.Currency = cfg.InFlight, cfg.BatchItems, cfg.Currency
	if l.Priced = l.Price >= 0; !l.Priced {
		l.Price, l.Priced = cfg.Price(model)
	}
	return l
}

// show prints lines: as JSON at once, as a table at the end.
type show struct {
	out     io.Writer
	encoder *json.Encoder // nil for a table
	table   table
	files   bool     // whether lines are of several files
	why     []string // by row, what is said of a reject
}

func newShow(out io.Writer, output string) *show {
	s := &show{out: out, table: table{header: []string{"AT", "OUTCOME", "FORMAT", "ITEM", "WHAT"}, wide: true}}
	if output == "ndjson" {
		s.encoder = json.NewEncoder(out)
		s.encoder.SetEscapeHTML(false)
	}
	return s
}

func (s *show) lines(lines []plan.Line) error {
	for _, line := range lines {
		if s.encoder == nil {
			s.table.rows, s.why = append(s.table.rows, s.cellsOf(line)), append(s.why, whyOf(line))
		} else if err := s.encoder.Encode(line); err != nil {
			return err
		}
	}
	return nil
}

func (s *show) end() error {
	if s.encoder != nil || len(s.table.rows) == 0 {
		return nil
	}
	return s.write(tableWidth())
}

// write has places and items leave room for the rest in a terminal, and says below its row why an event is rejected.
func (s *show) write(width int) error {
	if width != uncut {
		for i, row := range s.table.rows {
			row[0], row[3] = cutLeft(row[0], width/5), cut(row[3], width/4)
			row[4] = strings.TrimSuffix(row[4], ": "+s.why[i])
		}
		s.table.notes, s.table.whole = s.why, true
	}
	return s.table.write(s.out, width)
}

func whyOf(l plan.Line) string {
	if l.Outcome != plan.Reject {
		return ""
	}
	return l.Message
}

func (s *show) cellsOf(l plan.Line) []string {
	at := strconv.Itoa(l.Line)
	if s.files {
		at = filepath.Base(l.File) + ":" + at
	}
	item := slices.DeleteFunc([]string{l.Collection, l.Tenant, l.ID}, func(part string) bool { return part == "" })
	what := l.Text
	switch {
	case l.Outcome == plan.Partial:
		what = "without " + strings.Join(l.Unavailable, ", ")
	case l.Message != "":
		what = l.Reason + ": " + l.Message
	case l.Reason != "":
		what = l.Reason
	case len(l.Properties) > 0:
		what += " " + propertiesOf(l)
	}
	return []string{at, l.Outcome, cmp.Or(string(l.Format), "-"), cmp.Or(strings.Join(item, "/"), "-"), cmp.Or(strings.TrimSpace(what), "-")}
}

// propertiesOf returns the properties as JSON, for a line of which mostly the beginning is seen.
func propertiesOf(l plan.Line) string {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(l.Properties); err != nil {
		return ""
	}
	return b.String()
}
