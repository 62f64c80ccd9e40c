package backendtest

import (
	"fmt"

	"github.com/turnstile-go/turnstile/backends"
)

// What a lock is: one holder a key, proved by its token and by nothing else.
func exclusionChecks() []check {
	return []check{
		{"a held key is not granted to another session", heldKeyIsHeld, exclusive, twoHoldAtOnce},
		{"a held key is not granted to another attempt of its own session", notReentrant, exclusive, twoHoldAtOnce},
		{"a released key is granted at once", releasedKeyIsFree, nil, nil},
		{"two keys are two leases", twoKeys, nil, nil},
		{"release with another token leaves the lease alone", releaseChecksToken, exclusive, twoHoldAtOnce},
		{"renew with another token leaves the lease alone", renewChecksToken, exclusive, twoHoldAtOnce},
		{"an old token never touches a newer lease", oldTokenIsPowerless, exclusive, twoHoldAtOnce},
		{"a key never seen is not held", unknownKeyIsNotHeld, exclusive, twoHoldAtOnce},
	}
}

// heldKeyIsHeld also looks at what the loser is told of the holder: it need not
// be told anything, but what it is told goes into the error of a timeout, where
// people believe it.
func heldKeyIsHeld(st *store) error {
	a, b, _, err := st.three()
	if err != nil {
		return err
	}
	key := st.key("k")
	r, _, err := a.hold(key, long)
	if err != nil {
		return err
	}
	reply, err := b.want(backends.Held, b.once(key, long))
	if err != nil {
		return err
	}
	if reply.Holder != "" && reply.Holder != a.label {
		return fmt.Errorf("held by %q, want %q", reply.Holder, a.label)
	}
	if reply.FreeIn > long+grace || reply.HeldFor > grace {
		return fmt.Errorf("held for %v and free in %v is not plausible just after a grant of %v", reply.HeldFor, reply.FreeIn, long)
	}
	return a.free(r)
}

// notReentrant: the token proves a lease, and not the session.
func notReentrant(st *store) error {
	a, err := st.session()
	if err != nil {
		return err
	}
	r, _, err := a.hold(st.key("k"), long)
	if err != nil {
		return err
	}
	if _, err := a.want(backends.Held, a.once(r.Key, long)); err != nil {
		return err
	}
	return a.free(r)
}

// twoHoldAtOnce is the inverse of exclusion.
func twoHoldAtOnce(st *store) error {
	a, b, _, err := st.three()
	if err != nil {
		return err
	}
	ra, rep, err := a.hold(st.key("k"), long)
	if err != nil {
		return err
	}
	rb, _, err := b.hold(ra.Key, long)
	if err != nil {
		return err
	}
	if _, err := a.Renew(a.ctx, ra.Attempt, long, rep.Base); err != nil {
		return fmt.Errorf("renew beside another holder: %w", err)
	}
	return first(a.free(ra), b.free(rb))
}

// releasedKeyIsFree tries once each time: after a release with nobody waiting
// there is nothing to wait for. A backend that frees keys in the background
// would make every uncontended handover cost a poll.
func releasedKeyIsFree(st *store) error {
	a, b, _, err := st.three()
	if err != nil {
		return err
	}
	key := st.key("k")
	for _, s := range []*session{a, b, a, b} {
		r := s.once(key, long)
		if _, err := s.want(backends.Granted, r); err != nil {
			return err
		}
		if err := s.free(r); err != nil {
			return err
		}
	}
	return nil
}

// twoKeys catches a backend that serializes everything: that would exclude,
// and be useless.
func twoKeys(st *store) error {
	a, b, _, err := st.three()
	if err != nil {
		return err
	}
	ra, _, err := a.hold(st.key("one"), long)
	if err != nil {
		return err
	}
	rb, _, err := b.hold(st.key("two"), long)
	if err != nil {
		return err
	}
	return first(a.free(ra), b.free(rb))
}

// releaseChecksToken tries a stranger and a sibling, another attempt of the
// holder's own session. Get-then-delete with no compare, as several memcached
// locks do it, fails here. A stranger's cancel must be as harmless.
func releaseChecksToken(st *store) error {
	a, b, c, err := st.three()
	if err != nil {
		return err
	}
	r, _, err := a.hold(st.key("k"), long)
	if err != nil {
		return err
	}
	stranger := b.request(r.Key, long)
	if err := notHeld("a stranger's release", b.Release(b.ctx, stranger.Attempt)); err != nil {
		return err
	}
	sibling := a.request(r.Key, long)
	if err := notHeld("a sibling's release", a.Release(a.ctx, sibling.Attempt)); err != nil {
		return err
	}
	if err := b.cancel(b.request(r.Key, long)); err != nil {
		return err
	}
	if _, err := c.want(backends.Held, c.once(r.Key, long)); err != nil {
		return err
	}
	return a.free(r)
}

// renewChecksToken: a stranger that could renew would keep a crashed holder's
// lease alive for ever.
func renewChecksToken(st *store) error {
	a, b, c, err := st.three()
	if err != nil {
		return err
	}
	r, rep, err := a.hold(st.key("k"), long)
	if err != nil {
		return err
	}
	stranger := b.request(r.Key, long)
	_, err = b.Renew(b.ctx, stranger.Attempt, long, rep.Base)
	if err := notHeld("a stranger's renewal", err); err != nil {
		return err
	}
	if _, err := c.want(backends.Held, c.once(r.Key, long)); err != nil {
		return err
	}
	if err := a.free(r); err != nil {
		return err
	}
	_, err = a.Renew(a.ctx, r.Attempt, long, rep.Base)
	return notHeld("a renewal after the release", err)
}

// oldTokenIsPowerless: S4, for a token whose lease ended by its release.
func oldTokenIsPowerless(st *store) error {
	a, b, c, err := st.three()
	if err != nil {
		return err
	}
	old, rep, err := a.hold(st.key("k"), long)
	if err != nil {
		return err
	}
	if err := a.free(old); err != nil {
		return err
	}
	r, now, err := b.hold(old.Key, long)
	if err != nil {
		return err
	}
	if err := notHeld("release with an old token", a.Release(a.ctx, old.Attempt)); err != nil {
		return err
	}
	_, err = a.Renew(a.ctx, old.Attempt, long, rep.Base)
	if err := notHeld("renewal with an old token", err); err != nil {
		return err
	}
	if err := a.cancel(old); err != nil {
		return err
	}
	if _, err := c.want(backends.Held, c.once(r.Key, long)); err != nil {
		return err
	}
	if _, err := b.Renew(b.ctx, r.Attempt, long, now.Base); err != nil {
		return fmt.Errorf("renewal of the newer lease: %w", err)
	}
	return b.free(r)
}

// unknownKeyIsNotHeld: the record of a key is made by acquire alone, and its
// absence is an answer, no error. A cancel of nothing has nothing left to undo.
func unknownKeyIsNotHeld(st *store) error {
	a, err := st.session()
	if err != nil {
		return err
	}
	r := a.request(st.key("never"), long)
	_, renewing := a.Renew(a.ctx, r.Attempt, long, 0)
	return first(
		notHeld("renewal", renewing),
		notHeld("release", a.Release(a.ctx, r.Attempt)),
		a.cancel(r),
	)
}
