// Package selftest sends a canary through an installation: a change of an item that nobody else has goes to a source topic, the
// item is found in the index by its vector, is deleted, and is not found any more.
//
//	source topic → ingest → embed → write → index
//	     ▲                                    │ found by its own vector, and then no more
//	     └──────────────── canary ◀───────────┘
//
// It owns the canary and the steps. It makes changes in the formats of the producers, asks the index as an application does,
// and leaves it to inspect to say where a canary is that does not arrive.
package selftest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/weaviate"
	"github.com/freshet-io/freshet/services/ctl/inspect"
	"github.com/freshet-io/freshet/services/ctl/rig"
)

const (
	// pollEvery is the time between two looks at the index.
	pollEvery = 50 * time.Millisecond
	// searchLimit is among how many items a search must find the canary: no other has its text.
	searchLimit = 5
	// newestRecords is how many of the last offsets of a partition are looked at for a row: transactions end with a marker, and what deletes
	// with a tombstone.
	newestRecords = 50
	// cleanupBound is how long the look at where a canary is, and then its delete, may take when the time for the test is over.
	cleanupBound = 20 * time.Second
)

// Options say which way the canary takes.
type Options struct {
	Pipeline string         // the file's first one if empty
	Topic    string         // needed where the pipeline names patterns alone
	Columns  map[string]any // of the row, above those that are made up
	Shared   bool           // the topic may have other readers
}

// Test is an installation and a canary for it.
type Test struct {
	Canary *Canary

	inspector *inspect.Inspector
	config    inspect.Config
	client    *kgo.Client
	index     *weaviate.Client
}

// Result is how far a canary has come.
type Result struct {
	Found   time.Duration // from before it was sent until a search by its vector found it; 0: it was not
	Rank    int           // its place among what the search found, from 1
	Deleted time.Duration // from before its delete was sent until the search did not find it any more; 0: it did
	// Item is what is known of it where it was found last, or where it is kept up. Nil where that was not asked.
	Item *inspect.Item
}

