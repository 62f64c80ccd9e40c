package backendtest

import (
	"errors"
	"fmt"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// Somebody who does not hold a lease asks for its end. All that must happen is
// that the holder learns of it; what must not is that anybody else gets the key
// before it has stopped, or that a later lease pays for it.
func revokeChecks() []check {
	return []check{
		{"a revoked lease is not renewed, and still its holder's", revokeMarks, revokes, noRevoker},
		{"a revoked lease is never made longer", revokedEnds, revokes, noRevoker},
		{"a revoked lease goes to the next when it is released, and not before", revokedPasses, revokes, noRevoker},
		{"a lease after a revoked one is not revoked", revokedOnce, revokes, noRevoker},
		{"the holder of a revoked lease is told", revokeTells, revokes, noRevoker},
		{"the reason of a revocation reaches the holder", revokeSaysWhy, revokesWithReason, revokeWithoutReason},
		{"leases on odd keys are revoked apart", revokeOddKeys, revokes, noRevoker},
		{"revoke and list fail after close", revokeAfterClose, revokes, noRevoker},
	}
}

// noRevoker: a backend that can't had better not look as if it could.
func noRevoker(st *store) error {
	if _, ok := whole(st.bare()).(backends.Revoker); ok {
		return fmt.Errorf("one session's backend is a Revoker, and another's is none")
	}
	return nil
}

// revoke insists on what is found.
func (s *session) revoke(key string, r backends.Revocation, want backends.Revoked) error {
	found, err := whole(s.Backend).(backends.Revoker).Revoke(s.ctx, key, r)
	if err != nil {
		return fmt.Errorf("revoke %+v: %w", r, err)
	}
	if found != want {
		return fmt.Errorf("revoke %+v found %q, want %q", r, found, want)
	}
	return nil
}

// refused insists that a renewal says that the lease was revoked.
func (s *session) refused(r backends.Request, known uint64) error {
	if _, err := s.Renew(s.ctx, r.Attempt, long, known); !backends.IsRevoked(err) || backends.IsNotHeld(err) {
		return fmt.Errorf("renewal of a revoked lease: got %v, want ErrRevoked", err)
	}
	return nil
}

// renewed insists that a renewal works, and that nothing looks revoked.
func (s *session) renewed(r backends.Request, known uint64) (backends.Reply, error) {
	reply, err := s.Renew(s.ctx, r.Attempt, long, known)
	if err != nil {
		return reply, fmt.Errorf("renew %v of %s: %w", r.Token, s.label, err)
	}
	return reply, s.shows(r.Key, false)
}

// served insists that a request is granted within d, by a lease that can be renewed,
// and gives it back.
func (s *session) served(r backends.Request, within time.Duration) error {
	reply, err := s.await(r, within)
	if err != nil {
		return err
	}
	if _, err := s.renewed(r, reply.Base); err != nil {
		return err
	}
	return s.free(r)
}

// shows looks whether the key is shown as revoked, where anything is shown.
func (s *session) shows(key string, revoked bool) error {
	if !backends.Describe(whole(s.Backend)).Inspects {
		return nil
	}
	info, err := s.inspect(key)
	if err == nil && info.Revoked != revoked {
		err = fmt.Errorf("shown as revoked: %t, want %t (%s)", info.Revoked, revoked, told(info))
	}
	return err
}

func revokeMarks(st *store) error {
	a, b, c, err := st.three()
	if err != nil {
		return err
	}
	r, reply, err := a.hold(st.key("k"), long)
	if err != nil {
		return err
	}
	if err := first(
		b.shows(r.Key, false),
		b.revoke(r.Key, backends.Revocation{}, backends.Marked),
		b.shows(r.Key, true),
		a.refused(r, reply.Base),
		a.refused(r, 0), // and so for a copy that knows no base
		c.revoke(r.Key, backends.Revocation{}, backends.Marked),
		a.refused(r, reply.Base),
	); err != nil {
		return err
	}
	if _, err := c.want(backends.Held, c.once(r.Key, long)); err != nil {
		return err
	}
	if err := first(a.free(r), c.shows(r.Key, false), notHeld("renew after release", a.renewal(r))); err != nil {
		return err
	}
	_, err = c.want(backends.Granted, c.once(r.Key, long))
	return err
}

func (s *session) renewal(r backends.Request) error {
	_, err := s.Renew(s.ctx, r.Attempt, long, 0)
	return err
}

// revokedEnds tries whatever lengthens a lease. The repeated acquire may be
// granted, for what the lease has left, or not: its lease is its own until then.
func revokedEnds(st *store) error {
	a, b, _, err := st.three()
	if err != nil {
		return err
	}
	ttl := max(2*time.Second, st.caps.MinExpires)
	r := a.request(st.key("k"), ttl)
	sent := time.Now() // the lease begins after it, however late its reply is read
	reply, err := a.want(backends.Granted, r)
	if err != nil {
		return err
	}
	longer := r
	longer.TTL = long
	if err := first(b.revoke(r.Key, backends.Revocation{}, backends.Marked), a.refused(r, reply.Base)); err != nil {
		return err
	}
	again, err := a.Acquire(a.ctx, longer)
	if err == nil && again.Outcome == backends.Granted && again.TTL > reply.TTL {
		return fmt.Errorf("a repeated acquire of a revoked lease has %v, of %v at first", again.TTL, reply.TTL)
	}
	if err := a.refused(r, reply.Base); err != nil {
		return err
	}
	next := b.request(r.Key, long)
	after, err := b.await(next, reply.TTL+grace)
	if err != nil {
		return fmt.Errorf("after the end of a revoked lease of %v: %w", reply.TTL, err)
	}
	if taken := time.Since(sent); taken < ttl-100*time.Millisecond {
		return fmt.Errorf("the next was granted %v into a lease of %v", taken, ttl)
	}
	if _, err := b.renewed(next, after.Base); err != nil {
		return err
	}
	return b.free(next)
}

func revokedPasses(st *store) error {
	a, b, c, err := st.three()
	if err != nil {
		return err
	}
	held, waiter, _, err := behind(a, b, st.key("k"))
	if err != nil {
		return err
	}
	if err := c.revoke(held.Key, backends.Revocation{}, backends.Marked); err != nil {
		return err
	}
	if _, err := b.want(backends.Held, waiter); err != nil {
		return fmt.Errorf("before the release: %w", err)
	}
	if err := a.free(held); err != nil {
		return err
	}
	return b.served(waiter, grace)
}

// revokedOnce: the same session comes back, as a key actor does for its next
// waiter; by a release, a cancel, and the end of the lease.
func revokedOnce(st *store) error {
	a, b, _, err := st.three()
	if err != nil {
		return err
	}
	ends := max(2*time.Second, st.caps.MinExpires) // long enough to be revoked before
	for i, end := range []func(backends.Request) error{
		a.free,
		a.cancel,
		func(backends.Request) error { return a.outlast(ends) },
	} {
		key := st.key(fmt.Sprint(i))
		r, _, err := a.hold(key, ends)
		if err != nil {
			return err
		}
		if err := b.revoke(key, backends.Revocation{}, backends.Marked); err != nil {
			return err
		}
		if err := end(r); err != nil {
			return err
		}
		if err := a.served(a.request(key, long), grace); err != nil {
			return fmt.Errorf("end %d: %w", i, err)
		}
	}
	return nil
}

// revokeTells: by a push where there are any, and else by the next renewal.
func revokeTells(st *store) error {
	a, b, _, err := st.three()
	if err != nil {
		return err
	}
	for round := range wakeRounds {
		r, reply, err := a.hold(st.key(fmt.Sprint(round)), long)
		if err != nil {
			return err
		}
		if err := b.revoke(r.Key, backends.Revocation{}, backends.Marked); err != nil {
			return err
		}
		woken := !st.caps.Wakes || a.woken(r.Key, backends.Revoking)
		if err := first(a.refused(r, reply.Base), a.free(r)); err != nil {
			return err
		}
		if woken {
			return nil
		}
	}
	return fmt.Errorf("no revoke woke the holder, in %d rounds", wakeRounds)
}

// revokeOddKeys revokes every second of them, so that two which were folded
// into one would show.
func revokeOddKeys(st *store) error {
	a, b, _, err := st.three()
	if err != nil {
		return err
	}
	var held []backends.Request
	for _, key := range odd(st) {
		r, _, err := a.hold(key, long)
		if err != nil {
			return fmt.Errorf("key %q: %w", key, err)
		}
		held = append(held, r)
	}
	for i := 0; i < len(held); i += 2 {
		if err := b.revoke(held[i].Key, backends.Revocation{}, backends.Marked); err != nil {
			return fmt.Errorf("key %q: %w", held[i].Key, err)
		}
	}
	for i, r := range held {
		err := a.renewal(r)
		if backends.IsRevoked(err) != (i%2 == 0) || i%2 != 0 && err != nil {
			return fmt.Errorf("key %q, revoked %t: renewal says %v", r.Key, i%2 == 0, err)
		}
		if err := a.free(r); err != nil {
			return fmt.Errorf("key %q: %w", r.Key, err)
		}
	}
	return nil
}

// revokeAfterClose: an answer would claim that something was looked at.
func revokeAfterClose(st *store) error {
	a, err := st.session()
	if err != nil {
		return err
	}
	if err := a.Close(); err != nil {
		return err
	}
	_, err = whole(a.Backend).(backends.Revoker).Revoke(a.ctx, st.key("k"), backends.Revocation{})
	errs := []error{over("revoke", err)}
	if l, ok := whole(a.Backend).(backends.Lister); ok {
		_, err := l.List(a.ctx, st.key(""))
		errs = append(errs, over("list", err))
	}
	return errors.Join(errs...)
}
