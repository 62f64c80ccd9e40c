package push

// The interleavings of when a push grants.
var granting = []fixed{
	{attemptNamed, "the attempt was cancelled and numbered anew", "S5", func(p *play) {
		a, b := p.sessions[0], p.sessions[1]
		p.contends()
		a.releases()
		b.releases()
		b.takes()
		b.listens()
	}},
	{whileAsking, "the push comes again", "S6", func(p *play) {
		p.contends()
		p.sessions[0].releases()
		p.deliver(0, true)
		p.deliver(0, true)
		p.sessions[1].take(0)
		p.sessions[1].take(0)
	}},
	{whileAsking, "the attempt is being cancelled", "S5", func(p *play) {
		b := p.sessions[1]
		p.contends()
		p.sessions[0].releases()
		b.end()
		b.call.run()
		b.unanswered()
		b.listens()
	}},
	{noneInFlight, "an ask was answered before the giving, and the answer is slow", "though its lease is there", func(p *play) {
		b := p.sessions[1]
		p.contends()
		b.ask(lease)
		b.call.run()
		p.sessions[0].releases()
		b.listens()
		b.answered()
		b.goesOn()
		p.want(b.holds(), "the hold ends though its lease is there")
	}},
	{wokenStays, "the same", "forgotten", func(p *play) {
		b := p.sessions[1]
		p.contends()
		b.ask(lease)
		b.call.run()
		p.sessions[0].releases()
		b.listens()
		b.answered()
		b.goesOn()
		p.want(b.holds(), "the push is forgotten")
	}},
	{newestAsk, "the session was told since that another has the key", "S7", func(p *play) {
		p.contends()
		p.sessions[0].releases()
		p.delete()
		p.sessions[2].repeats()
		p.sessions[1].repeats()
		p.sessions[1].listens()
	}},
	{plainOnly, "the caller shows the deadline to others", "not confirmed", func(p *play) {
		b := p.sessions[1]
		b.plain = false
		p.contends()
		p.sessions[0].releases()
		b.listens()
		b.goesOn()
		p.want(b.holds(), "it does not get the key")
	}},
}

// The interleavings against which two rules stand.
var doubly = []fixed{
	{everyRule, "an ask is on a connection that hangs", "", func(p *play) {
		b := p.sessions[1]
		p.contends()
		b.ask(lease)
		p.sessions[0].releases()
		b.listens()
		p.want(!b.holds(), "the push grants")
		late := b.unanswered()
		b.goesOn()
		p.want(b.holds(), "the next ask does not grant")
		late.run()
		b.confirms()
		p.want(b.holds(), "the hold does not go on")
	}},
}

// The interleavings in which time matters.
var causality = []fixed{
	{notPast, "the push comes after the lease", "S7", func(p *play) {
		p.contends()
		p.sessions[0].releases()
		p.pass(direct)
		p.sessions[2].repeats()
		p.sessions[1].listens()
	}},
	{timedAtGrant, "the process is stopped between the push and the grant", "S7", func(p *play) {
		p.contends()
		p.sessions[0].releases()
		p.deliver(0, false)
		p.pass(direct)
		p.sessions[1].take(0)
	}},
	{countsFromSent, "the answer to the ask is slow", "S7", func(p *play) {
		a, b := p.sessions[0], p.sessions[1]
		a.takes()
		b.begin(lease)
		b.call.run()
		a.releases()
		p.pass(direct / 2)
		b.answered()
		b.listens()
	}},
	{margin, "the session's clock is slow", "S7", func(p *play) {
		a, b := p.sessions[0], p.sessions[1]
		b.fast = -8
		a.takes()
		b.takes()
		a.releases()
		b.listens()
	}},
	{proofCounts, "the server is replaced while the push is under way", "S7", func(p *play) {
		p.failsOver = true
		p.contends()
		p.replicate()
		p.sessions[0].releases()
		p.replace(0)
		p.sessions[1].listens()
	}},
}
