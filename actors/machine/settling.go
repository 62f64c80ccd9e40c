package machine

import (
	"errors"

	"github.com/turnstile-go/turnstile/backends"
)

// settling is the phase in which an attempt ends at the backend: one that was
// granted, or one that may have been. It is retried until it is answered, or until
// the lease would have ended by itself.
type settling struct {
	attempt uint64
	verb    Verb // Releasing or Cancelling
	until   Instant
	rests   bool // the key is to rest
	retry   retry
}

// settle enters the phase.
func (m *Machine) settle(attempt uint64, v Verb, until Instant) {
	rests := m.leased.rests // which enter resets
	m.enter(&m.settling)
	m.settling = settling{attempt: attempt, verb: v, until: until, rests: rests}
}

func (s *settling) retries() *retry { return &s.retry }

func (s *settling) plan(m *Machine, p *plan) *Call {
	if !p.from(s.retry.at) {
		return nil
	}
	c := &Call{Verb: s.verb, Attempt: s.attempt, Long: s.verb == Releasing && s.until.Sub(p.now) > backends.LongLease}
	if s.rests {
		c.AtLeast = m.rest.left(m.now)
	}
	return c
}

func (s *settling) answered(m *Machine, c *Call) {
	err := c.Err
	switch {
	case err == nil, backends.IsNotHeld(err) && s.retry.failures > 0:
		// Not held: an earlier try may have done it, and its reply was lost.
		s.end(m, nil)
	case backends.IsNotHeld(err):
		s.end(m, backends.ErrNotHeld)
	case lasts(err), m.closing && m.now >= m.closeBy, m.now >= s.until:
		s.leave(m, err)
	default:
		s.retry.failed(c, m.now)
		m.failTries(c)
		if backends.IsRefused(err) {
			m.failQueue(err)
		}
	}
}

// lasts reports whether a release was refused for a lasting reason. A refused
// login, a missing permission, or a server that takes no writes does not last:
// credentials, permissions and masters may change while the lease still stands.
func lasts(err error) bool {
	var r backends.Reason
	if !backends.IsRefused(err) {
		return false
	}
	errors.As(err, &r)
	return r != backends.WrongLogin && r != backends.NoPermission && r != backends.ReadOnly
}

// end makes the key free: nothing of the attempt is left at the backend.
func (s *settling) end(m *Machine, answer error) {
	m.news.err = nil
	m.answerSettled(answer)
	m.enter(&m.free)
	m.madeGap()
}

// leave gives up the end of the attempt: its lease ends by its ttl.
func (s *settling) leave(m *Machine, err error) {
	m.answerSettled(err)
	if m.closing && s.verb == Releasing {
		m.emit(Effect{Kind: Leak, Err: err})
	}
	m.enter(&m.free)
	m.madeGap()
}
