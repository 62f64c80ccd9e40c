package backendtest

import (
	"fmt"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// Leases that are not alone on their key: shared ones, and permits of slots.
func kindChecks() []check {
	return []check{
		{"shares are held together, and nothing else beside them", sharesTogether, kinds, noKinds},
		{"no share is granted beside a lock", noShareBesideLock, kinds, noKinds},
		{"a session has several shares of a key", sharesOfOne, kinds, noKinds},
		{"a session waits for the key alone beside its own share", asksBesideShare, kinds, noKinds},
		{"no more permits are given than each caller says there are", permitsCounted, kinds, noKinds},
		{"a permit of a smaller number waits until fewer are out", smallerWaits, kinds, noKinds},
		{"bases of shares and locks grow in one order", basesOfKinds, kinds, noKinds},
		{"one try for a share leaves no trace", shareOneTry, kinds, noKinds},
		{"many sessions share a key once it is free", manyShare, kinds, noKinds},
	}
}

func kinds(o offer) bool { return o.Kinds }

// noKinds: nobody asks such a backend for a share. All of its sessions have to declare the same.
func noKinds(st *store) error {
	if backends.Describe(whole(st.bare())).Kinds {
		return fmt.Errorf("one session's backend declares kinds, and another's does not")
	}
	return nil
}

func sharesTogether(st *store) error {
	a, b, c, err := st.three()
	if err != nil {
		return err
	}
	for i, kind := range []backends.Kind{backends.Shared, backends.Slots} {
		key := st.key(kind.String())
		r, q := a.attempts(key)[i+1], b.attempts(key)[i+1]
		for _, err := range []error{second(a.joins(r)), second(b.joins(q))} {
			if err != nil {
				return err
			}
		}
		others := func(out int) error {
			for _, w := range c.attempts(key) {
				if w.Kind == kind {
					continue
				}
				reply, err := c.want(backends.Held, tried(w))
				if err != nil {
					return fmt.Errorf("%v beside %d of %v: %w", w.Kind, out, kind, err)
				}
				if reply.Out != out || reply.Kind != kind {
					return fmt.Errorf("%d of %v are said to be out, want %d of %v", reply.Out, reply.Kind, out, kind)
				}
			}
			return nil
		}
		if err := first(others(2), a.free(r), others(1), b.keepsShare(q), b.free(q), c.alone(a, key)); err != nil {
			return fmt.Errorf("%v: %w", kind, err)
		}
	}
	return nil
}

func noShareBesideLock(st *store) error {
	a, b, _, err := st.three()
	if err != nil {
		return err
	}
	r, _, err := a.hold(st.key("k"), long)
	if err != nil {
		return err
	}
	for _, w := range []backends.Request{b.reader(r.Key), b.taker(r.Key, 3, 2), a.reader(r.Key)} {
		reply, err := b.want(backends.Held, tried(w))
		if err == nil && reply.Out != 0 {
			err = fmt.Errorf("%d shares are said to be out beside a lock", reply.Out)
		}
		if err != nil {
			return err
		}
	}
	q := b.reader(r.Key)
	if err := a.free(r); err != nil {
		return err
	}
	return first(second(b.joins(q)), b.free(q))
}

func sharesOfOne(st *store) error {
	a, b, _, err := st.three()
	if err != nil {
		return err
	}
	key := st.key("k")
	r, q := a.taker(key, 3, 1), a.taker(key, 3, 2)
	return first(
		a.takes(r, 1), a.takes(q, 2), a.takes(r, 1), a.takes(q, 2),
		b.waits(tried(b.taker(key, 3, 1))),
		a.free(r),
		a.keepsShare(q),
		b.takes(tried(b.taker(key, 3, 3)), 1),
		notHeld("a second release", a.Release(a.ctx, r.Attempt)),
		a.keepsShare(q),
		a.free(q),
	)
}

// asksBesideShare: its place is that of when it asked, and not of when its own share ended.
func asksBesideShare(st *store) error {
	a, b, c, err := st.three()
	if err != nil {
		return err
	}
	return undisturbed(st, func(key string) error {
		r, w, q := a.reader(key), a.request(key, long), c.request(key, long)
		if err := first(second(a.joins(r)), a.waits(w), a.contended(r, false), b.waits(b.reader(key)), a.contended(r, true), c.waits(q), a.free(r)); err != nil {
			return err
		}
		reply, err := a.await(w, grace)
		if err == nil && reply.Kind != backends.Exclusive {
			err = fmt.Errorf("a lock was asked for, and it is %v", reply.Kind)
		}
		return first(err, b.waits(tried(b.reader(key))), a.free(w))
	})
}

func permitsCounted(st *store) error {
	a, b, c, err := st.three()
	if err != nil {
		return err
	}
	key := st.key("k")
	r, q, p := a.taker(key, 3, 2), b.taker(key, 3, 2), c.taker(key, 5, 5)
	err = first(
		a.takes(r, 2), b.takes(q, 1),
		c.waits(tried(c.taker(key, 3, 1)), tried(c.taker(key, 1, 1))),
		c.takes(p, 2),
		b.waits(tried(b.taker(key, 5, 1))),
		c.free(p), a.free(r),
		a.waits(tried(a.taker(key, 1, 1))),
		b.free(q),
	)
	if err != nil {
		return err
	}
	most := a.taker(key, backends.MaxSlots, backends.MostWanted)
	return first(a.takes(most, backends.MostWanted), b.waits(tried(b.taker(key, backends.MostWanted, 1))), a.free(most))
}

// smallerWaits: of those who say two, or less, there are never more than two; and one gets in only
// while fewer than two are out, whatever those say.
func smallerWaits(st *store) error {
	a, b, c, err := st.three()
	if err != nil {
		return err
	}
	return undisturbed(st, func(key string) error {
		var five []backends.Request
		for i := range 5 {
			s := []*session{a, b}[min(i, 1)]
			five = append(five, s.taker(key, 5, 1))
			if err := s.takes(five[i], 1); err != nil {
				return err
			}
		}
		two := c.taker(key, 2, 1)
		if err := first(c.waits(two), a.free(five[0]), c.waits(two), b.freeAll(five[1:3]...), c.waits(two), b.free(five[3])); err != nil {
			return err
		}
		if _, err := c.awaitShare(two); err != nil {
			return fmt.Errorf("one is out: %w", err)
		}
		return first(a.waits(tried(a.taker(key, 2, 1))), a.takes(tried(a.taker(key, 3, 2)), 1), c.free(two), b.free(five[4]))
	})
}

func basesOfKinds(st *store) error {
	a, b, c, err := st.three()
	if err != nil {
		return err
	}
	key, last := st.key("k"), uint64(0)
	grows := func(reply backends.Reply, err error) error {
		if err == nil && reply.Base <= last && st.caps.Fences {
			err = fmt.Errorf("base %d after %d", reply.Base, last)
		}
		last = reply.Base
		return err
	}
	for range 3 {
		r, q, w := a.reader(key), b.reader(key), c.request(key, long)
		err := first(
			grows(a.joins(r)), grows(b.joins(q)), grows(a.renewShare(r, 0)), grows(b.joins(q)), grows(b.renewShare(q, last)),
			a.free(r), grows(b.renewShare(q, 0)), b.free(q),
			grows(c.want(backends.Granted, w)), c.free(w),
		)
		if err != nil {
			return err
		}
	}
	return nil
}

func shareOneTry(st *store) error {
	a, b, c, err := st.three()
	if err != nil {
		return err
	}
	key := st.key("k")
	r, _, err := a.hold(key, long)
	if err != nil {
		return err
	}
	if err := first(b.waits(tried(b.reader(key)), tried(b.taker(key, 2, 1))), a.free(r), c.alone(b, key)); err != nil {
		return err
	}
	q := a.reader(key)
	if err := first(second(a.joins(q)), b.waits(tried(b.request(key, long)))); err != nil {
		return err
	}
	return first(second(c.joins(tried(c.reader(key)))), a.keepsShare(q))
}

// comesIn waits for a share.
func (s *session) comesIn(r backends.Request) error {
	return s.patiently(func(again bool) error {
		r.Ambiguous = r.Ambiguous || again
		_, err := s.await(r, checkLimit/2)
		if err == nil {
			_, err = s.joins(r)
		}
		return err
	})
}

// manyShare: more than one call looks at, all at the head. None is left behind.
func manyShare(st *store) error {
	const sessions = backends.MostWanted + 6
	a, err := st.session()
	if err != nil {
		return err
	}
	key := st.key("k")
	held, _, err := a.hold(key, long)
	if err != nil {
		return err
	}
	errs := make(chan error, sessions)
	waiting := make([]backends.Request, sessions)
	all := make([]*session, sessions)
	for i := range all {
		if all[i], err = st.session(); err != nil {
			return err
		}
		waiting[i] = all[i].reader(key)
	}
	for i, s := range all {
		go func() { // ends with its grant, or with the check's context; waited for below
			errs <- s.comesIn(waiting[i])
		}()
	}
	time.Sleep(alive / 4) // most have asked by then; whoever has not comes later
	failed := a.free(held)
	for range sessions {
		failed = first(failed, <-errs)
	}
	if failed != nil {
		return failed
	}
	if reply, err := a.want(backends.Held, a.once(key, long)); err != nil || reply.Out != sessions {
		return fmt.Errorf("%d shares are out, want %d: %w", reply.Out, sessions, err)
	}
	for i, s := range all {
		failed = first(failed, s.goes(waiting[i]))
	}
	return first(failed, a.alone(all[0], key))
}
