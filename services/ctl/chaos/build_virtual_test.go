//go:build synctests

package chaos

// virtual says that franz-go's locks are channels, so that a goroutine that waits for one
// does not stop the clock.
const virtual = true
