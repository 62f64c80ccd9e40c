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
	m.leaves(h)
	m.cancelExtensions(h)
	if h.Unused {
		m.dropRest()
	}
	m.emit(Effect{Kind: Finish, Hold: h})
	l, s := h.under, h.under.share
	l.linger, m.used = m.now.Add(m.mayLinger()), true
	if s != nil && s.uses > 0 || s == nil && m.holders.len > 0 {
		m.emit(Effect{Kind: Released, Hold: h, Err: h.Outcome(nil)})
		return
	}
	// The caller waits until then at the most; the release itself goes on. No second
	// caller ever waits: this one is answered when the next holder is granted the
	// key, or when the lease lingers (see advance).
	h.until = m.now.Add(min(Patience, l.deadline.Sub(m.now)))
	if s != nil {
		s.releasing = h
	} else {
		m.releasing = h
	}
}

// answerRelease tells the caller who released what became of the key.
func (m *Machine) answerRelease(err error) { m.answerReleaseOf(&m.releasing, err) }

// answerReleaseOf tells the caller who released what became of its lease.
func (m *Machine) answerReleaseOf(releasing **Hold, err error) {
	if h := *releasing; h != nil {
		*releasing = nil
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
	if !h.has() {
		m.extended(x, h.Outcome(backends.ErrNotHeld))
		return
	}
	l := h.under
	x.asked = m.now
	want := x.wants(m.now)
	switch {
	case x.Check:
		l.retry.end()
	case h.bound != 0 && want > h.bound:
		m.extended(x, fmt.Errorf("%w: extend by %v goes beyond the hold's MaxHold", backends.ErrInvalid, x.By))
		return
	case x.covered(l, m.now) && l.given == 0 && !l.doubts(m):
		m.lengthen(x)
		m.extended(x, nil)
		return
	}
	m.list(x)
}

// list has an extension wait for a renewal.
func (m *Machine) list(x *Extension) {
	h := x.Hold
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
		switch {
		case x.Check:
			words = "%q could not be checked"
		case x.turns:
			words = "the downgrade of %q goes on in the background"
		}
		return true, backends.Wrap(backends.ErrUnavailable, fmt.Sprintf(words, m.keeper.Key()), m.complaint())
	})
}

func (l *leased) failExtensions(m *Machine, err error) {
	m.answerExtensions(func(x *Extension) (bool, error) { return x.Hold.under == l, err })
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
	if !h.has() {
		m.emit(Effect{Kind: Wanted, Hold: h})
		return
	}
	h.watched = true
}

// answerWatches tells the holders that asked for it that others wait: behind them here,
// where no caller with one try is left by now, or in another process. Where nobody
// excludes, nobody waits.
func (m *Machine) answerWatches() {
	if !m.cfg.Can.Exclusive || m.queue.len == 0 && !m.leased.contended && m.sharing == nil {
		return
	}
	for h := m.holders.first; h != nil; h = h.next {
		if h.watched && (m.queue.len > 0 || h.under.contended) {
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
	switch {
	case m.sharing != nil:
		m.sharing.disown(m, d)
	case m.phase == l && !l.kept && (d.Base == 0 || l.minted(d.Base)): // to those who ask here, what lingers is free
		l.disown(m, d)
	}
	if !d.Ours {
		m.emit(Effect{Kind: Disowned, Disowning: d})
		return
	}
	d.next, d.listed = m.disownings, true
	m.disownings = d
}

func (l *leased) disown(m *Machine, d *Disowning) {
	d.until = max(d.until, m.now.Add(min(Patience, l.deadline.Sub(m.now))))
	d.Ours = true
	l.revoke(m, backends.ErrRevoked)
	for h := m.holders.first; h != nil; {
		next := h.next
		if h.under == l {
			m.leaves(h)
			h.Over = m.now
		}
		h = next
	}
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
