package machine

import (
	"slices"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// lastTry is how long Close goes on waiting for a backend that has not answered in
// all of Close's time: it may be there again.
const lastTry = 50 * time.Millisecond

// close fails the waiters and ends the holds; what is leased then goes back. A Release
// that waited for the backend has already used part of Close's time, or all of it.
func (m *Machine) close(by Instant) {
	if !m.closing {
		m.closing, m.closeBy = true, by
		silent := m.news.unheard
		if silent == 0 && m.call != nil {
			silent = m.call.Began
		}
		if silent != 0 {
			m.closeBy = min(by, max(silent.Add(Patience), m.now.Add(lastTry)))
		}
	}
	if m.phase != &m.leased {
		m.phase.retries().at = 0 // Close waits, so whatever is to be given back is tried now
	}
	if m.sharing != nil {
		m.sharing.pauses(0)
	}
	m.failQueue(backends.ErrClosed)
	for h := m.holders.first; h != nil; h = m.holders.first {
		m.leaves(h)
		m.cancelExtensions(h)
		m.emit(Effect{Kind: Finish, Hold: h, Err: backends.ErrClosed})
	}
}

// stopTrying ends the call or the attempt that Close has waited for long enough.
func (m *Machine) stopTrying() {
	switch {
	case !m.closing || m.now < m.closeBy:
	case m.call != nil:
		m.emit(Effect{Kind: Drop, Call: m.call}) // its result follows
	case m.phase == &m.settling && m.settling.retry.failures > 0:
		m.settling.leave(m, m.complaint())
	case m.sharing != nil:
		m.sharing.stopTrying(m)
	}
}

// panicked forgets everything after a panic, except what others rely on: each waiter
// and holder is told, and the attempt is settled in the background. It returns when
// to look again: not at once, since what panicked may do so again.
func (m *Machine) panicked(p Panicked) Instant {
	m.news.err = p.Err
	m.answerPanicked(p)
	m.failQueue(p.Err)
	for h := m.holders.first; h != nil; h = m.holders.first {
		m.endHold(h, backends.Wrap(backends.ErrLost, "", p.Err))
	}
	m.answerSettled(p.Err)
	if m.call != nil {
		m.ambiguous = m.call.Attempt // its answer will find nobody
	}
	switch m.phase {
	case &m.leased:
		m.dropLease()
	case &m.asking:
		m.abandonAttempt()
	case m.sharing:
		m.sharing.abandon(m)
	}
	m.call = nil
	if m.closing && m.now >= m.closeBy {
		// Close has been patient. What panics on its way to the backend would keep it
		// waiting for ever: the lease ends by its ttl.
		if m.phase != &m.free {
			m.emit(Effect{Kind: Leak, Err: p.Err})
		}
		m.enter(&m.free)
	}
	at := m.now.Add(mostPause)
	m.phase.retries().at = at
	if m.sharing != nil {
		m.sharing.pauses(at)
	}
	switch {
	case m.phase == &m.free:
		return 0
	case m.closing:
		return min(at, m.closeBy)
	}
	return at
}

// abandonAttempt settles the attempt, if there is one.
func (m *Machine) abandonAttempt() {
	if m.asking.attempt == 0 {
		m.enter(&m.free)
		return
	}
	m.settle(m.asking.end(m.now))
}

// awaited reports whether the caller of a release waits for what becomes of the key.
func (m *Machine) awaited(h *Hold) bool {
	found := h == m.releasing
	if m.sharing != nil {
		m.sharing.eachRelease(func(o **Hold) { found = found || h == *o })
	}
	return found
}

// answerPanicked fails the sender of an event that panicked before its request was
// anywhere that panicked, which follows, would find it.
func (m *Machine) answerPanicked(p Panicked) {
	if h := m.offered; h != nil { // it may have been taken: then its release says that it ended
		m.offered = nil
		m.refuse(h, p.Err)
	}
	switch e := p.Event.(type) {
	case Arrive:
		if e.listed == nowhere {
			m.refuse(e.Hold, p.Err)
		}
	case Release:
		answered := slices.ContainsFunc(m.effects, func(f Effect) bool { return f.Kind == Released && f.Hold == e.Hold })
		if e.listed == inHolders || m.stepping && !m.awaited(e.Hold) && !answered {
			m.emit(Effect{Kind: Released, Hold: e.Hold, Err: p.Err})
		}
	case Extend:
		if !e.Extension.listed {
			m.extended(e.Extension, p.Err)
		}
	case Downgrade:
		if !e.Extension.listed {
			m.extended(e.Extension, p.Err)
		}
	case Disown:
		if !e.Disowning.listed {
			m.emit(Effect{Kind: Disowned, Disowning: e.Disowning, Err: p.Err})
		}
	}
}
