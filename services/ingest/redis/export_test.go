package redis

import (
	"context"
	"log/slog"

	"github.com/freshet-io/freshet/libs/pipeline"
)

// Writer is what a reader writes to.
type Writer = writer

// ParseURL tells whether a URL is taken.
var ParseURL = parseURL

// RunWith runs one reader with a writer of the test's.
func RunWith(ctx context.Context, cfg Config, feed pipeline.Feed, log *slog.Logger, open func(context.Context) (Writer, error)) error {
	r := &reader{cfg: cfg, feed: feed, holder: "test", log: log, open: open}
	return r.run(ctx)
}
