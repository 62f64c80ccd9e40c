//go:build linux || darwin

package main

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/internal/quickest"
	"github.com/turnstile-go/turnstile/internal/servers/servertest"
	"github.com/turnstile-go/turnstile/lockclient"
)

// A server that takes connections and says nothing would hold opening for two
// seconds, whatever the wait.
func TestOpeningTakesNoLongerThanTheWait(t *testing.T) {
	t.Parallel()
	server := servertest.Redis(t)
	if err := server.Pause(); err != nil {
		t.Fatal(err)
	}
	r := launch(t, server.URL(), "run", "-w", "1", "k", "--", "true")
	r.exit(t, exitUnavailable)
	if got := r.stderr.String(); !strings.Contains(got, ": no answer in 1s; is the server reachable") {
		t.Error(got)
	}
}

// Nor does leaving, once the wait is over: that would be two seconds on top.
func TestLeavingASilentServerDoesNotDoubleTheWait(t *testing.T) {
	t.Parallel()
	server := servertest.Memcached(t)
	if err := server.Pause(); err != nil {
		t.Fatal(err)
	}
	var r *running
	quickest.Whole(t, 3*time.Second, func() {
		r = launch(t, server.URL()+"?lazy=true", "run", "-w", "1", "k", "--", "true")
		r.exit(t, exitUnavailable)
	})
	if got := r.stderr.String(); !strings.Contains(got, `"k" not acquired in `) {
		t.Error(got)
	}
}

type unreleased struct {
	*fakeHold
	err error
}

func (u unreleased) Release() error { return u.err }

// A hold that was revoked is over; that its lease could not be given back is another
// matter, and keeps the key from everybody until it ends.
func TestARevokedHoldThatCanNotBeGivenBackIsAWarning(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		err  error
		gone bool
		told bool
	}{
		{nil, false, false},
		{lockclient.ErrNotHeld, true, false},
		{lockclient.ErrUnavailable, false, true},
		{errors.Join(lockclient.ErrNotHeld, lockclient.ErrUnavailable), true, true},
	} {
		t.Run(fmt.Sprint(row.err), func(t *testing.T) {
			var out transcript
			p := &plan{settings: settings{log: newLogger(&out, slog.LevelWarn)}, key: "k"}
			gone := p.release(unreleased{new(fakeHold), row.err})
			told := strings.Contains(out.String(), "warning: the key could not be released")
			if gone != row.gone || told != row.told {
				t.Errorf("gone %v, told %v, want %v, %v (%s)", gone, told, row.gone, row.told, out.String())
			}
		})
	}
}
