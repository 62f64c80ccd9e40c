package actors

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// An asked backend remembers what it was asked, and grants it.
type asked struct {
	backends.Backend // nil
	requests         []backends.Request
}

func (b *asked) Acquire(_ context.Context, r backends.Request) (backends.Reply, error) {
	b.requests = append(b.requests, r)
	return backends.Reply{Outcome: backends.Granted, Base: 1000, TTL: r.TTL}, nil
}

func (b *asked) Release(context.Context, backends.Attempt) error { return nil }
func (b *asked) Close() error                                    { return nil }

// TestAQueuedCallIsNumbered: a backend gets the number of each call that is queued, and for how long it keeps its
// place, whether the call blocks or is started. One try has neither.
func TestAQueuedCallIsNumbered(t *testing.T) {
	blocking := &asked{}
	starting := &starter{start: func(_ int, c backends.Call, to backends.Asker) func() {
		return func() { to.Answered(granted(c), nil) }
	}}
	for name, b := range map[string]backends.Backend{"blocking": blocking, "started": starting} {
		synctest.Test(t, func(t *testing.T) {
			c := newCoordinator(t, b, Config{})
			for _, try := range []bool{false, false, true} {
				if err := hold(t, c, Spec{Expires: time.Minute, Timeout: time.Second, Try: try}).Release(); err != nil {
					t.Error(name, err)
				}
			}
		})
	}
	var started []backends.Request
	for _, c := range starting.started {
		if c.Verb == backends.Acquiring {
			started = append(started, c.Request)
		}
	}
	for name, got := range map[string][]backends.Request{"blocking": blocking.requests, "started": started} {
		if len(got) != 3 {
			t.Fatalf("%s: %d acquires, want 3", name, len(got))
		}
		if a, b := got[0], got[1]; a.Ask == 0 || b.Ask == 0 || a.Ask == b.Ask || a.Alive != time.Second {
			t.Errorf("%s: the calls are numbered %d and %d, for %v; want two numbers, and 1s", name, a.Ask, b.Ask, a.Alive)
		}
		if try := got[2]; try.Ask != 0 || try.Alive != 0 {
			t.Errorf("%s: one try is numbered %d, for %v", name, try.Ask, try.Alive)
		}
	}
}

// TestNumbersOfCallsFitADouble: they are random, from 1 to 2⁵³ - 1, and two clients draw different ones.
func TestNumbersOfCallsFitADouble(t *testing.T) {
	a, b := newNumbers(), newNumbers()
	seen, ones, zeros := map[uint64]bool{}, uint64(0), uint64(0)
	for range 1000 {
		for _, n := range []uint64{a.next(), b.next()} {
			if n == 0 || n > backends.MaxAsk || seen[n] {
				t.Fatalf("drew %d", n)
			}
			seen[n] = true
			ones, zeros = ones|n, zeros|^n
		}
	}
	if ones != backends.MaxAsk || zeros&backends.MaxAsk != backends.MaxAsk {
		t.Errorf("bits %b are never set, %b always", backends.MaxAsk&^ones, backends.MaxAsk&^zeros)
	}
}