// Open makes a canary and connects to where it goes, and sends nothing. Its errors say why it could not be sent. The caller closes it, and
// the inspector after it.
func Open(ctx context.Context, inspector *inspect.Inspector, o Options) (*Test, error) {
	p, topic, err := Choose(inspector.Config().Pipeline.File, o.Pipeline, o.Topic)
	if err != nil {
		return nil, err
	}
	t := &Test{inspector: inspector, config: inspector.Config()}
	if err := t.connect(ctx); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	if err := t.prepare(ctx, p, topic, o); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

func (t *Test) connect(ctx context.Context) (err error) {
	if t.client, err = t.config.Source.Kafka.Connect(ctx, slog.New(slog.DiscardHandler)); err != nil {
		return fmt.Errorf("Kafka at %s: %w", strings.Join(t.config.Source.Kafka.Brokers, ","), err) //nolint:staticcheck // a name
	}
	t.index, err = weaviate.Open(ctx, t.config.Weaviate)
	return err
}

// Close ends the connections.
func (t *Test) Close() error {
	if t.client != nil {
		t.client.Close()
	}
	if t.index != nil {
		return t.index.Close()
	}
	return nil
}

func (t *Test) prepare(ctx context.Context, p *pipeline.Pipeline, topic string, o Options) error {
	if !o.Shared && !p.Source.HTTP {
		others, err := t.readers(ctx, topic)
		if err != nil {
			return err
		}
		if len(others) > 0 {
			return fmt.Errorf("topic %s is read by %s too, which would see the canary: choose another pipeline, or --shared where that does no harm", topic, strings.Join(others, ", "))
		}
	}
	format, err := t.format(ctx, p, topic)
	if err != nil {
		return err
	}
	if t.Canary, err = New(ctx, t.inspector.Ingester(), p, topic, format, o.Columns, time.Now()); err != nil {
		return err
	}
	for _, item := range t.Canary.touched {
		was, err := t.index.Inspect(ctx, item)
		if err != nil {
			return err
		}
		if was.State.Live() && t.Canary.mistakes(item, was.State.Text) {
			return fmt.Errorf("the index has an item %s that is no canary, and is not touched: --set column=value gives the canary other columns of an id", item)
		}
	}
	return nil
}

// readers returns the groups that read a topic beside ingest, as far as this user may see them.
func (t *Test) readers(ctx context.Context, topic string) ([]string, error) {
	adm := kadm.NewClient(t.client)
	listed, err := adm.ListGroups(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing who reads topic %s: %w", topic, err)
	}
	own := t.config.Groups.Named(t.config.Topics).Ingest
	var others []string
	for group, offsets := range adm.FetchManyOffsets(ctx, listed.Groups()...) {
		if offsets.Err != nil {
			return nil, fmt.Errorf("looking whether group %s reads topic %s: %w", group, topic, offsets.Err)
		}
		if _, reads := offsets.Fetched[topic]; reads && group != own {
			others = append(others, group)
		}
	}
	slices.Sort(others)
	return others, nil
}

// format returns that of the topic's records. It is an error where they want a schema registry, which has no schema of canaries.
func (t *Test) format(ctx context.Context, p *pipeline.Pipeline, topic string) (pipeline.Format, error) {
	last, err := t.last(ctx, topic)
	switch {
	case err != nil:
		return "", err
	case len(last) > 0 && last[0] == 0:
		return "", fmt.Errorf("the records of topic %s are in Avro or JSON Schema: the selftest writes plain JSON, which readers of that topic could not use", topic)
	case len(last) == 0 && len(t.config.Registry.URL) > 0:
		return "", fmt.Errorf("topic %s has no row of late, and there is a schema registry: whether its records are plain JSON, which the selftest writes, is not known", topic)
	case p.Source.Format != pipeline.Auto:
		return p.Source.Format, nil
	case len(last) > 0:
		return t.inspector.Ingester().Recognise(ctx, last), nil
	}
	return pipeline.Debezium, nil
}

// last returns the newest value of a topic, of those near the ends of its partitions; nil where there is none.
func (t *Test) last(ctx context.Context, topic string) ([]byte, error) {
	spans, err := inspect.WholeTopic(ctx, t.client, topic)
	if err != nil {
		return nil, unwritten(err, topic)
	}
	for i := range spans {
		spans[i].From = max(spans[i].From, spans[i].To-newestRecords)
	}
	var last *kgo.Record
	err = kafka.Scan(ctx, t.config.Source.Kafka, spans, slog.New(slog.DiscardHandler), func(r *kgo.Record) bool {
		if len(r.Value) > 0 && !r.Attrs.IsControl() && (last == nil || !r.Timestamp.Before(last.Timestamp)) {
			last = r
		}
		return true
	})
	if err != nil || last == nil {
		return nil, err
	}
	return last.Value, nil
}

// Run sends the canary, and returns how far it has come. Where the error is not nil it has not come through; its delete is sent in
// any case, also when ctx has ended.
func (t *Test) Run(ctx context.Context) (r Result, err error) {
	begun := time.Now()
	sent := t.send(ctx, t.Canary.create)
	if errors.Is(sent, errNotWritten) {
		return r, sent
	}
	defer func() {
		if err == nil {
			return
		}
		look := func(late context.Context) {
			if sent == nil && !errors.Is(ctx.Err(), context.Canceled) {
				r.Item = t.look(late)
			}
		}
		err = errors.Join(err, t.abandon(ctx, cleanupBound, look))
	}()
	if sent != nil {
		return r, sent
	}
	vector, rank, err := t.arrives(ctx)
	if err != nil {
		return r, fmt.Errorf("%s is not found in the index: %w", t.Canary.Item, err)
	}
	r.Found, r.Rank = time.Since(begun), rank
	r.Item = t.look(ctx)
	begun = time.Now()
	if err := t.send(ctx, t.Canary.remove); err != nil {
		return r, err
	}
	if err := t.leaves(ctx, vector); err != nil {
		return r, fmt.Errorf("%s is deleted, and still found in the index: %w", t.Canary.Item, err)
	}
	r.Deleted = time.Since(begun)
	return r, nil
}

// abandon looks where a canary is that does not come through, and deletes it, also when ctx has ended. Each has a time of its own:
// where something is away the look takes all that there is, and the canary would stay behind.
func (t *Test) abandon(ctx context.Context, bound time.Duration, look func(context.Context)) error {
	ctx = context.WithoutCancel(ctx)
	looking, cancel := context.WithTimeout(ctx, bound)
	look(looking)
	cancel()
	deleting, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	return t.send(deleting, t.Canary.remove)
}

// errNotWritten says that nothing was written.
var errNotWritten = errors.New("nothing is written")

func (t *Test) send(ctx context.Context, e event) error {
	err := rig.Send(ctx, t.client, &kgo.Record{Topic: t.Canary.Topic, Key: e.key, Value: e.value})
	if err != nil {
		return unwritten(err, t.Canary.Topic)
	}
	return nil
}

// unwritten says of a refusal what to do about it.
func unwritten(err error, topic string) error {
	switch {
	case errors.Is(err, kerr.TopicAuthorizationFailed):
		return fmt.Errorf("%w: this user of Kafka may not read and write topic %s: give it READ and WRITE there, or run the selftest as a user that has both", errNotWritten, topic)
	case errors.Is(err, kerr.UnknownTopicOrPartition):
		return fmt.Errorf("%w: there is no topic %s", errNotWritten, topic)
	}
	return fmt.Errorf("topic %s: %w", topic, err)
}

func (t *Test) look(ctx context.Context) *inspect.Item {
	item, err := t.inspector.Item(ctx, inspect.Subject{Item: &t.Canary.Item})
	if err != nil {
		return nil
	}
	return &item
}

// arrives waits until the index has the canary's text and its vector, and a search by that finds it.
func (t *Test) arrives(ctx context.Context) (vector []float32, rank int, err error) {
	err = await(ctx, func(ctx context.Context) (bool, error) {
		s, err := t.index.Inspect(ctx, t.Canary.Item)
		if err != nil || !s.Main || !s.State.Complete() || !strings.Contains(s.State.Text, t.Canary.Text) || !bytes.Equal(s.State.Held, s.State.Wanted) {
			return false, err
		}
		if vector, err = t.index.FetchVector(ctx, t.Canary.Item); err != nil {
			return false, err
		}
		rank, err = t.rank(ctx, vector)
		return rank > 0, err
	})
	return vector, rank, err
}

// leaves waits until the index does not have the canary any more, and a search by its vector does not find it.
func (t *Test) leaves(ctx context.Context, vector []float32) error {
	return await(ctx, func(ctx context.Context) (bool, error) {
		s, err := t.index.Inspect(ctx, t.Canary.Item)
		if err != nil || s.State.Live() {
			return false, err
		}
		rank, err := t.rank(ctx, vector)
		return err == nil && rank == 0, err
	})
}

// rank returns the place of the canary in what a search finds, from 1, and 0 where it does not find it.
func (t *Test) rank(ctx context.Context, vector []float32) (int, error) {
	hits, err := t.index.Search(ctx, t.Canary.Item.Collection, t.Canary.Item.Tenant, vector, searchLimit, nil)
	if err != nil {
		return 0, err
	}
	return 1 + slices.IndexFunc(hits, func(h weaviate.Hit) bool { return bytes.Equal(h.Item.Key(), t.Canary.Item.Key()) }), nil
}

// await asks until the answer is yes or ctx ends. What fails meanwhile may pass the next time: the last error is told.
func await(ctx context.Context, ask func(context.Context) (bool, error)) error {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	var last error
	for {
		done, err := ask(ctx)
		if done {
			return nil
		}
		if err != nil && ctx.Err() == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), last)
		case <-ticker.C:
		}
	}
}
