package dev

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/schollz/progressbar/v3"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/services/ctl/catalogue"
	"github.com/freshet-io/freshet/services/ctl/rig"
)

const (
	sourcePartitions = 3
	feedBound        = 5 * time.Minute
	tick             = 200 * time.Millisecond
)

// source makes a record of the catalogue's topic, placed by its key as a producer would.
func source(key, value []byte) *kgo.Record {
	return &kgo.Record{Topic: catalogue.Topic, Key: key, Value: value, Partition: int32(xxhash.Sum64(key) % sourcePartitions)} //nolint:gosec // less than sourcePartitions
}

func (s *stack) send(ctx context.Context, records ...*kgo.Record) error {
	return rig.Send(ctx, s.client, records...)
}

// searchable lists the products that the pipeline file's filter lets in.
func searchable() []catalogue.Product {
	return slices.DeleteFunc(catalogue.Products(), func(p catalogue.Product) bool { return !p.Active })
}

// feedCatalogue sends the catalogue, unless an earlier start with this data folder
// has, and waits until it is searchable.
func (s *stack) feedCatalogue(ctx context.Context) error {
	products := catalogue.Products()
	had, err := rig.Records(ctx, s.client, catalogue.Topic)
	if err != nil {
		return err
	}
	if had >= len(products) {
		count, err := s.index.Count(ctx, "Product")
		if err != nil {
			return err
		}
		s.say("going on where the last start stopped: %d products are searchable", count)
		return nil
	}
	start := time.Now()
	var records []*kgo.Record
	for _, p := range products {
		key, value := catalogue.Create(p, time.Now())
		records = append(records, source(key, value))
	}
	s.say("sending %d products as Debezium changes", len(products))
	if err := s.send(ctx, records...); err != nil {
		return err
	}
	want := len(searchable())
	if err := s.awaitCount(ctx, want); err != nil {
		return err
	}
	s.say("%d products are searchable after %s; %d are switched off and left out", want, time.Since(start).Round(100*time.Millisecond), len(products)-want)
	return nil
}

// awaitCount shows a progress bar until so many products are in the index.
func (s *stack) awaitCount(ctx context.Context, want int) error {
	bar := progressbar.NewOptions(want, progressbar.OptionSetWriter(s.options.Out), progressbar.OptionSetDescription("embedding the catalogue"),
		progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(false), progressbar.OptionSetElapsedTime(true),
		progressbar.OptionSetVisibility(s.options.TTY), progressbar.OptionClearOnFinish())
	defer func() { _ = bar.Close() }()
	var count int64
	began := time.Now()
	err := rig.Poll(ctx, feedBound, tick, func(ctx context.Context) (bool, error) {
		var err error
		count, err = s.index.Count(ctx, "Product")
		p50, _, _ := s.fresh.percentiles()
		bar.Describe(fmt.Sprintf("embedding the catalogue, %.0f items/s, freshness p50 %s", float64(count)/time.Since(began).Seconds(), p50))
		_ = bar.Set(int(count)) // a bar that cannot be drawn is no reason to stop
		return count >= int64(want), err
	})
	if ctx.Err() != nil {
		return err
	}
	if err != nil {
		return fmt.Errorf("%d of %d products became searchable: %w (the log is %s)", count, want, err, s.log.Name())
	}
	return nil
}

// trickle keeps changing products and shows one live status line.
func (s *stack) trickle(ctx context.Context) error {
	s.fresh.restart()
	status, err := newStatus(ctx, s)
	if err != nil {
		return err
	}
	changes := time.NewTicker(time.Duration(float64(time.Second) / s.options.Rate))
	defer changes.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-changes.C:
		}
		if err := s.shop.commit(ctx, func() (catalogue.Change, error) { return s.shop.table.Next(), nil }); err != nil {
			return err
		}
		status.sent++
		status.show(ctx)
	}
}
