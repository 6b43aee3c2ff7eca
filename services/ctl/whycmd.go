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

// line writes a line of a section; the name is "" but for its first one.
func (p *page) line(name, format string, args ...any) {
	text := plain(fmt.Sprintf(format, args...))
	for i, part := range wrap(text, p.width-label) {
		if i > 0 {
			name = ""
		}
		p.print(fmt.Sprintf("%-*s%s", label, name, part))
	}
}

func (p *page) print(line string) {
	if p.err == nil {
		_, p.err = fmt.Fprintln(p.out, strings.TrimRight(line, " "))
	}
}

// lines writes a list as a section of its own.
func (p *page) lines(name string, list []string) {
	for i, text := range list {
		if i > 0 {
			name = ""
		}
		p.line(name, "%s", text)
	}
}

func writeItem(out io.Writer, item *inspect.Item, width int) error {
	p := &page{out: out, width: width}
	p.causes("why", "and", item.Causes)
	p.print("")
	p.name(item)
	p.index(item.Index)
	p.waiting(item.Waiting)
	p.timeline(item.Timeline)
	p.letters(item)
	p.cost(item.Cost)
	if item.TraceID != "" {
		p.line("trace", "%s", cmp.Or(item.TraceLink, item.TraceID))
	}
	p.lines("not known", item.Unknown)
	return p.err
}

// causes writes causes in their order, each with what to do.
func (p *page) causes(first, further string, all []inspect.Cause) {
	for i, c := range all {
		name := first
		if i > 0 {
			name = further
		}
		p.line(name, "%s (%s)", c.Summary, c.Code)
		if c.Detail != "" {
			p.line("", "%s", c.Detail)
		}
		if c.Do != "" {
			p.line("", "→ %s", c.Do)
		}
	}
}

func (p *page) name(item *inspect.Item) {
	if r := item.Record; r != nil {
		p.line("record", "%s, %s: %s", r.Place, r.Timestamp.Format(time.DateTime), r.Said)
	}
	if n := item.Item; n != nil {
		who := n.Collection + "/" + strings.Join(n.ID, "+")
		if n.Tenant != "" {
			who = n.Collection + "/" + n.Tenant + "/" + strings.Join(n.ID, "+")
		}
		if n.Partition >= 0 {
			who += ", partition " + strconv.Itoa(int(n.Partition))
		}
		p.line("item", "%s, %s", who, n.UUID)
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
	p.line("index", "%s, in %s", standings[x.Standing], x.Class)
	if x.Version > 0 {
		line := "version " + strconv.FormatInt(x.Version, 10)
		if x.Versioned != nil {
			line += " (" + x.Versioned.String() + ")"
		}
		p.line("", "%s", line)
	}
	if !x.UpdatedAt.IsZero() {
		line := "stored " + x.UpdatedAt.Format(time.DateTime)
		if !x.CommittedAt.IsZero() {
			line += ", committed at its source " + x.CommittedAt.Format(time.DateTime)
		}
		p.line("", "%s", line)
	}
	if x.Text != "" {
		p.line("text", "%s", cut(x.Text, p.width-label))
	}
	if x.Fingerprint != "" {
		line := "fingerprint " + x.Fingerprint
		switch x.VectorOf {
		case x.Fingerprint:
		case "":
			line += ", no vector"
		default:
			line += ", with the vector of an older text"
		}
		p.line("", "%s", line)
	}
	if len(x.Properties) > 0 {
		var all []string
		for _, v := range x.Properties {
			all = append(all, v.Name+"="+v.Value)
		}
		p.line("", "%s", cut(strings.Join(all, "  "), p.width-label))
	}
	if x.Failed != nil {
		p.line("", "marked: version %d is a dead letter, %s", x.Failed.Version, x.Failed.Reason)
	}
}

func (p *page) waiting(all []inspect.Waiting) {
	for i, w := range all {
		name := "now"
		if i > 0 {
			name = ""
		}
		line := fmt.Sprintf("waits for %s at %s, %d ahead, since %s", w.Stage, w.Place, w.Ahead, w.Since.Format(time.TimeOnly))
		if w.Owed {
			line += "; its row went on without its vector"
		}
		if w.Behind > 0 {
			line += fmt.Sprintf("; %d more of it behind", w.Behind)
		}
		p.line(name, "%s", line)
	}
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
	p.line("time line", "%s from the commit at its source, %s, %s", spoken(t.End.Sub(t.Start)), t.Start.Format("2006-01-02 15:04:05.000"), state)
	bars := max(min(barCells, p.width-label-hopCells-barFrame), 4)
	used := 0.0
	for _, h := range t.Hops {
		p.print(fmt.Sprintf("%-*s%-*s%9s %4.0f %%  %s", label, "", hopCells, cut(h.Name, hopCells), spoken(time.Duration(h.Took)), 100*h.Share, bar(used, h.Share, bars, h.Open)))
		used += h.Share
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
	for i, l := range item.Letters {
		name := ""
		switch i {
		case 0:
			name = "dead letters"
		case most:
			p.line("", "and %d more", len(item.Letters)-most)
			return
		}
		p.line(name, "%s  %s of %s, from %s", l.At.Format(time.DateTime), l.Reason, l.Stage, l.Source)
	}
}

func (p *page) cost(c *inspect.Cost) {
	if c == nil {
		return
	}
	tokens := strconv.FormatInt(c.Tokens, 10) + " tokens"
	if !c.Counted {
		tokens = "about " + tokens
	}
	money := ""
	if c.Money > 0 {
		money = fmt.Sprintf(", %s %s", strconv.FormatFloat(c.Money, 'g', 3, 64), c.Currency)
	}
	paid := "whether they were paid for is not known"
	if c.Paid != nil && *c.Paid {
		paid = "paid"
	} else if c.Paid != nil {
		paid, money = "not paid again", ""
	}
	p.line("cost", "%s%s, %s: %s", tokens, money, paid, c.Why)
}

// spoken writes a time span in few characters.
func spoken(d time.Duration) string { return inspect.Seconds(d).String() }
