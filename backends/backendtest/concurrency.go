package backendtest

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/turnstile-go/turnstile/backends"
)

// All other checks go step by step; here whatever can cross does.
func concurrencyChecks() []check {
	return []check{
		{"many goroutines of many sessions lose no count", noLostCount, exclusive, twoHoldAtOnce},
		{"one try of many sessions together has one winner", oneWinner, exclusive, twoHoldAtOnce},
	}
}

// A guarded counter is read and written in two steps: two that are in the
// section together lose a count. The steps are atomic each, as the race
// detector knows nothing of a lock that is kept in another process.
type guarded struct {
	key    string
	inside atomic.Int32
	count  atomic.Int64
}

// enter is the critical section.
func (g *guarded) enter() error {
	if n := g.inside.Add(1); n != 1 {
		return fmt.Errorf("%d are inside %q at once", n, g.key)
	}
	seen := g.count.Load()
	runtime.Gosched()
	g.count.Store(seen + 1)
	g.inside.Add(-1)
	return nil
}

// noLostCount has one caller for each key of a session, as the contract
// promises backends: the key actor has one call in flight.
func noLostCount(st *store) error {
	const sessions, keys, rounds = 4, 3, 25
	counters := make([]*guarded, keys)
	for i := range counters {
		counters[i] = &guarded{key: st.key(fmt.Sprint("k", i))}
	}
	var wg sync.WaitGroup
	errs := make([]error, sessions*keys)
	for i := range sessions {
		s, err := st.session()
		if err != nil {
			return err
		}
		for k, g := range counters {
			// Stopped by its rounds or the check's context; waited for below.
			wg.Go(func() { errs[i*keys+k] = count(s, g, rounds) })
		}
	}
	wg.Wait()
	if err := first(errs...); err != nil {
		return err
	}
	for _, g := range counters {
		if n := g.count.Load(); n != sessions*rounds {
			return fmt.Errorf("%d sections counted %d", sessions*rounds, n)
		}
	}
	return nil
}

// count runs sections one after another, each under a lease of its own.
func count(s *session, g *guarded, rounds int) error {
	for range rounds {
		r := s.request(g.key, long)
		came := s.patiently(func(again bool) error {
			r.Ambiguous = r.Ambiguous || again
			return second(s.await(r, checkLimit))
		})
		if came != nil {
			return came
		}
		if err := first(g.enter(), s.goes(r)); err != nil {
			return err
		}
	}
	return nil
}

// oneWinner: many find the key free in the same instant. A look and a take that
// are two steps let two of them through.
func oneWinner(st *store) error {
	var all []*session
	for range 6 {
		s, err := st.session()
		if err != nil {
			return err
		}
		all = append(all, s)
	}
	for round := range 30 {
		key := st.key(fmt.Sprint(round))
		var wg sync.WaitGroup
		var won atomic.Int32
		errs := make([]error, len(all))
		for i, s := range all {
			// Stopped by its single call; waited for below.
			wg.Go(func() {
				reply, err := s.acquire(s.once(key, long))
				if err == nil && reply.Outcome == backends.Granted {
					won.Add(1)
				}
				errs[i] = err
			})
		}
		wg.Wait()
		if err := first(errs...); err != nil {
			return err
		}
		if n := won.Load(); n != 1 {
			return fmt.Errorf("round %d: %d of %d sessions were granted one key", round, n, len(all))
		}
	}
	return nil
}
