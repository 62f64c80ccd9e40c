package backendtest

import (
	"fmt"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

func renewChecks() []check {
	return []check{
		{"a renewed lease outlives its first ttl", renewLengthens, exclusive, twoHoldAtOnce},
		{"a renewal with a stale base never shortens", staleNeverShortens, exclusive, twoHoldAtOnce},
		{"a renewal with the newest base shortens", newestShortens, exclusive, twoHoldAtOnce},
	}
}

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
