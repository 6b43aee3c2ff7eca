package ingester_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/freshet-io/freshet/libs/fake/samples"
	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/stage"
	"github.com/freshet-io/freshet/services/ingest/ingester"
	"github.com/freshet-io/freshet/services/ingest/registry"
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

func BenchmarkHandle(b *testing.B) {
	wide := `{"id":17,"name":"Teapot","price":"EJo=","stock":9,"is_active":1,"updated_at":1795342272123456,"description":"` + strings.Repeat("A teapot of white china. ", 25) + `","a":"x","b":"y","c":12,"d":null,"e":1.5}`
	withSchema, err := os.ReadFile(filepath.Join("testdata", "with-schema.json"))
	if err != nil {
		b.Fatal(err)
	}
	for name, value := range map[string]string{
		"envelope": envelope("u", wide, wide), "with_schema": string(withSchema), "row": wide,
	} {
		b.Run(name, func(b *testing.B) {
			text := shop
			if name == "row" {
				text = strings.Replace(shop, "format: debezium", "format: rows", 1)
			}
			in := newIngester(b, parse(b, text))
			batch := []ingester.Change{{Record: stage.Record{Topic: "shop.catalog.products", Key: []byte(`{"id":17}`), Value: []byte(value)}}}
			b.SetBytes(int64(len(value)))
			b.ReportAllocs()
			for b.Loop() {
				outcomes, err := in.Handle(b.Context(), batch)
				if err != nil || outcomes[0].Err != nil {
					b.Fatal(err, outcomes[0].Err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "changes/s")
		})
	}
}
