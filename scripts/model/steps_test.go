package model

// The steps of the fixed interleavings.

// do sends the call in flight, and those that its answers lead to, and reads the answers.
func (s *session) do() {
	for s.call != nil {
		s.answered(s.call.run())
	}
}

// takes begins an attempt on the fast path, and follows it until it is answered.
func (s *session) takes(ttl int64) { s.begin(ttl, false, true); s.do() }

// takesInFull and waits ask the full script.
func (s *session) takesInFull(ttl int64) { s.begin(ttl, false, false); s.do() }
func (s *session) waits(ttl int64)       { s.begin(ttl, true, false); s.do() }

// frees ends the attempt, on the fast path if its session may; releases ends it in full.
func (s *session) frees()    { s.end(true); s.do() }
func (s *session) releases() { s.end(false); s.do() }

func (s *session) renews(ttl int64) { s.renew(ttl); s.do() }

// holds reports whether the session has the lock, as it sees it.
func (s *session) holds() bool { return s.attempt != nil && s.attempt.hold != nil }

// dies ends the process. Its lease stays until its time is over.
func (s *session) dies() {
	s.lose()
	s.giveUp()
}

// leftOver lets a pylock crash between SETNX and EXPIRE, and time pass until what it left is in the past.
func (p *play) leftOver(q *pylock) {
	q.act()
	q.crash()
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

// want notes a result that is not as it has to be.
func (p *play) want(ok bool, what string) {
	if !ok {
		p.watch.fail(&p.store, "%s", what)
	}
}
