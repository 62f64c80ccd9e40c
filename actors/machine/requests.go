package machine

import (
	"errors"
	"fmt"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// release ends a hold for its caller, who is answered when the key has gone to
// the next holder, back to the backend, or lingers.
func (m *Machine) release(h *Hold) {
	m.expire()
	if h.listed != inHolders {
		m.emit(Effect{Kind: Released, Hold: h, Err: h.Outcome(backends.ErrNotHeld)})
		return
	}
	// A revoked hold has already ended for its caller, who still waits here until the
	// key is free: see Outcome. Its lease never lingers: see yields.
	m.holders.remove(h)
	m.cancelExtensions(h)
	if h.Unused {
		m.dropRest()
	}
	m.emit(Effect{Kind: Finish, Hold: h})
	m.leased.linger, m.used = m.now.Add(m.mayLinger()), true
	if m.holders.len > 0 {
		m.emit(Effect{Kind: Released, Hold: h, Err: h.Outcome(nil)})
		return
	}
	// The caller waits until then at the most; the release itself goes on. No second
	// caller ever waits: this one is answered when the next holder is granted the
	// key, or when the lease lingers (see advance).
	h.until = m.now.Add(min(Patience, m.leased.deadline.Sub(m.now)))
	m.releasing = h
}

// answerRelease tells the caller who released what became of the key.
func (m *Machine) answerRelease(err error) {
	if h := m.releasing; h != nil {
		m.releasing = nil
		m.emit(Effect{Kind: Released, Hold: h, Err: h.Outcome(err)})
	}
}

// answerSettled tells the callers who wait for the end of a lease how it went.
func (m *Machine) answerSettled(err error) {
	m.answerRelease(err)
	m.answerDisownings(err)
}

// answerDisownings tells the revokers of our lease how its end went.
func (m *Machine) answerDisownings(err error) {
	if backends.IsNotHeld(err) {
		err = nil // it had gone before
	}
	for d := m.disownings; d != nil; d = d.next {
		d.listed = false
		m.emit(Effect{Kind: Disowned, Disowning: d, Err: err})
	}
	m.disownings = nil
}

func (m *Machine) releaseGoesOn() error {
	return backends.Wrap(backends.ErrUnavailable,
		fmt.Sprintf("release of %q goes on in the background", m.keeper.Key()), m.complaint())
}

var errNoAnswer = errors.New("no answer in time")

// complaint is what the backend last complained of.
func (m *Machine) complaint() error {
	if m.news.err == nil {
		return errNoAnswer
	}
	return m.news.err
}

// extend moves a hold's deadline, at once if the lease is long enough, else
// when a renewal has made it so.
func (m *Machine) extend(x *Extension) {
	h := x.Hold
	m.expire()
	if h.listed != inHolders || h.revoked {
		m.extended(x, h.Outcome(backends.ErrNotHeld))
		return
	}
	x.asked = m.now
	want := x.wants(m.now)
	switch {
	case x.Check:
		m.phase.retries().end()
	case h.bound != 0 && want > h.bound:
		m.extended(x, fmt.Errorf("%w: extend by %v goes beyond the hold's MaxHold", backends.ErrInvalid, x.By))
		return
	case x.covered(&m.leased, m.now) && m.leased.given == 0 && !m.leased.doubts(m):
		m.lengthen(x)
		m.extended(x, nil)
		return
	}
	x.until = m.now.Add(Patience)
	if !h.short { // else the answer that is awaited moves the deadline
		x.until = min(x.until, h.Deadline)
	}
	last := &m.extensions
	for *last != nil {
		last = &(*last).next
	}
	*last, x.listed = x, true
}

// needs returns how long the lease has to last from now on for x.
func (x *Extension) needs() time.Duration {
	if x.As != nil {
		return max(x.By, x.As.AtLeast)
	}
	return x.By
}

// wants returns until when x asks for time. A hold that begins anew does so when its lease
// is long enough, as at a grant.
func (x *Extension) wants(now Instant) Instant {
	if x.As != nil {
		return now.Add(x.By)
	}
	return x.asked.Add(x.By)
}

// covered reports whether the lease lasts as long, and the rest that begins anew is sure.
func (x *Extension) covered(l *leased, now Instant) bool {
	return x.wants(now).Add(x.needs()-x.By) <= l.deadline && (x.As == nil || l.sureFor(x.As, now))
}

// lengthen gives a hold the time that x asks for, which its lease has.
func (m *Machine) lengthen(x *Extension) {
	h, to := x.Hold, x.wants(m.now)
	if x.As != nil {
		h.Spec.Renew, h.Spec.MaxHold = x.As.Renew, x.As.MaxHold
		m.beginRest(h)
		h.boundFrom(m.now)
		h.Deadline = m.now // nobody was shown the one it had, which may lie beyond its MaxHold
	}
	m.move(h, to)
}

func (m *Machine) extended(x *Extension, err error) {
	m.emit(Effect{Kind: Extended, Extension: x, Err: err})
}

// answerExtensions answers those for which f says so.
func (m *Machine) answerExtensions(f func(*Extension) (done bool, err error)) {
	for at := &m.extensions; *at != nil; {
		x := *at
		if done, err := f(x); done {
			*at, x.next, x.listed = x.next, nil, false
			m.extended(x, err)
		} else {
			at = &x.next
		}
	}
}

func (m *Machine) expireExtensions() {
	if m.extensions == nil {
		return
	}
	m.answerExtensions(func(x *Extension) (bool, error) {
		if m.now < x.until {
			return false, nil
		}
		words := "%q was not extended"
		if x.Check {
			words = "%q could not be checked"
		}
		return true, backends.Wrap(backends.ErrUnavailable, fmt.Sprintf(words, m.keeper.Key()), m.complaint())
	})
}

func (m *Machine) failExtensions(err error) {
	m.answerExtensions(func(*Extension) (bool, error) { return true, err })
}

// cancelExtensions answers the extensions of a hold that has ended.
func (m *Machine) cancelExtensions(h *Hold) {
	if m.extensions == nil {
		return
	}
	m.answerExtensions(func(x *Extension) (bool, error) {
		return x.Hold == h, h.Outcome(backends.ErrNotHeld)
	})
}

// watch has the holder told when others wait. One that has ended is told at once: its
// caller may wait for that with nothing else to end it.
func (m *Machine) watch(h *Hold) {
	if h.listed != inHolders || h.revoked {
		m.emit(Effect{Kind: Wanted, Hold: h})
		return
	}
	h.watched = true
}

// answerWatches tells the holders that asked for it that others wait: behind them here,
// where no caller with one try is left by now, or in another process. Where nobody
// excludes, nobody waits.
func (m *Machine) answerWatches() {
	if !m.cfg.Can.Exclusive || m.queue.len == 0 && !m.leased.contended {
		return
	}
	for h := m.holders.first; h != nil; h = h.next {
		if h.watched {
			h.watched = false
			m.emit(Effect{Kind: Wanted, Hold: h})
		}
	}
}

// disown tells the holders that their lease is revoked, and takes them off it. The
// lease goes back by its own token, so that no other lease can end instead. Nothing
// is handed on under it meanwhile (see yields). Waiters here ask anew, behind those
// that wait elsewhere.
func (m *Machine) disown(d *Disowning) {
	m.expire()
	l := &m.leased
	if m.phase != l || l.kept || d.Base != 0 && !l.minted(d.Base) { // to those who ask here, what lingers is free
		m.emit(Effect{Kind: Disowned, Disowning: d})
		return
	}
	d.Ours, d.until = true, m.now.Add(min(Patience, l.deadline.Sub(m.now)))
	m.revoke(backends.ErrRevoked)
	for h := m.holders.first; h != nil; h = m.holders.first {
		m.holders.remove(h)
		h.Over = m.now
	}
	d.next, d.listed = m.disownings, true
	m.disownings = d
}

// expireDisownings answers the revokers that have waited long enough for a lease.
func (m *Machine) expireDisownings() {
	for d := m.disownings; d != nil; d = d.next {
		if m.now >= d.until {
			m.answerDisownings(m.releaseGoesOn())
			return
		}
	}
}
