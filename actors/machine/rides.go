package machine

import (
	"fmt"

	"github.com/turnstile-go/turnstile/backends"
)

// This file is how a lock carries holds of other kinds, one kind at a time, and how it becomes a share. So a process
// whose callers read and write by turns makes no calls while nobody else wants the key.

// rides notes that h, the first hold under the lock, begins.
func (l *leased) rides(h *Hold, now Instant) {
	if l.ridden, l.turns = 0, false; h.kind != backends.Exclusive {
		l.ridden = now
	}
}

// mayRide reports whether the lock, which somebody here holds, carries h as well: it carries holds of one kind, and fewer
// of slots than each of them says. It carries no more of them than the share has permits that it becomes.
func (m *Machine) mayRide(h *Hold) bool {
	if m.leased.ridden == 0 || h.kind != m.holders.first.kind {
		return false
	}
	return h.kind == backends.Shared || m.holders.len < min(h.Spec.N, backends.MostWanted)
}

// turnsNow reports whether the lock is to become a share, since others may want to come in: a holder has asked for it,
// others wait, or a Tenure is over. Of others that only try nobody is told. Callers here that want more slots than it
// carries wait for another attempt.
func (l *leased) turnsNow(m *Machine, p *plan) bool {
	if l.ridden == 0 || m.holders.len == 0 {
		return false
	}
	full := m.queue.len > 0 && m.holders.len == backends.MostWanted && m.holders.first.kind == backends.Slots
	return p.seen(l.turns || l.contended || full) || p.from(l.ridden.Add(m.cfg.Tenure))
}

// turn makes a share of the lock, of the kind and number of its holds. To the backend it may be a lock until a renewal
// was answered, each of which says the kind. It carries no exclusive hold any more, whatever is answered.
func (m *Machine) turn() {
	s := &share{leased: m.leased, lock: true, permits: m.holders.len}
	s.turns, s.kind, s.ambiguous = true, m.holders.first.kind, m.ambiguous == m.leased.attempt
	for h := m.holders.first; h != nil; h = h.next {
		s.carries(h)
		s.limit = max(s.limit, h.Spec.N)
	}
	m.enterSharing(s)
}

// share makes a share of what the attempt was granted, which asked for one.
func (m *Machine) share(c *Call) {
	m.news.answered, m.news.err, m.news.holder = m.now, nil, nil
	s := newShare(&m.asking, m.ambiguous == c.Attempt, m.now)
	m.enterSharing(s)
	s.took(c, m.now)
}

func (m *Machine) enterSharing(s *share) {
	s.share = s
	m.enter(new(sharing))
	m.sharing = m.phase.(*sharing)
	m.sharing.shares = append(m.sharing.shares, s)
}

// triesInVain reports whether one try of h, which has just come, can't find the key where shared or slot holds are.
func (m *Machine) triesInVain(h *Hold) bool {
	switch {
	case m.sharing != nil:
		return !m.sharing.mayServe(m, h)
	case m.leased.ridden == 0 || m.holders.len == 0:
		return false
	}
	return m.queue.len > 0 || !m.mayRide(h)
}

// wants returns what those at the head of the queue want who can have the same permits: how many slots there are, as the
// first of them says, and how many permits they can use.
func (m *Machine) wants() (n, want int32) {
	first := m.asksFor()
	for h := first; h != nil && h.kind == backends.Slots && h.Spec.N >= first.Spec.N && want < backends.MostWanted; h = h.next {
		if want++; want == first.Spec.N || m.cfg.NoHandoff {
			break
		}
	}
	return first.Spec.N, want
}

// downgrade makes an exclusive hold a shared one.
func (m *Machine) downgrade(x *Extension) {
	h := x.Hold
	m.expire()
	switch {
	case !h.has():
		m.extended(x, h.Outcome(backends.ErrNotHeld))
	case !m.cfg.Can.Kinds:
		m.extended(x, fmt.Errorf("%w: %s keeps no shared holds", backends.ErrInvalid, m.cfg.Can.Name))
	case h.kind == backends.Slots, h.Spec.AtLeast > 0:
		m.extended(x, fmt.Errorf("%w: a slot hold can't be downgraded, nor one with AtLeast", backends.ErrInvalid))
	case h.kind == backends.Shared && !h.under.turns:
		m.extended(x, nil)
	default:
		if h.kind == backends.Exclusive {
			h.kind = backends.Shared
			m.leased.rides(h, m.now)
			m.leased.turns = true
		}
		x.asked, x.turns = m.now, true
		m.list(x)
	}
}
