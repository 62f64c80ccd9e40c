package machine

import (
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

const (
	// maxSlack is how much longer than its longest hold a lease is, so that the
	// next hold fits under it without a renewal.
	maxSlack = 500 * time.Millisecond
	// Margin and marginShare are what a lease's own deadline stays clear of the
	// backend's, for the difference between two clocks: 50 ms and 1 % of the ttl,
	// but at most a tenth of it.
	Margin      = 50 * time.Millisecond
	marginShare = 100
	marginMost  = 10
	// spareN is where a hot key asks for its next base, ahead of need.
	spareN = MaxN / 2
	// ProofLasts is how old the proof of a lease may be at a grant, where the lease may
	// have gone without a push that says so. Either another server took the place of
	// the one that gave it, or somebody revoked it and the backend has no pushes. A
	// lost server is noticed at once only by clients that talk to it. Before it is
	// replaced, others have to miss it for longer than ProofLasts (Sentinel's
	// down-after-milliseconds, a Cluster's node timeout). A hot key is renewed about
	// every 250 ms in any case.
	ProofLasts = 500 * time.Millisecond
)

// slackOf returns the slack of a lease that carries a hold of that length.
func slackOf(expires time.Duration) time.Duration { return min(expires, maxSlack) }

// marginOf returns how much earlier than the backend this process takes a lease to
// be over.
func marginOf(ttl time.Duration) time.Duration {
	return min(ttl/marginShare+Margin, ttl/marginMost)
}

// ttlFor returns the lease to ask for so that marginOf leaves need of it.
func ttlFor(need time.Duration) time.Duration {
	ttl := (need + Margin) * marginShare / (marginShare - 1)
	if ttl/marginMost < ttl/marginShare+Margin {
		ttl = need * marginMost / (marginMost - 1)
	}
	const ms = time.Millisecond
	return (ttl + 2*ms - 1) / ms * ms // whole ms, and one more for the divisions
}

// A lease is this process's possession of the key.
type lease struct {
	attempt  uint64  // its number
	deadline Instant // no hold goes beyond it
	ends     Instant // when the backend's ttl is over at the latest, whichever request it takes last
	sure     Instant // the backend keeps the key until then though this process crashes: see sureFor
	renewAt  Instant // when the next renewal is due: after pace times a third of the ttl
	pace     float64 // which share of its third a renewal waits for; drawn anew by set
	renewed  Instant // when the newest request that proved it was sent
	first    uint64  // the base it began with
	base     uint64  // the newest
	n        uint32  // the next hold's number under base
	passed   int32   // handoffs since others wait

	revoked  bool          // it is not renewed, and goes back as soon as its holders have stopped
	kind     backends.Kind // what it carries: a lock any kind, one at a time
	unproved bool          // the last renewal failed: the deadline may be final
	granted  bool          // a hold was, under this lease
	given    time.Duration // it came by a push, for that long, and is not confirmed; 0: it is
	rests    bool          // a hold was granted whose key rests: the lease goes back when that ends, and is not handed on
	kept     bool          // it lingers: the keeper was told
	gone     bool          // it lingered, and the keeper gave it to somebody else

	contended bool    // another process waits
	since     Instant // when that became known
}

// set takes over what a grant or a renewal says. It counts from before the request
// was sent, so the backend's own end is never before ours.
func (l *lease) set(c *Call, now Instant) {
	r := &c.Reply
	l.deadline = c.Sent.Add(r.TTL - marginOf(r.TTL))
	l.ends = max(l.ends, now.Add(r.TTL)) // an earlier request that was not answered may be on its way yet
	l.pace = paceOf(l.first == 0 || l.given != 0, c.Chance)
	l.renewAt, l.renewed = c.Sent.Add(part(r.TTL/3, l.pace)), c.Sent
	l.base, l.n = r.Base, 0
	if l.first == 0 {
		l.first = r.Base
	}
	if c.AtLeast > 0 {
		l.sure = max(l.sure, c.Sent.Add(c.AtLeast))
	}
	l.unproved, l.given = false, 0
	l.note(r.Contended, now)
}

// give takes over what a push says of the lease that was given to s, which gave has looked at.
//
// No call of ours was answered that the lease is ours. The deadline holds all the same, by causality alone and no
// clock but our own:
//
//  1. Our newest call, or its repetition by the backend, had a number that nobody could guess, and was sent at s.sent.
//  2. The backend had that number from that call, so it ran the call after s.sent.
//  3. The push repeats the number: the backend found it beside our place when it gave the lease. So the lease was
//     given after 2.
//  4. The lease lasts ttl from then, so at least until s.sent + ttl. The margin is for a clock there that runs
//     faster than ours.
//
// How long the push took, how often it came and who passed it on does not matter, nor whether the call was answered.
// What may have ended the lease early since then (a revocation, another server, a leap of its clock) may do so to any
// lease; if a later call of ours could have been told, the number is not the newest. We believe in no more than we
// asked for: whoever may subscribe sees pushes, and could publish one that says more.
func (l *lease) give(g Gave, s *asking, now Instant) {
	ttl := min(g.TTL, s.alive)
	l.deadline, l.renewed = s.sent.Add(ttl-marginOf(ttl)), s.sent
	l.ends = max(l.ends, now.Add(ttl))
	l.given, l.renewAt = ttl, now.Add(confirmAfter)
	l.first, l.base = g.Base, g.Base
	l.note(g.Contended, now)
}

// opens reports whether h may be the first hold under a lease that was given and is not confirmed. It ends with
// that lease, unless the confirmation comes before, which is a renewal: then it gets its Expires, and any other answer
// ends it. What follows it waits until it fits.
func (l *lease) opens(now Instant, h *Hold) bool {
	return l.given > 0 && !l.granted && l.confirmedFor(h) && l.deadline.Sub(now) >= l.given/leastGiven
}

// confirmedFor reports whether the lease need not be confirmed before h.
func (l *lease) confirmedFor(h *Hold) bool { return l.given == 0 || !h.Spec.Confirmed }

// Renewals come before a third of the hold is over, each a little earlier by
// chance. Otherwise keys that were taken at the same time, or have all waited for a
// server to come back, would be renewed at the same time for ever. A first renewal
// comes after half of that third at the earliest, so that a short hold seldom pays
// for one; later ones cost an eighth more than without.
const (
	firstPace = 0.5
	laterPace = 0.75
)

func paceOf(first bool, chance float64) float64 {
	least := laterPace
	if first {
		least = firstPace
	}
	return least + (1-least)*chance
}

// note records whether others wait. The budget of handoffs starts when that is
// first known, and ends when nobody waits any more.
func (l *lease) note(contended bool, now Instant) {
	if contended && !l.contended {
		l.since, l.passed = now, 0
	}
	l.contended = contended
}

// fence returns the next hold's fence.
func (l *lease) fence() uint64 { return l.base<<10 | uint64(l.n) }

// handedTo counts a hold that was granted under the lease.
func (l *lease) handedTo(h *Hold) {
	if h.Handoff && l.contended {
		l.passed++
	}
	l.n++
	l.granted = true
}

// minted reports whether base is one of the lease's own.
func (l *lease) minted(base uint64) bool { return base >= l.first && base <= l.base }

// fits reports whether a hold of that length ends before the lease does.
func (l *lease) fits(now Instant, expires time.Duration) bool {
	return l.n <= MaxN && now.Add(expires) <= l.deadline
}

// spare returns what a lease gets beyond its longest hold: slack for the next hold,
// and the time it may linger with none.
func (m *Machine) spare(expires time.Duration) time.Duration {
	return slackOf(expires) + m.mayLinger()
}

// renewalBudget returns how long a renewal may take: a third of what is left, so that
// one connection that hangs leaves time for two more tries.
func (m *Machine) renewalBudget() time.Duration {
	end := m.leased.deadline
	for h := m.holders.first; h != nil; h = h.next {
		end = min(end, h.Deadline)
	}
	return m.budgetUntil(end)
}

// budgetUntil returns how long a call may take that a hold's end waits for, or that stands in the way of one.
func (m *Machine) budgetUntil(end Instant) time.Duration {
	const least = 50 * time.Millisecond // a slow server still has to be able to answer
	left := end.Sub(m.now)
	return min(Patience, max(left/3, least), max(left, time.Millisecond))
}

// label returns the holder's name that others see.
func (m *Machine) label(h *Hold) string {
	if h.Spec.Owner != "" {
		return h.Spec.Owner
	}
	return m.cfg.Owner
}
