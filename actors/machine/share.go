package machine

import (
	"github.com/turnstile-go/turnstile/backends"
)

// A share is what one attempt of this process has of a key that others may have shares of as well: it carries shared
// holds, or is a number of permits. It is renewed as a lock is, and each of its calls says its kind. It never grows.
type share struct {
	leased
	lock      bool  // to the backend it may be a lock yet, so that nobody else comes in: see turn
	ambiguous bool  // a request of the attempt was sent and never answered
	disowned  bool  // a Disowning waits for its end
	permits   int32 // of slots: how many holds it is good for; it only goes down
	limit     int32 // of slots: the largest n that its attempt said: the permits are for holds that say as much
	uses      int32 // how many holds are under it
	newest    *Hold // the newest of them: see Hold.peer
	releasing *Hold // its caller waits for what becomes of the share
}

// newShare begins the share of an attempt that asked for one.
func newShare(a *asking, ambiguous bool, now Instant) *share {
	s := &share{lock: true, limit: a.n, ambiguous: ambiguous || a.ambiguous}
	s.share, s.kind, s.attempt, s.doubted = s, a.kind, a.attempt, a.doubted
	s.ends = now.Add(a.ttl) // an earlier request of the attempt may be on its way yet
	return s
}

// took takes over what a grant or a renewal says.
func (s *share) took(c *Call, now Instant) {
	first := s.base == 0
	s.set(c, now)
	permits := int32(max(c.Reply.Permits, 1))
	switch {
	case c.Reply.Kind == backends.Exclusive: // nobody else is there
		permits = max(c.Want, 1)
	default:
		s.lock, s.turns = false, false
	}
	if s.permits = min(s.permits, permits); first {
		s.permits = permits
	}
}

// isLock reports whether the lease is a lock, or may be one yet.
func (l *leased) isLock() bool { return l.share == nil || l.share.lock }

// suits reports whether the share is of the kind of h, and its permits are for it.
func (s *share) suits(h *Hold) bool {
	return s.kind == h.kind && (s.kind != backends.Slots || s.limit <= h.Spec.N)
}

// carries notes that h is under the share.
func (s *share) carries(h *Hold) {
	h.under, h.peer, s.newest = &s.leased, s.newest, h
	s.uses++
}

// leaves notes that h is no more.
func (s *share) leaves(h *Hold) {
	at := &s.newest
	for *at != h {
		at = &(*at).peer
	}
	*at, h.peer = h.peer, nil
	s.uses--
}

// holds returns the first hold under the lease, and peer the one after h. Who has many shares does not search all for each.
func (l *leased) holds(m *Machine) *Hold {
	if l.share != nil {
		return l.share.newest
	}
	return m.holders.first
}

func (l *leased) peer(h *Hold) *Hold {
	if l.share != nil {
		return h.peer
	}
	return h.next
}

// spare reports whether another hold goes under the share.
func (s *share) spare() bool { return s.kind != backends.Slots || s.uses < s.permits }

// goesBack reports whether the share, which nobody here uses, goes back now: the first in line wants something else, or
// nobody waits here and it does not linger.
func (s *share) goesBack(m *Machine, p *plan) bool {
	switch {
	case m.closing, s.revoked, s.gone:
		return true
	case m.queue.len > 0:
		return m.sharing.next(m, s) == nil
	case !s.lingers(m):
		return true
	}
	p.later(s.linger)
	if m.gap != nil {
		p.later(m.gap.at)
	}
	return false
}

// lingers reports whether a share that nobody here uses stays for a while: permits beside others that are in use, so that
// callers who come and go make no calls; else the newest share alone.
func (s *share) lingers(m *Machine) bool {
	if s.kind != backends.Slots || m.holders.len == 0 {
		all := m.sharing.shares
		if s != all[len(all)-1] {
			return false
		}
	}
	return m.sharing.asking.attempt == 0 && s.leased.lingers(m)
}

// plan returns the renewal that the share needs now, if any.
func (s *share) plan(m *Machine, p *plan) *Call {
	if s.revoked {
		return nil
	}
	surplus := s.surplus(m, p)
	p.after = s.retry.at
	early := s.turnsSoon(m, p) || p.seen(surplus) || s.looksAround(m, p)
	c := s.planRenewal(m, p, early)
	if c == nil {
		return nil
	}
	c.Kind, c.Ambiguous = s.kind, s.ambiguous
	if s.kind == backends.Slots {
		if surplus {
			s.permits = max(s.uses, 1) // what goes back is nobody's from when that is sent
		}
		c.N, c.Want = s.limit, s.permits
	}
	return c
}

// turnsSoon reports whether a lock of the share's kind is to become a share: see turnsNow.
func (s *share) turnsSoon(m *Machine, p *plan) bool {
	if !s.lock || s.uses == 0 {
		return false
	}
	if s.ridden == 0 {
		s.ridden = m.now
	}
	return p.seen(s.turns || s.contended) || p.from(s.ridden.Add(m.cfg.Tenure))
}

// surplus reports whether permits that nobody here can use go back. They stay as a lease lingers, where nobody waits.
func (s *share) surplus(m *Machine, p *plan) bool {
	if s.kind != backends.Slots || s.uses == 0 || s.uses >= s.permits {
		return false
	}
	switch {
	case m.queue.len > 0 || s.contended:
		return m.sharing.next(m, s) == nil
	case s.linger > m.now:
		p.later(s.linger)
		return false
	}
	return true
}

// looksAround reports whether it is time to ask for others who wait, where no push tells: twice a Tenure while holds join.
func (s *share) looksAround(m *Machine, p *plan) bool {
	joined := s.n > 1 || s.n > 0 && s.base != s.first
	return !m.cfg.Can.Wakes && !s.contended && s.uses > 0 && joined && p.from(s.renewed.Add(m.cfg.Tenure/2))
}

// answered takes the result of a renewal.
func (s *share) answered(m *Machine, c *Call) {
	switch {
	case c.Err == nil:
		m.news.answered, m.news.err = m.now, nil
		s.retry = retry{}
		s.took(c, m.now)
		if !s.revoked {
			s.prolong(m, c.Sent)
		}
	case backends.IsNotHeld(c.Err):
		m.sharing.lose(m, s, c.Err)
	case backends.IsRevoked(c.Err):
		m.news.answered = m.now
		s.retry = retry{}
		s.renewed = c.Sent // it is there
		s.revoke(m, c.Err)
	default:
		s.ambiguous = s.ambiguous || c.unanswered()
		s.failed(m, c)
	}
}
