package backendtest

import (
	"fmt"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// A queue is worth having only if it is kept against those who ask more often,
// and if those who stopped asking do not block it.
func queueChecks() []check {
	return []check{
		{"waiters are served in the order of their arrival", servedInOrder, fair, everyoneServed},
		{"nobody barges past a waiter", nobodyBarges, fair, everyoneServed},
		{"a waiter that went silent is skipped", silentIsSkipped, fair, everyoneServed},
		{"a waiter whose session closed is skipped", closedIsSkipped, fair, everyoneServed},
		{"an expired lease goes to the first waiter", expiredInOrder, fair, everyoneServed},
		{"the holder is told that others wait", contended, fair, everyoneServed},
	}
}

// tooSlow is how long a waiter may be left alone before a fair backend counts
// it as gone (1 s). A check that was itself held up for longer, by a busy
// machine, has seen nothing and starts over.
const tooSlow = 700 * time.Millisecond

// undisturbed repeats a scenario that has to run within tooSlow; each run gets
// a key of its own.
func undisturbed(st *store, scenario func(key string) error) error {
	var err error
	for round := range 10 {
		started := time.Now()
		err = scenario(st.key(fmt.Sprint("round", round)))
		if time.Since(started) < tooSlow {
			return err
		}
	}
	return fmt.Errorf("no run was quicker than %v; the last: %w", tooSlow, err)
}

// line puts sessions in a queue behind a holder.
func line(holder *session, waiters []*session, key string, ttl time.Duration) (held backends.Request, waiting []backends.Request, err error) {
	held, _, err = holder.hold(key, ttl)
	if err != nil {
		return held, nil, err
	}
	for i, s := range waiters {
		r := s.request(key, long)
		reply, err := s.want(backends.Held, r)
		if err != nil {
			return held, nil, err
		}
		if reply.Place != i+1 {
			return held, nil, fmt.Errorf("waiter %d has place %d", i+1, reply.Place)
		}
		waiting = append(waiting, r)
	}
	return held, waiting, nil
}

func servedInOrder(st *store) error {
	a, b, c, err := st.three()
	if err != nil {
		return err
	}
	d, err := st.session()
	if err != nil {
		return err
	}
	waiters := []*session{b, c, d}
	return undisturbed(st, func(key string) error {
		held, waiting, err := line(a, waiters, key, long)
		if err != nil {
			return err
		}
		if err := a.free(held); err != nil {
			return err
		}
		for i, s := range waiters {
			// Those behind ask first, and must not be heard.
			for j := len(waiters) - 1; j > i; j-- {
				if _, err := waiters[j].want(backends.Held, waiting[j]); err != nil {
					return fmt.Errorf("waiter %d, while %d is first: %w", j+1, i+1, err)
				}
			}
			if _, err := s.want(backends.Granted, waiting[i]); err != nil {
				return fmt.Errorf("waiter %d, when it is first: %w", i+1, err)
			}
			if err := s.free(waiting[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

// nobodyBarges: the newcomer and the last holder, who is quickest of all, ask
// between the release and the waiter's next look.
func nobodyBarges(st *store) error {
	a, b, c, err := st.three()
	if err != nil {
		return err
	}
	return undisturbed(st, func(key string) error {
		held, waiting, err := line(a, []*session{b}, key, long)
		if err != nil {
			return err
		}
		if err := a.free(held); err != nil {
			return err
		}
		for _, s := range []*session{c, a} {
			if _, err := s.want(backends.Held, s.once(key, long)); err != nil {
				return fmt.Errorf("while another waits: %w", err)
			}
		}
		if _, err := b.want(backends.Granted, waiting[0]); err != nil {
			return err
		}
		return b.free(waiting[0])
	})
}

// silentIsSkipped: the head costs the others at most its second of grace and
// the second that a lease given to it lasts unconfirmed.
func silentIsSkipped(st *store) error {
	a, b, c, err := st.three()
	if err != nil {
		return err
	}
	key := st.key("k")
	held, _, err := a.hold(key, long)
	if err != nil {
		return err
	}
	if _, err := b.want(backends.Held, b.request(key, long)); err != nil {
		return err
	}
	next := c.request(key, long)
	if _, err := c.want(backends.Held, next); err != nil {
		return err
	}
	if err := a.free(held); err != nil {
		return err
	}
	_, err = c.await(next, grace)
	return err
}

// closedIsSkipped: the head ended without a cancel, as a crash would have it.
func closedIsSkipped(st *store) error {
	a, b, c, err := st.three()
	if err != nil {
		return err
	}
	key := st.key("k")
	held, _, err := a.hold(key, long)
	if err != nil {
		return err
	}
	if _, err := b.want(backends.Held, b.request(key, long)); err != nil {
		return err
	}
	next := c.request(key, long)
	if _, err := c.want(backends.Held, next); err != nil {
		return err
	}
	if err := first(b.Close(), a.free(held)); err != nil {
		return err
	}
	_, err = c.await(next, grace)
	return err
}

// expiredInOrder: nobody releases, so nobody is told; the first to look must
// not take what is another's turn.
func expiredInOrder(st *store) error {
	a, b, c, err := st.three()
	if err != nil {
		return err
	}
	return undisturbed(st, func(key string) error {
		held, waiting, err := line(a, []*session{b, c}, key, st.short())
		if err != nil {
			return err
		}
		if err := a.pause("", held.TTL+held.TTL/8); err != nil {
			return err
		}
		if _, err := c.want(backends.Held, waiting[1]); err != nil {
			return fmt.Errorf("the second waiter: %w", err)
		}
		if _, err := b.want(backends.Granted, waiting[0]); err != nil {
			return fmt.Errorf("the first waiter: %w", err)
		}
		return b.free(waiting[0])
	})
}

// contended: the holder learns in replies alone, where there are no wakes, that
// its budget of handoffs has begun; and that it is over when nobody waits.
func contended(st *store) error {
	a, b, c, err := st.three()
	if err != nil {
		return err
	}
	return undisturbed(st, func(key string) error {
		held, reply, err := a.hold(key, long)
		if err != nil {
			return err
		}
		if reply.Contended {
			return fmt.Errorf("contended, and nobody waits")
		}
		waiters := []backends.Request{b.request(key, long), c.request(key, long)}
		for i, s := range []*session{b, c} {
			if _, err := s.want(backends.Held, waiters[i]); err != nil {
				return err
			}
		}
		if reply, err = a.Renew(a.ctx, held.Attempt, long, reply.Base); err != nil || !reply.Contended {
			return fmt.Errorf("a renewal with two waiting: contended %t, error %v", reply.Contended, err)
		}
		if err := a.free(held); err != nil {
			return err
		}
		if reply, err = b.want(backends.Granted, waiters[0]); err != nil || !reply.Contended {
			return fmt.Errorf("a grant with one waiting: contended %t, error %v", reply.Contended, err)
		}
		if err := c.cancel(waiters[1]); err != nil {
			return err
		}
		if reply, err = b.Renew(b.ctx, waiters[0].Attempt, long, reply.Base); err != nil || reply.Contended {
			return fmt.Errorf("a renewal with nobody waiting: contended %t, error %v", reply.Contended, err)
		}
		return b.free(waiters[0])
	})
}

// everyoneServed is what remains without a queue: each waiter gets the key in
// the end, in whatever order. Without exclusion they all have it at once.
func everyoneServed(st *store) error {
	a, b, c, err := st.three()
	if err != nil {
		return err
	}
	key := st.key("k")
	held, _, err := a.hold(key, long)
	if err != nil {
		return err
	}
	waiting := []backends.Request{b.request(key, long), c.request(key, long)}
	for i, s := range []*session{b, c} {
		reply, err := s.acquire(waiting[i])
		if err != nil {
			return err
		}
		if st.caps.Exclusive && reply.Outcome != backends.Held {
			return fmt.Errorf("waiter %d: %v, want held", i+1, reply.Outcome)
		}
	}
	if err := a.free(held); err != nil {
		return err
	}
	for i, s := range []*session{b, c} {
		if _, err := s.await(waiting[i], grace); err != nil {
			return err
		}
		if err := s.free(waiting[i]); err != nil {
			return err
		}
	}
	return nil
}
