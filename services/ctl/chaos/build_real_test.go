//go:build !synctests

package chaos

const virtual = false
