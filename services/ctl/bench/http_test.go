package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tidwall/gjson"
	"golang.org/x/sync/errgroup"

	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/services/ctl/catalogue"
	"github.com/freshet-io/freshet/services/ctl/rig"
	"github.com/freshet-io/freshet/services/ingest/ingester"
	"github.com/freshet-io/freshet/services/ingest/intake"
)

const (
	itemsTopic = "bench.items"
	postLines  = 500
	posters    = 4 // clients at once
)

// overHTTP measures how fast items are taken over HTTP, against a client that writes the same rows to the same topic.
func (b *bed) overHTTP(ctx context.Context) (figure Figure, err error) {
	if _, err := kafka.CreateSources(ctx, b.client, []string{itemsTopic}, kafka.Layout{Partitions: partitions, Replication: 1}); err != nil {
		return Figure{}, err
	}
	sink, err := kafka.OpenIntake(ctx, b.cluster, []string{itemsTopic}, b.process.Log)
	if err != nil {
		return Figure{}, err
	}
	defer sink.Close()
	server, err := b.intake(sink)
	if err != nil {
		return Figure{}, err
	}
	listener, err := server.Listen(ctx)
	if err != nil {
		return Figure{}, err
	}
	posts := slices.Collect(slices.Chunk(rowsOf(b.envelopes), postLines))
	rounds := make([]round, b.rounds)
	err = during(ctx, func(ctx context.Context) error {
		for i := range rounds {
			floor, err := inPosts(ctx, posts, func(ctx context.Context, rows [][]byte) error { return produce(ctx, sink, rows) })
			if err != nil {
				return err
			}
			value, err := inPosts(ctx, posts, func(ctx context.Context, rows [][]byte) error {
				return post(ctx, "http://"+listener.Addr().String()+"/v1/items", rows)
			})
			if err != nil {
				return err
			}
			rounds[i] = round{value: value.rate(), floor: floor.rate()}
			b.say("  %.0f items a second over HTTP, %.0f written alone", rounds[i].value.perSecond, rounds[i].floor.perSecond)
		}
		return nil
	}, func(ctx context.Context) error { return server.Serve(ctx, listener, b.process.Health) })
	if err != nil {
		return Figure{}, err
	}
	value, floor := medianOf(rounds, byTime)
	return rate("items taken over HTTP in posts of 500, "+b.broker, "items/s", value, floor, 0), nil
}

// intake returns a server that takes the catalogue's rows.
func (b *bed) intake(sink intake.Sink) (*intake.Server, error) {
	text := string(rig.PipelineFile(rig.BuiltinSpace))
	text = strings.Replace(text, "source: {topics: ["+catalogue.Topic+"], format: debezium}", "source: {topics: ["+itemsTopic+"], format: rows, http: true}", 1)
	text = strings.Replace(text, "  match: {db: catalog, table: products}\n", "", 1)
	file, err := pipeline.Parse([]byte(text))
	if err != nil {
		return nil, err
	}
	in, err := ingester.New(file, ingester.Options{Config: ingester.DefaultConfig(), Partitioned: func(string) bool { return true }})
	if err != nil {
		return nil, err
	}
	config := intake.Config{Address: "127.0.0.1:0", AllowAnonymous: true, Wait: time.Minute, ReadTimeout: time.Minute, MaxInFlightBytes: 64 << 20}
	server, err := intake.New(config, ingester.HTTPSources(file), b.process)
	if err == nil {
		server.Open(in, sink)
	}
	return server, err
}

// rowsOf returns n rows as a client would send them.
func rowsOf(n int) [][]byte {
	rows := make([][]byte, n)
	for i, p := range products(n) {
		_, value := catalogue.Create(p, time.Now())
		rows[i] = []byte(gjson.GetBytes(value, "after").Raw)
	}
	return rows
}

// inPosts returns the pace at which several clients send all posts.
func inPosts(ctx context.Context, posts [][][]byte, send func(ctx context.Context, rows [][]byte) error) (*pace, error) {
	p := newPace()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(posters)
	for _, rows := range posts {
		group.Go(func() error {
			err := send(ctx, rows)
			p.add(len(rows))
			return err
		})
	}
	return p, group.Wait()
}

func produce(ctx context.Context, sink *kafka.Intake, rows [][]byte) error {
	changes := make([]kafka.Raw, len(rows))
	for i, row := range rows {
		changes[i] = kafka.Raw{Key: []byte(gjson.GetBytes(row, "id").Raw), Value: row}
	}
	rejected, err := sink.Produce(ctx, itemsTopic, changes)
	return errors.Join(append(rejected, err)...)
}

func post(ctx context.Context, url string, rows [][]byte) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(bytes.Join(rows, []byte("\n"))))
	if err != nil {
		return fmt.Errorf("posting items: %w", err)
	}
	r.Header.Set("Content-Type", "application/x-ndjson")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return fmt.Errorf("posting items: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if want := fmt.Sprintf(`{"accepted":%d,"failed":0,"items":[]}`, len(rows)); err == nil && strings.TrimSpace(string(answer)) != want {
		err = fmt.Errorf("%s: %.300s", resp.Status, answer)
	}
	if err != nil {
		return fmt.Errorf("posting items: %w", err)
	}
	return nil
}
