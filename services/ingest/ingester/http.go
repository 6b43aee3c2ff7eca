package ingester

import (
	"context"
	"fmt"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/service"
	"github.com/freshet-io/freshet/services/ingest/intake"
)

// serveHTTP takes changes over HTTP until ctx ends, where an address is set.
func serveHTTP(ctx context.Context, p *service.Process, cfg Settings, file *pipeline.File, in *Ingester) error {
	if cfg.HTTP.Address == "" {
		return nil
	}
	sources := HTTPSources(file)
	if len(sources) == 0 {
		return fault.Halt("FRESHET_HTTP_ADDRESS is set, and no pipeline of %s says source: {http: true}", cfg.Pipeline)
	}
	p.Health.Unready(intake.Part, "is not connected to Kafka yet")
	cfg.Source.Kafka.Meters = p.Telemetry.Meters
	sink, err := kafka.OpenIntake(ctx, cfg.Source.Kafka, file.HTTPTopics(), p.Log)
	if err != nil {
		return fmt.Errorf("connecting HTTP to the source cluster: %w", err)
	}
	server, err := intake.New(cfg.HTTP, sources, in, sink, p)
	if err != nil {
		sink.Close()
		return err
	}
	// In this order: what the sink has let go of is at its end.
	defer server.Wait()
	defer sink.Close()
	listener, err := server.Listen(ctx)
	if err != nil {
		return err
	}
	return server.Serve(ctx, listener, p.Health)
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
