package selftest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/stage"
	"github.com/freshet-io/freshet/services/ingest/ingester"
)

// Canary is an item that goes through an installation and leaves it again.
type Canary struct {
	Topic  string
	Format pipeline.Format
	Item   record.Item
	Text   string // no other text is like it, and so is its vector

	create, remove event
	touched        []record.Item // by either of them, also those of other pipelines that read the topic
}

// mistakes reports whether an item that the index has under a name of the canary is somebody else's, by its text. Other pipelines
// may make their texts of columns that the canary does not have: theirs are known by their ids.
func (c *Canary) mistakes(item record.Item, text string) bool {
	named := slices.ContainsFunc(item.ID, func(part string) bool { return slices.Contains(names, part) })
	return !strings.Contains(text, Mark) && (item.String() == c.Item.String() || !named)
}

// Choose returns a pipeline of the file by its name, or else the first one, with the topic that its canary is written to. topic may be
// empty where the pipeline names one. Its error says why that pipeline cannot be tried, and which ones can.
func Choose(file *pipeline.File, name, topic string) (*pipeline.Pipeline, string, error) {
	var names []string
	for i := range file.Pipelines {
		p := &file.Pipelines[i]
		names = append(names, p.Name)
		if name != "" && p.Name != name {
			continue
		}
		if topic == "" {
			n := slices.IndexFunc(p.Source.Topics, func(t string) bool { return slices.Contains(file.Topics(), t) })
			if n < 0 {
				return nil, "", fmt.Errorf("pipeline %s reads topics by the patterns %s: say which one by --topic", p.Name, strings.Join(p.Source.Topics, ", "))
			}
			topic = p.Source.Topics[n]
		}
		if strings.Contains(topic, "*") || !p.Source.Reads(topic) {
			return nil, "", fmt.Errorf("--topic %s: pipeline %s reads %s", topic, p.Name, strings.Join(p.Source.Topics, ", "))
		}
		if stream := feeds(file, topic); stream != "" {
			return nil, "", fmt.Errorf("pipeline %s reads topic %s, which is fed by the Redis stream %s and written by nobody else: choose another one by --pipeline (%s)",
				p.Name, topic, stream, strings.Join(writable(file), ", "))
		}
		return p, topic, nil
	}
	return nil, "", fmt.Errorf("--pipeline %s: the pipeline file has %s", name, strings.Join(names, ", "))
}

// feeds returns the Redis stream that a topic is fed by, also for another pipeline; "" for none.
func feeds(file *pipeline.File, topic string) (stream string) {
	for _, p := range file.Pipelines {
		if p.Source.Redis != nil && p.Source.Reads(topic) {
			stream = p.Source.Redis.Stream
		}
	}
	return stream
}

// writable returns the pipelines of which no topic is fed so.
func writable(file *pipeline.File) []string {
	names := []string{}
	for _, p := range file.Pipelines {
		if !slices.ContainsFunc(p.Source.Topics, func(topic string) bool { return feeds(file, topic) != "" }) {
			names = append(names, p.Name)
		}
	}
	return names
}

// New makes a canary, and has the ingester of the installation say what becomes of its change and its delete: nothing is
// written that would become a dead letter, or leave an item behind. The format must not be pipeline.Auto.
func New(ctx context.Context, in *ingester.Ingester, p *pipeline.Pipeline, topic string, format pipeline.Format, columns map[string]any, at time.Time) (*Canary, error) {
	c := &Canary{Topic: topic, Format: format, Text: fmt.Sprintf("%s %d", Mark, at.UnixNano())}
	row, of := Row(p, c.Text, columns, at), table{p, format}
	var err error
	if c.create, err = of.event(row, false, at); err != nil {
		return nil, err
	}
	if c.remove, err = of.event(row, true, at); err != nil {
		return nil, err
	}
	made, err := c.try(ctx, in, c.create, at)
	if err != nil {
		return nil, fmt.Errorf("pipeline %s takes no canary: %w\n(--set column=value gives it what it needs)", p.Name, err)
	}
	gone, err := c.try(ctx, in, c.remove, at)
	if err != nil {
		return nil, fmt.Errorf("pipeline %s would not let a canary go again, and none is sent: %w", p.Name, err)
	}
	for _, d := range slices.Concat(made, gone) {
		if item := d.Item(); !slices.ContainsFunc(c.touched, func(t record.Item) bool { return t.String() == item.String() }) {
			c.touched = append(c.touched, item)
		}
	}
	for _, d := range made {
		item := d.Item()
		if d.GetPipeline() == p.Name && !d.GetOp().IsRow() {
			return nil, fmt.Errorf("the row that was made up does not meet `when` of pipeline %s: --set column=value gives it what it needs", d.GetPipeline())
		}
		if !slices.ContainsFunc(gone, func(g *record.Document) bool {
			return g.GetOp() == record.Op_OP_DELETE && g.Item().String() == item.String()
		}) {
			return nil, fmt.Errorf("%s would not go again by its delete, and is not sent", item)
		}
		if d.GetPipeline() == p.Name {
			c.Item = item
			if !strings.Contains(d.GetText(), c.Text) {
				return nil, fmt.Errorf("the text of pipeline %s does not show what is in its columns (it is %q): a vector could not be told from others; --set column=value, with %q somewhere in a text", p.Name, d.GetText(), c.Text)
			}
		}
	}
	if len(c.Item.ID) == 0 {
		return nil, fmt.Errorf("pipeline %s takes nothing of its canary: --set column=value gives it what it needs", p.Name)
	}
	return c, nil
}

// try returns what ingest makes of a record, of a topic with several partitions: the worst, since keys must name their items then.
func (c *Canary) try(ctx context.Context, in *ingester.Ingester, e event, at time.Time) ([]*record.Document, error) {
	outcomes, err := in.Handle(ctx, []ingester.Change{{Record: stage.Record{Topic: c.Topic, Partition: 1, Key: e.key, Value: e.value, Time: at}}})
	if err != nil {
		return nil, err
	}
	if err := outcomes[0].Err; err != nil {
		return nil, fmt.Errorf("it would be a dead letter, %s: %s", fault.ReasonOf(err), fault.Plainly(err))
	}
	return outcomes[0].Out, nil
}
