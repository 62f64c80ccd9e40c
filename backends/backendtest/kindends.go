package backendtest

import (
	"fmt"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// A share ends as a lock does, and alone: by its release, its cancel, its time, or a revocation.
func kindEndChecks() []check {
	return []check{
		{"a share ends alone", shareEndsAlone, kinds, noKinds},
		{"an ended share is never granted again", endedShareSettled, kinds, noKinds},
		{"a share of a session that ended is free, and the others go on", crashedShare, kinds, noKinds},
		{"the key is free when the last share is over, though a longer one ended", shareTTLFollows, kinds, noKinds},
		{"a renewed share outlives its first ttl", shareLengthens, kinds, noKinds},
		{"a stale renewal never shortens a share, and the newest does", shareShortens, kinds, noKinds},
		{"a renewal spares a later share of its attempt", laterShareSpared, kinds, noKinds},
		{"who waits for a permit learns when the first ends", firstPermitTold, kinds, noKinds},
		{"permits that are given back are others', and don't come again", permitsOnlyShrink, kinds, noKinds},
		{"a base revokes the share that it names", shareRevokedByBase, kindsRevoke, noKinds},
		{"a revoked share is never made longer", revokedShareEnds, kindsRevoke, noKinds},
		{"a revoked lock is not renewed as a share", revokedLockStays, kindsRevoke, noKinds},
		{"without a base all shares are revoked", sharesRevoked, kindsRevoke, noKinds},
		{"a deleted share is gone, and the others go on", shareDeleted, kindsRevoke, noKinds},
		{"deleted shares leave the key to the first that waits", sharesDeleted, kindsRevoke, noKinds},
		{"inspect names those that share", sharesShown, kindsShown, noKinds},
		{"a shared key is listed", shareListed, kindsListed, noKinds},
	}
}

func kindsRevoke(o offer) bool { return o.Kinds && o.Revokes }
func kindsShown(o offer) bool  { return o.Kinds && inspectsQueue(o) }
func kindsListed(o offer) bool { return o.Kinds && o.Lists }

func shareEndsAlone(st *store) error {
	a, b, c, err := st.three()
	if err != nil {
		return err
	}
	for i, end := range []func(*session, backends.Request) error{(*session).free, (*session).cancel} {
		key := st.key(fmt.Sprint(i))
		r, q, p := a.taker(key, 3, 1), b.taker(key, 3, 1), c.taker(key, 3, 1)
		err := first(
			a.takes(r, 1), b.takes(q, 1), c.takes(p, 1),
			end(a, r),
			notHeld("a second release", a.Release(a.ctx, r.Attempt)), notHeld("a renewal", a.keepsShare(r)), a.cancel(r),
			b.keepsShare(q), c.keepsShare(p),
			a.waits(tried(a.request(key, long)), tried(a.reader(key)), tried(a.taker(key, 2, 1))),
			end(b, q),
			a.waits(tried(a.request(key, long)), tried(a.taker(key, 1, 1))),
			c.keepsShare(p),
			end(c, p),
			a.alone(b, key),
		)
		if err != nil {
			return fmt.Errorf("end %d: %w", i, err)
		}
	}
	return nil
}

// endedShareSettled: the copies of requests that come late, beside another's share and alone.
func endedShareSettled(st *store) error {
	a, b, c, err := st.three()
	if err != nil {
		return err
	}
	key := st.key("k")
	r, q, unseen := a.reader(key), b.reader(key), a.reader(key)
	late := func() error {
		for _, r := range []backends.Request{tried(r), r, unseen} {
			reply, err := a.Acquire(a.ctx, r)
			if fault := contract(r, reply, err); fault != nil {
				return fault
			}
			if reply.Outcome == backends.Granted {
				return fmt.Errorf("%v has ended, and is granted", r.Token)
			}
			if err := notHeld("a late renewal", a.keepsShare(r)); err != nil {
				return err
			}
		}
		return nil
	}
	return first(
		second(a.joins(r)), second(b.joins(q)),
		a.free(ambiguous(r)), a.cancel(ambiguous(unseen)),
		late(), b.keepsShare(q), c.waits(tried(c.request(key, long))),
		b.free(q),
		late(), c.alone(b, key),
	)
}

// crashedShare: its session ends and says nothing. Some backends know it at once, all when its time is over.
func crashedShare(st *store) error {
	a, b, c, err := st.three()
	if err != nil {
		return err
	}
	key := st.key("k")
	r, q, p := a.taker(key, 2, 1), b.taker(key, 2, 1), c.taker(key, 2, 1)
	r.TTL = max(2*time.Second, st.caps.MinExpires)
	if err := first(a.takes(r, 1), b.takes(q, 1), a.Close()); err != nil {
		return err
	}
	if _, err := c.await(p, r.TTL+grace); err != nil {
		return fmt.Errorf("the permit of a session that ended: %w", err)
	}
	return first(c.takes(p, 1), b.keepsShare(q), c.waits(tried(c.taker(key, 2, 1)), tried(c.request(key, long))), b.free(q), c.free(p))
}

func shareTTLFollows(st *store) error {
	a, b, c, err := st.three()
	if err != nil {
		return err
	}
	key := st.key("k")
	r, q, p := a.reader(key), b.reader(key), b.reader(key)
	q.TTL, p.TTL = st.short(), st.short()
	sent := time.Now()
	if err := first(second(a.joins(r)), second(b.joins(q)), second(b.joins(p)), a.free(r)); err != nil {
		return err
	}
	reply, err := c.acquire(c.once(key, long))
	if err != nil || reply.FreeIn > st.short()+2*time.Second {
		return fmt.Errorf("free in %v, though the longest share that is left had %v: %w", reply.FreeIn, st.short(), err)
	}
	w := c.request(key, long)
	if _, err := c.await(w, st.short()+grace); err != nil {
		return err
	}
	if taken := time.Since(sent); taken < st.short() {
		return fmt.Errorf("the key was granted %v into shares of %v", taken, st.short())
	}
	return c.free(w)
}

func shareLengthens(st *store) error {
	a, b, _, err := st.three()
	if err != nil {
		return err
	}
	key, ttl := st.key("k"), max(2*time.Second, st.caps.MinExpires)
	r := a.reader(key)
	r.TTL = ttl
	reply, err := a.joins(r)
	if err != nil {
		return err
	}
	first := reply.TTL
	if r.TTL = long; r.TTL <= first {
		return fmt.Errorf("granted for %v, %v were asked for", first, ttl)
	}
	if _, err := a.renewShare(r, reply.Base); err != nil {
		return err
	}
	if err := a.outlast(first); err != nil {
		return err
	}
	if err := b.waits(tried(b.request(key, long))); err != nil {
		return err
	}
	return a.free(r)
}

func shareShortens(st *store) error {
	a, b, _, err := st.three()
	if err != nil {
		return err
	}
	r := a.reader(st.key("k"))
	reply, err := a.joins(r)
	if err != nil {
		return err
	}
	newer, err := a.renewShare(r, reply.Base)
	if err != nil {
		return err
	}
	r.TTL = st.short()
	if _, err := a.joins(r); err != nil { // a copy of the acquire, as it would have been
		return err
	}
	stale, err := a.renewShare(r, reply.Base)
	if err != nil {
		return fmt.Errorf("stale: %w", err)
	}
	if stale.Base <= newer.Base || stale.TTL < r.TTL {
		return fmt.Errorf("renewed for %v with base %d after %d", stale.TTL, stale.Base, newer.Base)
	}
	if err := first(a.outlast(st.short()), b.waits(tried(b.request(r.Key, long)))); err != nil {
		return fmt.Errorf("after a stale renewal: %w", err)
	}
	brief := b.reader(r.Key)
	brief.TTL = st.short()
	sent := time.Now()
	if err := first(second(b.joins(brief)), second(a.renewShare(r, stale.Base))); err != nil { // bases of others are newer
		return err
	}
	w := b.request(r.Key, long)
	if _, err := b.await(w, st.short()+grace); err != nil {
		return err
	}
	if taken := time.Since(sent); taken < st.short() {
		return fmt.Errorf("the next was granted after %v of a renewal for %v", taken, st.short())
	}
	return b.free(w)
}

// laterShareSpared is laterSpared for a share, which ends beside one that goes on.
func laterShareSpared(st *store) error {
	a, b, _, err := st.three()
	if err != nil {
		return err
	}
	key := st.key("k")
	r, q := a.reader(key), b.reader(key)
	r.TTL = st.short()
	reply, err := a.joins(r)
	if err := first(err, second(b.joins(q)), a.outlast(reply.TTL)); err != nil {
		return err
	}
	if err := notHeld("a renewal of a share that is over", a.keepsShare(r)); err != nil {
		return err
	}
	r.TTL = long
	later, err := a.joins(r)
	if err != nil {
		return err
	}
	_, err = a.renewShare(r, reply.Base)
	if err := notHeld("a renewal of the share before", err); err != nil {
		return err
	}
	return first(second(a.renewShare(r, later.Base)), a.free(r), b.free(q))
}

func firstPermitTold(st *store) error {
	a, b, c, err := st.three()
	if err != nil {
		return err
	}
	key := st.key("k")
	r, q := a.taker(key, 2, 1), b.taker(key, 2, 1)
	q.TTL = max(2*time.Second, st.caps.MinExpires)
	if err := first(a.takes(r, 1), b.takes(q, 1)); err != nil {
		return err
	}
	permit, err := c.want(backends.Held, tried(c.taker(key, 2, 1)))
	if err != nil {
		return err
	}
	lock, err := c.want(backends.Held, c.once(key, long))
	if err == nil && (permit.FreeIn > q.TTL+2*time.Second || lock.FreeIn != 0 && lock.FreeIn < long-grace) {
		err = fmt.Errorf("a permit is free in %v, where one has %v, and the key in %v", permit.FreeIn, q.TTL, lock.FreeIn)
	}
	return first(err, a.free(r))
}

func permitsOnlyShrink(st *store) error {
	a, b, c, err := st.three()
	if err != nil {
		return err
	}
	return undisturbed(st, func(key string) error {
		r, q, p := a.taker(key, 3, 3), b.taker(key, 3, 2), c.taker(key, 3, 1)
		reply, err := a.joins(r)
		if err != nil || reply.Permits != 3 {
			return fmt.Errorf("%d permits, want 3: %w", reply.Permits, err)
		}
		if err := b.waits(q); err != nil {
			return err
		}
		for _, want := range []int{2, 3, 1, 2} {
			r.Want = want
			renewed, err := a.renewShare(r, reply.Base)
			if err != nil {
				return err
			}
			if most := min(want, reply.Permits); renewed.Permits != most {
				return fmt.Errorf("%d permits are kept of %d, %d were to be", renewed.Permits, reply.Permits, most)
			}
			reply = renewed
		}
		again, err := a.joins(r)
		if err != nil || again.Permits != 1 {
			return fmt.Errorf("asked for again it has %d permits, want 1: %w", again.Permits, err)
		}
		return first(b.takes(q, 2), c.waits(p), a.free(r), second(c.awaitShare(p)), b.free(q), c.free(p))
	})
}
