package weaviate

import (
	"context"
	"time"

	"github.com/freshet-io/freshet/libs/record"
)

// Inspected is what the index has of an item, for people.
type Inspected struct {
	Stored

	Class     string    // where it is, or would be
	UpdatedAt time.Time // when Weaviate stored the copy that was stored last; zero where there is none
}

// Inspect returns what the index has of an item, without its vector, as the collection behind the alias describes itself.
// Others may write the item meanwhile: one that is moved just now may be seen in neither place.
func (c *Client) Inspect(ctx context.Context, item record.Item) (Inspected, error) {
	b, err := c.described(ctx, item.Collection)
	if err != nil {
		return Inspected{}, err
	}
	inMain, inSide, err := c.copies(ctx, b, []record.Item{item}, reading{properties: true, times: true})
	if err != nil {
		return Inspected{}, err
	}
	id := item.UUID()
	i := Inspected{Stored: storedOf(inMain, inSide, id), Class: b.spec.Class()}
	if i.Side && !i.Main {
		i.Class = b.spec.SideClass()
	}
	if at := max(inMain[id].at, inSide[id].at); at > 0 {
		i.UpdatedAt = time.UnixMilli(at).UTC()
	}
	return i, nil
}
