package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/services/ctl/inspect"
)

func whyCommand() *cobra.Command {
	var collection, tenant, output string
	cmd := &cobra.Command{
		Use: "why ID | TOPIC/PARTITION/OFFSET", Args: cobra.ExactArgs(1),
		Short: "Say why an item is as old as it is",
		Long: "Says what the index has of an item, where its newest change is now and what keeps it there, how long\n" +
			"each part of its way took, its dead letters, its cost, and the id of its trace. It reads Kafka, Weaviate\n" +
			"and the services' admin ports (FRESHET_ADMIN_ADDRESSES), and needs no tracing back end. A place in\n" +
			"Kafka may be of a source topic, of a topic of the pipeline, or of a dead letter.",
		Example: `  freshet why 4711
  freshet why shop.catalog.products/3/20817
  freshet why freshet.deadletters/0/12 -o json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			inspector, err := openInspector(cmd)
			if err != nil {
				return err
			}
			defer inspector.Close()
			subject, err := inspector.Parse(args[0], collection, tenant)
			if err != nil {
				return err
			}
			item, err := inspector.Item(cmd.Context(), subject)
			if err != nil {
				return err
			}
			if output == "json" {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(item)
			}
			return writeItem(cmd.OutOrStdout(), &item, outputWidth())
		},
	}
	cmd.Flags().StringVar(&collection, "collection", "", "collection of the item, where the pipeline file has several")
	cmd.Flags().StringVar(&tenant, "tenant", "", "tenant of the item, where items have one")
	cmd.Flags().StringVarP(&output, "output", "o", "table", "table or json")
	return cmd
}

func openInspector(cmd *cobra.Command) (*inspect.Inspector, error) {
	var cfg inspect.Config
	if err := load(&cfg, cmd.ErrOrStderr()); err != nil {
		return nil, err
	}
	return inspect.Open(cfg)
}

// page writes lines of text in sections, each with a name at its left.
type page struct {
	out   io.Writer
	width int
	err   error
}

// label is how many cells the names of sections have.
const label = 14

// section writes lines; the name is left of the first one.
func (p *page) section(name string, lines ...string) {
	for _, line := range lines {
		for _, part := range wrap(plain(line), p.width-label) {
			p.print(fmt.Sprintf("%-*s%s", label, name, part))
			name = ""
		}
	}
}

func (p *page) print(line string) {
	if p.err == nil {
		_, p.err = fmt.Fprintln(p.out, strings.TrimRight(line, " "))
	}
}

func writeItem(out io.Writer, item *inspect.Item, width int) error {
	p := &page{out: out, width: width}
	p.causes("why", "and", item.Causes)
	p.print("")
	if r := item.Record; r != nil {
		p.section("record", fmt.Sprintf("%s, %s: %s", r.Place, r.Timestamp.Format(time.DateTime), r.Said))
	}
	if n := item.Item; n != nil {
		line := record.Item{Collection: n.Collection, Tenant: n.Tenant, ID: n.ID}.String()
		if n.Partition >= 0 {
			line += fmt.Sprint(", partition ", n.Partition)
		}
		p.section("item", line+", "+n.UUID)
	}
	p.index(item.Index)
	p.section("now", each(item.Waiting, waiting)...)
	p.timeline(item.Timeline)
	p.letters(item)
	p.cost(item.Cost)
	if item.TraceID != "" {
		p.section("trace", cmp.Or(item.TraceLink, item.TraceID))
	}
	p.section("not known", item.Unknown...)
	return p.err
}

func each[T any](all []T, line func(T) string) (lines []string) {
	for _, one := range all {
		lines = append(lines, line(one))
	}
	return lines
}

// causes writes causes in their order, each with what to do.
func (p *page) causes(name, further string, all []inspect.Cause) {
	for _, c := range all {
		p.section(name, fmt.Sprintf("%s (%s)", c.Summary, c.Code))
		if c.Detail != "" {
			p.section("", c.Detail)
		}
		if c.Do != "" {
			p.section("", "→ "+c.Do)
		}
		name = further
	}
}

var standings = map[inspect.Standing]string{
	inspect.Absent:     "nothing is known of it",
	inspect.Searchable: "searchable",
	inspect.Unfound:    "stored, and not found by its own vector",
	inspect.Hidden:     "hidden: `when` does not let it be found",
	inspect.Deleted:    "deleted: a tombstone",
	inspect.Stub:       "not searchable yet: kept beside until its vector or its columns come",
	inspect.MarkOnly:   "only the mark of a dead letter",
}

func (p *page) index(x *inspect.Index) {
	if x == nil {
		return
	}
	p.section("index", fmt.Sprintf("%s, in %s", standings[x.Standing], x.Class))
	if x.Versioned != nil {
		p.section("", fmt.Sprintf("version %d (%s)", x.Version, x.Versioned))
	} else if x.Version > 0 {
		p.section("", fmt.Sprint("version ", x.Version))
	}
	if !x.UpdatedAt.IsZero() {
		line := "stored " + x.UpdatedAt.Format(time.DateTime)
		if !x.CommittedAt.IsZero() {
			line += ", committed at its source " + x.CommittedAt.Format(time.DateTime)
		}
		p.section("", line)
	}
	if x.Text != "" {
		p.section("text", cut(x.Text, p.width-label))
	}
	switch x.Fingerprint {
	case "":
	case x.VectorOf:
		p.section("", "fingerprint "+x.Fingerprint)
	default:
		p.section("", "fingerprint "+x.Fingerprint+", "+map[bool]string{true: "no vector", false: "with the vector of an older text"}[x.VectorOf == ""])
	}
	if len(x.Properties) > 0 {
		all := each(x.Properties, func(v inspect.Property) string { return v.Name + "=" + v.Value })
		p.section("", cut(strings.Join(all, "  "), p.width-label))
	}
	if x.Failed != nil {
		p.section("", fmt.Sprintf("marked: version %d is a dead letter, %s", x.Failed.Version, x.Failed.Reason))
	}
}

func waiting(w inspect.Waiting) string {
	line := fmt.Sprintf("waits for %s at %s, %d ahead, since %s", w.Stage, w.Place, w.Ahead, w.Since.Format(time.TimeOnly))
	if w.Owed {
		line += "; its row went on without its vector"
	}
	if w.Behind > 0 {
		line += fmt.Sprintf("; %d more of it behind", w.Behind)
	}
	return line
}

const (
	hopCells = 22 // of a hop's name
	barCells = 40 // of the whole way
	barFrame = 20 // of the numbers before it, and of what may follow
)

func (p *page) timeline(t *inspect.Timeline) {
	if t == nil {
		return
	}
	state := "until it was in the index"
	if !t.Done {
		state = "so far"
	}
	p.section("time line", fmt.Sprintf("%s from the commit at its source, %s, %s", inspect.Seconds(t.End.Sub(t.Start)), t.Start.Format("2006-01-02 15:04:05.000"), state))
	bars := max(min(barCells, p.width-label-hopCells-barFrame), 4)
	used := 0.0
	for _, h := range t.Hops {
		p.print(fmt.Sprintf("%-*s%-*s%9s %4.0f %%  %s", label, "", hopCells, cut(h.Name, hopCells), h.Took, 100*h.Share, bar(used, h.Share, bars, h.Open)))
		used += h.Share
	}
	if t.Unsplit != "" {
		p.section("", t.Unsplit)
	}
}

// bar is the part of a way, at its place in the whole of so many cells.
func bar(before, share float64, cells int, open bool) string {
	const eighths = "▏▎▍▌▋▊▉"
	length := max(int(math.Round(share*float64(cells)*8)), 1)
	b := strings.Repeat(" ", int(before*float64(cells))) + strings.Repeat("█", length/8)
	if rest := length % 8; rest > 0 {
		b += string([]rune(eighths)[rest-1])
	}
	if open {
		b += "…"
	}
	return b
}

func (p *page) letters(item *inspect.Item) {
	const most = 3
	lines := each(item.Letters, func(l inspect.Letter) string {
		return fmt.Sprintf("%s  %s of %s, from %s", l.At.Format(time.DateTime), l.Reason, l.Stage, l.Source)
	})
	if more := len(lines) - most; more > 0 {
		lines = append(lines[:most], fmt.Sprintf("and %d more", more))
	}
	p.section("dead letters", lines...)
}

func (p *page) cost(c *inspect.Cost) {
	if c == nil {
		return
	}
	line := fmt.Sprint(c.Tokens, " tokens")
	if !c.Counted {
		line = "about " + line
	}
	if c.Money > 0 && (c.Paid == nil || *c.Paid) {
		line += fmt.Sprintf(", %s %s", strconv.FormatFloat(c.Money, 'g', 3, 64), c.Currency)
	}
	paid := "whether they were paid for is not known"
	if c.Paid != nil {
		paid = map[bool]string{true: "paid", false: "not paid again"}[*c.Paid]
	}
	p.section("cost", line+", "+paid+": "+c.Why)
}
