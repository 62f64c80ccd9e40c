package model

// wrongType reports whether a full script breaks off, since another's hash is in its way.
func (s *store) wrongType() bool { return s.lock.kind == hash || s.foreign }

// acquire is the full script.
func (s *store) acquire(t token, ttl int64, wait bool, lives, ask int64) reply {
	s.begin(t)
	r := reply{attempt: t.attempt, ttl: ttl}
	if s.wrongType() || s.memoryFull && s.lock.kind == free && s.companion == nil {
		r.outcome = refused
		return r
	}
	defer s.watch.check(s)
	if m, ok := s.marked(t.session); ok && m >= t.attempt {
		r.outcome = settledBefore
		return r
	}
	again := false
	s.setRight(t)
	switch {
	case s.lock.kind == ours && s.lock.token == t:
		over := s.revokedNow()
		again = over || s.companion != nil && s.companion.lease == t && s.companion.first != 0
		if over {
			r.ttl = s.lock.end - s.now
		} else {
			s.lock.end = max(s.lock.end, s.now+ttl)
		}
	case s.lock.kind == free:
		front, ok := s.front()
		if ok && front != t {
			s.give(front)
			return s.heldBy(t, wait, lives, ask)
		}
		s.setLock(t, ttl, byAcquire)
	default:
		return s.heldBy(t, wait, lives, ask)
	}
	r.outcome = granted
	r.base = s.lease(t, again)
	return r
}

// marked returns the highest settled attempt of a session.
func (s *store) marked(session int) (int, bool) {
	if !s.has(moreIsRead) && (s.companion == nil || s.companion.quiet) {
		return 0, false
	}
	m, ok := s.settled[session]
	return m.attempt, ok
}

// front returns the waiter whose turn it is.
func (s *store) front() (token, bool) {
	if !s.has(moreIsRead) && (s.companion == nil || s.companion.quiet) {
		return token{}, false
	}
	return s.head()
}

// setRight repairs what a losing GETSET has overwritten, or takes a left-over away.
func (s *store) setRight(t token) {
	if s.lock.kind != stamp || s.lock.end != 0 {
		return
	}
	if lease, left := s.stray(); lease != (token{}) {
		s.repair(lease, left)
	} else if s.lock.time < s.now && !s.guarded(t) {
		s.watch.takesOver(s, s.lock)
		s.lock = value{}
		s.marksOver()
	}
}

func (s *store) repair(lease token, left int64) {
	s.watch.repairs(s, s.lock)
	s.lock = value{kind: ours, token: lease, end: s.now + left}
}

// stray returns a lease with a token that a pylock has overwritten, and the time that it has left.
func (s *store) stray() (token, int64) {
	c := s.companion
	if s.lock.kind != stamp || s.lock.end != 0 || c == nil || c.lease == (token{}) {
		return token{}, 0
	}
	if s.has(overMark) {
		if s.over == nil || s.now-s.over.when > keep {
			return token{}, 0
		}
		if s.over.lease != c.lease && s.has(overMember) {
			return token{}, 0
		}
	}
	left := c.end - keep - s.now
	if left <= max(0, c.last-s.now)+slop {
		return token{}, 0
	}
	return c.lease, left
}

// guarded reports whether the companion names a lease of somebody else's that is not over.
func (s *store) guarded(t token) bool {
	c := s.companion
	own := c != nil && c.lease == t && s.has(guardNotOwn)
	return s.has(guard) && c != nil && c.lease != (token{}) && !own && c.end-keep > s.now
}

func (s *store) marksOver() {
	s.over, s.until = &over{when: s.now, real: s.real}, s.now+keep
	s.moreStays(keep)
}

// lease writes the companion of a grant to t, and returns the base.
func (s *store) lease(t token, again bool) int64 {
	base := s.mint()
	first := base
	if again {
		first = 0
		if s.companion != nil {
			first = max(s.companion.first, -s.companion.first) // it confirms a lease that was given
		}
	}
	s.leaves(t)
	s.names(t, base, first, s.lock.end)
	s.seal(false)
	return base
}

// names makes the companion say that t has the lease until end.
func (s *store) names(t token, base, first, end int64) {
	s.watch.minted(s, base)
	s.companion = &companion{last: base, first: first, lease: t, end: max(end, base, s.now) + keep}
	if s.over != nil {
		s.over.lease = t
	}
}

// heldBy queues the attempt, if it waits.
func (s *store) heldBy(t token, wait bool, lives, ask int64) reply {
	if wait {
		i := s.index(t)
		if i < 0 {
			score := s.now
			if n := len(s.queue); n > 0 && s.has(arrivalsLast) {
				score = max(score, s.queue[n-1].score+1)
			}
			i = s.insert(waiter{token: t, score: score, real: s.real})
		}
		w := &s.queue[i]
		w.alive, w.lives, w.ask, w.askedReal = s.now+lives, lives, ask, s.real
		s.queueEnd = s.now + keep
		if c := s.companion; c != nil && !s.has(waitAddsNothing) {
			c.end = max(c.end, s.lock.end+keep)
		}
	}
	s.seal(wait || s.told != nil && s.told.contended)
	return reply{attempt: t.attempt, outcome: held}
}

func (s *store) insert(w waiter) int {
	i := len(s.queue)
	for i > 0 && s.queue[i-1].score > w.score {
		i--
	}
	s.queue = append(s.queue, waiter{})
	copy(s.queue[i+1:], s.queue[i:])
	s.queue[i] = w
	return i
}

// renew is the full script. A caller that knows the last base may shorten the lease.
func (s *store) renew(t token, ttl, known int64) reply {
	s.begin(t)
	r := reply{attempt: t.attempt, ttl: ttl, outcome: notHeld}
	if s.wrongType() {
		r.outcome = refused
		return r
	}
	defer s.watch.check(s)
	if lease, left := s.stray(); lease == t && lease != (token{}) {
		s.repair(lease, left)
	}
	later := known != 0 && s.companion != nil && s.companion.lease == t && max(s.companion.first, -s.companion.first) > known
	if later || s.lock.kind != ours || s.lock.token != t {
		if s.over != nil && s.over.lease == t {
			s.over.lease = token{} // its holder is told so, and must not have it back later
		}
		if c := s.companion; c != nil && c.lease == t && !s.has(renewKeepsName) {
			c.lease = token{}
		}
		s.seal(false)
		return r
	}
	if s.revokedNow() {
		r.outcome = isRevoked
		return r
	}
	c := s.companion
	if c == nil || c.last != known {
		r.ttl = max(ttl, s.lock.end-s.now)
	}
	first := int64(0)
	if c != nil && c.lease == t {
		first = max(c.first, -c.first)
	}
	s.lock.end = s.now + r.ttl
	r.base, r.outcome = s.mint(), renewed
	s.names(t, r.base, first, s.lock.end)
	s.seal(false)
	return r
}
