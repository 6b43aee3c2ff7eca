package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/freshet-io/freshet/services/ctl/inspect"
)

// Exit codes of `freshet status`: those of monitoring plug-ins.
const (
	exitTrouble  = 2 // critical
	exitNotKnown = 3 // unknown
)

func statusCommand() *cobra.Command {
	var output string
	var watch, check bool
	var every time.Duration
	cmd := &cobra.Command{
		Use: "status", Args: cobra.NoArgs, Short: "Show how the pipeline is: rates, lag, freshness, provider, money, dead letters",
		Long: "Looks at the consumer groups in Kafka, at Weaviate, and at the metrics of the services\n" +
			"(FRESHET_ADMIN_ADDRESSES), twice within 2 s: rates are of that time. What does not answer is named,\n" +
			"and the rest is shown.\n\n" +
			"Exit codes: 0; 1 it could not begin (a wrong setting); 2 with --check: something is wrong; 3 Kafka, Weaviate\n" +
			"or an admin port that is named could not be asked, and with --check anything else that is not known.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			if every < time.Second {
				return fmt.Errorf("--every %s: at least 1s", every)
			}
			inspector, err := openInspector(cmd)
			if err != nil {
				return err
			}
			defer inspector.Close()
			for {
				status, err := showStatus(cmd.Context(), inspector, cmd.OutOrStdout(), output, watch)
				if err != nil {
					return err
				}
				if !watch {
					return judge(&status, check)
				}
				select {
				case <-cmd.Context().Done():
					return nil
				case <-time.After(every):
				}
			}
		},
	}
	cmd.Flags().BoolVar(&watch, "watch", false, "show it again and again, until Ctrl-C")
	cmd.Flags().BoolVar(&check, "check", false, "exit with 2 where something is wrong, with 3 where not all could be looked at")
	cmd.MarkFlagsMutuallyExclusive("watch", "check")
	cmd.Flags().DurationVar(&every, "every", 2*time.Second, "time between two looks of --watch")
	cmd.Flags().StringVarP(&output, "output", "o", "table", "table or json")
	return cmd
}

// judge returns the exit code of a status. With check all is well only where nothing is wrong and all was looked at; without,
// where what decides could be asked.
func judge(status *inspect.Status, check bool) error {
	unasked := func(c inspect.Cause) bool { return c.Code == inspect.CauseUnknown }
	switch {
	case check && slices.ContainsFunc(status.Trouble, func(c inspect.Cause) bool { return !unasked(c) }):
		return exitCode(exitTrouble)
	case slices.ContainsFunc(status.Trouble, unasked), check && len(status.Unknown) > 0:
		return exitCode(exitNotKnown)
	}
	return nil
}

// showStatus shows it once, and returns it. In a terminal, --watch overwrites what it has shown before.
func showStatus(ctx context.Context, inspector *inspect.Inspector, out io.Writer, output string, watch bool) (inspect.Status, error) {
	status, err := inspector.Status(ctx)
	if err != nil {
		if ctx.Err() != nil && watch {
			err = nil
		}
		return status, err
	}
	if output == "json" {
		return status, json.NewEncoder(out).Encode(status)
	}
	var page strings.Builder
	if err := writeStatus(&page, &status, outputWidth()); err != nil {
		return status, err
	}
	switch {
	case watch && term.IsTerminal(int(os.Stdout.Fd())):
		const home, lineEnd, below = "\x1b[H", "\x1b[K\n", "\x1b[J"
		_, err = io.WriteString(out, home+strings.ReplaceAll(page.String(), "\n", lineEnd)+below)
	case watch:
		_, err = io.WriteString(out, page.String()+"\n")
	default:
		_, err = io.WriteString(out, page.String())
	}
	return status, err
}

func writeStatus(out io.Writer, s *inspect.Status, width int) error {
	p := &page{out: out, width: width}
	p.verdict(s)
	p.print("")
	if p.err == nil {
		p.err = stageTable(s.Stages).write(out, width)
	}
	p.print("")
	p.section("freshness", each(s.Freshness, freshness)...)
	p.provider(s.Provider)
	p.money(s.Money)
	p.section("index", each(s.Index, func(x inspect.IndexState) string {
		switch {
		case x.Writable == nil:
			return x.Collection + ": whether it takes writes is not known"
		case *x.Writable:
			return fmt.Sprintf("%s (%s) takes writes", x.Collection, x.Class)
		}
		return fmt.Sprintf("%s takes no writes: %s", x.Collection, x.Why)
	})...)
	p.letterCounts(s.Letters)
	p.section("services", strings.Join(each(s.Services, serviceLine), "; "))
	return p.err
}

