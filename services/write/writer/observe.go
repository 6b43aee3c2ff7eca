package writer

import (
	"context"

	"github.com/freshet-io/freshet/libs/service"
)

// observer has log, readiness and metrics tell whether the index takes writes. It is called by one
// goroutine at a time for each collection.
func observer(ctx context.Context, p *service.Process, collections map[string]Collection) func(context.Context, string, error) {
	broken := map[string]*bool{}
	for name := range collections {
		broken[name] = new(bool)
		p.Telemetry.Metrics.IndexBroken(ctx, name, false)
	}
	return func(ctx context.Context, collection string, why error) {
		was, part := broken[collection], "index of "+collection
		switch {
		case why == nil:
			p.Health.Ready(part)
			p.Log.InfoContext(ctx, "the index takes writes again", "collection", collection)
		case !*was:
			p.Log.WarnContext(ctx, "the index takes no writes: one item at a time until it does", "collection", collection, "error", why)
			fallthrough
		default: // the reason may be another one
			p.Health.Unready(part, why.Error())
		}
		*was = why != nil
		p.Telemetry.Metrics.IndexBroken(ctx, collection, why != nil)
	}
}
