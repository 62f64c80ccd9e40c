package actors

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
// clocks agree and their PollerGap is the same. A lease that one of them gives
// back then may go to the next in the queue; it has one hold, and gives it back,
// too. Soon none is in the queue any more, and the key is free.
type gap struct {
	at     instant // when the next one is due; 0 before the key was first asked for
	freed  instant // when the lease went back and nobody here wanted it; 0 if somebody did since
	making bool    // the lease is being given back for one
}

func (g *gap) due(now instant) bool { return g.at != 0 && now >= g.at }

// release notes that the lease goes back; idle, that nobody here wants it.
func (g *gap) release(now instant, idle bool) {
	g.making, g.freed = g.due(now), 0
	if idle {
		g.freed = now
	}
}

// inGap reports whether an acquire has to wait for the end of a gap, and sees to it
// that it does. Where nobody here has wanted the key for as long as a gap, that
// was one, and the count begins anew.
func (a *keyActor) inGap(now instant) bool {
	g, length := &a.gap, a.c.cfg.PollerGap
	switch {
	case length == 0:
		return false
	case g.at == 0, g.freed != 0 && now.sub(g.freed) >= length:
		g.at = a.nextGap(now)
	case g.due(now):
		end := g.at.add(length)
		g.at = a.nextGap(now)
		if now < end {
			a.retryAt = end
			return true
		}
	}
	g.freed = 0
	return false
}

// madeGap begins the gap that the lease was given back for.
func (a *keyActor) madeGap(now instant) {
	if a.gap.making {
		a.gap.making, a.gap.at = false, a.nextGap(now)
		a.retryAt = now.add(a.c.cfg.PollerGap)
	}
}

// nextGap is the first instant after now at which gaps begin.
func (a *keyActor) nextGap(now instant) instant {
	cycle := instant((gapShare + 1) * a.c.cfg.PollerGap)
	wall := instant(a.c.clock.start.UnixNano()) + now - 1 // the first instant is 1
	return now + cycle - wall%cycle
}
