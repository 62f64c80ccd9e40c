package kinds

// This file is the scripts of exclusive locks. They know nothing of kinds: the marker is to them the token of a session
// that there is not, and the first in the queue is given an exclusive lock, whichever its kind.

type outcome int

const (
	granted outcome = iota
	held
	settledBefore
	renewed
	notHeld
	isRevoked
	freed
	inFull
)

type reply struct {
	attempt   int
	outcome   outcome
	kind      kind // of what it has
	permits   int
	base      int64
	ttl       int64
	contended bool
	turn      int // how often the key had come to an exclusive holder, for the watch
	epoch     int
}

// fastTake and fastFree are the fast path: fast.lua as it is.
func (s *store) fastTake(t token, ttl int64) reply {
	s.begins(t)
	defer s.watch.check(s)
	c := s.companion
	if s.lock.is != free || c != nil && !s.quiet() {
		return s.says(t, reply{outcome: inFull})
	}
	s.setLock(t, ttl)
	base, over := s.mint(), s.over
	s.over = nil // it stays as it is: nothing puts this lease back
	s.names(name{token: t}, base, base, s.lock.end)
	s.companion.quiet, s.over = true, over
	return s.says(t, reply{outcome: granted, base: base, ttl: ttl})
}

func (s *store) fastFree(t token) reply {
	s.begins(t)
	defer s.watch.check(s)
	if s.lock.is != ours || s.lock.token != t || s.companion == nil || !s.quiet() {
		return s.says(t, reply{outcome: inFull})
	}
	s.lock = value{}
	return s.says(t, reply{outcome: freed})
}

func (s *store) quiet() bool {
	c := s.companion
	return c.quiet && c.last < s.now && c.first >= 0
}

func (s *store) says(t token, r reply) reply {
	r.attempt, r.turn, r.epoch = t.attempt, s.watch.turn, s.watch.epoch
	return r
}

func (s *store) setLock(t token, ttl int64) {
	s.watch.gives(s, t, exclusive)
	s.watch.turn++
	s.lock = value{is: ours, token: t, end: s.now + ttl}
}

// names makes the companion say who has the key until end.
func (s *store) names(who name, base, first, end int64) {
	s.watch.minted(s, base)
	quiet := s.companion != nil && s.companion.quiet
	s.companion = &companion{quiet: quiet, last: base, first: first, lease: who, end: max(end, base, s.now) + keep}
	if s.over != nil {
		s.over.lease = who
	}
}

// head returns the first live waiter. Dead ones before it are dropped. rest: there were more of these than one call
// may drop, so that nobody is known to be the first.
func (s *store) head() (w *waiter, rest bool) {
	for range most {
		if len(s.queue) == 0 {
			return nil, false
		}
		if s.looks(); !s.gone(&s.queue[0]) {
			return &s.queue[0], false
		}
		s.queue = s.queue[1:]
	}
	return nil, len(s.queue) > 0
}

// passOn gives the lock to the first that waits, or to nobody. It reports whether it was given.
func (s *store) passOn() bool {
	if w, _ := s.head(); w != nil && s.has(passesOn) {
		s.give(w.token)
		return true
	}
	s.lock = value{}
	return false
}

// give gives the lock to a waiter of any kind, exclusively.
func (s *store) give(t token) {
	s.watch.served(s, t, wish{}, 0)
	s.leaves(t)
	s.setLock(t, direct)
	base := s.mint()
	s.names(name{token: t}, base, -base, s.lock.end)
	s.tell(t, woken)
}

// setRight repairs what a losing GETSET has overwritten, or takes a left-over away.
func (s *store) setRight(t token) {
	if s.lock.is != stamp || s.lock.end != 0 {
		return
	}
	if lease, left := s.stray(); lease != (name{}) {
		s.restore(lease, left)
	} else if s.lock.time < s.now && !s.guarded(t) {
		s.watch.takesOver(s, s.lock)
		s.lock = value{}
		s.over = &over{when: s.now}
		s.moreStays(keep)
	}
}

