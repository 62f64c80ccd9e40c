package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A kill of all processes named turnstile, or with turnstile in their command line,
// is meant for turnstile. It has to spare the guard, which ends the command. Here
// turnstile's file and its directory have names that nothing else on the machine
// has.
func TestTurnstileIsKilledByNameAndItsGuardIsNot(t *testing.T) {
	t.Parallel()
	for i, kill := range [][]string{{"killall", "-9"}, {"pkill", "-9"}, {"pkill", "-9", "-f"}} {
		t.Run(strings.Join(kill, " "), func(t *testing.T) {
			t.Parallel()
			own := fmt.Sprintf("ts%d%c", os.Getpid(), 'a'+i) // no name is part of another
			file := copyOf(t)
			dir := filepath.Join(filepath.Dir(file), own)
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(file, filepath.Join(dir, own)); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(filepath.Join(dir, own), "run", "k", "--", "sh", "-c", family)
			cmd.Args[0] = filepath.Join(dir, "turnstile") // the test binary is a turnstile by this name
			cmd.Env = append(os.Environ(), "TURNSTILE_BACKEND="+fileBackend(t))
			r := launchCmd(t, cmd)
			grandchild, child := r.number(t), r.number(t)
			guard := guardOf(t, r.cmd.Process.Pid)
			for _, file := range []string{"comm", "cmdline"} {
				if called, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", guard, file)); err != nil || strings.Contains(string(called), "turnstile") {
					t.Errorf("the guard's %s: %q, %v", file, called, err)
				}
			}
			// The guard ends when turnstile does; after its end it can't be found.
			mustKill(t, guard, syscall.SIGSTOP)
			t.Cleanup(func() { _ = syscall.Kill(guard, syscall.SIGCONT) })
			if out, err := exec.Command(kill[0], append(kill[1:len(kill):len(kill)], own)...).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			<-r.waited
			if !runs(guard) {
				_ = syscall.Kill(-child, syscall.SIGKILL)
				t.Fatalf("%s found the guard", strings.Join(kill, " "))
			}
			mustKill(t, guard, syscall.SIGCONT)
			eventually(t, "the guard ends the command", func() bool { return !runs(child) && !runs(grandchild) })
		})
	}
}
