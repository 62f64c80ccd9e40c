package machine

import (
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// confirmAfter is how long a hold that was granted by a push lasts before its lease is confirmed. Most are
// released before, and cost no call beyond their release.
const confirmAfter = time.Millisecond

// leastGiven is the part of a given lease that has to be left at the grant: a hold has to be confirmed before it
// ends, in three tries. An ask brings the full time instead.
const leastGiven = 4

// repeated takes it that the backend repeats our call. From here on, before that is sent, a push that echoes an earlier
// number is no grant: the answer to the repetition, which may be on its way when the push comes, would know better.
func (m *Machine) repeated(r Repeated) {
	if a := m.asker(); a != nil && r.Attempt == a.attempt {
		a.said(r.Ask, r.Alive, r.Sent)
	}
}

// gave takes a push that says that the key's lease was given to us. If all of it is true, the lease is ours with no call
// in between. Anything else only has us ask:
//
//	the attempt asks for a share            the lease that was given is a lock: the next ask makes a share of it
//	a call is in flight                     its answer may be from after the push, and say that another has the key
//	another attempt, or an earlier call     what the session has learned since is newer
//	the first in line shows its deadline    it wants a lease that is confirmed
//	too little of the lease is left         the push, or this process, was slow
//	the call's proof is too old, or doubted another server may have taken over meanwhile: see When a lease has to be proved
//	a gap for pollers, or one that is due   nothing is granted in it
func (m *Machine) gave(g Gave) {
	s := m.asking // a copy: the phase may end
	if m.phase == &m.asking && m.call == nil && g.Ask != 0 && g.Ask == s.number && g.Attempt == s.attempt && s.kind == backends.Exclusive && m.gap.open(m.now) && !m.gap.due(m.now) {
		l := leased{doubted: s.doubted}
		l.give(g, &s, m.now)
		if l.opens(m.now, m.queue.first) && !l.doubts(m) && !l.stale(m) {
			m.asking.won(m).give(g, &s, m.now)
			return
		}
	}
	m.woken(backends.Given)
}
