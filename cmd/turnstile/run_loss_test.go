//go:build linux || darwin

package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/internal/quickest"
	"github.com/turnstile-go/turnstile/internal/servers/servertest"
)

// stubborn ignores TERM, as does its child. It prints both process ids.
const stubborn = `trap '' TERM; sleep 600 & echo $!; echo $$; while :; do wait; done`

func TestAShortHoldIsRenewedInTime(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, backend string) {
		// Longer than its expires. A renewal may be late by a sixth of that at most:
		// under whatever load the other tests make.
		r := launch(t, backend, "run", "--expires", "6s", "k", "--", "sleep", "8")
		r.exit(t, 0)
	})
}

func TestAKeyThatIsDeletedByHandEndsTheCommand(t *testing.T) {
	t.Parallel()
	server := servertest.Redis(t)
	r := launch(t, server.URL(), "run", "--expires", "1s", "k", "--", "sh", "-c", stubborn)
	grandchild, child := r.number(t), r.number(t)
	if n, err := server.RedisClient(t, nil).Del(context.Background(), "pylock:k").Result(); n != 1 || err != nil {
		t.Fatalf("DEL: %d, %v", n, err)
	}
	r.exit(t, exitLost)
	if runs(child) || runs(grandchild) {
		t.Error("the command outlived its hold")
	}
	if !strings.Contains(r.stderr.String(), `the hold of "k" was lost while the command ran`) {
		t.Error(r.stderr)
	}
}

// The last renewal that was answered was sent before the server stopped, so that
// the deadline is at most expires later.
func TestACommandIsGoneBeforeTheDeadlineOfItsHold(t *testing.T) {
	t.Parallel()
	const expires = 3 * time.Second
	quickest.Of(t, expires-time.Millisecond, func() time.Duration {
		server := servertest.Redis(t)
		r := launch(t, server.URL(), "run", "--expires", expires.String(), "k", "--", "sh", "-c", stubborn)
		grandchild, child := r.number(t), r.number(t)
		server.Stop()
		stopped := time.Now()
		eventually(t, "the command is gone", func() bool { return !runs(child) && !runs(grandchild) })
		took := time.Since(stopped)
		r.exit(t, exitLost)
		return took
	})
}

// Nobody can keep a stopped process from losing its hold. It has to find out
// before its command does anything else.
func TestAStoppedTurnstileEndsItsCommandWhenItGoesOn(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, backend string) {
		r := launch(t, backend, "run", "--expires", "1s", "k", "--", "sh", "-c", stubborn)
		grandchild, child := r.number(t), r.number(t)
		r.signal(t, syscall.SIGSTOP)
		next := launch(t, backend, "run", "k", "--", "echo", "next")
		if got := next.line(t); got != "next" {
			t.Fatal(got)
		}
		r.signal(t, syscall.SIGCONT)
		r.exit(t, exitLost)
		if runs(child) || runs(grandchild) {
			t.Error("the command outlived its turnstile")
		}
	})
}

// launchUntil starts a command that ends, with exit code 3, when it is told to.
func launchUntil(t *testing.T, backend string) (r *running, end func()) {
	t.Helper()
	told := filepath.Join(t.TempDir(), "told")
	r = launch(t, backend, "run", "k", "--", "sh", "-c",
		`echo ready; until test -e "$0"; do sleep 0.01; done; exit 3`, told)
	r.line(t)
	return r, func() {
		t.Helper()
		if err := os.WriteFile(told, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// A command that ends before the next renewal would have told of the loss was
// not alone all the same.
func TestALossThatShowsOnlyAtTheReleaseIsALoss(t *testing.T) {
	t.Parallel()
	server := servertest.Redis(t)
	r, end := launchUntil(t, server.URL())
	if n, err := server.RedisClient(t, nil).Del(context.Background(), "pylock:k").Result(); n != 1 || err != nil {
		t.Fatalf("DEL: %d, %v", n, err)
	}
	end()
	r.exit(t, exitLost)
}

func TestAReleaseThatFailsIsAWarning(t *testing.T) {
	t.Parallel()
	server := servertest.Redis(t)
	r, end := launchUntil(t, server.URL())
	server.Stop()
	end()
	r.exit(t, 3)
	if got := r.stderr.String(); !strings.HasPrefix(got, "turnstile: warning: the key could not be released") || strings.Count(got, "\n") != 1 {
		t.Errorf("%q, want one warning", got)
	}
}

// The message counts from the hold's deadline, not from the moment at which a
// stopped turnstile could see it.
func TestAStoppedTurnstileTellsHowLongItWasLate(t *testing.T) {
	t.Parallel()
	const late = time.Second
	backend := fileBackend(t)
	r := launch(t, backend, "run", "--expires", "4s", "k", "--", "sh", "-c", "echo holds; exec sleep 600")
	r.line(t)
	r.signal(t, syscall.SIGSTOP)
	launch(t, backend, "run", "k", "--", "true").exit(t, 0) // the hold is over
	time.Sleep(late)
	r.signal(t, syscall.SIGCONT)
	r.exit(t, exitLost)
	_, rest, _ := strings.Cut(r.stderr.String(), "overrun=")
	if overrun, err := time.ParseDuration(strings.Fields(rest + " -")[0]); err != nil || overrun < late {
		t.Errorf("want an overrun of %v at least: %s", late, r.stderr)
	}
}
