package ingester

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/service"
	"github.com/freshet-io/freshet/services/ingest/intake"
)

// serveHTTP takes changes over HTTP until ctx ends, where an address is set. It listens at once, so that clients are told to
// wait for Kafka, and takes changes when there is an ingester.
func serveHTTP(ctx context.Context, p *service.Process, cfg Settings, file *pipeline.File, ingesters <-chan *Ingester) error {
	if cfg.HTTP.Address == "" {
		return nil
	}
	server, err := intake.New(cfg.HTTP, HTTPSources(file), p)
	if err != nil {
		return err
	}
	listener, err := server.Listen(ctx)
	if err != nil {
		return err
	}
	var sink *kafka.Intake
	group, work := errgroup.WithContext(ctx)
	group.Go(func() error { return server.Serve(work, listener, p.Health) })
	group.Go(func() (err error) {
		var in *Ingester
		select {
		case in = <-ingesters:
		case <-work.Done():
			return nil
		}
		cfg.Source.Kafka.Meters = p.Telemetry.Meters
		if sink, err = kafka.OpenIntake(work, cfg.Source.Kafka, file.HTTPTopics(), p.Log); err != nil {
			return fmt.Errorf("connecting HTTP to the source cluster: %w", err)
		}
		server.Open(in, sink)
		return nil
	})
	err = group.Wait()
	if sink != nil {
		sink.Close()
		server.Wait() // what the sink has let go of is at its end
	}
	return err
}

// HTTPSources returns the pipelines of a file that take changes over HTTP.
func HTTPSources(file *pipeline.File) []intake.Source {
	var sources []intake.Source
	for i := range file.Pipelines {
		p := &file.Pipelines[i]
		if !p.Source.HTTP {
			continue
		}
		source := intake.Source{
			Name: p.Name, Topic: p.Source.Topics[0], Rows: p.Source.Format == pipeline.Rows,
			ID: p.ID.Columns(), Order: p.Source.OrderColumn(),
		}
		if p.Tenant != nil {
			source.Tenant = p.Tenant.Column()
		}
		sources = append(sources, source)
	}
	return sources
}

func namesOf(sources []intake.Source) []string {
	var names []string
	for _, s := range sources {
		names = append(names, s.Name)
	}
	return names
}
