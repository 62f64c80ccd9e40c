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
	kind    backends.Kind // that it asked for, or may be
	verb    Verb          // Releasing or Cancelling
	until   Instant
	rests   bool // the key is to rest
	retry   retry
}

// settle enters the phase.
func (m *Machine) settle(s settling) {
	s.rests = m.leased.rests // which enter resets
	m.enter(&m.settling)
	m.settling = s
}

func (s *settling) retries() *retry { return &s.retry }

func (s *settling) plan(m *Machine, p *plan) *Call {
	if !p.from(s.retry.at) {
		return nil
	}
	c := &Call{Verb: s.verb, Attempt: s.attempt, Kind: s.kind, Long: s.verb == Releasing && s.until.Sub(p.now) > backends.LongLease}
	if s.rests {
		c.AtLeast = m.rest.left(m.now)
	}
	return c
}

func (s *settling) answered(m *Machine, c *Call) {
	switch s.takes(m, c) {
	case ended:
		s.end(m, s.outcome(c))
	case givenUp:
		s.leave(m, c.Err)
	}
}

// The ways in which the end of an attempt may stand after a call.
type endState uint8

const (
	pending endState = iota // it is tried again
	ended                   // nothing of the attempt is left
	givenUp                 // it is given up: what is left ends by its ttl
)

// takes takes what was answered to the end of the attempt.
func (s *settling) takes(m *Machine, c *Call) endState {
	switch err := c.Err; {
	case err == nil, backends.IsNotHeld(err):
		return ended
	case lasts(err), m.closing && m.now >= m.closeBy, m.now >= s.until:
		return givenUp
	}
	s.retry.failed(c, m.now)
	m.failTries(c)
	if backends.IsRefused(c.Err) {
		m.failQueue(c.Err)
	}
	return pending
}

// outcome is that of an end that was answered. Not held: an earlier try may have done it, and its reply was lost.
func (s *settling) outcome(c *Call) error {
	if backends.IsNotHeld(c.Err) && s.retry.failures == 0 {
		return backends.ErrNotHeld
	}
	return nil
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
