package kinds

import (
	"fmt"
	"slices"
)

// renew is the renewal that knows both forms. A lock becomes a share, if the wish is for one. A share keeps no more
// permits than are wanted.
func (s *store) renew(t token, ttl, known int64, w wish) reply {
	s.begins(t)
	defer s.watch.check(s)
	if lease, left := s.stray(); lease != (name{}) && (lease.marker || lease.token == t) {
		s.restore(lease, left)
	}
	s.sweep()
	own := s.share(t)
	switch {
	case s.lock.is == marker && own != nil:
		return s.renewShare(own, ttl, known, w.want)
	case s.lock.is == ours && s.lock.token == t && !s.later(t, known):
		return s.renewLock(t, ttl, known, w)
	}
	if s.over != nil && s.over.lease == (name{token: t}) {
		s.over.lease = name{}
	}
	s.seal()
	return s.says(t, reply{outcome: notHeld})
}

// later reports whether the lock began after the newest base of the caller.
func (s *store) later(t token, known int64) bool {
	return s.began(t) > known
}

func (s *store) renewLock(t token, ttl, known int64, w wish) reply {
	if s.revokedNow() {
		return s.says(t, reply{outcome: isRevoked})
	}
	if w.kind != exclusive {
		r := s.make(t, w, ttl)
		r.outcome = renewed
		return r
	}
	c := s.companion
	if c == nil || c.last != known {
		ttl = max(ttl, s.lock.end-s.now)
	}
	s.lock.end = s.now + ttl
	r := s.leased(t, ttl, s.began(t))
	r.outcome = renewed
	return r
}

func (s *store) renewShare(own *share, ttl, known int64, keeps int) reply {
	t := own.token
	if known < own.first && s.has(laterIsOther) {
		s.seal()
		return s.says(t, reply{outcome: notHeld})
	}
	if own.revoked && s.has(revokedStays) {
		return s.says(t, reply{outcome: isRevoked})
	}
	if known != own.base && s.has(newestShortens) {
		ttl = max(ttl, own.end-s.now)
	}
	h := s.drop(own)
	fewer := keeps < h.permits
	if fewer {
		h.permits = keeps
	}
	h.end, h.base = s.now+ttl, s.mint()
	s.put(h)
	s.follows(h.base)
	if fewer {
		s.wakeFitting(most)
	}
	s.seal()
	r := reply{outcome: renewed, kind: s.lock.of, permits: h.permits, base: h.base, ttl: ttl, contended: s.contended(t)}
	return s.says(t, r)
}

// endShare ends a share, and the marker with the last of them.
func (s *store) endShare(own *share) {
	s.watch.ends(s, own.token)
	s.drop(own)
	if len(s.shares) > 0 {
		s.follows(0)
		s.wakeFitting(most)
		return
	}
	s.passesMarker()
}

// passesMarker gives the key to the first that waits, or to nobody.
func (s *store) passesMarker() {
	was := s.named()
	if !s.passOn() {
		s.forgets(was)
	}
}

// release gives back what the attempt has, or ends one that nobody awaits: it is release and cancel. form is what the
// session thinks that it has.
func (s *store) release(t token, marks bool, form kind) reply {
	s.begins(t)
	defer s.watch.check(s)
	s.sweep()
	s.leaves(t)
	r := reply{outcome: notHeld}
	lease, left := s.stray()
	if lease.marker {
		s.restore(lease, left)
	}
	own := s.share(t)
	switch {
	case s.lock.is == ours && s.lock.token == t || lease == (name{token: t}) && lease != (name{}):
		s.watch.ends(s, t)
		if !s.passOn() {
			s.forgets(name{token: t})
		}
		r.outcome = freed
	case own != nil && !s.has(bothForms) && form == exclusive:
	case own != nil && s.lock.is == marker:
		s.endShare(own)
		r.outcome = freed
	case own != nil && s.has(endsUnderStamp):
		if s.drop(own); len(s.shares) == 0 { // a pylock stands over the marker, which may be put back
			s.forgets(name{marker: true, of: shared})
			s.forgets(name{marker: true, of: slots})
		}
	case s.lock.is == marker:
		s.wakeFitting(most) // it may have been in the way of those behind it
	}
	if s.lock.is != ours || s.lock.token != t {
		s.forgets(name{token: t})
	}
	if marks && s.has(settledMarks) {
		s.settle(t)
	}
	s.seal()
	return s.says(t, r)
}

// revoke asks for the end of the lock or of shares, or with now ends them. base 0: of all. It reports whether there are
// more than one call revokes.
func (s *store) revoke(base int64, now bool) (more bool) {
	s.begins(token{})
	defer s.watch.check(s)
	if lease, left := s.stray(); lease != (name{}) {
		s.restore(lease, left)
	}
	s.sweep()
	switch s.lock.is {
	case ours:
		s.revokeLock(now)
	case marker:
		more = s.revokeShares(base, now)
		if s.lock.is == marker && len(s.shares) == 0 && base == 0 && now { // they were evicted
			s.watch.voidAll()
			s.passesMarker()
		}
	case stamp, other:
		if now {
			s.watch.voidAll()
			s.passOn()
		}
	}
	s.seal()
	return more
}

func (s *store) revokeShares(base int64, now bool) (more bool) {
	n := 0
	for _, h := range slices.Clone(s.shares) {
		if h.revoked && !now || base != 0 && base != h.first && base != h.base && (base < h.first || s.has(revokesOne)) {
			continue
		}
		if n++; n > most && s.has(revokesInTurns) {
			return true
		}
		s.revokeShare(h.token, base, now)
	}
	return false
}

func (s *store) revokeLock(now bool) {
	t := s.lock.token
	if !now {
		s.revoked, s.revokedFirst = t, s.began(t)
		s.moreStays(max(keep, s.lock.end-s.now))
		s.tell(t, revoking)
		return
	}
	s.watch.void(t)
	s.leaves(t)
	given := s.passOn()
	s.settle(t)
	if !given {
		s.forgets(name{token: t})
	}
}

func (s *store) revokeShare(t token, base int64, now bool) {
	s.watch.revokes(s, t, base)
	s.tell(t, revoking)
	if !now {
		s.share(t).revoked = true
		return
	}
	s.watch.void(t)
	s.leaves(t)
	s.settle(t)
	s.endShare(s.share(t))
}

type message int

const (
	woken message = iota // ask again
	wanted
	revoking
)

func (s *store) tell(t token, m message) {
	s.told++
	if s.heard != nil {
		s.heard[fmt.Sprintf("%020d%s", t.session, [...]string{"g", "w", "r"}[m])] = true
	}
	if s.p != nil {
		s.p.sent(t, m)
	}
}

// tellWanted tells who has the key that somebody waits. Of many that have shares, the first in the queue tells some at
// each of its asks.
func (s *store) tellWanted(t token) {
	switch {
	case s.lock.is == ours:
		s.tell(s.lock.token, wanted)
	case s.lock.is == marker && s.queue[0].token == t:
		n := len(s.shares)
		for range min(n, most) {
			if s.cursor >= n {
				s.cursor = 0
			}
			s.tell(s.shares[s.cursor].token, wanted)
			s.cursor++
		}
		if !s.has(toldInTurns) {
			s.cursor = 0
		}
	}
}
