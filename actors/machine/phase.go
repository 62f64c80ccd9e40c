package machine

import "time"

// A phase is where the key is between this process and its backend. What only one
// phase needs is in that phase, and ends with it.
type phase interface {
	// plan returns the call that the key needs now, if any, and adds to p when it may
	// need one. It may enter another phase, whose plan it then returns. It is asked only
	// while no call is in flight.
	plan(m *Machine, p *plan) *Call

	// answered takes the result of the phase's call.
	answered(m *Machine, c *Call)

	// retries are the phase's own pauses after failures.
	retries() *retry
}

// A plan collects when a phase has to be looked at again.
type plan struct {
	now   Instant
	after Instant // no call is due before
	look  earliest
}

// later plans a look at t, unless that is past.
func (p *plan) later(t Instant) {
	if t > p.now {
		p.look.of(t)
	}
}

// from reports whether something is due that is to happen at t, or else plans a look.
func (p *plan) from(t Instant) bool {
	if t = max(t, p.after); p.now >= t {
		return true
	}
	p.look.of(t)
	return false
}

// seen is the same for what is due when it is seen, and not worth a look of its own.
func (p *plan) seen(is bool) bool { return is && p.from(p.now) }

// plan begins the call that the key needs now, if any, and returns when to look
// again.
func (m *Machine) plan() Instant {
	var look earliest
	for h := m.holders.first; h != nil; h = h.next {
		at, _ := h.endsAt(h.under.unproved)
		look.of(at)
	}
	if m.releasing != nil {
		look.of(m.releasing.until)
	}
	if m.sharing != nil {
		m.sharing.eachRelease(func(h **Hold) { look.of((*h).until) })
	}
	for x := m.extensions; x != nil; x = x.next {
		look.of(x.until)
	}
	for d := m.disownings; d != nil; d = d.next {
		look.of(d.until)
	}
	look.of(m.queue.nextWalk())
	if m.closing && m.now < m.closeBy {
		look.of(m.closeBy)
	}
	if m.call == nil { // the result of one that is under way wakes us
		p := &m.planned
		*p = plan{now: m.now}
		if c := m.phase.plan(m, p); c != nil {
			m.begin(c)
		} else {
			look.of(Instant(p.look))
		}
	}
	return Instant(look)
}

func (m *Machine) begin(c *Call) {
	c.Began, c.Budget = m.now, Patience
	c.Ambiguous = c.Ambiguous || c.Verb != Looking && c.Attempt == m.ambiguous
	switch {
	case m.sharing != nil:
		c.Budget = m.sharing.budget(m, c)
	case c.Verb == Renewing:
		c.Budget = m.renewalBudget()
	}
	if m.closing {
		c.Budget = min(c.Budget, max(m.closeBy.Sub(m.now), time.Millisecond))
	}
	m.call = c
	m.emit(Effect{Kind: Ask, Call: c})
}

// A retry is the pause of a phase after failures.
type retry struct {
	at       Instant // no call before
	failures int32   // of calls, in a row
}

const (
	firstPause = 5 * time.Millisecond
	mostPause  = 500 * time.Millisecond
)

// failed begins the pause after c, one more failure.
func (r *retry) failed(c *Call, now Instant) {
	r.failures++
	r.at = now.Add(r.length(c))
}

// length is how long the pause is: doubling with each failure, with the upper half by
// chance so that many keys don't come back at once.
func (r *retry) length(c *Call) time.Duration {
	if c.again {
		return 0
	}
	d := mostPause
	if r.failures < 8 {
		d = min(firstPause<<(r.failures-1), mostPause)
	}
	return d/2 + part(d/2, c.Chance)
}

// end ends the pause after failures: the backend may be well again.
func (r *retry) end() {
	if r.failures > 0 {
		r.at = 0
	}
}

func part(d time.Duration, s float64) time.Duration { return time.Duration(float64(d) * s) }
