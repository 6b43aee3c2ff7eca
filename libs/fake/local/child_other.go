//go:build unix && !linux

package local

import "syscall"

// attributes puts a child into its own process group. Only Linux can also bind its life to this process's: elsewhere a
// kill -9 of this process leaves the servers running.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}

// Unprivileged returns the attributes of a child that refuses to run as root.
func Unprivileged() *syscall.SysProcAttr { return attributes() }
