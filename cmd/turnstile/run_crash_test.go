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

	"github.com/turnstile-go/turnstile/internal/servers/servertest"
)

// A family is a command with a grandchild; both ignore what can be ignored. It
// prints the two process ids.
const family = `trap '' TERM INT HUP; sleep 600 & echo $!; echo $$; wait`

// killHolder starts a holder, kills it with SIGKILL, and returns how long the key
// stayed taken. The next command runs when nothing of the first does.
func killHolder(t *testing.T, backend, expires string) time.Duration {
	t.Helper()
	holder := launch(t, backend, "run", "--expires", expires, "k", "--", "sh", "-c", family)
	grandchild, child := holder.number(t), holder.number(t)
	if !runs(child) || !runs(grandchild) {
		t.Fatal("the command does not run")
	}
	next := launch(t, backend, "run", "-v", "k", "--", "echo", "next")
	// What its own start takes is no part of how long the key stays taken.
	eventually(t, "the next one waits", func() bool { return strings.Contains(next.stderr.String(), "held") })
	begin := time.Now()
	holder.signal(t, syscall.SIGKILL)
	if got := next.line(t); got != "next" {
		t.Fatal(got)
	}
	took := time.Since(begin)
	if runs(child) || runs(grandchild) {
		t.Error("the key went to the next command while the first one ran")
	}
	next.exit(t, 0)
	return took
}

func TestAKilledHolderFreesAFileKeyAtOnce(t *testing.T) {
	t.Parallel()
	// The end of the lease would be no way out.
	if took := killHolder(t, fileBackend(t), "10m"); *long && took > time.Second {
		t.Errorf("the key was free after %v, want at most 1 s", took)
	}
}

// L1: 1.02 × the lease's expires + 1 s, where the machine has nothing else to do.
func TestAKilledHolderFreesARedisKeyWhenItsLeaseEnds(t *testing.T) {
	t.Parallel()
	const most = 2*time.Second*102/100 + time.Second
	if took := killHolder(t, servertest.Redis(t).URL(), "2s"); *long && took > most {
		t.Errorf("the key was free after %v, want at most %v", took, most)
	}
}

// L1 on memcached: whole seconds, a second more, and a probe.
func TestAKilledHolderFreesAMemcachedKeyWhenItsLeaseEnds(t *testing.T) {
	t.Parallel()
	const most = 2*time.Second + 2500*time.Millisecond
	if took := killHolder(t, servertest.Memcached(t).URL(), "2s"); *long && took > most {
		t.Errorf("the key was free after %v, want at most %v", took, most)
	}
}

// An upgrade may remove the binary while it waits.
func TestATurnstileWhoseFileIsGoneStillHasAGuard(t *testing.T) {
	t.Parallel()
	backend, own := fileBackend(t), copyOf(t)
	holder := launch(t, backend, "run", "k", "--", "sh", "-c", "echo held; exec sleep 600")
	holder.line(t)
	next := launchFile(t, own, backend, "run", "-v", "k", "--", "echo", "next")
	eventually(t, "it waits", func() bool { return strings.Contains(next.stderr.String(), "held by") })
	if err := os.Remove(own); err != nil {
		t.Fatal(err)
	}
	holder.signal(t, syscall.SIGTERM)
	next.exit(t, 0)
	if said := next.stderr.String(); strings.Contains(said, "warning") {
		t.Error(said)
	}
}

// copyOf is a turnstile in a file of its own.
func copyOf(t *testing.T) (file string) {
	t.Helper()
	path, err := exec.LookPath("turnstile")
	if err != nil {
		t.Fatal(err)
	}
	own := filepath.Join(t.TempDir(), "turnstile")
	// By another process: what one of ours starts meanwhile would have the file open
	// for writing as well, and such a file can't be run.
	if out, err := exec.Command("cp", path, own).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return own
}
