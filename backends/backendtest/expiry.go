package backendtest

import (
	"fmt"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// A crash is only ever noticed by time, on most backends; so a lease must end,
// and its holder relies on it that it does not end early.
func expiryChecks() []check {
	return []check{
		{"an expired lease goes to the next, and not before its end", expiryInTime, exclusive, twoHoldAtOnce},
		{"an expired lease can be neither renewed nor released", expiredIsGone, exclusive, twoHoldAtOnce},
		{"ttls round up and never down", ttlRoundsUp, nil, nil},
		{"the longest lease is kept", longestLease, nil, nil},
	}
}

// expiryInTime measures from before the acquire was sent, as the holder does:
// that is the one instant at which both can be sure that the lease had not begun.
func expiryInTime(st *store) error {
	for try := 1; ; try++ {
		late, err := expiryOnce(st, st.key(fmt.Sprint("k", try)))
		if !late || try == 20 {
			return err
		}
	}
}

// expiryOnce makes the check on one key. late reports that the lease was over before
// it could be asked for. That happens on a machine that stands still for so long,
// and proves nothing.
func expiryOnce(st *store, key string) (late bool, err error) {
	a, b, _, err := st.three()
	if err != nil {
		return false, err
	}
	sent := time.Now() // the lease is promised from before the call
	r, reply, err := a.hold(key, st.short())
	if err != nil {
		return false, err
	}
	next := b.request(r.Key, long)
	held, err := b.want(backends.Held, next)
	if err != nil {
		return time.Since(sent) >= reply.TTL, err
	}
	return false, expiryOf(b, next, held, reply.TTL, sent)
}

// expiryOf waits for the end of a lease whose acquire was sent at that time.
func expiryOf(b *session, next backends.Request, held backends.Reply, ttl time.Duration, sent time.Time) error {
	if held.FreeIn > ttl+grace/2 {
		return fmt.Errorf("free in %v, of a lease of %v", held.FreeIn, ttl)
	}
	if _, err := b.await(next, ttl+grace); err != nil {
		return err
	}
	if taken := time.Since(sent); taken < ttl {
		return fmt.Errorf("the next was granted after %v of a lease of %v", taken, ttl)
	}
	return b.free(next)
}

// expiredIsGone: S4 for a token whose lease ended by itself. The holder was
// stopped, say, and comes back believing that it still has the key.
func expiredIsGone(st *store) error {
	a, b, c, err := st.three()
	if err != nil {
		return err
	}
	old, reply, err := a.hold(st.key("k"), st.short())
	if err != nil {
		return err
	}
	next := b.request(old.Key, long)
	if _, err := b.await(next, reply.TTL+grace); err != nil {
		return err
	}
	_, err = a.Renew(a.ctx, old.Attempt, long, reply.Base)
	if err := notHeld("renewal of an expired lease", err); err != nil {
		return err
	}
	if err := notHeld("release of an expired lease", a.Release(a.ctx, old.Attempt)); err != nil {
		return err
	}
	if _, err := c.want(backends.Held, c.once(old.Key, long)); err != nil {
		return err
	}
	return b.free(next)
}

// ttlRoundsUp leans on the contract that acquire holds every reply against.
func ttlRoundsUp(st *store) error {
	a, err := st.session()
	if err != nil {
		return err
	}
	floor := max(10*time.Millisecond, st.caps.MinExpires)
	for i, extra := range []time.Duration{0, 1, 999, 1000, 999_999, 1_000_001, 500_000_001, 999_999_999, 59_000_000_001} {
		r, reply, err := a.hold(st.key(fmt.Sprint(i)), floor+extra)
		if err != nil {
			return err
		}
		again, err := a.Renew(a.ctx, r.Attempt, floor+extra, reply.Base)
		if backends.IsNotHeld(err) && extra < time.Millisecond*2 {
			continue // a lease this short may be over before its renewal on a busy machine
		}
		if err != nil {
			return fmt.Errorf("renew: %w", err)
		}
		if again.TTL < floor+extra {
			return fmt.Errorf("renewed for %v, %v were asked for", again.TTL, floor+extra)
		}
	}
	return nil
}

// longestLease is a hold of 24 h with what a coordinator adds to it.
func longestLease(st *store) error {
	a, err := st.session()
	if err != nil {
		return err
	}
	r, _, err := a.hold(st.key("k"), 25*time.Hour)
	if err != nil {
		return err
	}
	return a.free(r)
}
