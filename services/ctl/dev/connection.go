package dev

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/freshet-io/freshet/libs/fake/local"
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

// Running returns the settings, as NAME=value, of each `freshet dev` that runs with a default data folder, by the folder.
func Running() map[string][]string {
	running := map[string][]string{}
	cache, err := local.CacheDir()
	if err != nil {
		return running
	}
	entries, _ := os.ReadDir(cache) // where there is no cache, none runs
	for _, e := range entries {
		data := filepath.Join(cache, e.Name())
		if e.Name() != shopData && !strings.HasPrefix(e.Name(), fileData) {
			continue
		}
		if environ, ok := settingsOf(data); ok {
			running[data] = environ
		}
	}
	return running
}

// settingsOf returns the settings of the `freshet dev` that runs with a data folder; ok is false where none does.
func settingsOf(data string) (environ []string, ok bool) {
	f, err := os.OpenFile(lockFile(data), os.O_RDWR, 0)
	if err != nil {
		return nil, false
	}
	defer func() { _ = f.Close() }()
	if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
		return nil, false // nobody holds it
	}
	b, err := os.ReadFile(connectionFile(data))
	if err != nil {
		return nil, false
	}
	return strings.Split(strings.TrimSpace(string(b)), "\n"), true
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
