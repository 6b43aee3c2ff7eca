package finder_test

import (
	"testing"

	"github.com/freshet-io/freshet/libs/weaviate"
	"github.com/freshet-io/freshet/services/ctl/finder"
)

func TestCondition(t *testing.T) {
	for text, want := range map[string]weaviate.Filter{
		"price<100":           {Property: "price", Op: "<", Value: "100"},
		" stock >= 1 ":        {Property: "stock", Op: ">=", Value: "1"},
		"name=Kettle = large": {Property: "name", Op: "=", Value: "Kettle = large"},
		"brand != ":           {Property: "brand", Op: "!=", Value: ""},
	} {
		if got, err := finder.Condition(text); err != nil || got != want {
			t.Errorf("%q is %+v, %v; want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "price", "<5", "a-b=1", "price ~ 1"} {
		if got, err := finder.Condition(text); err == nil {
			t.Errorf("%q is %+v, want an error", text, got)
		}
	}
}
