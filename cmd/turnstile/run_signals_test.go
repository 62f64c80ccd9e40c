//go:build linux || darwin

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestSignalsReachTheWholeGroup(t *testing.T) {
	t.Parallel()
	for sig, name := range map[syscall.Signal]string{
		syscall.SIGINT: "INT", syscall.SIGTERM: "TERM", syscall.SIGHUP: "HUP",
		syscall.SIGQUIT: "QUIT", syscall.SIGUSR1: "USR1", syscall.SIGUSR2: "USR2",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// A shell runs a trap when the command it waits for has ended, so that outer
			// comes second.
			script := `trap 'echo outer; exit 5' ` + name + `
				sh -c 'trap "echo inner; exit" ` + name + `; echo ready; while :; do sleep 0.01; done'`
			r := launch(t, fileBackend(t), "run", "k", "--", "sh", "-c", script)
			if got := r.line(t); got != "ready" {
				t.Fatal(got)
			}
			r.signal(t, sig)
			if got := r.line(t) + " " + r.line(t); got != "inner outer" {
				t.Errorf("%q, want both to have met the signal", got)
			}
			r.exit(t, 5)
		})
	}
}

func TestACommandThatEndsByASignalSaysSo(t *testing.T) {
	t.Parallel()
	r := launch(t, fileBackend(t), "run", "k", "--", "sh", "-c", "echo ready; exec sleep 600")
	r.line(t)
	r.signal(t, syscall.SIGTERM)
	r.exit(t, 143)
}

func TestAnotherSignalKillsACommandThatIgnoresTheFirst(t *testing.T) {
	t.Parallel()
	r := launch(t, fileBackend(t), "run", "k", "--", "sh", "-c", "trap 'echo ignored' TERM; "+
		"sleep 600 & echo $!; while :; do wait; done")
	grandchild := r.number(t)
	r.signal(t, syscall.SIGTERM)
	if got := r.line(t); got != "ignored" {
		t.Fatal(got)
	}
	time.Sleep(impatience) // sooner, it would be the first once more
	r.signal(t, syscall.SIGTERM)
	r.exit(t, 137)
	eventually(t, "the grandchild is gone", func() bool { return !runs(grandchild) })
}

func TestASignalEndsTheWait(t *testing.T) {
	t.Parallel()
	for sig, want := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143, syscall.SIGHUP: 129} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			onEach(t, func(t *testing.T, backend string) {
				holder := launch(t, backend, "run", "k", "--", "sh", "-c", "echo held; exec sleep 600")
				holder.line(t)
				waiter := launch(t, backend, "run", "-v", "k", "--", "echo", "never")
				last := launch(t, backend, "run", "k", "--", "echo", "last")
				eventually(t, "it waits", func() bool { return strings.Contains(waiter.stderr.String(), "waiting") })
				waiter.signal(t, sig)
				waiter.exit(t, want)
				holder.signal(t, syscall.SIGTERM)
				holder.exit(t, 143)
				// Nothing of the waiter is left in the queue.
				if got := last.line(t); got != "last" {
					t.Error(got)
				}
				last.exit(t, 0)
			})
		})
	}
}

// A command goes on ignoring under turnstile the signals that nohup, trap and
// systemd make it ignore, and so does turnstile.
func TestAnIgnoredSignalStaysIgnored(t *testing.T) {
	t.Parallel()
	for _, sig := range []string{"HUP", "INT", "QUIT", "PIPE", "ALRM", "TERM", "USR1", "USR2", "TSTP"} {
		t.Run(sig, func(t *testing.T) {
			t.Parallel()
			out := filepath.Join(t.TempDir(), "out")
			cmd := exec.Command("sh", "-c", `trap '' $1; exec turnstile run k -- sh -c 'kill -$0 $PPID; kill -$0 $$; echo survived; exit 5' $1 >"$0"`, out, sig)
			cmd.Env = append(os.Environ(), "TURNSTILE_BACKEND="+fileBackend(t))
			r := launchCmd(t, cmd)
			r.exit(t, 5)
			if got, _ := os.ReadFile(out); string(got) != "survived\n" {
				t.Errorf("%q", got)
			}
		})
	}
}

// A turnstile that waits for the key ignores them too.
func TestAnIgnoredSignalEndsNoWait(t *testing.T) {
	t.Parallel()
	backend := fileBackend(t)
	holder := launch(t, backend, "run", "k", "--", "sh", "-c", "echo held; exec sleep 600")
	holder.line(t)
	cmd := exec.Command("sh", "-c", `trap '' TERM; exec turnstile run -v k -- echo ran`)
	cmd.Env = append(os.Environ(), "TURNSTILE_BACKEND="+backend)
	waiter := launchCmd(t, cmd)
	eventually(t, "it waits", func() bool { return strings.Contains(waiter.stderr.String(), "held by") })
	waiter.signal(t, syscall.SIGTERM)
	holder.signal(t, syscall.SIGTERM)
	if got := waiter.line(t); got != "ran" {
		t.Error(got)
	}
	waiter.exit(t, 0)
}
