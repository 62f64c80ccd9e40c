package push

// take looks at message i of the inbox.
func (s *session) take(i int) {
	m := s.inbox[i]
	s.inbox = append(s.inbox[:i:i], s.inbox[i+1:]...)
	a := s.attempt
	if a == nil {
		return
	}
	sent, ok := s.grants(m)
	if !ok {
		if a.phase == asking {
			a.woken = true
		}
		return
	}
	length := m.length
	if !s.has(lengthTold) {
		length = s.length
	}
	s.p.watch.byPush(a, m)
	s.grant(sent, m.base, length, m.origin)
}

// grants reports whether a push is a grant, and when the ask was sent that it echoes.
func (s *session) grants(m push) (sent int64, ok bool) {
	a := s.attempt
	switch {
	case !m.grants,
		m.to != a.token && s.has(attemptNamed),
		a.phase != asking && s.has(whileAsking),
		s.call != nil && s.has(noneInFlight),
		!a.plain && s.has(plainOnly):
		return 0, false
	}
	q := s.echoed(m)
	if q == nil {
		return 0, false
	}
	now, until := s.clock(), q.sent+s.trusts(m.length)
	if !s.has(lengthTold) {
		until = q.sent + s.trusts(s.length)
	}
	if !s.has(timedAtGrant) {
		now = m.received
	}
	switch {
	case now >= until && s.has(notPast),
		s.p.failsOver && now-q.sent > proof && s.has(proofCounts):
		return 0, false
	}
	return q.sent, true
}

// echoed returns the ask that a push echoes, nil if it is none that counts.
func (s *session) echoed(m push) *ask {
	a := s.attempt
	if !s.has(attemptNamed) {
		if q, ok := s.asks[m.number]; ok {
			return &q
		}
		return nil
	}
	for i := len(a.asks) - 1; i >= 0; i-- {
		q := &a.asks[i]
		if s.has(numbered) && q.number == m.number || !s.has(numbered) && q.score != 0 && q.score == m.score {
			return q
		}
		if s.has(newestAsk) {
			return nil
		}
	}
	return nil
}
