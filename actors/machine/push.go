package machine

import "github.com/turnstile-go/turnstile/backends"

// woken takes a push: a hint that something changed at the backend.
func (m *Machine) woken(kind backends.WakeKind) {
	l := &m.leased
	switch kind {
	case backends.Given:
		// Ask now; or again, if we are asking and the answer is from before.
		if a := m.asker(); a != nil {
			a.woken = m.queue.len > 0
		}
	case backends.Wanted:
		// A push is faster than an answer: what is in flight may be answered by what was
		// true before somebody came, and then nobody would say it again for a heartbeat.
		if m.call != nil {
			m.call.wanted = true
		}
		if m.phase == &m.leased {
			l.note(true, m.now)
		}
		if m.sharing != nil {
			m.sharing.wanted(m)
		}
	case backends.Doubted:
		m.doubt()
	case backends.Revoking:
		// The word may be of an earlier lease, or anybody's who may publish: it takes a
		// renewal to know. Nothing is granted before that; what lingers just goes. A rest
		// that has ended here only may end at the backend all the same: it is asked.
		m.doubt()
		l.linger = 0
		if m.sharing != nil {
			m.sharing.lingersNoMore()
		}
		if m.phase == &m.free {
			m.rest = rest{}
		}
	case backends.Answering:
		// A call in flight may still fail for the earlier reason; then the next follows
		// at once.
		if m.call != nil {
			m.call.again = true
		}
		m.phase.retries().end()
		if m.sharing != nil {
			m.sharing.triesAgain()
		}
	}
}

// asker returns the attempt that asks; nil in the phases in which there is none.
func (m *Machine) asker() *asking {
	switch {
	case m.phase == &m.asking:
		return &m.asking
	case m.sharing != nil:
		return &m.sharing.asking
	}
	return nil
}

// doubt has the lease proved before the next grant. That goes for a lease that is
// being asked for, too: its grant may be by the server from before.
func (m *Machine) doubt() {
	switch m.phase {
	case &m.asking:
		m.asking.doubted = m.now
	case &m.leased:
		m.leased.doubted, m.leased.retry.at = m.now, 0
	case m.sharing:
		m.sharing.doubt(m)
	}
}
