//go:build linux || darwin

package main

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/internal/servers/servertest"
)

// A severance parts holders from their holds.
type severance struct {
	// setUp returns the backend as the holders reach it, the same as everybody else
	// does, and what cuts a holder off.
	setUp func(t *testing.T) (holders, others string, cut func(t *testing.T, holder *running, key string))
	code  int // of a holder that was cut off
	// grace is what the command gets after TERM. It is short where the hold can't be
	// renewed, so that most of that is left for renewals that a busy machine makes
	// late; and long where nothing but the grace keeps the next one from meeting it.
	grace string
}

const severedExpires = "5s"

var severances = map[string]severance{
	"redis cut off": {
		setUp: func(t *testing.T) (string, string, func(*testing.T, *running, string)) {
			server := servertest.Redis(t)
			proxy := servertest.NewProxy(t, server.Addr)
			var once sync.Once
			return "redis://" + proxy.Addr + "/0", server.URL(), func(*testing.T, *running, string) { once.Do(proxy.Cut) }
		},
		code: exitLost, grace: "0.5s",
	},
	"file killed": {
		setUp: func(t *testing.T) (string, string, func(*testing.T, *running, string)) {
			backend := fileBackend(t)
			return backend, backend, func(t *testing.T, holder *running, _ string) { holder.signal(t, syscall.SIGKILL) }
		},
		code: -1, grace: "0.5s",
	},
	"redis revoked": {
		setUp: func(t *testing.T) (string, string, func(*testing.T, *running, string)) {
			url := servertest.Redis(t).URL()
			return url, url, revokeOn(url)
		},
		code: exitLost, grace: "1.5s",
	},
	"file revoked": {
		setUp: func(t *testing.T) (string, string, func(*testing.T, *running, string)) {
			backend := fileBackend(t)
			return backend, backend, revokeOn(backend)
		},
		code: exitLost, grace: "1.5s",
	},
}

// revokeOn frees keys by force, and does not wait for them to be free.
func revokeOn(backend string) func(*testing.T, *running, string) {
	return func(t *testing.T, _ *running, key string) { launch(t, backend, "release", "--force", "--yes", key) }
}

// The commands ignore what can be ignored, and have children that do. A second
// turnstile waits over a connection of its own, and its command looks for the first
// as soon as it runs.
func TestALeaseDoesNotPassOnWhileTheCommandRuns(t *testing.T) {
	rounds, batch := 10, 10
	if *long {
		rounds = 100
	}
	for name, s := range severances {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for begin := 0; begin < rounds; begin += batch {
				t.Run(fmt.Sprint("from ", begin), func(t *testing.T) { s.pass(t, begin, batch) })
			}
		})
	}
}

// pass cuts n holders off, of a key each.
func (s severance) pass(t *testing.T, begin, n int) {
	holders, others, cut := s.setUp(t)
	// A zombie does not run; an orphan's may wait long for an init that reaps.
	const look = `for pid in $1 $2; do case $(ps -o state= -p $pid) in ''|Z*|X*) ;; *) echo $pid runs ;; esac; done; echo next`
	type round struct{ holder, next *running }
	var all []round
	for i := range n {
		all = append(all, round{holder: launch(t, holders, "run", "--expires", severedExpires, "--kill-after", s.grace, fmt.Sprint("k", begin+i), "--", "sh", "-c", family)})
	}
	for i := range all {
		grandchild, child := all[i].holder.number(t), all[i].holder.number(t)
		all[i].next = launch(t, others, "run", "-v", fmt.Sprint("k", begin+i), "--", "sh", "-c", look, "sh", fmt.Sprint(child), fmt.Sprint(grandchild))
	}
	for _, r := range all {
		eventually(t, "the next one waits", func() bool { return strings.Contains(r.next.stderr.String(), "held by") })
		// Early warnings of renewals that fail are a busy machine's.
		if said := r.holder.stderr.String(); strings.Contains(said, "is lost") {
			t.Fatalf("the hold was lost before it was cut off: %s", said)
		}
	}
	for i, r := range all {
		cut(t, r.holder, fmt.Sprint("k", begin+i))
	}
	for i, r := range all {
		if got := r.next.line(t); got != "next" {
			t.Errorf("round %d: the lease passed on: %s", begin+i, got)
		}
		r.next.exit(t, 0)
		r.holder.exit(t, s.code)
	}
}

// The processes that a KILL of turnstile leaves have to be gone soon, children
// included: on an idle machine, within a second.
func TestNothingOfAKilledTurnstileIsLeftAfterASecond(t *testing.T) {
	backend := fileBackend(t)
	var took []time.Duration
	for range 20 {
		holder := launch(t, backend, "run", "k", "--", "sh", "-c", family)
		grandchild, child := holder.number(t), holder.number(t)
		begin := time.Now()
		holder.signal(t, syscall.SIGKILL)
		eventually(t, "child and grandchild are gone", func() bool { return !runs(child) && !runs(grandchild) })
		took = append(took, time.Since(begin))
	}
	slices.Sort(took)
	t.Logf("gone after %v (median), %v (worst of %d)", took[len(took)/2], took[len(took)-1], len(took))
	if worst := took[len(took)-1]; *long && worst > time.Second {
		t.Errorf("gone after %v, want at most 1 s", worst)
	}
}
