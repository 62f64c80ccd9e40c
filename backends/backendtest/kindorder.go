package backendtest

import (
	"fmt"

	"github.com/turnstile-go/turnstile/backends"
)

// One queue serves all kinds: nobody gets what one that came before may still get.
func kindOrderChecks() []check {
	return []check{
		{"no reader barges past a writer that waits", noReaderBarges, kindsFair, noKinds},
		{"no permit is taken from one that came before", noPermitBarges, kindsFair, noKinds},
		{"one of a smaller number is not overtaken for ever", smallerComesFirst, kindsFair, noKinds},
		{"one that cancels makes way for those behind it", cancelMakesWay, kindsFair, noKinds},
		{"one that waits for a shared key and went silent is skipped", silentBesideShares, kindsFair, noKinds},
		{"readers that wait together come in together", readersComeIn, kindsFair, noKinds},
		{"the last share goes to the first that waits", lastShareGoes, kindsFair, noKinds},
		{"a lock that becomes a share lets in those at the head", downgradeLetsIn, kindsFair, noKinds},
		{"a lock that becomes a share is one however often it is said", downgradeRepeated, kinds, noKinds},
		{"a late copy of a downgrade leaves the next lock alone", downgradeLate, kinds, noKinds},
		{"those that share are told that others wait", sharersTold, kindsFair, noKinds},
		{"those that fit are woken", fittingWoken, kindsWake, kindsDontWake},
	}
}

func kindsFair(o offer) bool { return o.Kinds && fair(o) }
func kindsWake(o offer) bool { return o.Kinds && o.Wakes }

func kindsDontWake(st *store) error {
	if !st.caps.Kinds {
		return noKinds(st)
	}
	return noWakes(st)
}

func noReaderBarges(st *store) error {
	a, b, c, err := st.three()
	if err != nil {
		return err
	}
	return undisturbed(st, func(key string) error {
		r, w := a.reader(key), b.request(key, long)
		return first(
			second(a.joins(r)), b.waits(w),
			c.waits(tried(c.reader(key)), c.reader(key)),
			a.waits(tried(a.reader(key))), // nor one of its own session
			a.free(r),
			second(b.want(backends.Granted, w)),
			b.free(w),
		)
	})
}

func noPermitBarges(st *store) error {
	a, b, c, err := st.three()
	if err != nil {
		return err
	}
	return undisturbed(st, func(key string) error {
		r, q := a.taker(key, 3, 2), b.taker(key, 2, 1)
		if err := first(a.takes(r, 2), b.waits(q), c.waits(tried(c.taker(key, 3, 1)), tried(c.taker(key, 9, 1))), a.free(r)); err != nil {
			return err
		}
		if _, err := b.awaitShare(q); err != nil {
			return err
		}
		return first(c.takes(tried(c.taker(key, 9, 1)), 1), b.free(q))
	})
}

// smallerComesFirst: what is given back may be had by the one of two, and one of five must not
// use it up before that.
func smallerComesFirst(st *store) error {
	a, b, c, err := st.three()
	if err != nil {
		return err
	}
	return undisturbed(st, func(key string) error {
		r, more, q := a.taker(key, 5, 1), a.taker(key, 5, 1), b.taker(key, 2, 1)
		return first(
			a.takes(r, 1), a.takes(more, 1), b.waits(q), a.free(r),
			c.waits(tried(c.taker(key, 5, 1)), c.taker(key, 5, 1)),
			b.takes(q, 1),
			b.free(q), a.free(more),
		)
	})
}

func cancelMakesWay(st *store) error {
	a, b, c, err := st.three()
	if err != nil {
		return err
	}
	return undisturbed(st, func(key string) error {
		r, w, q := a.reader(key), b.request(key, long), c.reader(key)
		return first(
			second(a.joins(r)), b.waits(w), c.waits(q), b.cancel(w),
			second(c.joins(q)), a.keepsShare(r),
			a.free(r), c.free(q), b.alone(a, key),
		)
	})
}

// silentBesideShares: those behind it come in once it counts as gone.
func silentBesideShares(st *store) error {
	a, b, c, err := st.three()
	if err != nil {
		return err
	}
	key := st.key("k")
	r, q := a.taker(key, 5, 2), c.taker(key, 5, 1)
	if err := first(a.takes(r, 2), b.waits(b.request(key, long)), c.waits(q)); err != nil {
		return err
	}
	_, err = c.awaitShare(q)
	return first(err, c.free(q), a.free(r))
}

func readersComeIn(st *store) error {
	a, b, c, err := st.three()
	if err != nil {
		return err
	}
	return undisturbed(st, func(key string) error {
		held, _, err := a.hold(key, long)
		if err != nil {
			return err
		}
		r, q, w := b.reader(key), c.reader(key), a.request(key, long)
		if err := first(b.waits(r), c.waits(q), a.free(held), a.waits(w)); err != nil {
			return err
		}
		if _, err := b.awaitShare(r); err != nil {
			return err
		}
		if _, err := c.awaitShare(q); err != nil {
			return err
		}
		if reply, err := a.want(backends.Held, w); err != nil || reply.Out != 2 {
			return fmt.Errorf("%d are out, want 2: %w", reply.Out, err)
		}
		return first(a.cancel(w), b.free(r), c.free(q))
	})
}

