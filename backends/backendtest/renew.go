package backendtest

import (
	"fmt"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// A lease shrinks when its last long hold is gone, and only the caller with the
// newest base can know that: every other request may be a late copy.
func renewChecks() []check {
	return []check{
		{"a renewed lease outlives its first ttl", renewLengthens, exclusive, twoHoldAtOnce},
		{"a renewal with a stale base never shortens", staleNeverShortens, exclusive, twoHoldAtOnce},
		{"a renewal with the newest base shortens", newestShortens, exclusive, twoHoldAtOnce},
		{"a renewal spares a later lease of its attempt", laterSpared, exclusive, twoHoldAtOnce},
	}
}

// renewLengthens outlasts the first ttl in full: an answer that says "renewed"
// while the server keeps the old end would pass any quicker look.
func renewLengthens(st *store) error {
	a, b, _, err := st.three()
	if err != nil {
		return err
	}
	// Long enough that a busy machine still renews before the lease is over.
	ttl := max(2*time.Second, st.caps.MinExpires)
	r, reply, err := a.hold(st.key("k"), ttl)
	if err != nil {
		return err
	}
	if _, err := a.Renew(a.ctx, r.Attempt, long, reply.Base); err != nil {
		return fmt.Errorf("renew: %w", err)
	}
	if err := a.outlast(reply.TTL); err != nil {
		return err
	}
	if _, err := b.want(backends.Held, b.once(r.Key, long)); err != nil {
		return err
	}
	return a.free(r)
}

// staleNeverShortens: a copy of an older renewal arrives after a newer one.
func staleNeverShortens(st *store) error {
	a, b, _, err := st.three()
	if err != nil {
		return err
	}
	r, reply, err := a.hold(st.key("k"), long)
	if err != nil {
		return err
	}
	if _, err := a.Renew(a.ctx, r.Attempt, long, reply.Base); err != nil {
		return fmt.Errorf("renew: %w", err)
	}
	stale, err := a.Renew(a.ctx, r.Attempt, st.short(), reply.Base)
	if err != nil {
		return fmt.Errorf("stale renewal: %w", err)
	}
	if stale.TTL < st.short() {
		return fmt.Errorf("renewed for %v, %v were asked for", stale.TTL, st.short())
	}
	if err := a.outlast(st.short()); err != nil {
		return err
	}
	if _, err := b.want(backends.Held, b.once(r.Key, long)); err != nil {
		return fmt.Errorf("after a stale renewal: %w", err)
	}
	return a.free(r)
}

// newestShortens: without it, one hold of 24 h would keep a crashed process's key
// for a day, though it only did short work ever since.
func newestShortens(st *store) error {
	a, b, _, err := st.three()
	if err != nil {
		return err
	}
	r, reply, err := a.hold(st.key("k"), long)
	if err != nil {
		return err
	}
	sent := time.Now()
	now, err := a.Renew(a.ctx, r.Attempt, st.short(), reply.Base)
	if err != nil {
		return fmt.Errorf("renew: %w", err)
	}
	next := b.request(r.Key, long)
	if _, err := b.await(next, st.short()+grace); err != nil {
		return err
	}
	if taken := time.Since(sent); taken < st.short() || now.TTL < st.short() {
		return fmt.Errorf("the next was granted after %v of a renewal for %v", taken, now.TTL)
	}
	return b.free(next)
}

// laterSpared: a lease ended early, and a late copy of its own acquire took the key anew. What holds under the first may
// have a fence below others that were granted in between, so it must not go on.
func laterSpared(st *store) error {
	a, _, _, err := st.three()
	if err != nil {
		return err
	}
	r, reply, err := a.hold(st.key("k"), st.short())
	if err != nil {
		return err
	}
	if err := a.outlast(reply.TTL); err != nil {
		return err
	}
	r.TTL = long
	later, err := a.want(backends.Granted, r)
	if err != nil {
		return err
	}
	if _, err := a.Renew(a.ctx, r.Attempt, long, reply.Base); !backends.IsNotHeld(err) {
		return fmt.Errorf("a renewal of the lease before says %v, want not held", err)
	}
	if _, err := a.Renew(a.ctx, r.Attempt, long, later.Base); err != nil {
		return fmt.Errorf("a renewal of the lease itself: %w", err)
	}
	return a.free(r)
}
