//go:build linux || darwin

package main

import (
	"strings"
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/internal/servers"
)

// A server that takes connections and says nothing would hold opening for two
// seconds, whatever the wait.
func TestOpeningTakesNoLongerThanTheWait(t *testing.T) {
	t.Parallel()
	server := servers.Redis(t)
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
	server := servers.Memcached(t)
	if err := server.Pause(); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	r := launch(t, server.URL()+"?lazy=true", "run", "-w", "1", "k", "--", "true")
	r.exit(t, exitUnavailable)
	if took := time.Since(begin); took >= 3*time.Second {
		t.Errorf("a wait of 1s took %v", took)
	}
	if got := r.stderr.String(); !strings.Contains(got, `"k" not acquired in 1s`) {
		t.Error(got)
	}
}
