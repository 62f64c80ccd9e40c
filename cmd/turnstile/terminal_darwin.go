package main

import "golang.org/x/sys/unix"

// The terminal's modes: setModes waits for what was written, so that it still is
// shown as it was meant.
const (
	getModes = unix.TIOCGETA
	setModes = unix.TIOCSETAW
)
