package model

// The interleavings beside pylock. A left-over has no ttl, and its time is past.
var beside = []fixed{
	{guard, "a losing GETSET overwrites a fast lease", "S1", func(p *play) {
		a, b := p.pylocks[0], p.pylocks[1]
		p.leftOver(a)
		a.stalls()
		b.takesLeftOver()
		p.sessions[0].takes(20 * second)
		a.act() // GETSET
		p.pass(7 * second)
		p.sessions[1].takesInFull(20 * second)
		p.sessions[0].renews(20 * second)
		p.want(!p.sessions[0].holds(), "the lease is not lost to its holder")
		p.pass(20 * second)
		p.sessions[2].takesInFull(20 * second)
		p.want(p.sessions[2].holds(), "nobody gets the key once both times are past")
	}},
	{guard, "the same after revoke with now of the left-over", "S1", func(p *play) {
		p.leftOver(p.pylocks[0])
		p.pylocks[0].stalls()
		p.store.revoke(true)
		p.pass(keep + second) // the mark is gone
		p.sessions[1].takesInFull(second)
		p.sessions[1].releases()
		p.sessions[0].takes(20 * second)
		p.pylocks[0].act()
		p.pass(7 * second)
		p.sessions[1].takesInFull(20 * second)
	}},
	{guardNotOwn, "what has overwritten an unanswered attempt is past as it asks again", "asks again in vain", func(p *play) {
		a, b, s := p.pylocks[0], p.pylocks[1], p.sessions[0]
		p.leftOver(a)
		a.stalls()
		b.takesLeftOver()
		s.begin(20*second, false, true)
		s.call.run()
		s.unanswered()
		a.act()
		p.pass(7 * second)
		s.ask(20 * second)
		s.do()
		p.want(s.attempt != nil && s.holds(), "it asks again in vain")
	}},
	{evictedNamed, "the companion is evicted, and made anew, before a losing GETSET", "S1", func(p *play) {
		a, b := p.pylocks[0], p.pylocks[1]
		p.leftOver(a)
		a.stalls()
		b.takesLeftOver()
		p.sessions[0].takes(20 * second)
		p.store.evictCompanion()
		p.sessions[1].waits(20 * second)
		a.act()
		p.pass(7 * second)
		p.sessions[1].ask(20 * second)
		p.sessions[1].do()
	}},
	{waitAddsNothing, "one waits for another's lock while the mark names a lease that is over", "a repair", func(p *play) {
		p.leftOver(p.pylocks[0])
		p.sessions[0].takesInFull(2 * second)
		p.sessions[0].dies()
		p.pass(2 * second)
		p.library.take(200 * second)
		p.sessions[1].waits(2 * second)
		p.sessions[1].releases()
		p.library.leave()
		p.pylocks[1].act()
		p.sessions[2].takesInFull(2 * second)
	}},
	{overMark, "a pylock has the lock without a ttl yet, after a fast free", "a repair", func(p *play) {
		p.sessions[0].takes(20 * second)
		p.pass(1)
		p.sessions[0].frees()
		p.pylocks[0].act() // SETNX
		p.sessions[1].waits(20 * second)
	}},
	{overMember, "the same, of a lease that came after the companion was evicted", "a repair", func(p *play) {
		p.leftOver(p.pylocks[0])
		p.sessions[0].takesInFull(20 * second)
		p.sessions[0].releases()
		p.store.evictCompanion()
		p.sessions[1].takes(20 * second)
		p.pass(1)
		p.sessions[1].frees()
		p.pylocks[1].act()
		p.sessions[2].waits(20 * second)
	}},
	{releaseForgets, "the same, after a full release", "a repair", func(p *play) {
		p.leftOver(p.pylocks[0])
		p.sessions[0].takesInFull(20 * second)
		p.sessions[0].releases()
		p.pylocks[1].act()
		p.sessions[1].waits(20 * second)
	}},
	{leavesFirst, "an attempt ends that waits behind its own lost lock", "S5", func(p *play) {
		s := p.sessions[0]
		p.leftOver(p.pylocks[0])
		s.begin(20*second, true, false)
		s.call.run() // granted
		s.unanswered()
		p.store.evictLock()
		p.library.take(2 * second)
		s.ask(20 * second)
		s.do()
		p.library.leave()
		p.pylocks[1].act()
		s.releases()
		p.pass(1)
	}},
	{leavesFirst, "revoke with now ends a lost lock whose attempt waits", "S5", func(p *play) {
		s := p.sessions[0]
		s.begin(20*second, true, false)
		s.call.run() // granted
		s.unanswered()
		p.store.evictLock()
		p.pylocks[0].act()
		s.ask(20 * second)
		s.do()
		p.store.revoke(true)
		s.ask(20 * second)
		s.do()
		p.pass(1)
	}},
	{renewKeepsName, "the answer that the lease is lost is lost itself", "S1", func(p *play) {
		a, b := p.pylocks[0], p.pylocks[1]
		p.leftOver(a)
		a.stalls()
		b.takesLeftOver()
		p.sessions[0].takes(20 * second)
		a.act()
		p.sessions[0].renew(20 * second)
		p.sessions[0].call.run()
		p.sessions[0].unanswered()
		p.pass(7 * second)
		p.sessions[1].takesInFull(20 * second)
	}},
	{revokeMarks, "a GETSET overwrites the lease that came after revoke with now of a left-over", "not put back", func(p *play) {
		p.leftOver(p.pylocks[0])
		p.pylocks[0].stalls()
		p.store.revoke(true)
		p.sessions[0].takesInFull(20 * second)
		p.pylocks[0].act()
		p.sessions[0].renews(20 * second)
		p.want(p.sessions[0].holds(), "the lease is not put back")
	}},
}
