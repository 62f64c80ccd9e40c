package backendtest

import (
	"fmt"

	"github.com/turnstile-go/turnstile/backends"
)

// A lease whose holder is silent, or does not listen, is deleted. It learns of
// it as of any other loss.
func deleteChecks() []check {
	return []check{
		{"a deleted lease goes to the next at once", deletePasses, revokes, noRevoker},
		{"a deleted lease leaves the key free", deleteFrees, revokes, noRevoker},
		{"bases grow over deletions", deleteFences, revokes, noRevoker},
	}
}

// gone insists that a holder finds its lease lost, and that its verbs touch no
// other.
func (s *session) gone(r backends.Request) error {
	return first(notHeld("renew of a deleted lease", s.renewal(r)), notHeld("release of a deleted lease", s.Release(s.ctx, r.Attempt)))
}

func deletePasses(st *store) error {
	a, b, c, err := st.three()
	if err != nil {
		return err
	}
	held, waiter, _, err := behind(a, b, st.key("k"))
	if err != nil {
		return err
	}
	if err := c.revoke(held.Key, backends.Revocation{Now: true}, backends.Deleted); err != nil {
		return err
	}
	reply, err := b.await(waiter, grace)
	if err != nil {
		return fmt.Errorf("after a deletion: %w", err)
	}
	if err := a.gone(held); err != nil {
		return err
	}
	if _, err := b.renewed(waiter, reply.Base); err != nil {
		return err
	}
	return b.free(waiter)
}

// deleteFrees deletes a lease that was marked before: its holder did not answer.
func deleteFrees(st *store) error {
	a, b, c, err := st.three()
	if err != nil {
		return err
	}
	for _, mark := range []bool{false, true} {
		r, _, err := a.hold(st.key(fmt.Sprint(mark)), long)
		if err != nil {
			return err
		}
		if mark {
			if err := c.revoke(r.Key, backends.Revocation{}, backends.Marked); err != nil {
				return err
			}
		}
		if err := c.revoke(r.Key, backends.Revocation{Now: true}, backends.Deleted); err != nil {
			return err
		}
		if err := first(b.shows(r.Key, false), a.gone(r)); err != nil {
			return err
		}
		next := b.once(r.Key, long)
		reply, err := b.want(backends.Granted, next)
		if err != nil {
			return fmt.Errorf("after a deletion: %w", err)
		}
		if _, err := b.renewed(next, reply.Base); err != nil {
			return err
		}
		if err := first(a.gone(r), b.free(next)); err != nil {
			return err
		}
	}
	return nil
}

// deleteFences: a deleted holder may run on, which is when a fence is needed.
func deleteFences(st *store) error {
	a, b, _, err := st.three()
	if err != nil {
		return err
	}
	key, last := st.key("k"), uint64(0)
	for range 5 {
		_, reply, err := a.hold(key, long)
		if err != nil {
			return err
		}
		if reply.Base <= last && st.caps.Fences {
			return fmt.Errorf("base %d after %d, whose lease was deleted", reply.Base, last)
		}
		last = reply.Base
		if err := b.revoke(key, backends.Revocation{Now: true}, backends.Deleted); err != nil {
			return err
		}
	}
	return nil
}
