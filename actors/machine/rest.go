package machine

import "time"

// A rest is the time for which a hold keeps its key from everybody (Spec.AtLeast), though
// it has ended. The backend keeps it for others, from the release on; before that the
// lease does, which lasts for as long. Here it keeps callers of this process from asking.
type rest struct {
	from  Instant       // the grant, as this process heard of it
	least time.Duration // since the grant; 0: there is no rest
}

// drift is what two clocks may differ by: one part in a hundred.
const drift = 100

// over returns when the next hold may be granted here, though this process's clock is fast.
func (r rest) over() Instant { return r.from.Add(r.least + r.least/drift) }

// left returns how long the backend has to keep the key from now. The grant there was before
// it was heard of here, and this process's clock may be fast.
func (r rest) left(now Instant) time.Duration {
	since := now.Sub(r.from)
	return max(r.least-since+since/drift, 0)
}

// sure returns for how long the backend is asked to keep the key though this process
// crashes, for a hold that is to rest: a little more, so that it may be granted a moment later.
func (s *Spec) sure() time.Duration { return s.AtLeast + slackOf(s.AtLeast) }

// sureFor reports whether the backend keeps the key for as long as h wants it to rest.
func (l *lease) sureFor(s *Spec, now Instant) bool {
	return s.AtLeast == 0 || now.Add(s.AtLeast) <= l.sure
}

// sureNeed returns for how long the backend is asked, by a renewal, to keep the key: for
// the next hold, and for one that begins anew.
func (l *leased) sureNeed(m *Machine) (need time.Duration) {
	if head := l.next(m); head != nil && !l.yields(m) {
		need = head.Spec.sure()
	}
	for x := m.extensions; x != nil; x = x.next {
		if x.As != nil && x.Hold.under == l {
			need = max(need, x.As.sure())
		}
	}
	return need
}

// beginRest begins the rest that a hold asks for, if it does.
func (m *Machine) beginRest(h *Hold) {
	if h.Spec.AtLeast > 0 {
		m.rest, m.leased.rests = rest{m.now, h.Spec.AtLeast}, true
	}
}

// dropRest ends a rest before its time: the lease was revoked, or nobody had the hold.
func (m *Machine) dropRest() {
	if m.leased.rests {
		m.rest, m.leased.rests = rest{}, false
	}
}

// resting reports whether nobody here may ask for the key yet, and plans a look for when
// somebody may.
func (m *Machine) resting(p *plan) bool {
	if m.rest.least == 0 || m.closing {
		return false
	}
	if !p.from(m.rest.over()) {
		return true
	}
	m.rest = rest{}
	return false
}
