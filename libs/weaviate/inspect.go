package weaviate

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

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
	i := Inspected{Class: b.spec.Class()}
	inMain, err := c.inspect(ctx, b, b.spec.Class(), item, &i.UpdatedAt)
	if err != nil {
		return Inspected{}, err
	}
	inSide, err := c.inspect(ctx, b.side(), b.spec.SideClass(), item, &i.UpdatedAt)
	if err != nil {
		return Inspected{}, err
	}
	i.Stored = storedOf(inMain, inSide, item.UUID())
	if i.Side && !i.Main {
		i.Class = b.spec.SideClass()
	}
	return i, nil
}

// inspect reads an item in one class, and raises updated to when it was stored.
func (c *Client) inspect(ctx context.Context, b *collection, class string, item record.Item, updated *time.Time) (map[uuid.UUID]record.State, error) {
	states := map[uuid.UUID]record.State{}
	for _, some := range b.parts([]record.Item{item}) {
		results, err := c.byID(ctx, b, class, some, reading{properties: true, times: true})
		if err != nil {
			return nil, err
		}
		for _, r := range results {
			s, err := b.decode(r)
			if err != nil {
				return nil, fmt.Errorf("reading item %s of %s: %w", item, class, err)
			}
			if at := time.UnixMilli(r.GetMetadata().GetLastUpdateTimeUnix()).UTC(); at.After(*updated) {
				*updated = at
			}
			if other, twice := states[item.UUID()]; !twice || max(s.Base, s.Floor) > max(other.Base, other.Floor) {
				states[item.UUID()] = s
			}
		}
	}
	return states, nil
}
