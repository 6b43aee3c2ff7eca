package dev

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

func connectionFile(data string) string { return filepath.Join(data, "settings.env") }

func lockFile(data string) string { return filepath.Join(data, "lock") }

// lock makes the caller the only user of a data folder.
func lock(data string) (unlock func(), err error) {
	f, err := os.OpenFile(lockFile(data), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the data folder: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("another `freshet dev` uses %s: stop it, or give --data another folder", data), f.Close())
	}
	return func() { _ = f.Close() }, nil
}

// Running returns the settings, as NAME=value, of the `freshet dev` that runs with
// the default data folder, and the folder; ok is false where none does.
func Running() (environ []string, data string, ok bool) {
	data, err := defaultData()
	if err != nil {
		return nil, "", false
	}
	f, err := os.OpenFile(lockFile(data), os.O_RDWR, 0)
	if err != nil {
		return nil, "", false
	}
	defer func() { _ = f.Close() }()
	if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
		return nil, "", false // nobody holds it
	}
	b, err := os.ReadFile(connectionFile(data))
	if err != nil {
		return nil, "", false
	}
	return strings.Split(strings.TrimSpace(string(b)), "\n"), data, true
}

// publish writes the settings for the commands beside.
func (s *stack) publish() error {
	text := strings.Join(s.environ, "\n") + "\n"
	if err := os.WriteFile(connectionFile(s.options.Data), []byte(text), 0o600); err != nil {
		return fmt.Errorf("writing the settings for other commands: %w", err)
	}
	s.onClose(func(context.Context) error { return os.Remove(connectionFile(s.options.Data)) })
	return nil
}
