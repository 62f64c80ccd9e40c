package machine

import (
	"fmt"

	"github.com/turnstile-go/turnstile/backends"
)

// arrive queues an acquire, or answers it at once.
func (m *Machine) arrive(h *Hold) {
	h.arrived, h.kind = m.now, h.Spec.Kind
	switch {
	case m.closing:
		m.refuse(h, backends.ErrClosed)
	case h.Within != nil && m.nest(h):
	case h.Spec.Try && m.triesInVain(h):
		m.timeOut(h)
	case h.Spec.Try && (m.busy() || m.news.holder != nil && m.queue.len > 0 && m.phase.retries().failures == 0):
		// One try waits neither behind a holder nor behind other waiters.
		m.timeOut(h)
	case m.Waiters() >= m.cfg.MaxWaiters:
		m.refuse(h, fmt.Errorf("%w: key %q has %d", backends.ErrOverloaded, m.keeper.Key(), m.queue.len))
	default:
		if h.Spec.Try {
			m.phase.retries().end() // a caller with one try has a right to it
		}
		m.queue.add(h, m.now)
	}
}

func (m *Machine) refuse(h *Hold, err error) { m.emit(Effect{Kind: Refuse, Hold: h, Err: err}) }

// timeOut answers an acquire whose time is over, which may still be in the queue.
func (m *Machine) timeOut(h *Hold) { m.timeOutBy(h, m.Why(h, m.now)) }

func (m *Machine) timeOutBy(h *Hold, why Why) {
	if h.listed == inQueue {
		m.queue.drop(h)
	}
	m.emit(Effect{Kind: TimeOut, Hold: h, Why: &why})
}

// failQueue fails all that wait.
func (m *Machine) failQueue(err error) {
	for h := m.queue.first; h != nil; h = m.queue.first {
		m.queue.drop(h)
		m.refuse(h, err)
	}
}

// failTries answers the callers with one try after their call, c, has not brought
// the key. If c began before they came, its failure is not theirs: another call
// follows at once.
func (m *Machine) failTries(c *Call) {
	m.queue.eachTry(func(h *Hold) {
		if c.Err != nil && c.Began < h.arrived {
			m.phase.retries().end()
			return
		}
		why := m.Why(h, m.now)
		if c.Err != nil {
			why.Err, why.Silent, why.Held = c.Err, true, false
		}
		m.timeOutBy(h, why)
	})
}

// rejectTries answers the callers with one try, since no call under way can grant
// them the key: somebody got ahead of them, or the key is not to be asked for. It
// reports whether there were any.
func (m *Machine) rejectTries() bool {
	if m.queue.tries == 0 {
		return false
	}
	m.queue.eachTry(m.timeOut)
	return true
}

// expire ends the holds whose time is over, and answers the callers that have
// waited long enough. That is decided here, by the one who grants, so a timeout never
// crosses a grant; and a waiter needs no timer of its own.
func (m *Machine) expire() {
	m.expireHolds()
	if at := m.queue.nextWalk(); at != 0 && m.now >= at {
		m.queue.walk(m.now, m.timeOut)
	}
	if m.releasing != nil && m.now >= m.releasing.until {
		m.answerRelease(m.releaseGoesOn())
	}
	if m.sharing != nil {
		m.sharing.expire(m)
	}
	m.expireDisownings()
	m.stopTrying()
	m.expireExtensions()
}

// expireHolds ends the holds whose time is over. A hold whose lease no renewal
// could prove is lost, and learns so a little before its deadline rather than
// after.
func (m *Machine) expireHolds() {
	for h := m.holders.first; h != nil; {
		next := h.next
		if at, lost := h.endsAt(h.under.unproved); m.now >= at {
			cause := backends.ErrExpired
			if lost {
				cause = backends.Wrap(backends.ErrLost, "no renewal got through", m.complaint())
			}
			m.endHold(h, cause)
		}
		h = next
	}
}

// leaves takes a hold off its lease.
func (m *Machine) leaves(h *Hold) {
	m.holders.remove(h)
	if s := h.under.share; s != nil {
		s.leaves(h)
	}
}

// endHold ends a hold that was not released.
func (m *Machine) endHold(h *Hold, cause error) {
	m.leaves(h)
	h.under.linger = 0 // what ended badly does not linger
	m.cancelExtensions(h)
	h.Over = min(m.now, h.Deadline) // a process that was stopped comes late
	m.emit(Effect{Kind: End, Hold: h, Err: cause})
}
