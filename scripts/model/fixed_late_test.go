package model

// The interleavings in which a copy of a request comes late.
var lateCopies = []fixed{
	{marksRemembered, "the copy of an acquire, after its attempt was cancelled", "S5", func(p *play) {
		s := p.sessions[0]
		s.begin(20*second, false, true)
		c := s.unanswered()
		s.releases()
		c.run()
	}},
	{stateIsRead, "the same, by the fast path", "S5", func(p *play) {
		s := p.sessions[0]
		s.begin(20*second, false, true)
		c := s.unanswered()
		s.releases()
		p.pass(1)
		c.run()
	}},
	{sessionMemory, "the copy of an acquire, after its cancel was given up", "S5", givenUp(func(*session) {})},
	{memoryOutlives, "the same, and the key's actor retires", "S5", givenUp((*session).retire)},
	{memoryFailsSafe, "the same, and the session has too many keys to remember", "S5", givenUp((*session).overflow)},
	{moreIsRead, "the same, and the companion was evicted and written anew by the fast path", "S5", func(p *play) {
		s := p.sessions[0]
		s.begin(20*second, false, false)
		c := s.unanswered()
		s.releases()
		p.store.evictCompanion()
		p.sessions[1].takes(20 * second)
		p.pass(1)
		p.sessions[1].frees()
		c.run()
	}},
	{replyNumbers, "the reply of an earlier attempt is read by a later one", "S1", func(p *play) {
		s := p.sessions[0]
		s.begin(20*second, false, true)
		earlier := s.call.run()
		s.unanswered()
		s.releases()
		p.sessions[1].takesInFull(20 * second)
		s.begin(20*second, false, true)
		s.answered(earlier)
	}},
}

// givesUp has an acquire that waits and its cancel go unanswered, and returns the acquire, which may come late.
func (s *session) givesUp() *call {
	s.begin(20*second, true, false)
	c := s.unanswered()
	s.end(false)
	s.unanswered()
	s.giveUp()
	return c
}

// givenUp lets an acquire and its cancel go unanswered, and a later attempt go well. The caller says what comes in
// between. Then the copy of the acquire arrives.
func givenUp(between func(*session)) func(*play) {
	return func(p *play) {
		s := p.sessions[0]
		s.begin(20*second, false, true)
		c := s.unanswered()
		s.end(false)
		s.unanswered()
		s.giveUp()
		between(s)
		s.takes(20 * second)
		p.pass(1)
		s.frees()
		p.pass(1)
		c.run()
	}
}

// The interleavings of those that wait.
var queues = []fixed{
	{arrivalsLast, "one comes after the clock went back by two minutes", "is served before", func(p *play) {
		p.sessions[0].takes(20 * second)
		p.sessions[1].waits(20 * second)
		p.pass(300)
		p.step(-120 * second)
		p.sessions[2].waits(20 * second)
		p.sessions[0].releases()
		p.sessions[1].ask(20 * second)
		p.sessions[1].do()
		p.want(p.sessions[1].holds(), "the first that waits is not served")
	}},
	{laterEnds, "the copy of an acquire that was given up is queued behind the session's next attempt", "given the lock by", func(p *play) {
		s := p.sessions[0]
		copied := s.givesUp()
		s.takesInFull(20 * second)
		copied.run()
		s.releases()
		p.want(p.store.lock.kind == free, "the lock is given to nobody")
	}},
	{laterEnds, "the same, before the next attempt comes and the key is free", "given the lock by", func(p *play) {
		p.sessions[1].takes(2 * second)
		s := p.sessions[0]
		copied := s.givesUp()
		p.pass(1500)
		copied.run()
		p.pass(600)
		s.takesInFull(20 * second)
		p.want(s.holds(), "the next attempt does not get the key")
	}},
	{laterEnds, "the same, and the next one is revoked with now", "given the lock by", func(p *play) {
		s := p.sessions[0]
		copied := s.givesUp()
		s.takesInFull(20 * second)
		copied.run()
		p.revoke("1")
		p.want(p.store.lock.kind == free, "the lock is given to nobody")
	}},
	{headIsRead, "the same, and others wait before the copy comes", "after a later one ended", func(p *play) {
		s := p.sessions[0]
		copied := s.givesUp()
		s.takesInFull(20 * second)
		for _, other := range p.sessions[1:] {
			other.waits(20 * second)
			p.pass(1)
		}
		copied.run()
		s.releases()
		for _, other := range p.sessions[1:] {
			other.ask(20 * second)
			other.do()
			p.want(other.holds(), "one that waits does not get the key")
			other.releases()
		}
		p.want(p.store.lock.kind == free, "the lock is given to nobody")
	}},
	{companionStays, "one waits for another's lock", "quiet, while", func(p *play) {
		p.library.take(20 * second)
		p.sessions[0].waits(20 * second)
		p.pass(300)
	}},
}
