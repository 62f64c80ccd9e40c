package backendtest

import (
	"fmt"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// Without Fences the same cases run in a single session: a backend's own
// bases always grow, declared or not.
func fenceChecks() []check {
	return []check{
		{"bases grow over releases", fencesOverReleases, fences, alone(fencesOverReleases)},
		{"bases grow over expiries", fencesOverExpiry, fences, alone(fencesOverReleases)},
		{"bases grow over renewals", fencesOverRenewals, fences, alone(fencesOverRenewals)},
		{"bases grow when a backend is closed and opened again", fencesOverReopening, fences, alone(fencesOverReleases)},
	}
}

// rising remembers the newest base of one key.
type rising struct{ last uint64 }

func (g *rising) see(base uint64) error {
	if base <= g.last {
		return fmt.Errorf("base %d follows %d", base, g.last)
	}
	g.last = base
	return nil
}

// alone narrows a check to one session.
func alone(run func(*store) error) func(*store) error {
	return func(st *store) error {
		b := st.open()
		one := *st
		one.open = func() backends.Backend { return unclosed{b} }
		err := run(&one)
		return first(err, b.Close())
	}
}

// unclosed lends one backend to several sessions.
type unclosed struct{ backends.Backend }

func (unclosed) Close() error { return nil }

// fencesOverReleases goes round the sessions, faster than one grant a µs clock
// tick could tell apart on a backend without I/O: the last base must be kept
// beside the clock.
func fencesOverReleases(st *store) error {
	a, b, c, err := st.three()
	if err != nil {
		return err
	}
	var grown rising
	key := st.key("k")
	for range 50 {
		for _, s := range []*session{a, b, c} {
			r, reply, err := s.hold(key, long)
			if err != nil {
				return err
			}
			if err := first(grown.see(reply.Base), s.free(r)); err != nil {
				return err
			}
		}
	}
	return nil
}

// fencesOverExpiry: nobody says goodbye, so what an expiry sweeps away must not
// include the last base.
func fencesOverExpiry(st *store) error {
	a, b, _, err := st.three()
	if err != nil {
		return err
	}
	var grown rising
	key := st.key("k")
	for _, s := range []*session{a, b, a} {
		reply, err := s.await(s.request(key, st.short()), st.short()+grace)
		if err != nil {
			return err
		}
		if err := grown.see(reply.Base); err != nil {
			return err
		}
	}
	return nil
}

// fencesOverRenewals: a lease has many bases, one a renewal, and the next
// holder's must exceed the newest of them, and not just the one it began with.
func fencesOverRenewals(st *store) error {
	a, b, _, err := st.three()
	if err != nil {
		return err
	}
	var grown rising
	key := st.key("k")
	for _, s := range []*session{a, b, a} {
		r, reply, err := s.hold(key, long)
		if err != nil {
			return err
		}
		if err := grown.see(reply.Base); err != nil {
			return err
		}
		for range 50 {
			reply, err := s.Renew(s.ctx, r.Attempt, long, grown.last)
			if err != nil {
				return fmt.Errorf("renew: %w", err)
			}
			if err := grown.see(reply.Base); err != nil {
				return err
			}
		}
		if err := s.free(r); err != nil {
			return err
		}
	}
	return nil
}

// fencesOverReopening: what a backend remembers in its own memory is not enough.
// By the second session nobody is connected who had seen the first base.
func fencesOverReopening(st *store) error {
	var grown rising
	key := st.key("k")
	for range 4 {
		s, err := st.session()
		if err != nil {
			return err
		}
		r, reply, err := s.hold(key, 10*time.Second)
		if err != nil {
			return err
		}
		if err := first(grown.see(reply.Base), s.free(r), s.Close()); err != nil {
			return err
		}
	}
	return nil
}
