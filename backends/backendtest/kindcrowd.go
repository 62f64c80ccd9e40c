package backendtest

import (
	"cmp"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/backends/backendtest/history"
)

// A crowd is many sessions that want one key, each time in another way. What each of them saw is held against
// what locks promise.
func kindCrowdChecks() []check {
	return []check{{"many sessions that want all kinds keep apart", kindsApart, kinds, noKinds}}
}

func kindsApart(st *store) error {
	const sessions, rounds = 5, 30
	began, key := time.Now(), st.key("k")
	all, errs := make([][]history.Hold, sessions), make([]error, sessions)
	var wg sync.WaitGroup
	for i := range all {
		s, err := st.session()
		if err != nil {
			return err
		}
		// Stopped by its rounds or the check's context; waited for below.
		wg.Go(func() {
			for range rounds {
				seen, err := s.passes(key, began)
				if err != nil {
					errs[i] = err
					return
				}
				for _, h := range seen {
					h.Process = i
					all[i] = append(all[i], h)
				}
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	var holds []history.Hold
	for _, some := range all {
		holds = append(holds, some...)
	}
	err := history.Overlaps(holds, nil)
	if st.caps.Fences {
		err = cmp.Or(err, history.Fences(holds))
	}
	return err
}

// passes takes the key in one way or another, and gives it back. Some locks become shares first: then there are
// two holds.
func (s *session) passes(key string, began time.Time) (seen []history.Hold, err error) {
	now := func() int64 { return int64(time.Since(began)) }
	n := 1 + rand.N(3)
	ways := append(s.attempts(key), s.taker(key, n, 1+rand.N(n)), s.taker(key, 3, 2))
	r := ways[rand.N(len(ways))]
	h := history.Hold{Kind: r.Kind, N: r.N, Asked: now()}
	reply, err := s.await(r, checkLimit/2)
	if err == nil && r.Kind != backends.Exclusive {
		reply, err = s.joins(r)
	}
	if err != nil {
		return nil, err
	}
	h.Granted, h.Fence = now(), reply.Base<<10
	time.Sleep(rand.N(2 * time.Millisecond)) // what it does with the key
	if r.Kind == backends.Exclusive && rand.N(3) == 0 {
		h.Ended = now()
		seen = append(seen, h)
		r.Kind = backends.Shared
		if reply, err = s.renewShare(r, reply.Base); err != nil {
			return nil, err
		}
		h.Kind, h.Granted, h.Fence = r.Kind, h.Ended, reply.Base<<10
		time.Sleep(rand.N(2 * time.Millisecond))
	}
	h.Ended = now()
	for i := range max(1, reply.Permits) { // a hold each
		h.Fence = reply.Base<<10 + uint64(i)
		seen = append(seen, h)
	}
	return seen, s.free(r)
}
