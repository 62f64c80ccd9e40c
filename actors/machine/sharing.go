package machine

import (
	"slices"

	"github.com/turnstile-go/turnstile/backends"
)

// sharing is the phase in which the process has shares of the key, any number; or an attempt that asks for the next one
// beside them, of whichever kind; or attempts that end. One call is in flight for all of them.
//
// The first in line has a place in the backend's queue by the attempt that asks, while others here still have their
// shares: else a writer behind a reader of its process would be overtaken by every reader that comes elsewhere meanwhile.
type sharing struct {
	shares []*share // oldest first
	asking asking   // its attempt is 0: none asks
	ends   []*ending
	won    *Call // the attempt that asks was granted the lock, which waits for the ends
}

// retries are those of the asks: see triesAgain for the others.
func (s *sharing) retries() *retry { return &s.asking.retry }

func (s *sharing) plan(m *Machine, p *plan) *Call {
	if m.gap.due(m.now) {
		p.later(m.gap.at.Add(m.cfg.PollerGap)) // see skipGap
	}
	s.sweep(m, p)
	for _, h := range s.shares {
		if c := h.plan(m, p); c != nil {
			return c
		}
	}
	p.after = 0
	if len(s.ends) > 0 {
		return s.planEnds(m, p)
	}
	if c := s.planAsk(m, p); c != nil {
		return c
	}
	if len(s.ends) > 0 { // the attempt that asked ends
		return s.planEnds(m, p)
	}
	if len(s.shares) > 0 {
		return nil
	}
	return s.leave(m, p)
}

// sweep gives back the shares that are over, and those that nobody here uses.
func (s *sharing) sweep(m *Machine, p *plan) {
	for i := 0; i < len(s.shares); {
		switch h := s.shares[i]; {
		case p.from(h.deadline):
			s.end(m, h, max(h.ends, m.now)) // no hold is left: none goes beyond it
		case h.uses == 0 && h.goesBack(m, p):
			s.end(m, h, h.ends)
		default:
			i++
		}
	}
}

// planAsk returns the ask for the first in line, if that waits for more than what is here. An attempt ends that asks
// for what nobody wants any more. Nothing is asked for before the ends are over: of a session only the newest attempt
// asks.
func (s *sharing) planAsk(m *Machine, p *plan) *Call {
	a := &s.asking
	switch {
	case s.won != nil:
		return nil
	case m.asksFor() == nil, m.closing, m.gap.due(m.now), a.asksInVain(m):
		if a.attempt != 0 {
			s.stopAsking(m)
			return nil // its end is next
		}
		if m.asksFor() == nil || m.closing || m.gap.due(m.now) {
			return nil
		}
	case a.attempt == 0 && !s.wantsMore(m):
		return nil
	}
	if len(s.shares) == 0 {
		return nil // see leave
	}
	if !a.woken && !p.from(a.retry.at) {
		return nil
	}
	c := a.ask(m)
	if c != nil {
		c.Ambiguous = a.ambiguous
	}
	return c
}

// wantsMore reports whether the first in line needs another share, or the lock. It waits for its turn behind as many
// permits of this process as there can be, unless others may come between.
func (s *sharing) wantsMore(m *Machine) bool {
	head := m.asksFor()
	if h := s.fitting(m, head); h != nil && h.spare() {
		return false
	}
	mine, others := int32(0), false
	for _, h := range s.shares {
		others = others || h.contended || h.revoked
		if h.kind == backends.Slots {
			mine += h.permits
		}
	}
	return head.kind != backends.Slots || mine < head.Spec.N || others
}

// leave enters the phase of what is left, if no share is.
func (s *sharing) leave(m *Machine, p *plan) *Call {
	if s.won != nil { // the ends were given up
		s.takeLock(m)
		return m.leased.plan(m, p)
	}
	if a := &s.asking; a.attempt != 0 {
		if a.ambiguous {
			m.ambiguous = a.attempt
		}
		was := *a
		m.enter(&m.asking)
		m.asking = was
		return m.asking.plan(m, p)
	}
	pause := s.asking.retry
	m.enter(&m.free)
	m.free.retry = pause
	m.madeGap()
	return m.free.plan(m, p)
}

