package redis_test

import (
	"path/filepath"
	"testing"

	"github.com/freshet-io/freshet/libs/fake/certs"
)

// certificates makes an authority of the test's own, and what it signs for a server and a client. It returns where a file
// of a name is.
func certificates(t *testing.T) func(name string) string {
	t.Helper()
	dir := t.TempDir()
	authority := certs.Make(t, dir, "ca", nil)
	certs.Make(t, dir, "server", authority)
	certs.Make(t, dir, "client", authority)
	return func(name string) string { return filepath.Join(dir, name) }
}
