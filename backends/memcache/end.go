package memcache

import (
	"context"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// Release gives the lease back: whoever probes next has the key. If another
// session waits for it, this one stands back for the time of the longest probe.
func (b *Backend) Release(ctx context.Context, a backends.Attempt) error {
	was, err := b.end(ctx, a, a.AtLeast)
	if err == nil && !was {
		err = backends.ErrNotHeld
	}
	return err
}

// Cancel leaves nothing of an attempt. A copy of its add that is still on its
// way may keep the key for some seconds, but grants it to nobody.
func (b *Backend) Cancel(ctx context.Context, a backends.Attempt) error {
	_, err := b.end(ctx, a, 0)
	return err
}

// end settles an attempt, and reports whether it had the lease. The key rests for as long.
func (b *Backend) end(ctx context.Context, a backends.Attempt, atLeast time.Duration) (was bool, err error) {
	// Before anything is sent: see confirm. It stays settled if the rest fails, as
	// the caller will repeat this and never the acquire.
	b.memory.settle(a)
	t, err := b.talk(ctx, a)
	if err != nil {
		return false, err
	}
	defer t.end()
	return t.finish(atLeast)
}

// finish deletes the attempt's item, whatever it is: gets, compare, cas. Who
// reads the token and then deletes by name deletes what another has added in
// between. Where the key is to rest, it swaps a lease for that.
func (t *talk) finish(atLeast time.Duration) (was bool, err error) {
	for range rounds {
		seen, err := t.look()
		switch {
		case again(err):
			continue
		case err != nil:
			return false, err
		case !seen.own(t.attempt):
			// Gone, or another's; if we saw it before, by our own doing or by an
			// end that came while we were at it.
			t.tidy(seen)
			return was, nil
		}
		was = was || seen.lease.granted
		if atLeast > 0 && seen.lease.granted && !seen.revoked() {
			err = t.rest(seen, atLeast)
		} else {
			if t.wanted(seen) {
				t.b.memory.standAside(t.attempt, slow)
			}
			err = t.erase(seen.lock)
		}
		switch {
		case err == nil:
			t.tidy(seen)
			return was, nil
		case answered(err), again(err):
			// It changed, by a renewal of ours or by its end; or it may have.
		default:
			return false, err
		}
	}
	return false, backends.Unavailable(name, errChanging)
}

// rest swaps a lease for a rest of the key.
func (t *talk) rest(seen sight, d time.Duration) error {
	l := seen.lease
	l.granted, l.resting, l.ends = false, true, t.b.clock.now()+ms(d)
	return t.swap(seen, l, d)
}
