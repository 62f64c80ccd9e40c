package lockclient

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/turnstile-go/turnstile/backends"
)

// TestRandomScriptsWithPushes is TestRandomScripts over a store that hands a key that is released to the first in line,
// and says so by a push. Pushes come late, twice, not at all, out of order, and twisted; the confirmations of their
// grants are answered in all ways. It checks L5 as well: a hold ends at its short deadline, by a loss, unless it was
// confirmed.
func TestRandomScriptsWithPushes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		ops, revocations := drawOps(rt), drawRevocations(rt)
		for i := range ops {
			o := &ops[i]
			o.shown = rapid.IntRange(0, 4).Draw(rt, "shown") == 0
			if rapid.IntRange(0, 4).Draw(rt, "hot") > 0 {
				o.key, o.hold, o.timeout = "a", o.hold/4, max(o.timeout, time.Second)
			}
			if o.release && rapid.IntRange(0, 2).Draw(rt, "longer") > 0 { // than the gift
				o.expires += time.Second
			}
		}
		seed := rapid.Uint64().Draw(rt, "seed")
		percent := func(label string) int { return rapid.IntRange(0, 15).Draw(rt, label) }
		f := faults{
			notRun: percent("notRun"), lost: percent("lost"), late: percent("late"),
			latency: time.Duration(rapid.IntRange(0, 20).Draw(rt, "latency")) * time.Millisecond,
		}
		p := pushFaults{
			lost: percent("push lost"), late: 2 * percent("push late"), twice: 2 * percent("push twice"), twisted: percent("push twisted"), repeated: 4 * percent("repeated"),
			failsOver: rapid.IntRange(0, 3).Draw(rt, "failsOver") == 0,
		}
		for range rapid.IntRange(0, 4).Draw(rt, "other pushes") {
			p.others = append(p.others, otherPush{
				after: time.Duration(rapid.IntRange(1, 3000).Draw(rt, "at")) * time.Millisecond,
				wake: backends.Wake{
					Key: rapid.SampledFrom([]string{"", "a"}).Draw(rt, "of"),
					Kind: rapid.SampledFrom([]backends.WakeKind{
						backends.Given, backends.Wanted, backends.Doubted, backends.Revoking, backends.Answering,
					}).Draw(rt, "kind"),
				},
			})
		}
		p.mayRevoke(ops)
		cfg := Config{KeyPrefix: NoPrefix, NoHandoff: rapid.IntRange(0, 3).Draw(rt, "noHandoff") == 0}
		if rapid.Bool().Draw(rt, "linger") {
			cfg.Linger = 100 * time.Millisecond
		}
		if rapid.IntRange(0, 3).Draw(rt, "gaps") == 0 {
			cfg.PollerGap = 20 * time.Millisecond
		}
		var failures []error
		synctest.Test(t, func(t *testing.T) {
			s := newStore()
			failures = runScript(t, s, ops, revocations, [2]backends.Backend{newPusher(s, seed, f, p), newPusher(s, seed+1, f, p)}, cfg)
		})
		for _, err := range failures {
			rt.Errorf("%v", err)
		}
	})
}

// mayRevoke notes that a push says of the ops' keys that they were revoked: then a rest is not waited for here.
func (p pushFaults) mayRevoke(ops []op) {
	for i := range ops {
		o := &ops[i]
		o.revoked = slices.ContainsFunc(p.others, func(other otherPush) bool {
			return other.wake.Kind == backends.Revoking && (other.wake.Key == "" || other.wake.Key == o.key)
		})
	}
}

// pushes reports whether anybody hears pushes.
func (s *store) pushes() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.inboxes) > 0
}

// confirmed returns what is wrong with a hold that was granted until then: it may end before full by a loss alone, and goes on
// beyond what it was granted for only with a deadline that is full.
func confirmed(lock *Lock, until, full time.Time) error {
	cause := context.Cause(lock.Context())
	switch end := lock.Deadline(); {
	case errors.Is(cause, ErrExpired) && end.Before(full):
		return fmt.Errorf("the hold has expired at %v, and was for longer, until %v", end, full)
	case cause == nil && !time.Now().Before(until) && end.Before(full):
		return fmt.Errorf("the hold goes on at its short deadline, %v", end)
	}
	return nil
}
