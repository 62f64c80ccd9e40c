package kinds

// The interleavings of who comes first.
var orders = []fixed{
	{aheadFirst, "a reader comes after a writer that waits", "came first", func(p *play) {
		p.sessions[0].reads()
		p.sessions[1].writes()
		p.sessions[2].reads()
	}},
	{aheadBinds, "one of a larger n comes before the one of a smaller n whose turn it is", "which came first", func(p *play) {
		a, b, c := p.sessions[0], p.sessions[1], p.sessions[2]
		a.enters(5)
		h := a.enters(5)
		b.enters(2)
		h.ends(a)
		c.enters(5)
		b.goesOn()
		p.want(len(b.holding) == 1, "it is overtaken")
	}},
	{window, "a thousand readers wait, and the last asks first", "a script looks at", func(p *play) {
		writer := p.sessions[0].writes()
		p.crowd(1000, shared)
		writer.ends(p.sessions[0])
		p.messages = 0
		p.store.ask(token{101, 1}, wish{kind: shared}, second, true) // its turn
		p.store.ask(token{1100, 1}, wish{kind: shared}, second, true)
		for i := range 999 { // each as it is told
			p.store.ask(token{102 + i, 1}, wish{kind: shared}, second, true)
		}
		p.want(len(p.store.shares) == 1000 && len(p.store.queue) == 0, "not all come in")
		p.want(p.messages < 1100, "each is told again and again")
	}},
	{revokesInTurns, "a thousand readers are revoked", "a script looks at", func(p *play) {
		p.crowd(1000, shared)
		calls := 1
		for ; p.store.revoke(0, false); calls++ {
		}
		p.want(calls == 16, "not all are revoked")
	}},
	{asksHolding, "a reader waits behind a writer, and its process lets its share go", "loses its place", func(p *play) {
		a, b, c := p.sessions[0], p.sessions[1], p.sessions[2]
		r := a.reads()
		w := b.writes()
		p.tells(tenure)
		next := a.reads()
		c.writes()
		r.ends(a)
		b.goesOn()
		w.ends(b)
		a.goesOn()
		p.want(a.grants(next), "it loses its place")
	}},
	{asksHolding, "a writer waits behind a reader of its own process, then a reader comes to another", "is overtaken", func(p *play) {
		a, b := p.sessions[0], p.sessions[1]
		r := a.reads()
		w := a.writes()
		late := b.reads()
		p.want(!b.grants(late), "the writer is overtaken")
		r.ends(a)
		a.goesOn()
		p.want(a.grants(w), "the writer does not get the key")
	}},
	{toldInTurns, "a hundred share, and a writer waits", "is not told", func(p *play) {
		p.crowd(100, shared)
		w := p.sessions[0]
		w.writes()
		p.pass(heartbeat)
		w.goesOn()
		p.want(len(p.heard) == 100, "one of those that share is not told")
	}},
	{budget, "readers come one after the other to a process that has a share", "starves", func(p *play) {
		a, b := p.sessions[0], p.sessions[1]
		a.reads()
		b.writes()
		p.tells(tenure)
		late := a.reads()
		p.want(!a.grants(late), "the writer starves")
	}},
	{nestedJoins, "a reader's callee reads, while a writer waits", "waits for itself", func(p *play) {
		a, b := p.sessions[0], p.sessions[1]
		r := a.reads()
		b.writes()
		p.tells(tenure)
		inner := a.nests(r)
		p.want(a.grants(inner), "it waits for itself")
	}},
}

// crowd lets n processes ask at once, of which nothing but messages is seen.
func (p *play) crowd(n int, k kind) {
	for i := range n {
		p.store.ask(token{101 + i, 1}, wish{kind: k}, 60*second, true)
	}
	p.heard = map[token]bool{}
}
