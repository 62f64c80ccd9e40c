package main

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/turnstile-go/turnstile/cmd/turnstile/internal/guard"
)

// The moment between the start of a command and the guard's learning its group,
// held still: turnstile is gone, and only the marks were told.
func TestAGuardFindsACommandThatItWasNotToldOf(t *testing.T) {
	t.Parallel()
	h := &fakeHold{}
	known := marks(h)
	mine, other := startMarked(t, known[:]), startMarked(t, []string{"TURNSTILE_KEY=k", "TURNSTILE_FENCE=11"})
	cmd := exec.Command("turnstile", guard.Arg)
	cmd.Stdin = strings.NewReader(strings.Join(known[:], "\x00") + "\x00")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if runs(mine) {
		t.Error("the guard left before its command had ended")
	}
	if !runs(other) {
		t.Error("the guard killed the command of another hold")
	}
}

// startMarked starts a process in a group of its own.
func startMarked(t *testing.T, marks []string) (pid int) {
	t.Helper()
	cmd := exec.Command("sleep", "600")
	cmd.Env = append(os.Environ(), marks...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd.Process.Pid
}
