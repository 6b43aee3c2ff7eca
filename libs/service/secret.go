package service

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"
)

// recheck is how long a secret's file is trusted before it is looked at again.
const recheck = 5 * time.Second

// Secret is a password or key. Its text, log and JSON forms are redacted; only
// Value gives it away. One that comes from a file (the variable's name with _FILE)
// is read again when the file changes, so that a rotated secret needs no restart.
type Secret struct{ from *secretSource }

type secretSource struct {
	mu      sync.Mutex
	value   string
	file    string
	modTime time.Time
	checked time.Time
}

// NewSecret returns a secret with a fixed value.
func NewSecret(value string) Secret { return Secret{&secretSource{value: value}} }

// secretFile returns a secret that is read from a file. White space around it is cut.
func secretFile(path string) (Secret, error) {
	s := Secret{&secretSource{file: path}}
	if err := s.from.read(); err != nil {
		return Secret{}, err
	}
	return s, nil
}

// Decode implements envconfig.Decoder.
func (s *Secret) Decode(value string) error {
	*s = NewSecret(value)
	return nil
}

// Value returns the secret, "" where none was set. It is safe for concurrent use.
// Where the file has gone or cannot be read, the last value stands.
func (s Secret) Value() string {
	if s.from == nil {
		return ""
	}
	s.from.mu.Lock()
	defer s.from.mu.Unlock()
	if s.from.file != "" && time.Since(s.from.checked) > recheck {
		_ = s.from.read() // the last value stands: a rotation replaces the file in two steps
	}
	return s.from.value
}

func (s *secretSource) read() error {
	s.checked = time.Now()
	info, err := os.Stat(s.file)
	if err != nil {
		return fmt.Errorf("reading a secret: %w", err)
	}
	if info.ModTime().Equal(s.modTime) {
		return nil
	}
	b, err := os.ReadFile(s.file)
	if err != nil {
		return fmt.Errorf("reading a secret: %w", err)
	}
	s.value, s.modTime = strings.TrimSpace(string(b)), info.ModTime()
	return nil
}

// Set reports whether a secret was given.
func (s Secret) Set() bool { return s.Value() != "" }

// String implements fmt.Stringer; it does not give the secret away.
func (s Secret) String() string {
	if s.from == nil {
		return ""
	}
	return "redacted"
}

// GoString implements fmt.GoStringer; it does not give the secret away.
func (s Secret) GoString() string { return "service.Secret(" + s.String() + ")" }

// LogValue implements slog.LogValuer; it does not give the secret away.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText implements encoding.TextMarshaler; it does not give the secret away.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
