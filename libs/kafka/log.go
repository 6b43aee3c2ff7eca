package kafka

import (
	"context"
	"log/slog"

	"github.com/twmb/franz-go/pkg/kgo"
)

// logger hands franz-go's log on; its information level is chatty, so it becomes debug.
type logger struct{ log *slog.Logger }

func (l logger) Level() kgo.LogLevel {
	ctx := context.Background() //nolint:forbidigo // slog asks for one and uses none
	switch {
	case l.log.Enabled(ctx, slog.LevelDebug):
		return kgo.LogLevelInfo
	case l.log.Enabled(ctx, slog.LevelWarn):
		return kgo.LogLevelWarn
	default:
		return kgo.LogLevelError
	}
}

func (l logger) Log(level kgo.LogLevel, text string, keyvals ...any) {
	to := slog.LevelDebug
	if level == kgo.LogLevelError || level == kgo.LogLevelWarn {
		to = slog.LevelWarn
	}
	ctx := context.Background() //nolint:forbidigo // slog asks for one and uses none
	l.log.Log(ctx, to, "kafka client", append([]any{"text", text}, keyvals...)...)
}
