package kinds

// This file is the steps of the fixed interleavings.

// takes lets a caller come, and its session do what it has to.
func (s *session) takes(k kind, n int) *caller {
	c := s.arrive(k, n)
	s.goesOn()
	return c
}

func (s *session) reads() *caller       { return s.takes(shared, 0) }
func (s *session) writes() *caller      { return s.takes(exclusive, 0) }
func (s *session) enters(n int) *caller { return s.takes(slots, n) }

// ends ends a hold, and its session does what it has to.
func (c *caller) ends(s *session) {
	s.done(c)
	s.goesOn()
}

// has reports whether the caller has a hold, as its session sees it.
func (s *session) grants(c *caller) bool {
	if c.hold == nil || c.hold.deadline <= s.now() {
		return false
	}
	for _, o := range s.holding {
		if o == c {
			return true
		}
	}
	return false
}

// delete ends the lock by hand, or by a pylock that is late.
func (p *play) delete() { p.store.evictLock() }

// interrupts lets another library take the key and leave it.
func (p *play) interrupts() {
	p.library.take(second)
	p.library.leave()
}

// leftOver lets a pylock stop between SETNX and EXPIRE, and time pass until what it left is in the past.
func (p *play) leftOver(q *pylock) {
	q.act()
	p.pass(7 * second)
}

// takesLeftOver lets the pylock take over what another left, and leave again.
func (q *pylock) takesLeftOver() {
	for range 5 { // SETNX, GET, GETSET, EXPIRE, DEL
		q.act()
	}
}

// stalls lets the pylock read a left-over: its GETSET is the next that it sends.
func (q *pylock) stalls() { q.act(); q.act() }

// tells lets all hear what was sent to them, and time pass.
func (p *play) tells(ms int64) {
	for _, s := range p.sessions {
		if !s.dead {
			s.listens()
		}
	}
	p.pass(ms)
}

// want notes a result that is not as it has to be.
func (p *play) want(ok bool, what string) {
	if !ok {
		p.watch.fail(&p.store, "%s", what)
	}
}
