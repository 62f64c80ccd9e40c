package kinds

// The interleavings of permits.
var permits = []fixed{
	{limitCounts, "one that has a permit wants another, and all are out", "K1", func(p *play) {
		a, b := p.sessions[0], p.sessions[1]
		a.enters(2)
		b.enters(2)
		a.enters(2)
	}},
	{limitOfPermit, "permits of five pass to callers who say one", "K1", func(p *play) {
		a := p.sessions[0]
		h, i := a.enters(5), a.enters(5)
		a.arrive(slots, 1)
		a.arrive(slots, 1)
		a.done(h)
		a.done(i)
	}},
	{limitOfPermit, "one who says two waits while four others hold", "one of two comes in", func(p *play) {
		a := p.sessions[0]
		h := a.enters(5)
		for _, s := range p.sessions[1:] {
			s.enters(5)
		}
		c := a.arrive(slots, 2)
		h.ends(a)
		p.want(!a.grants(c), "one of two comes in as the fifth")
	}},
	{cutsWhenSent, "a permit was given back, and the answer was lost", "K1", func(p *play) {
		a, b := p.sessions[0], p.sessions[1]
		a.arrive(slots, 2)
		h := a.arrive(slots, 2)
		a.goesOn()
		a.done(h)
		a.plan()
		a.call.run()
		b.enters(2)
		a.unanswered()
		a.arrive(slots, 2)
	}},
	{limitHighest, "an ask for five was not answered, and the next says one", "K1", func(p *play) {
		a := p.sessions[0]
		x, y := a.arrive(slots, 5), a.arrive(slots, 5)
		a.plan()
		a.call.run()
		a.unanswered()
		a.leave(x)
		a.leave(y)
		a.arrive(slots, 1)
		a.arrive(slots, 1)
		a.goesOn()
		p.want(len(a.holding) == 1, "K1: not one of one")
	}},
	{surplusGoesBack, "a permit is in nobody's use", "in nobody's use", func(p *play) {
		a, b := p.sessions[0], p.sessions[1]
		a.enters(2)
		a.enters(2).ends(a)
		h := b.enters(2)
		p.want(b.grants(h), "a permit is kept that is in nobody's use")
	}},
}

// The interleavings of what a session may think.
var clients = []fixed{
	{sharedFromSent, "a downgrade has run and was not answered, and a writer comes", "K1", func(p *play) {
		a, b := p.sessions[0], p.sessions[1]
		w := a.writes()
		a.downgrade(w)
		a.call.run()
		a.unanswered()
		b.reads()
		a.done(w)
		a.arrive(exclusive, 0)
	}},
	{grantEndsOld, "the share is lost, and the next kind is granted", "knows that it is lost", func(p *play) {
		a := p.sessions[0]
		h := a.enters(2)
		p.delete()
		w := a.writes()
		p.want(a.grants(w) && !a.grants(h), "a hold goes on though its session knows that it is lost")
	}},
	{turnsWanted, "a lock has passed to a slot hold of its process, and another process wants a slot", "does not come in", func(p *play) {
		a, b := p.sessions[0], p.sessions[1]
		w := a.writes()
		h := a.enters(2)
		w.ends(a)
		c := b.enters(2)
		a.goesOn()
		b.goesOn()
		p.want(a.grants(h) && b.grants(c), "it does not come in")
	}},
	{turnsInTime, "a lock has passed to a reader of its process, and another process tries to read", "is refused", func(p *play) {
		a := p.sessions[0]
		w := a.writes()
		a.reads()
		w.ends(a)
		p.pass(tenure)
		a.goesOn()
		r := p.store.ask(token{2, 1}, wish{kind: shared, n: 1, want: 1}, second, false)
		p.want(r.outcome == granted, "the reader is refused")
	}},
	{ridesWithin, "a lock has passed to slot holds of its process", "K1", func(p *play) {
		a := p.sessions[0]
		w := a.writes()
		a.enters(1)
		a.enters(1)
		w.ends(a)
	}},
	{turnKeepsFirst, "a downgrade has run and was not answered, and is repeated", "is lost", func(p *play) {
		a := p.sessions[0]
		w := a.writes()
		p.pass(1)
		a.downgrade(w)
		a.call.run()
		a.unanswered()
		p.pass(1)
		a.renew(a.in(leased), a.ttl, true)
		a.do()
		p.want(a.grants(w), "the hold is lost")
	}},
	{downgradeStays, "a downgrade was not answered, then comes a renewal", "does not come in", func(p *play) {
		a, b := p.sessions[0], p.sessions[1]
		w := a.writes()
		a.downgrade(w)
		a.unanswered()
		p.pass(4 * second)
		a.goesOn()
		r := b.reads()
		p.want(a.grants(w) && b.grants(r), "a reader does not come in")
	}},
}

// The interleavings of a downgrade against which no rule stands alone.
var downgrades = []fixed{
	{everyRule, "readers wait, then a writer, then a reader", "", func(p *play) {
		a, b, c, d := p.sessions[0], p.sessions[1], p.sessions[2], p.sessions[3]
		w := a.writes()
		r, next, last := b.reads(), c.writes(), d.reads()
		a.downgrade(w)
		a.goesOn()
		for range 3 {
			p.tick(heartbeat)
		}
		p.want(a.grants(w) && b.grants(r), "the reader before the writer does not come in")
		p.want(!d.grants(last) && !c.grants(next), "one behind the writer comes in")
	}},
	{everyRule, "a late copy of a downgrade finds the key of the next attempt", "", func(p *play) {
		a := p.sessions[0]
		w := a.writes()
		a.downgrade(w)
		late := a.unanswered()
		w.ends(a)
		next := a.writes()
		late.run()
		p.want(p.store.lock.is == ours && a.grants(next), "it is no lock any more")
	}},
	{everyRule, "slots within slots can't be had: the caller waits for its own", "", func(p *play) {
		a := p.sessions[0]
		a.enters(1)
		c := a.enters(1)
		p.want(!a.grants(c), "two of one")
	}},
}
