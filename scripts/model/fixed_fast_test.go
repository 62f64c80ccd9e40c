package model

var fastPath = []fixed{
	{nxGrants, "a hash under the lock's name looks free to MGET", "overwritten", func(p *play) {
		p.library.scribble(false)
		p.sessions[0].takes(20 * second)
		p.want(p.store.lock.kind == hash, "the hash is gone")
	}},
	{nxGrants, "one call names a key twice", "S1", func(p *play) {
		a, b := p.sessions[0], p.sessions[1]
		a.begin(20*second, false, true)
		b.begin(20*second, false, true)
		replies := fast(item{&p.store, a.attempt.token, 20 * second}, item{&p.store, b.attempt.token, 20 * second})
		a.answered(replies[0])
		b.answered(replies[1])
		b.do()
		p.want(a.holds() && !b.holds(), "not the first alone has the lock")
	}},
	{companionByNX, "a hash under the companion's name looks like none to MGET", "overwritten", func(p *play) {
		p.library.scribble(true)
		p.sessions[0].takes(20 * second)
		p.want(p.store.foreign && p.store.lock.kind == free, "the hash is gone, or the lock stays")
	}},
	{stateIsRead, "a free passes by those that wait", "a fast free leaves", func(p *play) {
		p.sessions[0].takes(20 * second)
		p.sessions[1].waits(20 * second)
		p.pass(1)
		p.sessions[0].frees()
	}},
	{lastNotAhead, "last is an hour ahead", "and last is", func(p *play) {
		p.sessions[0].takes(20 * second)
		p.sessions[0].releases()
		p.step(-3600 * second)
		p.sessions[0].takes(10 * second)
		p.pass(2 * second)
		p.sessions[0].frees()
		p.pass(100 * second)
		p.sessions[1].takes(10 * second)
	}},
	{freeNeedsName, "the companion is evicted while somebody waits", "a fast free leaves", func(p *play) {
		p.sessions[0].takes(20 * second)
		p.sessions[1].waits(20 * second)
		p.store.evictCompanion()
		p.sessions[0].frees()
		p.sessions[1].ask(20 * second)
		p.sessions[1].do()
		p.want(p.sessions[1].holds(), "the one that waits is not served")
	}},
	{takesFirst, "a call frees and takes while the memory is full", "the take goes on", func(p *play) {
		s, other := p.sessions[0], newPlay(p.store.without, 1, 0) // another key
		s.takes(20 * second)
		p.pass(1)
		p.store.memoryFull, other.store.memoryFull = true, true
		s.end(true)
		replies := fast(item{&p.store, s.attempt.token, 0}, item{&other.store, token{1, 1}, 20 * second})
		s.answered(replies[0])
		p.want(s.attempt == nil && p.store.lock.kind == free, "the free does not go through")
		p.want(replies[1].outcome == inFull, "the take goes on though the memory is full")
	}},
	{longInFull, "a key is used once, with a long lease", "for longer than", func(p *play) {
		p.sessions[0].takes(24 * 3600 * second)
		p.pass(1)
		p.sessions[0].frees()
		p.want(p.store.companion.end <= p.store.now+2*keep, "the companion stays for longer than two minutes")
	}},
}
