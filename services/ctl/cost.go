package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/record"
)

// period is what of the ledger is printed.
type period struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"` // exclusive
	By   string    `json:"by"`
}

type bill struct {
	period
	Lines []billLine `json:"lines"`
	Sums  []billLine `json:"sums"` // one a currency
}

type billLine struct {
	Group    string        `json:"group,omitempty"`
	Currency string        `json:"currency"`
	Tokens   record.Tokens `json:"tokens"`
	Money    money         `json:"money"`
}

// money is the price of tokens; see record.Tokens.
type money struct {
	Paid  float64 `json:"paid"`
	Again float64 `json:"again"`
	Saved float64 `json:"saved"`
}

// groups are what lines can be of.
var groups = map[string]func(c *record.Cost, tenant string) string{
	"hour":       func(c *record.Cost, _ string) string { return c.Hour.UTC().Format("2006-01-02 15:00") },
	"day":        func(c *record.Cost, _ string) string { return c.Hour.UTC().Format(time.DateOnly) },
	"collection": func(c *record.Cost, _ string) string { return c.Collection },
	"pipeline":   func(c *record.Cost, _ string) string { return c.Pipeline },
	"tenant":     func(_ *record.Cost, tenant string) string { return tenant },
}

func costCommand() *cobra.Command {
	var from, to, by, output string
	names := strings.Join(slices.Sorted(maps.Keys(groups)), ", ")
	cmd := &cobra.Command{
		Use: "cost", Args: cobra.NoArgs, Short: "Print what embedding has cost, and what was saved",
		Long: "Prints the tokens that the provider charged (PAID), those of them whose text had been paid before\n" +
			"(AGAIN), and those that were not paid since the vector was known (SAVED, estimated); and the money\n" +
			"of each at the price of its time. Days and hours are of UTC; the last seconds may be missing.",
		Example: "  freshet cost --by collection\n  freshet cost --from 2026-11-01 --to 2026-11-30 --by tenant -o json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := periodOf(from, to, by, time.Now().UTC())
			if err != nil {
				return err
			}
			if err := checkOutput(output); err != nil {
				return err
			}
			costs, err := readCosts(cmd, p)
			if err != nil {
				return err
			}
			return billOf(costs, p).print(cmd.OutOrStdout(), output)
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "first day, YYYY-MM-DD (default 29 days before the last one)")
	cmd.Flags().StringVar(&to, "to", "", "last day (default today)")
	cmd.Flags().StringVar(&by, "by", "day", "a line for each "+names)
	cmd.Flags().StringVarP(&output, "output", "o", "table", "table or json")
	return cmd
}

func periodOf(from, to, by string, now time.Time) (period, error) {
	if groups[by] == nil {
		return period{}, fmt.Errorf("--by %s: one of %s", by, strings.Join(slices.Sorted(maps.Keys(groups)), ", "))
	}
	last, err := time.Parse(time.DateOnly, cmp.Or(to, now.Format(time.DateOnly)))
	if err != nil {
		return period{}, fmt.Errorf("--to %s: a day is written YYYY-MM-DD", to)
	}
	first, err := time.Parse(time.DateOnly, cmp.Or(from, last.AddDate(0, 0, -29).Format(time.DateOnly)))
	if err != nil {
		return period{}, fmt.Errorf("--from %s: a day is written YYYY-MM-DD", from)
	}
	if first.After(last) {
		return period{}, fmt.Errorf("--from %s is after --to %s", first.Format(time.DateOnly), last.Format(time.DateOnly))
	}
	return period{From: first, To: last.AddDate(0, 0, 1), By: by}, nil
}

func readCosts(cmd *cobra.Command, p period) ([]*record.Cost, error) {
	var cfg cluster
	if err := load(&cfg, cmd.ErrOrStderr()); err != nil {
		return nil, err
	}
	client, err := connect(cmd.Context(), cfg.Kafka)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	ledger, err := kafka.OpenCosts(cmd.Context(), client, cfg.Topics, p.From)
	if err != nil {
		return nil, err
	}
	return ledger.Read(cmd.Context())
}

// billOf sums entries up, the last one of each key.
func billOf(costs []*record.Cost, p period) bill {
	entries := map[string]*record.Cost{}
	for _, c := range costs {
		if !c.Hour.Before(p.From) && c.Hour.Before(p.To) {
			entries[c.Key()] = c
		}
	}
	whole := func(*record.Cost, string) string { return "" }
	return bill{period: p, Lines: linesOf(entries, groups[p.By]), Sums: linesOf(entries, whole)}
}

func linesOf(entries map[string]*record.Cost, group func(*record.Cost, string) string) []billLine {
	lines := map[[2]string]billLine{}
	for _, key := range slices.Sorted(maps.Keys(entries)) { // sums of money depend on the order
		c := entries[key]
		for _, tenant := range slices.Sorted(maps.Keys(c.Tenants)) {
			of := [2]string{group(c, tenant), c.Currency}
			lines[of] = lines[of].plus(c.Tenants[tenant], c.Price)
		}
	}
	all := []billLine{}
	for of, line := range lines {
		line.Group, line.Currency = of[0], of[1]
		all = append(all, line)
	}
	slices.SortFunc(all, func(a, b billLine) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Currency, b.Currency))
	})
	return all
}

func (l billLine) plus(t record.Tokens, price float64) billLine {
	l.Tokens = l.Tokens.Plus(t)
	l.Money.Paid += float64(t.Paid) * price / 1e6
	l.Money.Again += float64(t.Again) * price / 1e6
	l.Money.Saved += float64(t.Saved) * price / 1e6
	return l
}

func (b bill) print(out io.Writer, output string) error {
	if output == "json" {
		return json.NewEncoder(out).Encode(b)
	}
	if len(b.Lines) == 0 {
		_, err := fmt.Fprintf(out, "nothing was paid or saved from %s to %s\n", b.From.Format(time.DateOnly), b.To.AddDate(0, 0, -1).Format(time.DateOnly))
		return err
	}
	t := table{header: []string{strings.ToUpper(b.By), "PAID", "AGAIN", "SAVED", "COST", "COST AGAIN", "COST SAVED", "CURRENCY"}}
	for _, line := range b.Lines {
		if b.By == "tenant" && line.Group == record.OtherTenants {
			line.Group = "(others)"
		}
		t.rows = append(t.rows, line.cells())
	}
	for _, sum := range b.Sums {
		sum.Group = "(all)"
		t.rows = append(t.rows, sum.cells())
	}
	t.alignRight(1, 7)
	return t.write(out, outputWidth())
}

func (l billLine) cells() []string {
	tokens := func(n int64) string { return strconv.FormatInt(n, 10) }
	amount := func(m float64) string { return strconv.FormatFloat(m, 'f', 4, 64) }
	return []string{
		cmp.Or(l.Group, "-"), tokens(l.Tokens.Paid), tokens(l.Tokens.Again), tokens(l.Tokens.Saved),
		amount(l.Money.Paid), amount(l.Money.Again), amount(l.Money.Saved), l.Currency,
	}
}
