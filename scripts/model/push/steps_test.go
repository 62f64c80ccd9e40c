package push

// The steps of the fixed interleavings.

const lease = 20 * second

// do runs the call in flight and reads its answer.
func (s *session) do() {
	s.call.run()
	s.answered()
}

// takes begins an attempt and follows it to its answer.
func (s *session) takes() { s.begin(lease); s.do() }

// repeats repeats the attempt.
func (s *session) repeats() { s.ask(lease); s.do() }

func (s *session) confirms() { s.confirm(lease); s.do() }
func (s *session) releases() { s.end(); s.do() }

// listens takes all messages that are on their way to the session.
func (s *session) listens() {
	for i := len(s.p.wire) - 1; i >= 0; i-- {
		if s.p.wire[i].to.session == s.id {
			s.p.deliver(i, false)
		}
	}
	for len(s.inbox) > 0 {
		s.take(0)
	}
}

// goesOn follows an attempt that a push has woken.
func (s *session) goesOn() {
	if s.attempt != nil && s.attempt.phase == asking && s.attempt.woken && s.call == nil {
		s.repeats()
	}
}

func (s *session) holds() bool {
	a := s.attempt
	return a != nil && a.hold != nil && s.clock() < a.hold.deadline
}

// contends makes the first session hold the key, and the others wait in their order.
func (p *play) contends() {
	for _, s := range p.sessions {
		s.takes()
		p.pass(millisecond)
	}
}

// want notes a result that is not as it has to be.
func (p *play) want(ok bool, what string) {
	if !ok {
		p.watch.fail("%s", what)
	}
}
