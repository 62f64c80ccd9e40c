//go:build linux || darwin

// Package inherited reports the signals that were ignored when this process was
// started. A program that starts others has to hand that on, as nohup(1), the trap
// of a shell and systemd (SIGPIPE) expect, and Go's runtime overwrites it before any
// code of ours runs: only HUP and INT stay ignored, and only those it remembers.
//
//	ignored_cgo.go    with cgo, a constructor of C's looks before the runtime starts
//	ignored_linux.*   without it, we look where the runtime does: it asks for each
//	                  signal's action before it sets its own
//	ignored_other.go  elsewhere nothing more is known than what the runtime tells
package inherited

import (
	"os/signal"
	"syscall"
)

// handed are the signals that other processes or the terminal send. Signals that are
// ignored by default need not be handed on; those of faults belong to the runtime.
// CHLD must not be handed on: a process that ignores it has no children to wait for
// (flock(1) resets it as well).
var handed = []syscall.Signal{
	syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGPIPE, syscall.SIGALRM, syscall.SIGTERM,
	syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU, syscall.SIGXCPU, syscall.SIGXFSZ,
}

// Keep ignores the signals that were ignored at the start. Processes started from
// then on inherit that, and signal.Ignored reports it.
func Keep() {
	before := ignored()
	for _, sig := range handed {
		if before>>(sig-1)&1 == 1 {
			signal.Ignore(sig)
		}
	}
}
