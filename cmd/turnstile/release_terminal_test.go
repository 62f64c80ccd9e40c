//go:build linux || darwin

package main

import (
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
)

// onTerminal starts turnstile on a terminal of its own; typed answers its first
// question. It returns what was on the screen at the end.
func onTerminal(t *testing.T, backend, typed string, args ...string) (code int, screen string) {
	t.Helper()
	cmd := exec.Command("turnstile", args...)
	cmd.Env = append(os.Environ(), "TURNSTILE_BACKEND="+backend, "TERM=xterm-256color")
	term, err := pty.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	defer term.Close()
	shown := new(transcript)
	drained := make(chan struct{})
	go func() { // ends with the terminal
		_, _ = io.Copy(shown, term) // Linux ends it with EIO
		close(drained)
	}()
	bound := time.AfterFunc(patience, func() { _ = cmd.Process.Signal(syscall.SIGKILL) })
	defer bound.Stop()
	if typed != "" {
		eventually(t, "a question", func() bool { return strings.HasSuffix(shown.String(), "[y/N] ") })
		if _, err := io.WriteString(term, typed); err != nil {
			t.Fatal(err)
		}
	}
	_ = cmd.Wait() // the exit code tells
	<-drained
	return cmd.ProcessState.ExitCode(), shown.String()
}

func TestReleaseAsksOnATerminal(t *testing.T) {
	t.Parallel()
	backend := fileBackend(t)
	holder := launch(t, backend, "run", "k", "--", "sh", "-c", "echo up; exec sleep 60")
	holder.line(t)
	for typed, code := range map[string]int{"n\n": exitConflict, "\n": exitConflict, "\x04": exitConflict, "\x03": exitSignal + int(syscall.SIGINT)} {
		if got, screen := onTerminal(t, backend, typed, "release", "k", "--force"); got != code || strings.Contains(screen, "let go") {
			t.Errorf("typed %q: %d, want %d; %q", typed, got, code, screen)
		}
		if _, out, _ := on(t, backend, "show", "k"); !strings.Contains(out, "state:      held\n") {
			t.Errorf("typed %q: %s", typed, out)
		}
	}
	code, screen := onTerminal(t, backend, "y\n", "release", "k", "--force")
	if code != 0 || !strings.Contains(screen, "k is held by ") || !strings.Contains(screen, "Tell it to stop? [y/N] ") || !strings.Contains(screen, "k was let go by ") {
		t.Errorf("%d, %q", code, screen)
	}
	holder.exit(t, exitLost)
}

// Colours are for those who asked for them, and nobody can here: whatever TERM and
// NO_COLOR say, there are none.
func TestATerminalGetsNoEscapes(t *testing.T) {
	t.Parallel()
	backend := fileBackend(t)
	for _, args := range [][]string{{"ls"}, {"show", "k"}, {"rnu"}, {"release", "k", "--force", "--yes"}, {"--help"}, {"-v", "run", "k", "true"}} {
		if _, screen := onTerminal(t, backend, "", args...); screen == "" || strings.Contains(screen, "\x1b") {
			t.Errorf("%v: %q", args, screen)
		}
	}
}
