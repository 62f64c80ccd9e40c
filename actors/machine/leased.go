package machine

import (
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// probeEvery is how often the backend is asked for a revoked lease while callers
// wait behind a hold that has not stopped: somebody may have deleted the lease.
const probeEvery = time.Second

// leased is the phase in which the lease is ours: somebody here holds the key, or is
// about to, or it lingers.
//
// A share is kept in the same way: see sharing.
type leased struct {
	lease
	share   *share  // nil: it is the lock
	ridden  Instant // since when the lock carries shared or slot holds; 0: it does not. See mayRide
	turns   bool    // a holder of the lock wants to go on with a shared hold
	doubted Instant // a lease that was last proved before may be gone: see doubts
	linger  Instant // nobody needs the lease, and it may stay until then
	failing Instant // when the first of the renewals that failed in a row began
	retry   retry
}

func (l *leased) retries() *retry { return &l.retry }

func (l *leased) plan(m *Machine, p *plan) *Call {
	switch {
	case p.from(l.deadline):
		// No hold is left: none goes beyond the lease.
		m.dropLease()
		return m.phase.plan(m, p)
	case m.holders.len == 0 && l.goesBack(m, p):
		m.gap.leaseGoes(m.now, m.queue.len == 0)
		m.settle(l.end(l.ends))
		return m.phase.plan(m, p)
	case l.revoked:
		return l.planProbe(m, p)
	case l.turnsNow(m, p):
		m.turn()
		return m.phase.plan(m, p)
	}
	return l.planRenewal(m, p, false)
}

// goesBack reports whether the lease, which nobody holds, goes back now: nobody here
// needs it, or another's turn has come.
func (l *leased) goesBack(m *Machine, p *plan) bool {
	switch {
	case m.closing:
		return true
	case m.queue.len > 0:
		return l.yields(m)
	case !l.lingers(m):
		return true
	}
	p.later(l.linger)
	if m.gap != nil {
		p.later(m.gap.at)
	}
	return false
}

// grants reports whether h may have the key now: nothing is granted on a lease that
// is past its deadline, that would end before the hold does, or that may be gone. For the
// first hold under one that is not confirmed see opens.
func (l *leased) grants(m *Machine, h *Hold) bool {
	fits := l.confirmedFor(h) && l.fits(m.now, h.Spec.lasts()) || l.opens(m.now, h)
	return fits && l.sureFor(&h.Spec, m.now) && !l.doubts(m) && !l.stale(m) && !l.yields(m)
}

// yields reports whether the lease has to go back before the next local grant:
// because another process waits and the budget of handoffs or time is used up,
// or because handoff is turned off, or because pollers get their gap; or because
// the key is to rest; or because it was revoked, or somebody else has it.
func (l *leased) yields(m *Machine) bool {
	switch {
	case l.revoked, l.gone, l.rests:
		return true
	case !l.granted || !m.cfg.Can.Exclusive:
		return false // what was just acquired is used at least once
	case m.cfg.NoHandoff:
		return true
	case l.contended && (l.passed >= MaxN || m.now.Sub(l.since) >= m.cfg.Tenure):
		return true
	}
	return m.gap.due(m.now)
}

// doubts reports whether the lease may be gone although its time is not over:
// since the backend said so, or since no renewal got through to a backend
// whose place another can take. What is held goes on, but for the renewal that
// is due now; nothing is granted until that has proved the lease.
func (l *leased) doubts(m *Machine) bool {
	return l.renewed < l.doubted || l.unproved && m.cfg.Can.FailsOver
}

// ages reports whether the lease can go without a push that says so: see ProofLasts.
func (m *Machine) ages() bool {
	return m.cfg.Can.Exclusive && (m.cfg.Can.FailsOver || !m.cfg.Can.Wakes)
}

// stale reports whether the lease has to be proved before it can be handed on.
func (l *leased) stale(m *Machine) bool { return m.ages() && m.now >= l.staleAt() }

func (l *leased) staleAt() Instant { return l.renewed.Add(ProofLasts + 1) }

// planProbe asks for a revoked lease, without giving it more time, while callers wait
// behind a hold that has not stopped. While the lease is there, its holders have
// their time to stop. If it was deleted, others may have the key, and the waiters
// here have to ask for it.
func (l *leased) planProbe(m *Machine, p *plan) *Call {
	if m.holders.len == 0 || m.queue.len == 0 {
		return nil
	}
	p.after = l.retry.at
	at := l.renewed.Add(probeEvery)
	if l.doubts(m) {
		at = m.now
	}
	if !p.from(at) {
		return nil
	}
	ttl := max(l.deadline.Sub(m.now).Truncate(time.Millisecond), time.Millisecond)
	return &Call{Verb: Renewing, Attempt: l.attempt, TTL: ttl, Known: l.base}
}

func (l *leased) answered(m *Machine, c *Call) {
	switch {
	case c.Err == nil:
		m.news.answered, m.news.err = m.now, nil
		l.retry = retry{}
		l.set(c, m.now)
		if !l.revoked {
			l.prolong(m, c.Sent)
		}
	case backends.IsNotHeld(c.Err):
		l.lose(m, c.Err)
		m.dropLease()
	case backends.IsRevoked(c.Err):
		m.news.answered = m.now
		l.retry = retry{}
		l.renewed = c.Sent // it is there
		l.revoke(m, c.Err)
	default:
		l.failed(m, c)
	}
}

func (l *leased) failed(m *Machine, c *Call) {
	l.retry.failed(c, m.now)
	l.retry.at = min(l.retry.at, m.now.Add(c.TTL/10))
	l.unproved = true
	l.warn(m, c)
	l.ends = max(l.ends, m.now.Add(c.TTL)) // it may have run
	m.failTries(c)
	if backends.IsRefused(c.Err) {
		l.failExtensions(m, c.Err)
		m.failQueue(c.Err)
	}
}

// revoke tells the holders of a revoked lease to stop. Their holds are lost to
// them, but they stay holders until they release: nobody else gets the key while
// they may still be at work, up to their deadlines. No renewal moves these any
// more. Waiters here then ask for a lease of their own.
func (l *leased) revoke(m *Machine, why error) {
	l.revoked, m.news.err = true, nil
	m.dropRest()
	for h := m.holders.first; h != nil; h = h.next {
		if h.under != l || h.revoked {
			continue
		}
		h.revoked = true
		m.cancelExtensions(h)
		m.emit(Effect{Kind: Revoke, Hold: h, Err: backends.Wrap(backends.ErrLost, "", why)})
	}
}

// lose ends everything that stood on a lease that is gone.
func (l *leased) lose(m *Machine, why error) {
	for h := m.holders.first; h != nil; {
		next := h.next
		if h.under == l {
			m.endHold(h, backends.Wrap(backends.ErrLost, "", why))
		}
		h = next
	}
}

// end is what it takes to give the lease back, which is over by itself then.
func (l *leased) end(by Instant) settling {
	return settling{attempt: l.attempt, kind: l.kind, verb: Releasing, until: by}
}

// dropLease gives up a lease that is over or lost. Its attempt is settled all
// the same: a copy of its request that is still on its way must grant nothing.
func (m *Machine) dropLease() {
	m.settle(m.leased.end(max(m.leased.ends, m.now)))
}
