package stage

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/fault"
)

const moreEvery = 30 * time.Second

// readMore adds topics that appear while the stage runs, until ctx ends. A topic that is gone
// is not taken away. A fatal fault of More ends the stage.
func (s Source) readMore(ctx context.Context, consumer *kgo.Client, log *slog.Logger) error {
	if s.More == nil {
		return nil
	}
	ticker := time.NewTicker(cmp.Or(s.MoreEvery, moreEvery))
	defer ticker.Stop()
	known := slices.Clone(s.Topics)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		topics, err := s.More(ctx)
		if fault.ClassOf(err) == fault.Fatal {
			return err
		}
		if err != nil {
			log.WarnContext(ctx, "looking for more topics", "error", err)
			continue
		}
		more := slices.DeleteFunc(topics, func(topic string) bool { return slices.Contains(known, topic) })
		if len(more) > 0 {
			log.InfoContext(ctx, "reading more topics", "topics", more)
			known = append(known, more...)
			consumer.AddConsumeTopics(more...)
		}
	}
}
