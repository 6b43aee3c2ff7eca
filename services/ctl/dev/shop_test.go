package dev

import (
	"context"
	"errors"
	"strconv"
	"testing"

	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/services/ctl/catalogue"
	"github.com/freshet-io/freshet/services/ctl/console"
	"github.com/freshet-io/freshet/services/ctl/finder"
	"github.com/freshet-io/freshet/services/embed/provider"
	"github.com/freshet-io/freshet/services/embed/providers"
)

func TestParsePrice_takesAtMostTwoDigitsAfterThePoint(t *testing.T) {
	for text, want := range map[string]catalogue.Price{"5": 500, "5.5": 550, " 59.90 ": 5990, "0.07": 7, "1234567.89": 123456789} {
		if got, ok := parsePrice(text); !ok || got != want {
			t.Errorf("%q is %d, %v; want %d", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "-1", "1,50", "1.234", ".5", "1e3", "12345678", "٣"} {
		if got, ok := parsePrice(text); ok {
			t.Errorf("%q is %d, want none", text, got)
		}
	}
}

// away is a provider that does not answer.
type away struct{ providers.Provider }

func (away) Embed(context.Context, []string) (provider.Embeddings, error) {
	return provider.Embeddings{}, errors.New("the provider is away")
}

func TestShop_aChangeThatIsNotSentIsNoneOfTheTable(t *testing.T) {
	s := newShop(&stack{finder: &finder.Finder{Provider: away{}, File: &pipeline.File{}}})
	before := searchable()[0]
	if _, err := s.Change(t.Context(), console.Change{ID: strconv.FormatInt(before.ID, 10), Name: "Another name", Price: "1.50"}); err == nil {
		t.Error("nobody has embedded its text, and it is changed")
	}
	if now, ok := s.product(before.ID); !ok || now.Name != before.Name || now.Price != before.Price {
		t.Errorf("the table has %q at %s, which the index never gets; want %q at %s", now.Name, now.Price, before.Name, before.Price)
	}
}
