package backendtest

import (
	"fmt"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// givenIsWhole: a session may take a wake that gives a lease for a grant. So all of it has to be true, and its base
// confirms that very lease. A backend that sends none passes.
func givenIsWhole(st *store) error {
	a, b, c, err := st.three()
	if err != nil {
		return err
	}
	late := 0
	for round := range wakeRounds {
		held, waiter, reply, err := behind(a, b, st.key(fmt.Sprint(round)))
		if err != nil {
			return err
		}
		next := c.request(held.Key, long)
		for _, err := range []error{second(b.want(backends.Held, waiter)), second(c.want(backends.Held, next)), a.free(held)} {
			if err != nil {
				return err
			}
		}
		given := time.Now()
		if w, ok := b.gift(held.Key); ok {
			if err := b.checkGift(w, waiter, reply.Base); err != nil {
				return err
			}
			err := b.confirm(w, waiter)
			if err == nil {
				return first(second(c.want(backends.Held, next)), b.free(waiter), second(c.await(next, grace)), c.free(next))
			}
			if time.Since(given) < alive/2 {
				return err
			}
			late++ // this machine was slow, and the lease is over
		}
		if err := first(b.cancel(waiter), c.cancel(next)); err != nil {
			return err
		}
	}
	if late > 0 {
		return fmt.Errorf("a lease was given %d times, and never confirmed", late)
	}
	return nil
}

func second[T any](_ T, err error) error { return err }

// gift waits for the wake that tells of a free key; ok is true if it gives the lease.
func (s *session) gift(key string) (w backends.Wake, ok bool) {
	timer := time.NewTimer(alive)
	defer timer.Stop()
	for {
		select {
		case w := <-s.wakes(key):
			if w.Kind == backends.Gave || w.Kind == backends.Given {
				return w, w.Kind == backends.Gave
			}
		case <-timer.C:
			return w, false
		case <-s.ctx.Done():
			return w, false
		}
	}
}

// checkGift returns what a wake that gives a lease says wrong; before is a base of the lease before.
func (s *session) checkGift(w backends.Wake, r backends.Request, before uint64) error {
	s.mu.Lock()
	asked := s.asked[r.Token]
	s.mu.Unlock()
	switch {
	case w.Attempt != r.Token.Attempt():
		return fmt.Errorf("given to attempt %d, want %d", w.Attempt, r.Token.Attempt())
	case w.Ask != asked:
		return fmt.Errorf("given as call %d asked, want the newest, %d", w.Ask, asked)
	case w.Base <= before:
		return fmt.Errorf("given with base %d, and the lease before had %d", w.Base, before)
	case w.TTL <= 0 || w.TTL > alive:
		return fmt.Errorf("given for %v, the call asked for %v", w.TTL, alive)
	case !w.Contended:
		return fmt.Errorf("given as if nobody else waited")
	}
	return nil
}

// confirm renews the lease that w gave, which knows its base alone.
func (s *session) confirm(w backends.Wake, r backends.Request) error {
	if _, err := s.Renew(s.ctx, r.Attempt, long, w.Base-1); !backends.IsNotHeld(err) {
		return fmt.Errorf("a renewal by an earlier base says %v, want not held", err)
	}
	renewed, err := s.Renew(s.ctx, r.Attempt, long, w.Base)
	if err != nil {
		return fmt.Errorf("confirming what was given: %w", err)
	}
	if renewed.Base <= w.Base {
		return fmt.Errorf("confirmed with base %d, and given with %d", renewed.Base, w.Base)
	}
	return nil
}