// verdict says first what is wrong, and what is not known.
func (p *page) verdict(s *inspect.Status) {
	unknown := "not known"
	for _, c := range s.Trouble {
		name := "trouble"
		if c.Code == inspect.CauseUnknown {
			name, unknown = unknown, ""
		}
		p.causes(name, "", []inspect.Cause{c})
	}
	switch {
	case len(s.Trouble) > 0:
	case len(s.Unknown) > 0:
		p.section("no trouble", "nothing is known to be wrong, and not all was looked at")
	default:
		p.section("all well", "nothing is known to be wrong")
	}
	p.section(unknown, s.Unknown...)
}

func stageTable(stages []inspect.Stage) table {
	t := table{header: []string{"STAGE", "MEMBERS", "RATE/S", "LAG", "LAG TIME", "STUCK", "RETRIES/S", "OUTCOMES/S"}, wide: true}
	for _, s := range stages {
		lagTime := "-"
		if s.LagTime > 0 {
			lagTime = s.LagTime.String()
		}
		stuck := strconv.Itoa(len(s.Stuck))
		if s.Lag < 0 {
			stuck = known(-1, 0)
		}
		if s.Unassigned > 0 {
			stuck += fmt.Sprintf("+%d nobody's", s.Unassigned)
		}
		t.rows = append(t.rows, []string{s.Name, known(float64(s.Members), 0), known(s.Rate, 1), known(float64(s.Lag), 0), lagTime, stuck, known(s.Retries, 1), outcomes(s)})
	}
	t.alignRight(1, 7)
	return t
}

// known writes a number, and a question mark for one that is not known.
func known(n float64, decimals int) string {
	if n < 0 {
		return "?"
	}
	return strconv.FormatFloat(n, 'f', decimals, 64)
}

// outcomes writes what became of the records, the most frequent first.
func outcomes(s inspect.Stage) string {
	names := slices.SortedFunc(maps.Keys(s.Outcomes), func(a, b string) int {
		return cmp.Or(cmp.Compare(s.Outcomes[b], s.Outcomes[a]), cmp.Compare(a, b))
	})
	all := each(names, func(name string) string { return name + " " + known(s.Outcomes[name], 1) })
	if s.Later > 0 {
		all = append(all, fmt.Sprintf("(%d wait for their vectors)", s.Later))
	}
	return strings.Join(all, "  ")
}

func freshness(f inspect.Freshness) string {
	window := "since the start"
	if f.Window > 0 {
		window = "in the last " + f.Window.String()
	}
	return fmt.Sprintf("%s %s: p50 %s  p95 %s  p99 %s  (%d items %s)", f.Collection, f.To, f.P50, f.P95, f.P99, f.Items, window)
}

func (p *page) provider(x *inspect.Provider) {
	if x == nil {
		return
	}
	p.section("provider", fmt.Sprintf("%s requests/s, %s tokens/s charged, %s tokens/s not paid again", known(x.Requests, 1), known(x.Tokens, 0), known(x.Saved, 0)))
	p.section("", each(x.Endpoints, endpoint)...)
	if x.Waiting > 0 || x.BudgetWaiting > 0 {
		p.section("", fmt.Sprintf("%d requests wait for a limit, %d for the budget of the next day", x.Waiting, x.BudgetWaiting))
	}
}

func endpoint(e inspect.Endpoint) string {
	line := e.Role + ": gate " + e.Gate
	if e.Shut > 0 {
		line += " for " + e.Shut.String()
	}
	if e.Requests > 0 {
		line += fmt.Sprintf(", %.0f requests/min", e.Requests)
	}
	if e.Tokens > 0 {
		line += fmt.Sprintf(", %.0f tokens/min", e.Tokens)
	}
	if e.Refused > 0 {
		line += fmt.Sprintf(", %d of %d keys refused", e.Refused, e.Keys)
	}
	if e.Failing > 0 {
		line += ", failing for " + e.Failing.String()
	}
	if e.Breaker != "" {
		line += ", breaker " + e.Breaker
	}
	return line
}

func (p *page) money(m *inspect.Money) {
	if m == nil {
		return
	}
	amount := func(n float64) string { return strings.TrimSpace(known(n, 4) + " " + m.Currency) }
	line := fmt.Sprintf("%s an hour now; today %s paid, %s saved", amount(m.PerHour), amount(m.Today), amount(m.Saved))
	if m.Budget > 0 {
		line += ", of " + amount(m.Budget) + " a day"
	}
	p.section("money", line)
}

func (p *page) letterCounts(c *inspect.LetterCounts) {
	if c == nil {
		return
	}
	all := each(c.Counts, func(n inspect.LetterCount) string { return fmt.Sprintf("%d %s of %s", n.Count, n.Reason, n.Stage) })
	p.section("dead letters", fmt.Sprintf("%s in the last %s; %d in the topic", cmp.Or(strings.Join(all, ", "), "none"), inspect.Seconds(time.Since(c.Since)), c.Kept))
}

func serviceLine(s inspect.Service) string {
	name := s.Address
	if len(s.Stages) > 0 {
		name += " (" + strings.Join(s.Stages, ", ") + ")"
	}
	if !s.Ready {
		name += " not ready"
	}
	return name
}
