package actors

import (
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// gapShare is how much longer than PollerGap a key may be kept before it is
// freed for that long.
const gapShare = 10

// A gap is a time in which nobody of ours takes the key, so that a client that
// polls finds it free. The count to the next goes on over leases: on a busy
// machine a hot key's queue runs dry for an instant now and then, and where
// another process waits, a lease lasts no longer than a Tenure. Neither leaves
// time for a poll.
//
// Gaps begin where the wall clock's time is a whole multiple of PollerGap and its
// share. So the processes that share a key make theirs together, as far as their
// clocks agree and their PollerGap is the same. A lease that is given back just
// then may go to a process that has not left the queue yet. That process uses it
// for one hold, and gives it back, too. Soon none is in the queue any more, and the
// key is free.
type gap struct {
	at       instant // when the next one is due; 0 before the key was first asked for
	freed    instant // when the lease went back and nobody here wanted it; 0 if somebody did since
	making   bool    // the lease is being given back for one
	until    instant // when the one that has begun ends
	watching instant // since when the end of another's hold is waited for; 0: it isn't
}

func (g *gap) due(now instant) bool { return g.at != 0 && now >= g.at }

// release notes that the lease goes back; idle, that nobody here wants it.
func (g *gap) release(now instant, idle bool) {
	g.making, g.freed = g.due(now), 0
	if idle {
		g.freed = now
	}
}

// nextInGap reports whether an acquire has to wait for the end of a gap, and which
// call that needs, if any. If nobody here has wanted the key for as long as a gap,
// that time was one, and the count begins anew.
//
// The hold that runs when a gap begins may be another process's, and last beyond
// it. This process then leaves the queue: otherwise the key would be passed on
// without ever being free. It watches until that hold is over, and counts the gap
// from there.
func (a *keyActor) nextInGap(now instant) (in bool, c *call) {
	g, length := &a.gap, a.c.cfg.PollerGap
	switch {
	case length == 0:
		return false, nil
	case g.watching != 0 && g.due(now): // nobody here wanted the key for long; or somebody has it for long
		g.watching, g.at = 0, a.nextGap(now)
	case g.watching != 0:
		return true, a.nextLook(now)
	case now < g.until:
		return true, nil
	case g.at == 0, g.freed != 0 && now.sub(g.freed) >= length:
		g.at = a.nextGap(now)
	case g.due(now):
		end := g.at.add(length)
		g.at = a.nextGap(now)
		switch _, inspects := a.c.backend.(backends.Inspector); {
		case now >= end: // nobody here wanted the key meanwhile
		case inspects:
			g.watching, a.retryAt = now, 0
			return true, a.nextLook(now)
		default:
			g.until = end
			return true, nil
		}
	}
	g.freed = 0
	return false, nil
}

// nextLook leaves the queue, and then looks at the key from time to time.
func (a *keyActor) nextLook(now instant) *call {
	switch {
	case a.pending != 0:
		a.settle(a.pending, cancelling, now.add(a.pendingTTL))
		return a.nextSettle(now)
	case now < a.retryAt:
		return nil
	}
	return &call{verb: looking}
}

// leastLook and looks set how often: a gap begins at most a looks-th of it late.
const (
	leastLook = 5 * time.Millisecond
	looks     = 4
)

// looked takes the result of a look at the key.
func (a *keyActor) looked(c *call, now instant) {
	g, length := &a.gap, a.c.cfg.PollerGap
	late := g.watching.add(length) // clocks of those that make their gaps together may differ
	switch i := c.info; {
	case c.err != nil, i.Foreign: // a poller is in
		g.watching = 0
	case !i.Held:
		g.watching, g.until = 0, now.add(length)
	case i.HeldFor != nil && now.add(-*i.HeldFor) > late, i.HeldFor == nil && now > g.watching.add(gapShare/2*length):
		g.watching = 0 // by somebody who makes no gaps
	default:
		a.retryAt = now.add(max(length/looks, leastLook))
	}
}

// madeGap begins the gap that the lease was given back for.
func (a *keyActor) madeGap(now instant) {
	if a.gap.making {
		a.gap.making, a.gap.at = false, a.nextGap(now)
		a.gap.until = now.add(a.c.cfg.PollerGap)
	}
}

// nextGap is the first instant after now at which gaps begin.
func (a *keyActor) nextGap(now instant) instant {
	cycle := instant((gapShare + 1) * a.c.cfg.PollerGap)
	wall := instant(a.c.clock.start.UnixNano()) + now - 1 // the first instant is 1
	return now + cycle - wall%cycle
}