func (s *store) restore(lease name, left int64) {
	s.watch.repairs(s, s.lock)
	s.lock = value{is: ours, token: lease.token, end: s.now + left}
	if lease.marker {
		s.lock = value{is: marker, of: lease.of, end: s.now + left}
	}
}

// stray returns the lease or marker that a pylock has overwritten, and what it has left.
func (s *store) stray() (name, int64) {
	c := s.companion
	switch {
	case s.lock.is != stamp || s.lock.end != 0 || c == nil || c.lease == (name{}),
		c.lease.marker && !s.has(markerMended),
		s.over == nil || s.now-s.over.when > keep || s.over.lease != c.lease:
		return name{}, 0
	}
	left := c.end - keep - s.now
	if left <= max(0, c.last-s.now)+slop {
		return name{}, 0
	}
	return c.lease, left
}

// guarded reports whether the companion names a lease of somebody else's that is not over.
func (s *store) guarded(t token) bool {
	c := s.companion
	if c == nil || c.lease == (name{}) || c.lease.token == t && !c.lease.marker {
		return false
	}
	return c.end-keep > s.now && (s.has(markerGuards) || !c.lease.marker)
}

// heldBy queues the attempt, if it waits, and tells who has the key.
func (s *store) heldBy(t token, w wish, wait bool) reply {
	if wait {
		s.waits(t, w)
	}
	s.seal()
	return s.says(t, reply{outcome: held})
}

func (s *store) waits(t token, w wish) {
	i := s.index(t)
	if i < 0 {
		score := s.now
		if n := len(s.queue); n > 0 {
			score = max(score, s.queue[n-1].score+1)
		}
		i = len(s.queue)
		s.queue = append(s.queue, waiter{token: t, score: score, real: s.real})
	}
	s.queue[i].wish, s.queue[i].alive = w, s.now+living
	s.queueEnd = s.now + keep
	s.tellWanted(t)
}

// revokedNow reports whether the lock that is there is revoked. The same attempt may have another.
func (s *store) revokedNow() bool {
	if s.lock.is != ours || s.revoked != s.lock.token {
		return false
	}
	first := s.began(s.revoked)
	return first == 0 || s.revokedFirst == 0 || first == s.revokedFirst
}

// forgets clears the name of a lease that is over for its own holder.
func (s *store) forgets(who name) {
	if c := s.companion; c != nil && c.lease == who {
		c.lease = name{}
		if s.lock.is == free {
			c.end = max(s.now, c.last) + keep
		}
	}
	if s.over != nil && s.over.lease == who {
		s.over.lease = name{}
	}
}

func (s *store) settle(t token) {
	if s.settled == nil {
		s.settled = map[int]int{}
	}
	s.settled[t.session] = max(s.settled[t.session], t.attempt)
	s.until = s.now + keep
	s.moreStays(keep)
}

// seal ends each full script.
func (s *store) seal() {
	if s.revoked != (token{}) && !s.revokedNow() {
		s.revoked = token{}
	}
	s.head() // drops the dead
	needed := len(s.queue) > 0 || s.revoked != (token{}) || s.over != nil && s.now-s.over.when <= keep ||
		len(s.settled) > 0 && s.now <= s.until
	if !needed {
		s.dropMore()
	}
	c := s.companion
	if c == nil {
		if !needed {
			return
		}
		c = &companion{}
		if s.lock.is == ours || s.lock.is == marker && s.has(evictedNamed) {
			c.lease, c.end = s.named(), s.lock.end+keep
		}
		s.companion = c
	}
	c.quiet = !needed
	if needed {
		c.end = max(c.end, s.now+keep)
	}
	if c.end == 0 {
		c.end = s.now + 1
	}
}

// named is the name of what stands under the lock.
func (s *store) named() name {
	if s.lock.is == marker {
		return name{marker: true, of: s.lock.of}
	}
	return name{token: s.lock.token}
}