func lastShareGoes(st *store) error {
	a, b, c, err := st.three()
	if err != nil {
		return err
	}
	return undisturbed(st, func(key string) error {
		r, q, w := a.reader(key), b.reader(key), c.request(key, long)
		return first(
			second(a.joins(r)), second(b.joins(q)), c.waits(w),
			a.free(r), c.waits(w), b.free(q),
			a.waits(tried(a.reader(key)), tried(a.request(key, long))),
			second(c.want(backends.Granted, w)), c.free(w),
		)
	})
}

// downgradeLetsIn: the reader before the writer that waits, and not the one behind it.
func downgradeLetsIn(st *store) error {
	a, b, c, err := st.three()
	if err != nil {
		return err
	}
	d, err := st.session()
	if err != nil {
		return err
	}
	return undisturbed(st, func(key string) error {
		held, reply, err := a.hold(key, long)
		if err != nil {
			return err
		}
		r, w, q := b.reader(key), c.request(key, long), d.reader(key)
		if err := first(b.waits(r), c.waits(w), d.waits(q)); err != nil {
			return err
		}
		held.Kind = backends.Shared
		if err := first(second(a.renewShare(held, reply.Base)), second(b.awaitShare(r)), c.waits(w), d.waits(q)); err != nil {
			return err
		}
		return first(
			a.free(held), c.waits(w), b.free(r),
			second(c.want(backends.Granted, w)), d.waits(q), c.free(w),
			second(d.awaitShare(q)), d.free(q),
		)
	})
}

// downgradeRepeated: the first answer was lost, so the caller knows the base of its lock alone.
func downgradeRepeated(st *store) error {
	a, b, c, err := st.three()
	if err != nil {
		return err
	}
	for _, kind := range []backends.Kind{backends.Shared, backends.Slots} {
		key := st.key(kind.String())
		r, reply, err := a.hold(key, long)
		if err != nil {
			return err
		}
		lock := r
		if kind == backends.Slots {
			r.N, r.Want = 3, 2
		}
		r.Kind = kind
		one, err := a.renewShare(r, reply.Base)
		if err != nil {
			return err
		}
		two, err := a.renewShare(r, reply.Base)
		if err != nil {
			return fmt.Errorf("said again: %w", err)
		}
		if one.Base <= reply.Base || two.Base <= one.Base {
			return fmt.Errorf("bases %d, %d, %d", reply.Base, one.Base, two.Base)
		}
		if _, err := a.Renew(a.ctx, lock.Attempt, long, reply.Base); err != nil && !backends.IsNotHeld(err) {
			return fmt.Errorf("a late renewal of the lock: %w", err)
		}
		q := b.attempts(key)[kind]
		err = first(
			second(b.joins(q)), c.waits(tried(c.request(key, long))),
			second(a.renewShare(r, two.Base)),
			a.free(r), b.keepsShare(q), notHeld("a late downgrade", a.keepsShare(r)),
			b.free(q), c.alone(a, key),
		)
		if err != nil {
			return fmt.Errorf("%v: %w", kind, err)
		}
	}
	return nil
}

func downgradeLate(st *store) error {
	a, b, _, err := st.three()
	if err != nil {
		return err
	}
	r, reply, err := a.hold(st.key("k"), long)
	if err != nil {
		return err
	}
	if err := a.free(r); err != nil {
		return err
	}
	next, now, err := a.hold(r.Key, long)
	if err != nil {
		return err
	}
	r.Kind = backends.Shared
	_, err = a.renewShare(r, reply.Base)
	if err := first(notHeld("a late downgrade", err), b.waits(tried(b.reader(r.Key)))); err != nil {
		return err
	}
	return first(second(a.Renew(a.ctx, next.Attempt, long, now.Base)), a.free(next))
}

// sharersTold: by the answer to a renewal, and by a push where there are any.
func sharersTold(st *store) error {
	a, b, c, err := st.three()
	if err != nil {
		return err
	}
	told := false
	for round := 0; round < wakeRounds && !told; round++ {
		err := undisturbed(st, func(key string) error {
			key = fmt.Sprint(key, "-", round)
			r, q, w := a.reader(key), b.reader(key), c.request(key, long)
			if err := first(second(a.joins(r)), second(b.joins(q))); err != nil {
				return err
			}
			if err := first(a.contended(r, false), c.waits(w)); err != nil {
				return err
			}
			told = !st.caps.Wakes || a.woken(key, backends.Wanted) && b.woken(key, backends.Wanted)
			if err := c.waits(w); err != nil {
				return err
			}
			return first(a.contended(r, true), b.contended(q, true), a.free(r), b.free(q), second(c.await(w, grace)), c.free(w))
		})
		if err != nil {
			return err
		}
	}
	if !told {
		return fmt.Errorf("no waiter woke all that share the key, in %d rounds", wakeRounds)
	}
	return nil
}

func fittingWoken(st *store) error {
	a, b, _, err := st.three()
	if err != nil {
		return err
	}
	for round := range wakeRounds {
		key := st.key(fmt.Sprint(round))
		r, more, q := a.taker(key, 2, 1), a.taker(key, 2, 1), b.taker(key, 2, 1)
		if err := first(a.takes(r, 1), a.takes(more, 1), b.waits(q), a.free(r)); err != nil {
			return err
		}
		woken := b.woken(key, backends.Given)
		if err := first(second(b.awaitShare(q)), b.free(q), a.free(more)); err != nil || woken {
			return err
		}
	}
	return fmt.Errorf("no permit that was given back woke the one that waits, in %d rounds", wakeRounds)
}
