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
	able    bool // it may be lent, whenever turnstile has the foreground
	lends   bool // the command has it from its start
	own     int  // our process group
	command int  // the command's; set when it was started
	modes   *unix.Termios

	signals chan<- os.Signal // where a caught SIGTSTP goes
	caught  bool             // it is caught from here on
}

const stdin, stdout = 0, 1

// findTTY looks at the terminal before the command is started.
func findTTY(signals chan<- os.Signal) *tty {
	t := &tty{own: unix.Getpgrp(), signals: signals}
	_, err := unix.IoctlGetInt(stdin, unix.TIOCGPGRP)
	var in, out unix.Stat_t
	if err == nil && t.own == os.Getpid() && unix.Fstat(stdin, &in) == nil && unix.Fstat(stdout, &out) == nil {
		t.able = in.Mode&unix.S_IFMT == unix.S_IFCHR && in.Rdev == out.Rdev
	}
	t.lends = t.able && foreground(t.own)
	if t.lends {
		t.modes, _ = unix.IoctlGetTermios(stdin, getModes) // without them nothing is put back
	} else {
		t.catch()
	}
	return t
}

// catch has SIGTSTP come to us in place of stopping us: the terminal sends it to
// our group, and the command's is another, which would run on, under a hold that
// nobody renews. While the command has the terminal it is the command that gets it.
func (t *tty) catch() {
	if !t.caught && !signal.Ignored(syscall.SIGTSTP) {
		t.caught = true
		signal.Notify(t.signals, syscall.SIGTSTP)
	}
}

// Lends reports whether the command may have the terminal.
func (t *tty) Lends() bool { return t.able }

// Lend gives the command the foreground if it is ours: after bg it is the shell's.
// It reports whether the command has it.
func (t *tty) Lend() bool {
	if !t.able {
		return false
	}
	t.move(t.own, t.command)
	return foreground(t.command)
}

// foreground reports whether a group has the terminal.
func foreground(group int) bool {
	now, err := unix.IoctlGetInt(stdin, unix.TIOCGPGRP)
	return err == nil && now == group
}

// mend puts the terminal's modes back after a command that had no time to: an
// editor that was killed leaves one that shows nothing of what is typed. The shell
// would do it, but sees an exit of ours and not the signal.
func (t *tty) mend() {
	if t.modes != nil && foreground(t.own) {
		_ = unix.IoctlSetTermios(stdin, setModes, t.modes) // the terminal may have hung up
	}
}

// takeBack is Lend's reverse, for the end of the command.
func (t *tty) takeBack() { t.move(t.command, t.own) }

// move passes the foreground on. A process that does so from the background gets
// SIGTTOU unless it ignores that signal; we have ignored it since the command was
// started.
func (t *tty) move(from, to int) {
	if !t.able || !foreground(from) {
		return
	}
	_ = unix.IoctlSetPointerInt(stdin, unix.TIOCSPGRP, to) // the terminal may have hung up
}

// StopSelf stops turnstile as Ctrl-Z would have, had it not given the terminal
// away, and returns when it was continued.
func (t *tty) StopSelf() {
	t.takeBack()
	continued := make(chan os.Signal, 1)
	signal.Notify(continued, syscall.SIGCONT)
	defer signal.Stop(continued)
	// SIGTSTP can't be sent again where it was caught: Go does not give the default
	// action back. Who caught it has a shell, or was sent it by name.
	sig, whom := syscall.SIGTSTP, 0 // the group: the shell waits until the whole job has stopped
	if t.caught {
		sig = syscall.SIGSTOP
	}
	if !t.able {
		whom = os.Getpid() // who was stopped by name is continued by name
	}
	_ = syscall.Kill(whom, sig)
	// The signal stops the process at some moment from here on, so that only its
	// counterpart says that it is over.
	patience := time.NewTimer(orphanPatience)
	defer patience.Stop()
	select {
	case <-continued:
	case <-patience.C: // also after a stop that lasted: either of the two may be seen first
	}
	if t.able && !foreground(t.own) {
		// This was bg. No signal will come with fg, which only moves the foreground; a
		// Ctrl-Z right after it would stop us alone.
		t.catch()
	}
}
