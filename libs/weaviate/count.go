package weaviate

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"github.com/freshet-io/freshet/libs/fault"
)

// Count returns the number of objects in the collection behind an alias, of all tenants. It says
// nothing about whether they can be found: SelfFound does.
func (c *Client) Count(ctx context.Context, alias string) (int64, error) {
	name, err := c.resolve(ctx, alias)
	if err != nil {
		return 0, err
	}
	if name == "" {
		return 0, fault.Halt("alias %s is missing in Weaviate at %s", alias, c.url)
	}
	class, err := c.class(ctx, name)
	if err != nil {
		return 0, err
	}
	if class == nil || !tenants(class) {
		return c.count(ctx, name, "")
	}
	var list []struct{ Name string }
	if err := c.call(ctx, http.MethodGet, "schema/"+name+"/tenants", nil, &list); err != nil {
		return 0, fmt.Errorf("listing the tenants of %s: %w", name, err)
	}
	var sum int64
	for _, tenant := range list {
		n, err := c.count(ctx, name, "(tenant:"+strconv.Quote(tenant.Name)+")")
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

func (c *Client) count(ctx context.Context, class, of string) (int64, error) {
	query := map[string]string{"query": "{Aggregate{" + class + of + "{meta{count}}}}"}
	var answer struct {
		Data struct {
			Aggregate map[string][]struct{ Meta struct{ Count int64 } }
		}
		Errors []struct{ Message string }
	}
	if err := c.call(ctx, http.MethodPost, "graphql", query, &answer); err != nil {
		return 0, fmt.Errorf("counting %s: %w", class, err)
	}
	if len(answer.Errors) > 0 {
		return 0, fmt.Errorf("counting %s: %s", class, answer.Errors[0].Message)
	}
	counts := answer.Data.Aggregate[class]
	if len(counts) != 1 {
		return 0, fmt.Errorf("counting %s: no count in the answer", class)
	}
	return counts[0].Meta.Count, nil
}
