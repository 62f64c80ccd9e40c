package machine

import "time"

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
	at       Instant // when the next one is due; 0 before the key was first asked for
	freed    Instant // when the lease went back and nobody here wanted it; 0 if somebody did since
	making   bool    // the lease is being given back for one
	until    Instant // when the one that has begun ends
	watching Instant // since when the end of another's hold is waited for; 0: it isn't
}

func (g *gap) due(now Instant) bool { return g != nil && g.at != 0 && now >= g.at }

// open reports whether no gap is under way.
func (g *gap) open(now Instant) bool { return g == nil || now >= g.until }

// leaseGoes notes that the lease goes back; idle, that nobody here wants it.
func (g *gap) leaseGoes(now Instant, idle bool) {
	if g == nil {
		return
	}
	g.making, g.freed = g.due(now), 0
	if idle {
		g.freed = now
	}
}

// inGap reports whether an acquire has to wait for the end of a gap, and which
// call that needs, if any. If nobody here has wanted the key for as long as a gap,
// that time was one, and the count begins anew.
//
// The hold that runs when a gap begins may be another process's, and last beyond
// it. This process then leaves the queue: otherwise the key would be passed on
// without ever being free. It watches until that hold is over, and counts the gap
// from there.
func (m *Machine) inGap(p *plan) (in bool, c *Call) {
	if m.gap == nil {
		return false, nil
	}
	in, watch := m.gapNow(p)
	p.later(m.gap.at)
	if watch {
		c = m.planLook(p)
	}
	return in, c
}

// gapNow reports whether a gap is now, and whether its end has to be watched for.
func (m *Machine) gapNow(p *plan) (in, watch bool) {
	g, length, now := m.gap, m.cfg.PollerGap, m.now
	switch {
	case g.watching != 0 && g.due(now): // nobody here wanted the key for long; or somebody has it for long
		g.watching, g.at = 0, m.nextGap()
	case g.watching != 0:
		return true, true
	case !p.from(g.until):
		return true, false
	case g.at == 0, g.freed != 0 && now.Sub(g.freed) >= length:
		g.at = m.nextGap()
	case g.due(now):
		end := g.at.Add(length)
		g.at = m.nextGap()
		switch {
		case now >= end: // nobody here wanted the key meanwhile
		case m.cfg.Can.Inspects:
			g.watching, m.phase.retries().at = now, 0
			return true, true
		default:
			g.until = end
			p.look.of(end)
			return true, false
		}
	}
	g.freed = 0
	return false, false
}

// planLook leaves the queue, and then looks at the key from time to time.
func (m *Machine) planLook(p *plan) *Call {
	if m.phase == &m.asking {
		return m.asking.giveUp(m, p)
	}
	if !p.from(m.free.retry.at) {
		return nil
	}
	return &Call{Verb: Looking}
}

// leastLook and looks set how often: a gap begins at most a looks-th of it late.
const (
	leastLook = 5 * time.Millisecond
	looks     = 4
)

// looked takes the result of a look at the key.
func (m *Machine) looked(c *Call) {
	g, length, now := m.gap, m.cfg.PollerGap, m.now
	late := g.watching.Add(length) // clocks of those that make their gaps together may differ
	switch i := c.Info; {
	case c.Err != nil, i.Foreign: // a poller is in
		g.watching = 0
	case !i.Held:
		g.watching, g.until = 0, now.Add(length)
	case i.HeldFor != nil && now.Add(-*i.HeldFor) > late, i.HeldFor == nil && now > g.watching.Add(gapShare/2*length):
		g.watching = 0 // by somebody who makes no gaps
	default:
		m.free.retry.at = now.Add(max(length/looks, leastLook))
	}
}

// madeGap begins the gap that the lease was given back for.
func (m *Machine) madeGap() {
	if m.gap != nil && m.gap.making {
		m.gap.making, m.gap.at = false, m.nextGap()
		m.gap.until = m.now.Add(m.cfg.PollerGap)
	}
}

// nextGap is the first instant after now at which gaps begin.
func (m *Machine) nextGap() Instant {
	cycle := Instant((gapShare + 1) * m.cfg.PollerGap)
	wall := Instant(m.cfg.Epoch) + m.now
	return m.now + cycle - wall%cycle
}
