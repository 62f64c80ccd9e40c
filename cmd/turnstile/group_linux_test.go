package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"
)

// deserter is a command of these tests: it moves from its own group to its parent's,
// and ignores TERM.
func deserter() {
	signal.Ignore(syscall.SIGTERM)
	group, err := syscall.Getpgid(os.Getppid())
	if err == nil {
		err = syscall.Setpgid(0, group)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(os.Getpid())
	time.Sleep(10 * time.Minute) // it is killed long before
}

// Signals once went only to the group that turnstile had made, which was empty: the
// command ran on beside the next holder.
func TestACommandThatLeftItsGroupEndsWithItsHold(t *testing.T) {
	t.Parallel()
	backend := fileBackend(t)
	r := launch(t, backend, "run", "--kill-after", "100ms", "k", "--", "deserter")
	command := r.number(t)
	launch(t, backend, "release", "--force", "--yes", "k").exit(t, 0)
	if runs(command) {
		t.Error("the command outlived its hold")
	}
	r.exit(t, exitLost)
}
