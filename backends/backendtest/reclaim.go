package backendtest

import (
	"fmt"
	"sync"

	"github.com/turnstile-go/turnstile/backends"
)

func reclaimChecks() []check {
	return []check{{"a lease that lingers is had at once", reclaimed, reclaims, inUse}}
}

// A lender is what a session says of its leases: which of them linger.
type lender struct {
	mu    sync.Mutex // protects what follows
	lends map[backends.Attempt]bool
	asked map[backends.Attempt]bool
}

func (l *lender) give(a backends.Attempt) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked[a] = true
	return l.lends[a]
}

func (l *lender) lend(a backends.Attempt) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lends[a] = true
}

func (l *lender) wasAsked(a backends.Attempt) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.asked[a]
}

// reclaimed: another session's attempt ends the lease that its own says lingers, and no
// other one, and has the key.
func reclaimed(st *store) error {
	a, b, c, err := st.three()
	if err != nil {
		return err
	}
	for name, ask := range map[string]func(*session) backends.Request{
		"one try": func(s *session) backends.Request { return s.once(st.key("one try"), long) },
		"a wait":  func(s *session) backends.Request { return s.request(st.key("a wait"), long) },
	} {
		held, was, err := a.hold(st.key(name), long)
		if err != nil {
			return err
		}
		early := ask(b)
		if _, err := b.want(backends.Held, early); err != nil {
			return fmt.Errorf("while the lease is in use: %w", err)
		}
		if !a.lender.wasAsked(held.Attempt) {
			return fmt.Errorf("%s did not ask for %v", name, held.Token)
		}
		if err := b.cancel(early); err != nil {
			return err
		}
		a.lender.lend(held.Attempt)
		taken := ask(b)
		reply, err := b.want(backends.Granted, taken)
		if err != nil {
			return fmt.Errorf("while the lease lingers: %w", err)
		}
		if reply.Base <= was.Base {
			return fmt.Errorf("base %d after %d", reply.Base, was.Base)
		}
		late := a.Release(a.ctx, held.Attempt)
		if _, err := c.want(backends.Held, ask(c)); err != nil {
			return fmt.Errorf("after the release of the lease that was taken: %w", err)
		}
		if err := first(notHeld("release of what was taken", late), b.free(taken)); err != nil {
			return err
		}
	}
	return nil
}

// inUse: every lease of a backend that asks for none is in use until it is released.
func inUse(st *store) error {
	a, b, _, err := st.three()
	if err != nil {
		return err
	}
	held, _, err := a.hold(st.key("k"), long)
	if err != nil {
		return err
	}
	a.lender.lend(held.Attempt)
	outcome := backends.Held
	if !st.caps.Exclusive {
		outcome = backends.Granted
	}
	if _, err := b.want(outcome, b.once(held.Key, long)); err != nil {
		return err
	}
	return a.free(held)
}
