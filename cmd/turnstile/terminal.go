//go:build linux || darwin

package main

import (
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// orphanPatience is how long a stop signal to ourselves may take. In an orphaned
// process group, as in a container with a terminal and no shell, the kernel drops
// it: then the command just goes on.
const orphanPatience = 200 * time.Millisecond

// A tty is the controlling terminal, or the lack of one that may be lent.
//
// The command is its own process group, so on a terminal somebody has to put that
// group in the foreground, or it would be stopped at its first read. Turnstile does
// so only when it leads the foreground group itself and stdin and stdout are that
// terminal: in a pipeline the other members share the foreground, and would be
// stopped in the command's stead.
type tty struct {
	lends   bool
	own     int // our process group
	command int // the command's; set when it was started
}

const stdin, stdout = 0, 1

// findTTY looks at the terminal before the command is started.
func findTTY() *tty {
	t := &tty{own: unix.Getpgrp()}
	foreground, err := unix.IoctlGetInt(stdin, unix.TIOCGPGRP)
	if err != nil || foreground != t.own || t.own != os.Getpid() {
		return t
	}
	var in, out unix.Stat_t
	if unix.Fstat(stdin, &in) != nil || unix.Fstat(stdout, &out) != nil {
		return t
	}
	t.lends = in.Mode&unix.S_IFMT == unix.S_IFCHR && in.Rdev == out.Rdev
	return t
}

// Lends reports whether the command had the terminal from its start.
func (t *tty) Lends() bool { return t.lends }

// Lend gives the command the foreground if it is ours: after bg it is the shell's.
func (t *tty) Lend() { t.move(t.own, t.command) }

// takeBack is Lend's reverse, for the end of the command.
func (t *tty) takeBack() { t.move(t.command, t.own) }

// move passes the foreground on. Whoever does that from the background gets
// SIGTTOU, unless it is ignored: from here on it is. A command that is started would
// inherit that, but ours has been started.
func (t *tty) move(from, to int) {
	if !t.lends {
		return
	}
	if now, err := unix.IoctlGetInt(stdin, unix.TIOCGPGRP); err != nil || now != from {
		return
	}
	signal.Ignore(syscall.SIGTTOU)
	_ = unix.IoctlSetPointerInt(stdin, unix.TIOCSPGRP, to) // the terminal may have hung up
}

// StopSelf stops turnstile as Ctrl-Z would have, had it not given the terminal
// away, and returns when it was continued.
func (t *tty) StopSelf() {
	t.takeBack()
	continued := make(chan os.Signal, 1)
	signal.Notify(continued, syscall.SIGCONT)
	defer signal.Stop(continued)
	if t.lends {
		// To the group, since the shell waits until the whole job has stopped.
		_ = syscall.Kill(0, syscall.SIGTSTP)
	} else {
		// Who was sent SIGTSTP by name is continued by name. It can't be sent again: Go
		// does not give back the default action of a signal that was caught.
		_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
	}
	// The signal stops the process at some moment from here on, so that only its
	// counterpart says that it is over.
	patience := time.NewTimer(orphanPatience)
	defer patience.Stop()
	select {
	case <-continued:
	case <-patience.C:
	}
}
