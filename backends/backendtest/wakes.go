package backendtest

import (
	"fmt"
	"slices"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// Wakes are hints, and no correctness hangs on them; but a backend that declares
// them and sends none is as slow as one that polls, and nobody would notice.
func wakeChecks() []check {
	return []check{
		{"a release wakes the waiter", releaseWakes, wakes, noWakes},
		{"a waiter wakes the holder", waiterWakesHolder, wakes, noWakes},
		{"a lease that is given is all that its wake says", givenIsWhole, wakes, noWakes},
	}
}

// noWakes: a backend that polls may implement Waker to report a revocation to a
// holder, and its turn to a waiter: hints that save a poll. It must not send
// anything else, or somebody would come to wait for that.
func noWakes(st *store) error {
	a, b, _, err := st.three()
	if err != nil {
		return err
	}
	held, _, err := a.hold(st.key("k"), long)
	if err != nil {
		return err
	}
	waiter := b.request(held.Key, long)
	outcome := backends.Held
	if !st.caps.Exclusive {
		outcome = backends.Granted
	}
	if _, err := b.want(outcome, waiter); err != nil {
		return err
	}
	if err := a.free(held); err != nil {
		return err
	}
	if _, err := b.await(waiter, grace); err != nil {
		return err
	}
	// A grant comes behind its wakes: those are there by now, or none will be.
	for name, s := range map[string]*session{"the holder": a, "the waiter": b} {
		for wakes := s.wakes(held.Key); ; {
			select {
			case w := <-wakes:
				if s == b && w.Kind == backends.Given {
					continue
				}
				return fmt.Errorf("%s got a wake of kind %d, and no wakes are declared", name, w.Kind)
			default:
			}
			break
		}
	}
	return b.free(waiter)
}

// wakeRounds: a wake may be lost, so one of these has to arrive.
const wakeRounds = 5

// woken waits for a wake of one of these kinds.
func (s *session) woken(key string, kinds ...backends.WakeKind) bool {
	timer := time.NewTimer(time.Second)
	defer timer.Stop()
	for {
		select {
		case w := <-s.wakes(key):
			if slices.Contains(kinds, w.Kind) {
				return true
			}
		case <-timer.C:
			return false
		case <-s.ctx.Done():
			return false
		}
	}
}

// releaseWakes stops at the first wake that arrives: a lost one is allowed.
func releaseWakes(st *store) error {
	a, b, _, err := st.three()
	if err != nil {
		return err
	}
	for round := range wakeRounds {
		held, _, err := a.hold(st.key(fmt.Sprint(round)), long)
		if err != nil {
			return err
		}
		waiter := b.request(held.Key, long)
		if _, err := b.want(backends.Held, waiter); err != nil {
			return err
		}
		if err := a.free(held); err != nil {
			return err
		}
		woken := b.woken(held.Key, backends.Given, backends.Gave)
		if _, err := b.await(waiter, grace); err != nil {
			return err
		}
		if woken {
			return b.free(waiter)
		}
	}
	return fmt.Errorf("no release woke the waiter, in %d rounds", wakeRounds)
}

// waiterWakesHolder: the holder lingers or hands off until it is told.
func waiterWakesHolder(st *store) error {
	a, b, _, err := st.three()
	if err != nil {
		return err
	}
	for round := range wakeRounds {
		held, _, err := a.hold(st.key(fmt.Sprint(round)), long)
		if err != nil {
			return err
		}
		waiter := b.request(held.Key, long)
		if _, err := b.want(backends.Held, waiter); err != nil {
			return err
		}
		woken := a.woken(held.Key, backends.Wanted)
		if err := first(b.cancel(waiter), a.free(held)); err != nil {
			return err
		}
		if woken {
			return nil
		}
	}
	return fmt.Errorf("no waiter woke the holder, in %d rounds", wakeRounds)
}
