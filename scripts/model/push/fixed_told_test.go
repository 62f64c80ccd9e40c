package push

// The interleavings of the server's messages.
var told = []fixed{
	{reservationAsks, "a poll-only session begins to hear as the key is kept for it", "S7", func(p *play) {
		a, b := p.sessions[0], p.sessions[1]
		a.takes()
		b.hears = false
		b.takes()
		b.hears = true
		a.releases()
		b.listens()
		p.want(!b.holds(), "S7: a reservation is taken for a lease")
		b.goesOn()
		p.want(b.holds(), "the reservation is not kept")
	}},
	{nextAsks, "the next in line is told that the key is kept for another", "S7", func(p *play) {
		a, b, c := p.sessions[0], p.sessions[1], p.sessions[2]
		b.hears = false
		p.contends()
		a.releases()
		c.listens()
		p.want(c.attempt.woken || c.holds(), "the next is not told")
	}},
	{numbered, "the clock of the server that takes over is behind, so that two asks have one time", "S7", func(p *play) {
		p.failsOver = true
		a, b, c := p.sessions[0], p.sessions[1], p.sessions[2]
		a.takes()
		c.takes()
		b.begin(lease)
		b.call.run()
		score := b.call.reply.score
		b.answered()
		p.replicate()
		a.releases() // gives to c
		c.releases() // gives to b: the push is slow
		p.replace(0)
		p.server.lock = token{} // that of a, by its time
		c.takes()
		p.step(score*millisecond - p.server.now)
		b.repeats()
		b.listens()
		p.want(!b.holds(), "S7: a push from before grants")
	}},
	{unguessable, "somebody who can publish and not read makes up a push", "S7", func(p *play) {
		p.contends()
		p.forge(p.sessions[1], 1)
		p.sessions[1].listens()
	}},
	{lengthTold, "the session waits for many more keys by the time it is given one", "S7", func(p *play) {
		p.contends()
		p.sessions[1].length = long
		p.sessions[0].releases()
		p.sessions[1].listens()
	}},
	{coversPace, "a session with very many keys is given one", "in vain", func(p *play) {
		b := p.sessions[1]
		b.length = long
		p.contends()
		p.pass(2 * second)
		p.sessions[0].releases()
		b.listens()
		p.want(b.holds(), "the push came in vain")
	}},
	{beatsAddNothing, "a heartbeat comes after its attempt was cancelled", "S5", func(p *play) {
		b := p.sessions[1]
		p.contends()
		b.heartbeat()
		b.releases()
		b.beat.run()
		p.sessions[0].releases()
		p.sessions[2].releases()
	}},
	{givenIsRevocable, "a lease is revoked before it is confirmed", "L5", func(p *play) {
		b := p.sessions[1]
		p.contends()
		p.sessions[0].releases()
		b.listens()
		p.server.revoke(false)
		b.confirms()
		p.want(!b.holds(), "L5: the holder is not told")
	}},
}