// fitting returns the share that is to carry h, perhaps once it was renewed or another has left it; nil if there is none.
// A nested hold goes under the share of its parent. Else the newest comes first.
func (s *sharing) fitting(m *Machine, h *Hold) *share {
	if h.nested {
		return h.Within.under.share
	}
	var full *share
	for _, o := range slices.Backward(s.shares) {
		switch {
		case !o.suits(h), o.yields(m):
		case o.spare():
			return o
		case full == nil:
			full = o
		}
	}
	return full
}

// next returns the first in line if the share is to carry it.
func (s *sharing) next(m *Machine, h *share) *Hold {
	if head := m.queue.first; head != nil && s.fitting(m, head) == h {
		return head
	}
	return nil
}

// carrier returns the lease by which h may have the key now; nil if there is none.
func (s *sharing) carrier(m *Machine, h *Hold) *leased {
	o := s.fitting(m, h)
	if o == nil || !o.spare() {
		return nil
	}
	fits := o.confirmedFor(h) && o.fits(m.now, h.Spec.lasts()) && !o.doubts(m) && !o.stale(m)
	if !fits || o.revoked || o.gone {
		return nil
	}
	return &o.leased
}

// mayServe reports whether one try of h, which has just come, may find the key: it waits neither behind others that
// wait, nor for a holder here to leave.
func (s *sharing) mayServe(m *Machine, h *Hold) bool {
	switch {
	case m.queue.len > 0:
		return false
	case m.holders.len == 0:
		return true
	case h.kind == backends.Exclusive || m.holders.first.kind != h.kind:
		return false
	}
	if o := s.fitting(m, h); o != nil && o.spare() {
		return true
	}
	return h.kind == backends.Slots && m.holders.len < h.Spec.N
}

// answered takes the result of the call in flight. That others wait goes for all shares, whichever attempt was told.
func (s *sharing) answered(m *Machine, c *Call) {
	if c.Err == nil && (c.Reply.Contended || c.Reply.Outcome == backends.Held && c.Reply.Place > 1) {
		s.wanted(m)
	}
	switch c.Verb {
	case Acquiring:
		s.asked(m, c)
	case Renewing:
		for _, h := range s.shares {
			if h.attempt == c.Attempt {
				h.answered(m, c)
				return
			}
		}
	default:
		s.ended(m, c)
	}
}

// asked takes the answer to an ask.
func (s *sharing) asked(m *Machine, c *Call) {
	a := &s.asking
	a.said(c.Ask, c.Alive, c.Sent)
	a.ambiguous = a.ambiguous || c.unanswered()
	switch {
	case c.Err != nil || c.Reply.Outcome != backends.Granted:
		a.notGranted(m, c)
		return
	case a.kind == backends.Exclusive:
		s.ousts(m, a.kind)
		s.won = c
		return
	}
	m.news.answered, m.news.err, m.news.holder = m.now, nil, nil
	s.ousts(m, a.kind)
	h := newShare(a, false, m.now)
	h.took(c, m.now)
	s.shares = append(s.shares, h)
	s.asking = asking{}
}

// ousts ends the shares beside which nobody can be granted a hold of the kind: they are lost. A lock that was to turn
// into a share of that kind may have done so: its renewal will tell.
func (s *sharing) ousts(m *Machine, k backends.Kind) {
	for _, h := range slices.Clone(s.shares) {
		switch {
		case h.kind != k:
			s.lose(m, h, backends.ErrNotHeld)
		case h.lock:
			h.doubted = m.now
		}
	}
}

// lose ends everything that stood on a share that is gone. Its attempt is settled all the same.
func (s *sharing) lose(m *Machine, h *share, why error) {
	h.lose(m, why)
	s.end(m, h, max(h.ends, m.now))
}
