package backendtest

import (
	"fmt"
	"strings"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// isRevoked insists that a renewal says that the share was revoked.
func (s *session) isRevoked(r backends.Request, known uint64) error {
	if _, err := s.renewShare(r, known); !backends.IsRevoked(err) {
		return fmt.Errorf("renewal of a revoked share: got %v, want ErrRevoked", err)
	}
	return nil
}

// isGone insists that a share is no more.
func (s *session) isGone(r backends.Request) error {
	return first(notHeld("renewal of a deleted share", s.keepsShare(r)), notHeld("release of a deleted share", s.Release(s.ctx, r.Attempt)))
}

// shareRevokedByBase: bases of shares interleave, so one between two of a share can be another's.
func shareRevokedByBase(st *store) error {
	a, b, c, err := st.three()
	if err != nil {
		return err
	}
	key := st.key("k")
	r, q, p := a.reader(key), b.reader(key), c.reader(key)
	one, err := a.joins(r)
	if err != nil {
		return err
	}
	_, err = b.joins(q)
	if err := first(err, second(c.joins(p))); err != nil {
		return err
	}
	between, err := b.renewShare(q, 0)
	if err != nil {
		return err
	}
	newest, err := b.renewShare(q, 0)
	if err := first(err, second(a.renewShare(r, 0))); err != nil {
		return err
	}
	by := func(base uint64) backends.Revocation { return backends.Revocation{Base: base, Reason: why} }
	return first(
		a.revoke(key, by(1), backends.Superseded),
		a.revoke(key, by(between.Base), backends.Superseded),
		c.revoke(key, by(newest.Base), backends.Marked),
		c.revoke(key, by(newest.Base), backends.Marked),
		b.isRevoked(q, newest.Base), b.isRevoked(q, 0),
		a.keepsShare(r), c.keepsShare(p), c.shows(key, false),
		c.revoke(key, backends.Revocation{Reason: "another", Base: newest.Base}, backends.Marked),
		b.saysWhy(q),
		c.revoke(key, by(one.Base), backends.Marked),
		a.isRevoked(r, one.Base), c.keepsShare(p),
		b.waits(tried(b.request(key, long))),
		a.free(r), b.free(q), c.keepsShare(p), c.free(p),
		a.alone(b, key),
	)
}

// saysWhy insists on the reason, where reasons are kept.
func (s *session) saysWhy(r backends.Request) error {
	if _, err := s.renewShare(r, 0); backends.Describe(whole(s.Backend)).Reasons && !strings.Contains(fmt.Sprint(err), "maintenance") {
		return fmt.Errorf("it was revoked for a reason, and a renewal says %v", err)
	}
	return nil
}

func sharesRevoked(st *store) error {
	a, b, c, err := st.three()
	if err != nil {
		return err
	}
	key := st.key("k")
	r, q, p := a.taker(key, 9, 2), b.taker(key, 9, 1), a.taker(key, 9, 1)
	return first(
		a.takes(r, 2), b.takes(q, 1), a.takes(p, 1),
		c.shows(key, false),
		c.revoke(key, backends.Revocation{}, backends.Marked),
		c.shows(key, true),
		a.isRevoked(r, 0), b.isRevoked(q, 0), a.isRevoked(p, 0),
		c.waits(tried(c.request(key, long)), tried(c.reader(key))),
		b.free(q), c.revoke(key, backends.Revocation{}, backends.Marked), a.free(r), a.free(p),
		c.revoke(key, backends.Revocation{}, backends.NobodyHolds),
		second(b.joins(b.reader(key))), c.shows(key, false),
	)
}

// revokedShareEnds is revokedEnds for a share.
func revokedShareEnds(st *store) error {
	a, b, _, err := st.three()
	if err != nil {
		return err
	}
	r := a.reader(st.key("k"))
	r.TTL = max(2*time.Second, st.caps.MinExpires)
	sent := time.Now()
	reply, err := a.joins(r)
	if err := first(err, b.revoke(r.Key, backends.Revocation{}, backends.Marked)); err != nil {
		return err
	}
	longer := r
	longer.TTL = long
	again, err := a.Acquire(a.ctx, longer)
	if err == nil && again.Outcome == backends.Granted && again.TTL > reply.TTL {
		return fmt.Errorf("a repeated acquire of a revoked share has %v, of %v at first", again.TTL, reply.TTL)
	}
	if err := a.isRevoked(longer, reply.Base); err != nil {
		return err
	}
	w := b.request(r.Key, long)
	if _, err := b.await(w, reply.TTL+grace); err != nil {
		return fmt.Errorf("after the end of a revoked share of %v: %w", reply.TTL, err)
	}
	if taken := time.Since(sent); taken < r.TTL-100*time.Millisecond {
		return fmt.Errorf("the next was granted %v into a share of %v", taken, r.TTL)
	}
	return b.free(w)
}

// revokedLockStays: neither a downgrade nor an ask for a share makes the revocation forgotten.
func revokedLockStays(st *store) error {
	a, b, _, err := st.three()
	if err != nil {
		return err
	}
	r, reply, err := a.hold(st.key("k"), long)
	if err != nil {
		return err
	}
	if err := b.revoke(r.Key, backends.Revocation{}, backends.Marked); err != nil {
		return err
	}
	r.Kind = backends.Shared
	if err := first(a.isRevoked(r, reply.Base), b.waits(tried(b.reader(r.Key)))); err != nil {
		return err
	}
	_, _ = a.Acquire(a.ctx, r) // granted for what it has left, or not
	return first(a.isRevoked(r, 0), b.waits(tried(b.reader(r.Key))), b.shows(r.Key, true), a.free(r), b.alone(a, r.Key))
}

func shareDeleted(st *store) error {
	a, b, c, err := st.three()
	if err != nil {
		return err
	}
	key := st.key("k")
	r, q := a.taker(key, 2, 1), b.taker(key, 2, 1)
	reply, err := a.joins(r)
	if err != nil {
		return err
	}
	now := backends.Revocation{Base: reply.Base, Now: true}
	err = first(
		b.takes(q, 1), c.revoke(key, now, backends.Deleted), a.isGone(r),
		c.revoke(key, now, backends.Superseded),
		b.keepsShare(q), c.waits(tried(c.request(key, long))), c.takes(tried(c.taker(key, 2, 2)), 1),
	)
	if err != nil {
		return err
	}
	reply, err = a.Acquire(a.ctx, r)
	if fault := contract(r, reply, err); fault != nil || reply.Outcome == backends.Granted && st.caps.Fences && reply.Base <= now.Base {
		return fmt.Errorf("a deleted share is asked for again: %v, base %d, %w", reply.Outcome, reply.Base, fault)
	}
	return b.free(q)
}

func sharesDeleted(st *store) error {
	a, b, c, err := st.three()
	if err != nil {
		return err
	}
	key := st.key("k")
	r, q, w := a.reader(key), b.reader(key), c.request(key, long)
	err = first(
		second(a.joins(r)), second(b.joins(q)), c.waits(w),
		b.revoke(key, backends.Revocation{Now: true}, backends.Deleted),
		a.isGone(r), b.isGone(q),
	)
	if err != nil {
		return err
	}
	return c.served(w, grace)
}

func sharesShown(st *store) error {
	a, b, c, err := st.three()
	if err != nil {
		return err
	}
	return undisturbed(st, func(key string) error {
		r, q, w, p := a.taker(key, 5, 2), b.taker(key, 5, 1), b.taker(key, 3, 1), c.reader(key)
		one, err := a.joins(r)
		if err != nil {
			return err
		}
		two, err := b.joins(q)
		if err := first(err, b.waits(w), c.waits(p)); err != nil {
			return err
		}
		newer, err := a.renewShare(r, one.Base)
		if err != nil {
			return err
		}
		w.N = 2
		if err := b.waits(w); err != nil {
			return err
		}
		info, err := c.inspect(key)
		if err != nil {
			return err
		}
		for _, want := range []backends.Holder{
			{Label: &a.label, Permits: 2, N: 5, First: one.Base, Base: newer.Base},
			{Label: &b.label, Permits: 1, N: 5, First: two.Base, Base: two.Base},
		} {
			if err := shown(info, want); err != nil {
				return err
			}
		}
		if err := first(threeShown(info, a.id), a.free(r), b.free(q), b.cancel(w), c.cancel(p)); err != nil {
			return err
		}
		if info, err = c.inspect(key); err != nil || info.Held || info.Out != 0 || len(info.Holders) != 0 {
			return fmt.Errorf("after the last share: %+v, %w", info, err)
		}
		return nil
	})
}

// threeShown insists on three permits of two holders, and on two that wait.
func threeShown(info backends.Info, secret backends.Session) error {
	ws := info.Waiters
	switch {
	case !info.Held || info.Kind != backends.Slots || info.Out != 3 || len(info.Holders) != 2 || info.Revoked:
		return fmt.Errorf("three permits of two sessions are out: %+v", info)
	case info.ExpiresIn == nil || *info.ExpiresIn <= long-grace:
		return fmt.Errorf("it does not expire with the longest: %s", told(info))
	case len(ws) != 2 || ws[0].Kind != backends.Slots || ws[0].N != 2 || ws[1].Kind != backends.Shared:
		return fmt.Errorf("one waits for a slot of two by now, and a reader: %+v", ws)
	case strings.Contains(fmt.Sprintf("%+v", info), string(secret)) || strings.Contains(told(info), string(secret)):
		return fmt.Errorf("the token is shown")
	}
	return nil
}

// shown insists that one of the holders is as it should be.
func shown(info backends.Info, want backends.Holder) error {
	for _, h := range info.Holders {
		if h.Base != want.Base {
			continue
		}
		ok := h.Permits == want.Permits && (h.N == 0 || h.N == want.N) && (h.First == want.First || h.First == 0) && !h.Revoked
		ok = ok && (h.Label == nil || *h.Label == *want.Label) && (h.HeldFor == nil || *h.HeldFor >= 0 && *h.HeldFor < grace)
		if ok = ok && (h.ExpiresIn == nil || *h.ExpiresIn > long-grace); !ok {
			return fmt.Errorf("a holder is shown as %+v, want %+v", h, want)
		}
		return nil
	}
	return fmt.Errorf("no holder has base %d: %+v", want.Base, info.Holders)
}

func shareListed(st *store) error {
	a, b, c, err := st.three()
	if err != nil {
		return err
	}
	r, q, p, over := a.reader(st.key("r")), b.reader(st.key("r")), b.taker(st.key("s"), 2, 1), b.reader(st.key("over"))
	over.TTL = st.short()
	return first(
		second(a.joins(r)), second(b.joins(q)), b.takes(p, 1), second(b.joins(over)), b.outlast(over.TTL),
		c.listed(st.key(""), r.Key, p.Key),
		a.free(r), c.listed(st.key(""), r.Key, p.Key),
		b.free(q), c.listed(st.key(""), p.Key),
		b.free(p), c.listed(st.key("")),
	)
}
