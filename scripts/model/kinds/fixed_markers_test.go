package kinds

// The interleavings of the marker and of those that overwrite it.
var markers = []fixed{
	{makingClears, "the marker is deleted, another library comes and goes, and a new marker is made", "past an exclusive", func(p *play) {
		a, b := p.sessions[0], p.sessions[1]
		r := a.reads()
		p.delete()
		p.interrupts()
		b.reads()
		a.renew(a.in(leased), a.ttl, false)
		a.do()
		p.want(!a.grants(r), "the share of an earlier marker goes on")
	}},
	{kindApart, "a slot hold comes while readers hold", "K1", func(p *play) {
		p.sessions[0].reads()
		p.sessions[1].enters(2)
	}},
	{ttlFollows, "the longest share of three ends", "the longest share at", func(p *play) {
		a, b, c := p.sessions[0], p.sessions[1], p.sessions[2]
		a.ttl, b.ttl = 90*second, 2*second
		r := a.reads()
		b.reads()
		c.reads()
		r.ends(a)
		b.dies()
		c.dies()
		p.pass(11 * second)
		p.want(p.store.lock.is == free, "the marker stays")
	}},
	{ttlFollows, "the longest share is made shorter", "the longest share at", func(p *play) {
		a := p.sessions[0]
		a.ttl = 90 * second
		a.reads()
		a.renew(a.in(leased), 2*second, false)
		a.do()
	}},
	{orphanWaits, "the shares are evicted, and the marker is not", "K1", func(p *play) {
		p.sessions[0].enters(1)
		p.store.evictShares()
		p.sessions[1].enters(1)
		p.pass(10 * second)
		p.sessions[1].goesOn()
		p.want(len(p.sessions[1].holding) == 1, "nobody gets the key once the marker is over")
	}},
	{mintsLast, "the clock steps back, and a writer comes after a reader", "S2", func(p *play) {
		a, b := p.sessions[0], p.sessions[1]
		a.reads().ends(a)
		p.step(-second)
		b.writes()
	}},
	{markerMended, "a losing GETSET overwrites the marker", "is not put back", func(p *play) {
		q, a, c := p.pylocks[1], p.sessions[0], p.sessions[2]
		p.leftOver(p.pylocks[0])
		q.stalls()
		r := a.reads()
		q.act()
		s := c.reads()
		a.renew(a.in(leased), a.ttl, false)
		a.do()
		p.want(a.grants(r) && c.grants(s), "the marker is not put back")
	}},
	{markerGuards, "a losing GETSET overwrites the marker, and can't be put right", "K1", func(p *play) {
		q, r := p.pylocks[0], p.pylocks[1]
		p.leftOver(r)
		q.stalls()
		r.crash()
		r.takesLeftOver()
		p.sessions[0].ttl = 20 * second
		p.sessions[0].reads()
		q.act()
		p.pass(7 * second)
		p.sessions[1].writes()
		p.pass(20 * second)
		p.sessions[1].goesOn()
		p.want(p.sessions[1].in(leased) != nil, "nobody gets the key once both times are past")
	}},
	{evictedNamed, "the same, after the companion was evicted and made anew", "K1", func(p *play) {
		q, r := p.pylocks[0], p.pylocks[1]
		p.leftOver(r)
		q.stalls()
		r.crash()
		r.takesLeftOver()
		p.sessions[0].ttl = 20 * second
		p.sessions[0].reads()
		p.store.evictCompanion()
		p.sessions[1].writes()
		q.act()
		p.pass(7 * second)
		p.sessions[1].goesOn()
	}},
	{askTurns, "a reader is given the key, and others wait behind it", "the next reader does not come in", func(p *play) {
		a, b, c := p.sessions[0], p.sessions[1], p.sessions[2]
		w := a.writes()
		b.reads()
		s := c.reads()
		w.ends(a)
		b.goesOn()
		c.goesOn()
		p.want(c.grants(s), "the next reader does not come in")
	}},
	{deadMakeWay, "a process dies that has a permit, and another's permit goes on", "is not free", func(p *play) {
		a, b, c := p.sessions[0], p.sessions[1], p.sessions[2]
		a.ttl = 2 * second
		a.enters(2)
		b.enters(2)
		a.dies()
		p.pass(2 * second)
		h := c.enters(2)
		p.want(c.grants(h), "the permit of a dead process is not free")
	}},
}

// The interleavings of how shares end, and of requests that come late.
var ends = []fixed{
	{laterIsOther, "a late copy of the ask takes the key anew", "past an exclusive", func(p *play) {
		a := p.sessions[0]
		r := a.arrive(shared, 0)
		a.plan()
		late := a.unanswered()
		a.goesOn()
		p.delete()
		p.interrupts()
		late.run()
		a.renew(a.in(leased), a.ttl, false)
		a.do()
		p.want(!a.grants(r), "the hold goes on")
	}},
	{newestShortens, "a renewal that made the share shorter comes late", "K1", func(p *play) {
		a, b := p.sessions[0], p.sessions[1]
		a.ttl = 90 * second
		a.reads()
		a.renew(a.in(leased), 2*second, false)
		late := a.unanswered()
		a.renew(a.in(leased), 90*second, false)
		a.do()
		late.run()
		p.pass(3 * second)
		b.writes()
	}},
	{revokedStays, "a revoked reader renews", "goes on", func(p *play) {
		a := p.sessions[0]
		r := a.reads()
		p.store.revoke(0, false)
		a.renew(a.in(leased), a.ttl, false)
		a.do()
		p.want(!a.grants(r), "the hold goes on")
	}},
	{revokesOne, "one of two readers is revoked", "another was meant", func(p *play) {
		a, b := p.sessions[0], p.sessions[1]
		r := a.reads()
		p.pass(1)
		s := b.reads()
		p.store.revoke(b.in(leased).base, false)
		for _, s := range []*session{a, b} {
			s.renew(s.in(leased), s.ttl, false)
			s.do()
		}
		p.want(a.grants(r) && !b.grants(s), "not the one that was meant")
	}},
	{bothForms, "a downgrade has run, was not answered, and the hold is released", "has a share", func(p *play) {
		a := p.sessions[0]
		w := a.writes()
		a.downgrade(w)
		a.call.run()
		a.unanswered()
		w.ends(a)
		p.sessions[1].writes()
	}},
	{endsUnderStamp, "a reader releases while a pylock has overwritten the marker", "has ended, and has a share", func(p *play) {
		owner, q, r := p.pylocks[0], p.pylocks[1], p.pylocks[2]
		a, b := p.sessions[0], p.sessions[1]
		p.leftOver(owner)
		q.stalls()
		r.stalls()
		h := a.reads()
		q.act()     // GETSET
		owner.act() // its EXPIRE: the stamp looks like a lock
		h.ends(a)
		r.act() // GETSET: now it does not
		b.reads()
	}},
	{settledMarks, "the ask of a reader that has given up comes late", "S5", func(p *play) {
		a := p.sessions[0]
		r := a.arrive(shared, 0)
		a.plan()
		late := a.unanswered()
		a.leave(r)
		a.goesOn()
		late.run()
	}},
	{passesOn, "the last reader releases, and a writer waits", "does not get the key", func(p *play) {
		a, b := p.sessions[0], p.sessions[1]
		r := a.reads()
		w := b.writes()
		r.ends(a)
		b.goesOn()
		p.want(b.grants(w), "the writer does not get the key by the push")
	}},
}
