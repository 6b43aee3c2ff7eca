package ingester_test

import (
	"testing"

	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/stage"
	"github.com/freshet-io/freshet/services/ingest/ingester"
	"github.com/freshet-io/freshet/services/ingest/registry"
	"github.com/freshet-io/freshet/services/ingest/samples"
)

// BenchmarkHandle_converters compares one table's changes as Debezium's connector sends them through each converter.
func BenchmarkHandle_converters(b *testing.B) {
	root := samples.Root(b)
	schemas, err := registry.OpenFolder(samples.Schemas(root))
	if err != nil {
		b.Fatal(err)
	}
	for _, connector := range []string{"pg-plain", "pg-schemas", "pg-avro"} {
		b.Run(connector, func(b *testing.B) {
			in := newIngesterOf(b, parse(b, fileHead+samples.LivePipeline("products", "products", "Product", pipeline.Debezium)), schemas)
			var batch []ingester.Change
			bytes := 0
			for _, r := range samples.Capture(b, root, connector, "products") {
				batch = append(batch, ingester.Change{Record: stage.Record{Topic: "products", Partition: r.Partition, Offset: r.Offset, Time: r.Time, Key: r.Key, Value: r.Value}})
				bytes += len(r.Value)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := in.Handle(b.Context(), batch); err != nil {
					b.Fatal(err)
				}
			}
			records := float64(len(batch))
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/records, "ns/record")
			b.ReportMetric(float64(bytes)/records, "B/record")
		})
	}
}
