package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/service"
	"github.com/freshet-io/freshet/services/ctl/catalogue"
	"github.com/freshet-io/freshet/services/ctl/loadtest"
	"github.com/freshet-io/freshet/services/embed/builtin"
	"github.com/freshet-io/freshet/services/embed/embedder"
	"github.com/freshet-io/freshet/services/embed/providers"
)

type benchProviderConfig struct {
	OpenAI providers.OpenAI `envconfig:"OPENAI"`
}

type benchProviderFlags struct {
	plan         loadtest.Plan
	model        string
	dimensions   int
	price        float64 // negative: the list's
	builtin, yes bool
	output       string
}

func benchProviderCommand() *cobra.Command {
	var flags benchProviderFlags
	cmd := &cobra.Command{
		Use: "bench-provider", Args: cobra.NoArgs,
		Short: "Measure an embeddings server: times, success and throughput by requests at once",
		Long: "Asks the server of FRESHET_OPENAI_URL, with the settings and the client of freshet-embed, and\n" +
			"with as many connections as requests at once. It costs what the server charges: an estimate is\n" +
			"shown first, and asked about. The texts are products of the demo catalogue, each one once. A\n" +
			"server that says 429 is obeyed, so its limit shows in the times and not as a failure.",
		Example: `  freshet bench-provider --builtin
  FRESHET_OPENAI_KEY_FILE=key freshet bench-provider --model text-embedding-3-small --dimensions 1536
  FRESHET_OPENAI_URL=http://127.0.0.1:8090/v1 freshet bench-provider --model use-lite --dimensions 512 -o json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := errors.Join(checkOutput(flags.output), flags.plan.Check()); err != nil {
				return err
			}
			return benchProvider(cmd, flags)
		},
	}
	f := cmd.Flags()
	f.IntSliceVar(&flags.plan.Concurrency, "concurrency", []int{1, 10, 50, 100, 200}, "requests at once, measured one after the other")
	f.IntVar(&flags.plan.Requests, "requests", 200, "requests for each of these; never fewer than are made at once")
	f.IntVar(&flags.plan.Texts, "texts", 10, "texts a request")
	f.BoolVar(&flags.builtin, "builtin", false, "measure the built-in model, served over HTTP by this process; settings are not read")
	f.StringVar(&flags.model, "model", "text-embedding-3-large", "model of the server")
	f.IntVar(&flags.dimensions, "dimensions", 3072, "length of its vectors")
	f.Float64Var(&flags.price, "price", -1, "price of a million tokens; negative: OpenAI's list price in US dollars")
	f.BoolVar(&flags.yes, "yes", false, "spend without asking")
	f.StringVarP(&flags.output, "output", "o", "table", "table or json")
	return cmd
}

func benchProvider(cmd *cobra.Command, flags benchProviderFlags) (err error) {
	ctx, stderr := cmd.Context(), cmd.ErrOrStderr()
	var cfg benchProviderConfig
	environ := os.Environ()
	if flags.builtin {
		model, err := builtin.New()
		if err != nil {
			return err
		}
		url, stop, err := loadtest.Serve(ctx, model)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, stop()) }()
		environ = []string{"FRESHET_OPENAI_URL=" + url}
		flags.model, flags.dimensions = builtin.Name, builtin.Dimensions
	}
	if err := service.Load(environ, &cfg); err != nil {
		return err
	}
	server := &cfg.OpenAI.Server
	server.MaxConnections = max(server.MaxConnections, slices.Max(flags.plan.Concurrency))
	space := pipeline.Space{Provider: "openai", Model: flags.model, Dimensions: flags.dimensions}
	provider, err := providers.Open(space, cfg.OpenAI, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	flags.plan.Text = uniqueTexts(time.Now())
	if err := flags.askToSpend(ctx, stderr, host(server.URL)); err != nil {
		return err
	}
	bar := progressbar.NewOptions(flags.plan.Total(), progressbar.OptionSetWriter(stderr), progressbar.OptionSetDescription("asking "+host(server.URL)),
		progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetItsString("requests"),
		progressbar.OptionSetVisibility(term.IsTerminal(int(os.Stderr.Fd()))), progressbar.OptionClearOnFinish())
	levels, err := flags.plan.Run(ctx, provider.Embed, func() { _ = bar.Add(1) }) // a bar that cannot be drawn is no reason to stop
	_ = bar.Finish()
	return errors.Join(flags.report(levels).write(cmd.OutOrStdout(), flags.output), err)
}

// uniqueTexts returns the texts of English products, none of which was ever asked for:
// gateways remember answers, and a second run would measure their memory.
func uniqueTexts(now time.Time) func(int) string {
	var texts []string
	for _, p := range catalogue.Products() {
		if p.Language == catalogue.English {
			texts = append(texts, p.Text())
		}
	}
	return func(n int) string {
		return fmt.Sprintf("%s\nNo. %d-%d", texts[n%len(texts)], now.UnixMilli(), n)
	}
}

func host(rawURL string) string {
	u, err := url.Parse(rawURL)
	if err != nil {
		return rawURL
	}
	return u.Host
}

func (f benchProviderFlags) perMillion() (price float64, known bool) {
	if f.price >= 0 {
		return f.price, true
	}
	return embedder.ListPrice(f.model)
}

// askToSpend says what is going to be asked for and what it may cost, and returns an
// error unless that is nothing or somebody agrees.
func (f benchProviderFlags) askToSpend(ctx context.Context, stderr io.Writer, host string) error {
	texts := f.plan.Total() * f.plan.Texts
	tokens := estimateTokens(f.plan.Text, texts)
	price, known := f.perMillion()
	cost := fmt.Sprintf("about %s tokens, about %s", short(tokens), dollars(tokens*price/1e6))
	if !known {
		cost = fmt.Sprintf("about %s tokens at a price that is not known here (--price)", short(tokens))
	}
	what := fmt.Sprintf("%d requests of %d texts to %s: %s", f.plan.Total(), f.plan.Texts, host, cost)
	if f.yes || known && price == 0 {
		fmt.Fprintln(stderr, what)
		return nil
	}
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		return fmt.Errorf("%s; there is no terminal to ask at: --yes spends it", what)
	}
	return confirm(ctx, os.Stdin, stderr, what)
}

// confirm asks whether to go on. Reading cannot be interrupted, so an ended ctx leaves
// the reader behind: the process is about to end.
func confirm(ctx context.Context, in io.Reader, out io.Writer, what string) error {
	fmt.Fprint(out, what, ". Go on? [y/N] ")
	answer := make(chan string, 1)
	go func() {
		var word string
		_, _ = fmt.Fscanln(in, &word) // an empty line is a no
		answer <- word
	}()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case word := <-answer:
		if word != "y" && word != "Y" && word != "yes" {
			return errors.New("nothing was asked for and nothing spent")
		}
		return nil
	}
}

// estimateTokens returns about how many tokens the first n texts have, rather too many:
// with the numbers behind them, OpenAI counts one for 3.5 bytes.
func estimateTokens(text func(int) string, n int) float64 {
	sample, size := min(n, 1000), 0
	for i := range sample {
		size += len(text(i))
	}
	return float64(size) / 3 * float64(n) / float64(sample)
}

// providerReport is what was measured, as scripts read it.
type providerReport struct {
	Model  string           `json:"model"`
	Texts  int              `json:"texts_a_request"`
	Levels []loadtest.Level `json:"levels"`
	Tokens int64            `json:"tokens"` // of all levels
	Cost   *float64         `json:"cost"`   // null where the price is not known
}

func (f benchProviderFlags) report(levels []loadtest.Level) providerReport {
	r := providerReport{Model: f.model, Texts: f.plan.Texts, Levels: append([]loadtest.Level{}, levels...)}
	for _, l := range levels {
		r.Tokens += l.Tokens
	}
	if price, known := f.perMillion(); known {
		r.Cost = new(float64(r.Tokens) * price / 1e6)
	}
	return r
}

func (r providerReport) write(out io.Writer, output string) error {
	if output == "json" {
		return json.NewEncoder(out).Encode(r)
	}
	if len(r.Levels) == 0 {
		return nil
	}
	t := table{header: []string{"AT ONCE", "REQUESTS", "SUCCESS", "MEAN", "P50", "P95", "P99", "MAX", "MIN", "REQ/S", "TEXTS/S"}}
	for _, l := range r.Levels {
		row := []string{strconv.Itoa(l.Concurrency), strconv.Itoa(l.Requests), fmt.Sprintf("%.4g %%", 100*l.SuccessRate)}
		for _, d := range []loadtest.Time{l.Mean, l.P50, l.P95, l.P99, l.Max, l.Min} {
			row = append(row, legible(time.Duration(d)))
		}
		t.rows = append(t.rows, append(row, fmt.Sprintf("%.1f", l.RequestsPerSecond), fmt.Sprintf("%.1f", l.TextsPerSecond)))
		t.notes = append(t.notes, l.Error)
	}
	if !slices.ContainsFunc(t.notes, func(note string) bool { return note != "" }) {
		t.notes = nil
	}
	// A narrow terminal breaks the lines: no column may be left out.
	if err := t.write(out, pipeWidth); err != nil {
		return err
	}
	cost := "the price is not known"
	if r.Cost != nil {
		cost = dollars(*r.Cost)
	}
	_, err := fmt.Fprintf(out, "%s, %d texts a request, %s tokens: %s\n", r.Model, r.Texts, short(float64(r.Tokens)), cost)
	return err
}

// legible returns a time with the digits that are worth reading.
func legible(d time.Duration) string {
	for _, step := range []time.Duration{10 * time.Microsecond, 100 * time.Microsecond, time.Millisecond} {
		if d < 1000*step {
			return d.Round(step).String()
		}
	}
	return d.Round(10 * time.Millisecond).String()
}

func dollars(amount float64) string { return fmt.Sprintf("$%.4g", amount) }

// short returns a number as people say it: 940, 12.3k, 1.2M.
func short(n float64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%.0f", n)
	case n < 1e6:
		return fmt.Sprintf("%.3gk", n/1e3)
	}
	return fmt.Sprintf("%.3gM", n/1e6)
}
