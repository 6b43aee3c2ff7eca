package weaviate

import (
	"strings"
	"testing"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/pipeline"
)

func TestFilter_aWrongConditionSaysWhatWouldBeRight(t *testing.T) {
	some := &collection{spec: CollectionSpec{Name: "Product"}, types: map[string]pipeline.Property{"price": {}, "name": {}}}
	for _, tt := range []struct {
		of   *collection
		bad  Filter
		want string
	}{
		{some, Filter{Property: "prices", Op: "<", Value: "60"}, "condition prices<60: collection Product has no property prices; it has name, price"},
		{&collection{spec: CollectionSpec{Name: "Note"}}, Filter{Property: "prices", Op: "<", Value: "60"}, "it has none"},
		{some, Filter{Property: "price", Op: "~", Value: "60"}, "condition price~60: ~ is none of = != < <= > >="},
	} {
		if _, err := tt.of.filter(tt.bad); fault.ClassOf(err) != fault.Permanent || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: got %v, want %s", tt.bad, err, tt.want)
		}
	}
}
