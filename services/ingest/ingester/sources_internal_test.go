package ingester

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/pipeline"
)

func TestSources(t *testing.T) {
	file := func(topics ...string) *pipeline.File {
		f := &pipeline.File{}
		for i, topic := range topics {
			format := []pipeline.Format{pipeline.Debezium, pipeline.Rows}[i%2]
			f.Pipelines = append(f.Pipelines, pipeline.Pipeline{Name: string(format), Source: pipeline.Source{Topics: []string{topic}, Format: format}})
		}
		return f
	}
	there := map[string]int{"shop.a": 1, "shop.b": 3, "freshet.documents.live": 24, "__consumer_offsets": 50, "x": 1}
	for name, test := range map[string]struct {
		file  *pipeline.File
		want  []string
		class fault.Class // of the error, where there is no want
	}{
		"a name":                       {file("x"), []string{"x"}, 0},
		"a name that is not there":     {file("y"), []string{"y"}, 0},
		"a pattern":                    {file("shop.*"), []string{"shop.a", "shop.b"}, 0},
		"all but what is no source":    {file("*"), []string{"shop.a", "shop.b", "x"}, 0},
		"a pattern and a name":         {file("shop.*", "x"), []string{"shop.a", "shop.b", "x"}, 0},
		"a pattern of nothing yet":     {file("none.*"), nil, fault.Transient},
		"patterns of one topic":        {file("shop.*", "*.a"), nil, fault.Fatal},
		"patterns that do not meet":    {file("shop.*", "*.c", "x"), []string{"shop.a", "shop.b", "x"}, 0},
		"a topic of ours that we name": {file("freshet.documents.live"), []string{"freshet.documents.live"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := &sources{file: test.file, own: "freshet.", list: func(context.Context) (map[string]int, error) { return there, nil }}
			got, err := s.topics(t.Context())
			if !slices.Equal(got, test.want) || (err == nil) != (test.want != nil) || err != nil && fault.ClassOf(err) != test.class {
				t.Errorf("got %v, %v", got, err)
			}
			if s.partitioned("shop.a") || !s.partitioned("shop.b") || s.partitioned("y") {
				t.Error("partitions are not as Kafka says")
			}
		})
	}
	away := errors.New("away")
	s := &sources{file: file("x"), list: func(context.Context) (map[string]int, error) { return nil, away }}
	if _, err := s.topics(t.Context()); !errors.Is(err, away) || s.partitioned("x") {
		t.Errorf("Kafka is away: %v", err)
	}
}
