package dev

import (
	"context"

	"github.com/freshet-io/freshet/services/ctl/console"
	"github.com/freshet-io/freshet/services/ctl/inspect"
)

// openConsole opens the console's port, where there is somebody to look at it, and says where it is.
func (s *stack) openConsole(ctx context.Context) (err error) {
	if s.options.Once {
		return nil
	}
	var cfg inspect.Config
	if err := s.settings(&cfg); err != nil {
		return err
	}
	if s.inspector, err = inspect.Open(cfg); err != nil {
		return err
	}
	s.onClose(func(context.Context) error { s.inspector.Close(); return nil })
	if s.console, err = console.Listen(ctx, s.options.ConsolePort); err != nil {
		return err
	}
	s.onClose(func(context.Context) error { _ = s.console.Close(); return nil }) // closed already where it was served
	s.say("the console is at http://%s", s.console.Addr())
	return nil
}

// serveConsole serves the console until ctx ends. The catalogue can be changed there, events of one's own cannot.
func (s *stack) serveConsole(ctx context.Context) error {
	if s.console == nil {
		return nil
	}
	c := console.Console{Facts: s.inspector, Finder: s.finder, File: s.file}
	if s.options.Events == "" {
		c.Shop = s.shop
	}
	return c.Serve(ctx, s.console)
}
