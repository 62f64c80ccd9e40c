//go:build linux || darwin

package guard

import (
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// init is the guard's start.
func init() {
	if len(os.Args) == 2 && os.Args[1] == Arg {
		stand()
		os.Exit(0)
	}
}

// stand is the guard's side: it returns when nothing is left to be done.
func stand() {
	rename()
	// A pkill by name is meant for turnstile, which handles it, and not for its
	// guard.
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	told, _ := io.ReadAll(os.Stdin) // what came before an error counts
	words := strings.Split(strings.TrimSuffix(string(told), "\x00"), "\x00")
	var group int
	switch len(words) {
	case 2:
		// Somebody who starts a guard by hand may tell it anything.
		if strings.HasPrefix(words[0], "TURNSTILE_") && strings.HasPrefix(words[1], "TURNSTILE_") {
			group = findMarked(words, marked)
		}
	case 3:
		group, _ = strconv.Atoi(words[2])
	}
	if group <= 1 { // dismissed, or nothing was started; and never 0, which would be our own
		return
	}
	endGroup(func() bool { return Running(group) }, func() { _ = syscall.Kill(-group, syscall.SIGKILL) })
}

// markedFor is how long the guard looks for a process with its marks.
const markedFor = time.Second

// findMarked looks for the group of a process with all the marks, again and again for
// a while: a process that is being replaced by exec(3) has no environment for a moment.
// The command's own child is often the last that has the marks: the command itself ends
// with turnstile.
func findMarked(marks []string, look func([]string) int) (group int) {
	for end, pause := time.Now().Add(markedFor), guardPoll; ; pause += pause / 2 {
		if group = look(marks); group != 0 || time.Now().After(end) {
			return group
		}
		time.Sleep(pause)
	}
}

// endGroup kills again and again, since a process may join the group in between, until
// nothing of it runs. It looks ever more seldom: a process that is still there after
// a while is stuck in the kernel, or belongs to another user (sudo) and can't be
// killed by us. It may stay for days.
func endGroup(running func() bool, kill func()) {
	for pause := guardPoll; running(); pause = min(pause+pause/2, seldomPoll) {
		kill()
		time.Sleep(pause)
	}
}
