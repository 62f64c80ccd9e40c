package memcache

import (
	"context"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// Renew makes the lease last ttl from now: gets, incr, cas. A token that was
// added and not swapped is no lease: after a flush, a late copy of the add can
// put it there while another had the key in between.
func (b *Backend) Renew(ctx context.Context, a backends.Attempt, ttl time.Duration, known uint64) (backends.Reply, error) {
	t, err := b.talk(ctx, a)
	if err != nil {
		return backends.Reply{Outcome: backends.NotRun}, err
	}
	defer t.end()
	for range rounds {
		seen, err := t.look()
		if err == nil && !(seen.own(a) && seen.lease.granted && seen.lease.base >= known) {
			err = backends.ErrNotHeld
		}
		if err == nil && seen.revoked() {
			err = backends.ErrRevoked
		}
		if err == nil && known != 0 && known < seen.lease.first {
			err = backends.ErrNotHeld // a late copy of the acquire took the key anew
		}
		var reply backends.Reply
		if err == nil {
			if reply, err = t.prolong(seen, ttl, known); err == nil {
				return reply, nil
			}
		}
		if !answered(err) && !again(err) {
			return backends.Reply{Outcome: backends.MayHaveRun}, err
		}
	}
	return backends.Reply{Outcome: backends.MayHaveRun}, backends.Unavailable(name, errChanging)
}

// prolong swaps the lease that was seen for one that ends later. That its base
// is the swap's part too is what makes it greater than all before: as in confirm.
func (t *talk) prolong(seen sight, ttl time.Duration, known uint64) (backends.Reply, error) {
	base, err := t.mint(seen.lease.base)
	if err != nil {
		return backends.Reply{}, err
	}
	now := t.b.clock.now()
	l := seen.lease
	l.base, l.ends = base, now+ms(ttl)
	if known != seen.lease.base {
		l.ends = max(l.ends, seen.lease.ends) // it may be a late copy of an older renewal
	}
	ttl = time.Duration(l.ends-now) * time.Millisecond
	if err := t.swap(seen, l, ttl); err != nil {
		return backends.Reply{}, err
	}
	return backends.Reply{Outcome: backends.Granted, Base: base, TTL: whole(ttl), Contended: t.wanted(seen)}, nil
}
