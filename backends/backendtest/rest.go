package backendtest

import (
	"fmt"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// A key that rests is nobody's for a while, though its holder has released it, or has
// crashed.
func restChecks() []check {
	return []check{
		{"a released key that rests is nobody's", restKeeps, rests, noRests},
		{"a late request ends no rest", restIsDeaf, rests, noRests},
		{"a rest ends when it is over, whatever request comes late", restEnds, rests, noRests},
		{"a key is kept for its rest though its holder's process has ended", restOutlives, rests, noRests},
		{"a lease that is prolonged to rest is kept as well", restRenewed, rests, noRests},
		{"a release without a rest leaves nothing of it", restDropped, rests, noRests},
		{"a key whose lease was revoked does not rest", restRevoked, restsAndRevokes, noRests},
		{"a rest ends by force", restForced, restsAndRevokes, noRests},
	}
}

func rests(o offer) bool           { return o.Rests }
func restsAndRevokes(o offer) bool { return o.Rests && o.Revokes }

// noRests: a backend that can't frees the key, whatever it is asked.
func noRests(st *store) error {
	a, b, _, err := st.three()
	if err != nil {
		return err
	}
	r, _, err := a.hold(st.key("k"), long)
	if err != nil {
		return err
	}
	r.AtLeast = long
	if err := a.free(r); err != nil {
		return err
	}
	_, err = b.want(backends.Granted, b.once(r.Key, long))
	return err
}

// brief is a rest that is waited for.
const brief = 2 * time.Second

// begun takes a key that is to rest for d, and returns when that is over at the earliest.
func (s *session) begun(key string, ttl, d time.Duration) (r backends.Request, base uint64, over time.Time, err error) {
	r = s.request(key, ttl)
	r.AtLeast = d
	over = time.Now().Add(d)
	reply, err := s.want(backends.Granted, r)
	return r, reply.Base, over, err
}

// kept insists that a key rests, for whoever asks and whoever looks.
func (s *session) kept(key string) error {
	if _, err := s.want(backends.Held, s.once(key, long)); err != nil {
		return fmt.Errorf("it rests: %w", err)
	}
	if !backends.Describe(whole(s.Backend)).Inspects {
		return nil
	}
	i, err := s.inspect(key)
	if err == nil && (!i.Held || !i.Resting || i.Foreign) {
		err = fmt.Errorf("it rests, and inspect says %+v", i)
	}
	return err
}

// gets insists that a key is had, and not before its rest is over.
func (s *session) gets(key string, over time.Time) error {
	r := s.request(key, long)
	if _, err := s.await(r, checkLimit/2); err != nil {
		return err
	}
	if early := time.Until(over); early > 0 {
		return fmt.Errorf("%s has the key %v before its rest is over", s.label, early)
	}
	return s.free(r)
}

func restKeeps(st *store) error {
	a, b, _, err := st.three()
	if err != nil {
		return err
	}
	r, _, _, err := a.begun(st.key("k"), long, long)
	if err != nil {
		return err
	}
	return first(a.free(r), a.kept(r.Key), b.kept(r.Key))
}

func restEnds(st *store) error {
	a, b, _, err := st.three()
	if err != nil {
		return err
	}
	r, base, _, err := a.begun(st.key("k"), long, brief)
	if err != nil {
		return err
	}
	over := time.Now().Add(brief) // by the release
	if err := first(a.free(r), a.lateCopies(r, base)); err != nil {
		return err
	}
	return b.gets(r.Key, over)
}

func restIsDeaf(st *store) error {
	a, b, _, err := st.three()
	if err != nil {
		return err
	}
	r, base, _, err := a.begun(st.key("k"), long, long)
	if err != nil {
		return err
	}
	if err := first(a.free(r), a.lateCopies(r, base)); err != nil {
		return err
	}
	return b.kept(r.Key)
}

// lateCopies sends what a holder may have sent before its release, and after.
func (s *session) lateCopies(r backends.Request, base uint64) error {
	for _, d := range []time.Duration{0, time.Millisecond, 24 * time.Hour} {
		r.AtLeast = d
		if err := notHeld("a second release", s.Release(s.ctx, r.Attempt)); err != nil {
			return err
		}
		_, err := s.Renew(s.ctx, r.Attempt, 24*time.Hour, base)
		if err := notHeld("a renewal after the release", err); err != nil {
			return err
		}
	}
	r.AtLeast = 0
	return s.cancel(r)
}

func restOutlives(st *store) error {
	a, b, _, err := st.three()
	if err != nil {
		return err
	}
	r, _, over, err := a.begun(st.key("k"), brief, brief)
	if err != nil {
		return err
	}
	return first(a.Close(), b.gets(r.Key, over))
}

func restRenewed(st *store) error {
	a, b, _, err := st.three()
	if err != nil {
		return err
	}
	r, reply, err := a.hold(st.key("k"), long)
	if err != nil {
		return err
	}
	r.AtLeast = brief
	over := time.Now().Add(brief)
	if _, err := a.Renew(st.ctx, r.Attempt, brief, reply.Base); err != nil {
		return err
	}
	return first(a.Close(), b.gets(r.Key, over))
}

func restDropped(st *store) error {
	a, b, _, err := st.three()
	if err != nil {
		return err
	}
	r, _, _, err := a.begun(st.key("k"), long, long)
	if err != nil {
		return err
	}
	r.AtLeast = 0
	if err := a.free(r); err != nil {
		return err
	}
	_, err = b.want(backends.Granted, b.once(r.Key, long))
	return err
}

func restForced(st *store) error {
	a, b, _, err := st.three()
	if err != nil {
		return err
	}
	for _, now := range []bool{false, true} {
		r, base, _, err := a.begun(st.key("k"), long, long)
		if err != nil {
			return err
		}
		err = first(
			a.free(r),
			b.revoke(r.Key, backends.Revocation{Base: 1, Now: now}, backends.Superseded),
			b.kept(r.Key),
			b.revoke(r.Key, backends.Revocation{Base: base, Now: now}, backends.Deleted),
		)
		if err != nil {
			return err
		}
		next := b.once(r.Key, long)
		if _, err := b.want(backends.Granted, next); err != nil {
			return err
		}
		if err := b.free(next); err != nil {
			return err
		}
	}
	return nil
}

func restRevoked(st *store) error {
	a, b, _, err := st.three()
	if err != nil {
		return err
	}
	r, base, _, err := a.begun(st.key("k"), long, long)
	if err != nil {
		return err
	}
	if err := first(b.revoke(r.Key, backends.Revocation{}, backends.Marked), a.refused(r, base), a.free(r)); err != nil {
		return err
	}
	_, err = b.want(backends.Granted, b.once(r.Key, long))
	return err
}
