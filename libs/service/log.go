package service

import (
	"io"
	"log/slog"

	"github.com/freshet-io/freshet/libs/fault"
)

// Log says how a process logs. Logs go to standard error.
type Log struct {
	Format string     `default:"json" desc:"json or text"`
	Level  slog.Level `default:"info" desc:"debug, info, warn or error"`
}

// Validate reports settings that cannot be.
func (l Log) Validate() error {
	return fault.If(l.Format != "json" && l.Format != "text", "FORMAT is %q: it must be json or text", l.Format)
}

// Logger returns a logger that writes to w.
func (l Log) Logger(w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: l.Level}
	if l.Format == "text" {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}
