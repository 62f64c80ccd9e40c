package actors

import (
	"math/rand/v2"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

const (
	// maxSlack is how much longer than its longest hold a lease is, so that the
	// next hold fits under it without a renewal.
	maxSlack = 500 * time.Millisecond
	// leastMargin and marginShare are what a lease's own deadline stays clear of
	// the backend's, for the difference between two clocks: 50 ms and 1 % of the
	// ttl, but at most a tenth of it.
	leastMargin = 50 * time.Millisecond
	marginShare = 100
	marginMost  = 10
	// maxN is the highest number a fence counts up to under one base.
	maxN = 1<<10 - 1
	// spareN is where a hot key asks for its next base, ahead of need.
	spareN = maxN / 2
)

// slackOf is the slack of a lease that carries a hold of that length.
func slackOf(expires time.Duration) time.Duration { return min(expires, maxSlack) }

// marginOf is how much earlier than the backend this process takes a lease to
// be over.
func marginOf(ttl time.Duration) time.Duration {
	return min(ttl/marginShare+leastMargin, ttl/marginMost)
}

// ttlFor is the lease to ask for so that marginOf leaves need of it.
func ttlFor(need time.Duration) time.Duration {
	ttl := (need + leastMargin) * marginShare / (marginShare - 1)
	if ttl/marginMost < ttl/marginShare+leastMargin {
		ttl = need * marginMost / (marginMost - 1)
	}
	const ms = time.Millisecond
	return (ttl + 2*ms - 1) / ms * ms // whole ms, and one more for the divisions
}

// A lease is what a key actor knows of its possession of the key. It is owned
// by the actor.
type lease struct {
	own      bool
	attempt  uint64  // its number
	deadline instant // no hold goes beyond it
	ends     instant // when the backend's ttl is over at the latest
	renewAt  instant // pace of a third of the ttl after it was set
	pace     float64 // which share of its third a renewal waits for; drawn anew by set
	renewed  instant // when that was
	first    uint64  // the base it began with
	base     uint64  // the newest
	n        uint64  // the next hold's number under base

	revoked  bool // it is not renewed, and goes back as soon as its holders have stopped
	unproved bool // the last renewal failed: the deadline may be final

	holds     int     // granted under this lease
	contended bool    // another process waits
	since     instant // when that became known
	passed    int     // handoffs since then
}

// set takes over what a grant or a renewal says. sent is from before the
// request was sent, so the backend's own end is never before ours.
func (l *lease) set(sent, now instant, r backends.Reply) {
	l.deadline = sent.add(r.TTL - marginOf(r.TTL))
	l.ends = now.add(r.TTL)
	l.pace = paceOf(l.first == 0)
	l.renewAt, l.renewed = sent.add(share(r.TTL/3, l.pace)), sent
	l.base, l.n = r.Base, 0
	if l.first == 0 {
		l.first = r.Base
	}
	l.unproved = false
	l.note(r.Contended, now)
}

// Renewals come before a third of the hold is over, each a little earlier by
// chance. Otherwise keys that were taken at the same time, or have all waited for a
// server to come back, would be renewed at the same time for ever. A first renewal
// comes after half of that third at the earliest, so that a short hold seldom pays
// for one; later ones cost an eighth more than without.
const (
	firstPace = 0.5
	laterPace = 0.75
)

func paceOf(first bool) float64 {
	least := laterPace
	if first {
		least = firstPace
	}
	return least + (1-least)*rand.Float64()
}

func share(d time.Duration, s float64) time.Duration { return time.Duration(float64(d) * s) }

// note records whether others wait. The budget of handoffs starts when that is
// first known, and ends when nobody waits any more.
func (l *lease) note(contended bool, now instant) {
	if contended && !l.contended {
		l.since, l.passed = now, 0
	}
	l.contended = contended
}

// fits reports whether a hold of that length ends before the lease does.
func (l *lease) fits(now instant, expires time.Duration) bool {
	return l.own && l.n <= maxN && now.add(expires) <= l.deadline
}
