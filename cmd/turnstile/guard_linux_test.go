package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
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

// A guard that is killed alone leaves no command without one, and one that is killed
// again and again is told of.
func TestAGuardThatIsKilledIsReplaced(t *testing.T) {
	t.Parallel()
	backend := fileBackend(t)
	r := launch(t, backend, "-v", "run", "k", "--", "sh", "-c", family)
	grandchild, child := r.number(t), r.number(t)
	killGuard := func(want string, times int) {
		t.Helper()
		mustKill(t, guardOf(t, r.cmd.Process.Pid), syscall.SIGKILL)
		eventually(t, want, func() bool { return strings.Count(r.stderr.String(), want) == times })
	}
	killGuard("there is a new one", 1)
	killGuard("there is a new one", 2)
	// The last one has the file:// session as well: the key goes on when nothing runs.
	next := launch(t, backend, "run", "k", "--", "echo", "next")
	r.signal(t, syscall.SIGKILL)
	if got := next.line(t); got != "next" {
		t.Fatal(got)
	}
	if runs(child) || runs(grandchild) {
		t.Error("the key went to the next command while the first one ran")
	}
	next.exit(t, 0)

	r = launch(t, fileBackend(t), "-v", "run", "k", "--", "sh", "-c", "echo $$; exec sleep 600")
	child = r.number(t)
	for n := range 3 {
		killGuard("there is a new one", n+1)
	}
	killGuard("would survive a SIGKILL", 1)
	if !runs(child) {
		t.Error("the command ended with its guard")
	}
	r.signal(t, syscall.SIGTERM)
	r.exit(t, 128+int(syscall.SIGTERM))
}

// An upgrade put another program in its place while it waited: that one's version of a
// guard may be none.
func TestATurnstileWhoseFileWasReplacedHasItsOwnGuard(t *testing.T) {
	t.Parallel()
	backend, own := fileBackend(t), copyOf(t)
	holder := launch(t, backend, "run", "k", "--", "sh", "-c", "echo held; exec sleep 600")
	holder.line(t)
	r := launchFile(t, own, backend, "run", "-v", "k", "--", "sh", "-c", family)
	eventually(t, "it waits", func() bool { return strings.Contains(r.stderr.String(), "held by") })
	if err := os.Symlink("/bin/false", own+".new"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(own+".new", own); err != nil {
		t.Fatal(err)
	}
	holder.signal(t, syscall.SIGTERM)
	grandchild, child := r.number(t), r.number(t)
	r.signal(t, syscall.SIGKILL)
	eventually(t, "the guard ends the command", func() bool { return !runs(child) && !runs(grandchild) })
}

// The first guard has the file:// session, and so has one after it. It is held still
// when turnstile is killed, or it would end the command faster than the key is tried.
func TestAGuardKeepsTheKeyUntilNothingRuns(t *testing.T) {
	for _, name := range []string{"first", "replaced"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			backend := fileBackend(t)
			r := launch(t, backend, "-v", "run", "k", "--", "sh", "-c", family)
			grandchild := r.number(t)
			r.number(t)
			pid := guardOf(t, r.cmd.Process.Pid)
			if name == "replaced" {
				mustKill(t, pid, syscall.SIGKILL)
				eventually(t, "a new guard", func() bool { return strings.Contains(r.stderr.String(), "there is a new one") })
				pid = guardOf(t, r.cmd.Process.Pid)
			}
			mustKill(t, pid, syscall.SIGSTOP)
			t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGCONT) }) // so that it ends the command, whatever fails
			r.signal(t, syscall.SIGKILL)
			<-r.waited
			launch(t, backend, "run", "-n", "k", "--", "true").exit(t, exitConflict)
			if !runs(grandchild) {
				t.Error("somebody else has ended the command: this shows nothing")
			}
			mustKill(t, pid, syscall.SIGCONT)
			launch(t, backend, "run", "k", "--", "true").exit(t, 0)
			if runs(grandchild) {
				t.Error("the key went on while the command ran")
			}
		})
	}
}

func mustKill(t *testing.T, pid int, sig syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, sig); err != nil {
		t.Fatal(err)
	}
}

// guardOf is the guard among a turnstile's children.
func guardOf(t *testing.T, turnstile int) (pid int) {
	t.Helper()
	parent := fmt.Sprintf("\nPPid:\t%d\n", turnstile)
	eventually(t, "a guard", func() bool {
		all, _ := filepath.Glob("/proc/[0-9]*")
		for _, process := range all {
			status, _ := os.ReadFile(process + "/status") // of one that has ended: nothing
			line, _ := os.ReadFile(process + "/cmdline")
			if strings.Contains(string(status), parent) && strings.HasSuffix(string(line), "\x00"+guard.Arg+"\x00") {
				pid, _ = strconv.Atoi(filepath.Base(process))
				return true
			}
		}
		return false
	})
	return pid
}
