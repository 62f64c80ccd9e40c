package machine

import (
	"time"
)

// This file is how a lease is renewed, a lock or a share.

// planRenewal renews the lease when it gets too short for those who hold or wait, or early for another reason.
func (l *leased) planRenewal(m *Machine, p *plan, early bool) *Call {
	need := l.need(m)
	p.after = l.retry.at
	if need == 0 || !early && !l.renewalDue(m, p, need) {
		return nil
	}
	ttl := ttlFor(need)
	// If the reply is lost, the backend may already have shortened the lease.
	l.deadline = min(l.deadline, m.now.Add(ttl-marginOf(ttl)))
	return &Call{Verb: Renewing, Attempt: l.attempt, TTL: ttl, Known: l.base, AtLeast: l.sureNeed(m)}
}

// need returns how long the lease should last from now, spare included; 0: it
// lingers.
func (l *leased) need(m *Machine) time.Duration {
	var need, expires time.Duration
	for h := l.holds(m); h != nil; h = l.peer(h) {
		expires = max(expires, h.Spec.Expires)
		need = max(need, h.Deadline.Sub(m.now))
		if h.Spec.Renew || h.short {
			need = max(need, h.Spec.Expires)
		}
	}
	if head := l.next(m); head != nil && (head.nested || !l.yields(m)) {
		expires = max(expires, head.Spec.lasts())
		need = max(need, head.Spec.lasts())
	}
	if l.rests { // a crash must leave the lease
		need = max(need, m.rest.over().Sub(m.now))
	}
	checked := false
	for x := m.extensions; x != nil; x = x.next {
		if x.Hold.under == l {
			need = max(need, x.needs())
			checked = checked || x.Check
		}
	}
	if need == 0 {
		return 0
	}
	need += m.spare(expires)
	if checked {
		need = max(need, l.deadline.Sub(m.now)) // to look must not shorten what is looked at
	}
	return need
}

// renewalDue reports whether a renewal is due: after a third of its time, or before
// that because a hold needs it, can't be granted or soon won't be.
func (l *leased) renewalDue(m *Machine, p *plan, need time.Duration) bool {
	due := p.from(l.renewAt) || p.seen(l.asked(m)) || p.seen(l.doubts(m))
	for h := l.holds(m); h != nil; h = l.peer(h) {
		due = due || h.Spec.Renew && !h.short && p.from(h.renewAt(l.pace))
	}
	if head := l.next(m); head != nil {
		due = due || m.ages() && p.from(l.staleAt()) ||
			p.seen((head.nested || !l.yields(m)) && (l.soonTooShort(m, head) || !l.confirmedFor(head) || !l.sureFor(&head.Spec, m.now)))
	}
	// The long hold that the lease was made for is over: a crash would leave the lease
	// to its end. A backend may decline, so it is not asked all the time.
	tooLong := l.deadline.Sub(m.now) > 2*need+time.Second
	return due || tooLong && p.from(l.renewed.Add(maxSlack/2))
}

// next is the waiter that the lease is to carry next; nil if there is none.
func (l *leased) next(m *Machine) *Hold {
	if l.share != nil {
		return m.sharing.next(m, l.share)
	}
	return m.queue.first
}

// asked reports whether an extension waits for a renewal.
func (l *leased) asked(m *Machine) bool {
	for x := m.extensions; x != nil; x = x.next {
		if x.Hold.under == l {
			return true
		}
	}
	return false
}

// soonTooShort reports whether the next hold won't be grantable soon, so that a
// renewal beside the running hold saves it the wait; or whether it is time to ask the
// backend, by a renewal, for others who wait: twice a Tenure while holds are handed
// on, where the backend has no push that would tell (L4).
func (l *leased) soonTooShort(m *Machine, head *Hold) bool {
	expires := head.Spec.lasts()
	return l.deadline.Sub(m.now) < expires+slackOf(expires)/2 || l.n > spareN ||
		!m.cfg.Can.Wakes && m.cfg.Can.Exclusive && !l.contended && l.granted &&
			m.now.Sub(l.renewed) >= m.cfg.Tenure/2
}

// prolong lets holds have what a renewal brought that was sent then.
func (l *leased) prolong(m *Machine, sent Instant) {
	for h := m.holders.first; h != nil; h = h.next {
		if h.under == l && (h.Spec.Renew || h.short) {
			to := sent.Add(h.Spec.Expires)
			h.short = h.short && to > l.deadline // a renewal that was sent before the hold began may have asked for less
			m.move(h, min(to, l.deadline))
		}
	}
	m.answerExtensions(func(x *Extension) (done bool, err error) {
		switch {
		case x.Hold.under != l, !x.covered(l, m.now), (x.Check || x.turns) && sent < x.asked, x.turns && l.isLock():
			return false, nil
		}
		if !x.Check && !x.turns {
			m.lengthen(x)
		}
		return true, nil
	})
}

func (m *Machine) move(h *Hold, to Instant) {
	if h.extendTo(to) {
		m.emit(Effect{Kind: Move, Hold: h})
	}
}
