//go:build linux || darwin

package main

import (
	"context"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/creack/pty"

	"github.com/turnstile-go/turnstile/internal/servers/servertest"
)

// Nobody reads turnstile's stderr: not a byte can be written to it. When the hold is
// lost, its command has to end nevertheless, and turnstile after it.
func TestAStderrThatTakesNothingHoldsNothingUp(t *testing.T) {
	t.Parallel()
	for name, blocked := range map[string]func(*testing.T) *os.File{"a full pipe": fullPipe, "a stopped terminal": stoppedTerminal} {
		for _, flag := range []string{"--quiet=false", "-v"} { // from the loss on, and from the start
			t.Run(name+" "+flag, func(t *testing.T) {
				t.Parallel()
				server := servertest.Redis(t)
				cmd := exec.Command("turnstile", "run", flag, "--expires", "1s", "k", "--", "sh", "-c", stubborn)
				cmd.Env = append(os.Environ(), "TURNSTILE_BACKEND="+server.URL())
				cmd.Stderr = blocked(t)
				r := launchCmd(t, cmd)
				grandchild, child := r.number(t), r.number(t)
				if n, err := server.RedisClient(t, nil).Del(context.Background(), "pylock:k").Result(); n != 1 || err != nil {
					t.Fatalf("DEL: %d, %v", n, err)
				}
				eventually(t, "the command is gone", func() bool { return !runs(child) && !runs(grandchild) })
				r.exit(t, exitLost)
			})
		}
	}
}

// The error that ends turnstile is one more line that nobody takes.
func TestAStderrThatTakesNothingDoesNotKeepTurnstile(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		args []string
		want int
	}{
		"of run":  {[]string{"run", "k", "--", "/nowhere"}, exitNotFound},
		"of show": {[]string{"show"}, exitUsage},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command("turnstile", row.args...)
			cmd.Env = append(os.Environ(), "TURNSTILE_BACKEND="+fileBackend(t))
			cmd.Stderr = fullPipe(t)
			launchCmd(t, cmd).exit(t, row.want)
		})
	}
}

// fullPipe returns a full pipe that nobody reads.
func fullPipe(t *testing.T) *os.File {
	t.Helper()
	var ends [2]int
	syscall.ForkLock.RLock()
	err := syscall.Pipe(ends[:])
	if err == nil {
		syscall.CloseOnExec(ends[0])
		syscall.CloseOnExec(ends[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(ends[0]) })
	if err := syscall.SetNonblock(ends[1], true); err != nil {
		t.Fatal(err)
	}
	for size := 4096; size > 0; { // to the last byte
		if _, err := syscall.Write(ends[1], make([]byte, size)); err == syscall.EAGAIN {
			size /= 2
		} else if err != nil {
			t.Fatal(err)
		}
	}
	// Like a shell's pipe: a writer blocks.
	if err := syscall.SetNonblock(ends[1], false); err != nil {
		t.Fatal(err)
	}
	w := os.NewFile(uintptr(ends[1]), "full pipe")
	t.Cleanup(func() { w.Close() })
	return w
}

// stoppedTerminal is a terminal at which somebody has pressed Ctrl-S.
func stoppedTerminal(t *testing.T) *os.File {
	t.Helper()
	term, far, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		term.Close()
		far.Close()
	})
	if _, err := term.Write([]byte{'S' - '@'}); err != nil {
		t.Fatal(err)
	}
	return far
}
