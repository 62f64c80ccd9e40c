package kinds

import "slices"

// This file is how a session serves its callers: the machine.

// uses is how many holds stand on the attempt.
func (s *session) uses(a *attempt) (n int) {
	for _, c := range s.holding {
		if c.attempt == a {
			n++
		}
	}
	return n
}

// arrive queues a caller.
func (s *session) arrive(k kind, n int) *caller {
	c := &caller{kind: k, n: n, came: s.now()}
	s.waiting = append(s.waiting, c)
	s.offer()
	return c
}

// nests lets the callee of a reader read. It joins what its caller has, past those that wait.
func (s *session) nests(parent *caller) *caller {
	if s.has(nestedJoins) && s.lives(parent.attempt) {
		c := &caller{kind: shared, came: s.now()}
		s.grant(c, parent.attempt)
		return c
	}
	return s.arrive(shared, 0)
}

func (s *session) leave(c *caller) {
	s.waiting = slices.DeleteFunc(s.waiting, func(o *caller) bool { return o == c })
	s.offer()
}

// done ends a hold.
func (s *session) done(c *caller) {
	s.holding = slices.DeleteFunc(s.holding, func(o *caller) bool { return o == c })
	s.p.watch.drops(c.hold)
	s.offer()
}

// downgrade makes an exclusive hold a shared one. It is one from here on, answered or not.
func (s *session) downgrade(c *caller) {
	if c.kind = shared; s.has(sharedFromSent) {
		c.hold.kind = shared
	}
	s.renew(c.attempt, s.ttl, true)
	s.offer()
}

func (s *session) lives(a *attempt) bool { return a.phase == leased && a.deadline > s.now() }

// offer grants those at the head of the local queue what their session has.
func (s *session) offer() {
	for _, a := range s.attempts {
		if a.phase == leased && a.deadline <= s.now() {
			s.lose(a)
			a.phase = settling
		}
	}
	for len(s.waiting) > 0 {
		c := s.waiting[0]
		a := s.serves(c)
		if a == nil {
			return
		}
		s.waiting = s.waiting[1:]
		s.grant(c, a)
	}
}

func (s *session) grant(c *caller, a *attempt) {
	c.attempt, a.used = a, true
	c.hold = &hold{name: a.token.String(), token: a.token, kind: c.kind, n: c.n, deadline: a.deadline, void: a.void}
	s.holding = append(s.holding, c)
	s.p.watch.begins(&s.p.store, c.hold)
}

// serves returns the attempt by which the caller can have the key at once, if there is one. The newest comes first.
func (s *session) serves(c *caller) *attempt {
	for i := len(s.attempts) - 1; i >= 0; i-- {
		a := s.attempts[i]
		if !s.lives(a) || s.yields(a) {
			continue
		}
		if a.lock && !(a.turned() && s.has(sharedFromSent)) {
			if s.rides(c, a) {
				return a
			}
			continue
		}
		k := a.carries()
		if k == c.kind && (k == shared || s.uses(a) < a.permits && (a.n <= c.n || !s.has(limitOfPermit))) {
			return a
		}
	}
	return nil
}

// rides reports whether a lock carries the hold beside those that it carries.
func (s *session) rides(c *caller, a *attempt) bool {
	n := s.uses(a)
	for _, o := range s.holding {
		if o.attempt == a && (o.kind != c.kind || o.kind == exclusive) {
			return false
		}
	}
	if n == 0 {
		a.ridden = s.now()
	}
	return c.kind != slots || n < c.n || !s.has(ridesWithin)
}

// yields reports whether nobody here joins any more, since others wait.
func (s *session) yields(a *attempt) bool {
	return a.used && a.contended && s.now()-a.since >= tenure && s.has(budget)
}

// hears takes a message.
func (s *session) hears(l letter) {
	for _, a := range s.attempts {
		switch {
		case a.token != l.to:
		case l.message == woken:
			a.woken = true
		case l.message == revoking:
			a.renewed = 0
		case !a.contended && a.phase == leased:
			a.contended, a.since = true, s.now()
		}
	}
}

const heartbeat = int64(300)

// plan sends the call that is needed now, and reports whether there is one.
func (s *session) plan() bool {
	if s.dead || s.call != nil {
		return s.call != nil
	}
	s.offer()
	for _, a := range s.attempts {
		s.planOne(a)
		if s.call != nil {
			return true
		}
	}
	if s.in(asking) == nil && s.asks() {
		a := s.begin(s.waiting[0].kind)
		s.ask(a, a.kind == exclusive)
	}
	return s.call != nil
}

func (s *session) planOne(a *attempt) {
	idle := s.uses(a) == 0 && (s.has(surplusGoesBack) || a.carries() != slots || len(s.waiting) > 0)
	spare := !a.lock && a.carries() == slots && a.permits > s.uses(a) && s.has(surplusGoesBack)
	switch {
	case a.phase == settling, a.phase == leased && idle:
		s.end(a, a.lock && !a.turned() && a.phase == leased)
	case a.phase == leased && a.lock && !a.turned() && s.turnable(a):
		s.renew(a, s.ttl, true)
	case a.phase == leased && (spare || s.now() >= a.renewed+s.ttl/3):
		s.renew(a, s.ttl, a.turned() && s.has(downgradeStays))
	case a.phase == leased:
	case len(s.waiting) == 0 || s.waiting[0].kind != a.kind:
		s.end(a, false) // nobody waits for what it asks for
	case a.woken || s.now() >= a.asked+heartbeat || !a.queued:
		s.ask(a, false)
	}
}

// turnable reports whether a lock carries holds of another kind, and others may want to come in.
func (s *session) turnable(a *attempt) bool {
	for _, c := range s.holding {
		if c.attempt == a && c.kind == exclusive {
			return false
		}
	}
	return s.uses(a) > 0 && (a.contended && s.has(turnsWanted) || s.now() >= a.ridden+tenure && s.has(turnsInTime))
}

// asks reports whether the first that waits needs another attempt. Behind a lock of its session it waits for its end,
// and behind as many permits as there can be, unless others have come between.
func (s *session) asks() bool {
	if len(s.waiting) == 0 {
		return false
	}
	c, mine, contended := s.waiting[0], 0, false
	for _, a := range s.attempts {
		if a.phase != leased {
			continue
		}
		if a.lock && !a.turned() || !s.has(asksHolding) {
			return false
		}
		contended = contended || a.contended
		mine += a.permits
	}
	return c.kind != slots || mine < c.n || contended
}
