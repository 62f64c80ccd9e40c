package model

// release gives the lease back, or ends an attempt that nobody awaits: it is the full release and the full cancel.
// With marks the attempt, and all before it of the session, are settled.
func (s *store) release(t token, marks bool) reply {
	s.begin(t)
	r := reply{attempt: t.attempt, outcome: notHeld}
	if s.wrongType() {
		r.outcome = refused
		return r
	}
	defer s.watch.check(s)
	if s.has(leavesFirst) {
		s.leaves(t)
	}
	given := false
	lease, _ := s.stray()
	if s.lock.kind == ours && s.lock.token == t || lease == t && lease != (token{}) {
		s.watch.ends(s, t)
		given = s.ends()
		r.outcome = freed
	}
	s.leaves(t)
	if marks {
		s.settle(t)
	}
	if !given && s.has(releaseForgets) {
		s.forgets(t)
	}
	s.seal(given && s.told.contended)
	return r
}

// forgets clears the name of a lease that is over for its own holder.
func (s *store) forgets(t token) {
	if c := s.companion; c != nil && c.lease == t {
		c.lease = token{}
		if s.lock.kind == free {
			c.end = max(s.now, c.last) + keep
		}
	}
	if s.over != nil && s.over.lease == t {
		s.over.lease = token{}
	}
	if s.revoked != nil && s.revoked.lease == t {
		s.revoked = nil
	}
}

// ends gives the lock to the first that waits, or to nobody. It reports whether it was given.
func (s *store) ends() bool {
	if front, ok := s.front(); ok {
		s.give(front)
		return true
	}
	s.lock = value{}
	return false
}

func (s *store) give(t token) {
	s.watch.served(s, t)
	base := s.mint()
	w := s.queue[s.index(t)]
	s.leaves(t)
	s.setLock(t, w.lives, byGift)
	s.names(t, base, -base, s.lock.end)
	_, waits := s.head()
	s.told = &told{t, w.ask, w.lives, waits}
}

func (s *store) settle(t token) {
	if s.settled == nil {
		s.settled = map[int]mark{}
	}
	attempt := max(t.attempt, s.settled[t.session].attempt)
	s.settled[t.session] = mark{attempt: attempt, real: s.real}
	s.until = s.now + keep
	s.moreStays(keep)
}

func (s *store) moreStays(ms int64) { s.moreEnd = max(s.moreEnd, s.now+ms) }

func (s *store) revokedNow() bool {
	c := s.companion
	if s.revoked == nil || s.lock.kind != ours {
		return false
	}
	if s.revoked.lease != s.lock.token {
		return false
	}
	known := c != nil && c.lease == s.lock.token && c.first != 0 && s.revoked.first != 0
	return !known || s.revoked.first == max(c.first, -c.first)
}

// revoke asks for the end of the lease, or with now ends what is there.
func (s *store) revoke(now bool) {
	s.begin(token{})
	defer s.watch.check(s)
	c := s.companion
	if s.lock.kind == free || s.wrongType() {
		return
	}
	lease, left := s.stray()
	if now {
		s.revokeNow(lease)
		return
	}
	if lease != (token{}) {
		s.repair(lease, left)
	}
	if s.lock.kind != ours {
		return
	}
	s.revoked = &revocation{lease: s.lock.token}
	if c != nil && c.lease == s.lock.token {
		s.revoked.first = max(c.first, -c.first) // negative while it is given and not confirmed
	}
	s.moreStays(max(keep, s.lock.end-s.now))
	s.seal(false)
}

func (s *store) revokeNow(lease token) {
	s.watch.voidAll()
	over := s.lock.kind == stamp && s.lock.end == 0 && lease == (token{}) && s.lock.time < s.now
	if s.lock.kind == ours {
		lease = s.lock.token
	} else if c := s.companion; c != nil && lease == (token{}) && s.lock.kind == stamp && s.lock.end == 0 && c.end-keep > s.now {
		lease = c.lease // overwritten, and not to be put right: it ends as well
	}
	if over && s.has(revokeMarks) {
		s.marksOver()
	}
	s.of = lease
	if s.has(leavesFirst) {
		s.leaves(lease)
	}
	given := s.ends()
	if lease != (token{}) {
		s.settle(lease)
	}
	if c := s.companion; !given && c != nil {
		s.forgets(c.lease)
	}
	s.seal(given && s.told.contended)
}

// seal ends each full script: it says in the companion whether anything has to be remembered. waits says that somebody
// waits, so that nobody has to look.
func (s *store) seal(waits bool) {
	s.blind = false
	if s.revoked != nil && !s.revokedNow() {
		s.revoked = nil
	}
	if !waits {
		s.head() // drops the dead
	}
	needed := s.remembers() || len(s.queue) > 0
	if !s.has(moreIsRead) && (s.companion == nil || s.companion.quiet) {
		needed = len(s.queue) > 0
	}
	if !needed {
		s.dropMore()
	}
	c := s.companion
	if c == nil {
		if !needed {
			return
		}
		c = &companion{}
		if s.lock.kind == ours && s.has(evictedNamed) {
			c.lease, c.end = s.lock.token, s.lock.end+keep
		}
		s.companion = c
	}
	c.quiet = !needed
	if needed && s.has(companionStays) {
		c.end = max(c.end, s.now+keep)
	}
	if c.end == 0 {
		c.end = s.now + 1
	}
}
