package local

import "syscall"

// attributes puts a child into its own process group and has the kernel kill it when this process dies.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// Unprivileged returns the attributes of a child that refuses to run as root. Where this process is root, the child sees
// itself as nobody, in a namespace of its own, and is root to all others: it can use the cache and a test's temporary
// folder, which are root's. Another user could not.
func Unprivileged() *syscall.SysProcAttr {
	a := attributes()
	if syscall.Getuid() == 0 {
		root := []syscall.SysProcIDMap{{ContainerID: nobody, HostID: 0, Size: 1}}
		a.Cloneflags, a.UidMappings, a.GidMappings = syscall.CLONE_NEWUSER, root, root
	}
	return a
}

// nobody is a user that every Linux has: PostgreSQL wants one with a name.
const nobody = 65534
