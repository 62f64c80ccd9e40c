package push

// The interleavings of the confirmation.
var confirming = []fixed{
	{namesLease, "it finds the lease of a later giving", "S2", func(p *play) {
		a, b, c := p.sessions[0], p.sessions[1], p.sessions[2]
		a.takes()
		b.takes()
		b.ask(lease)
		late := b.unanswered()
		b.repeats()
		a.releases()
		b.listens()
		p.delete()
		c.takes()
		late.run() // b waits again
		c.releases()
		b.confirms()
		p.want(!b.holds(), "the hold goes on")
	}},
	{namesLease, "no push at all: the lease was lost, and an ask that was given up takes the key anew", "S2", func(p *play) {
		b, c := p.sessions[1], p.sessions[2]
		b.begin(lease)
		late := b.unanswered()
		b.repeats()
		p.delete()
		c.takes()
		c.releases()
		late.run()
		b.confirms()
		p.want(!b.holds(), "the hold goes on")
	}},
	{firstStays, "an ask that was given up has confirmed the lease already", "though its lease is there", func(p *play) {
		a, b := p.sessions[0], p.sessions[1]
		a.takes()
		b.takes()
		b.ask(lease)
		late := b.unanswered()
		b.repeats()
		a.releases()
		b.listens()
		late.run()
		b.confirms()
		p.want(b.holds(), "the hold ends though its lease is there")
	}},
	{firstStays, "it is repeated, since its answer was lost", "though its lease is there", func(p *play) {
		b := p.sessions[1]
		p.contends()
		p.sessions[0].releases()
		b.listens()
		b.confirm(lease)
		b.call.run()
		b.unanswered()
		b.confirms()
		p.want(b.holds(), "the hold ends though its lease is there")
	}},
	{freeStaysFree, "it finds the key free", "S2", func(p *play) {
		b, c := p.sessions[1], p.sessions[2]
		p.sessions[0].takes()
		b.takes()
		p.sessions[0].releases()
		b.listens()
		p.delete()
		c.takes()
		c.releases()
		b.confirms()
		p.want(!b.holds(), "the hold goes on")
	}},
	{otherEnds, "it is answered that another has the key", "L5", func(p *play) {
		b := p.sessions[1]
		p.contends()
		p.sessions[0].releases()
		b.listens()
		p.delete()
		p.sessions[2].repeats()
		b.confirms()
	}},
	{silenceEnds, "it is never answered", "S1", func(p *play) {
		b := p.sessions[1]
		p.contends()
		p.sessions[0].releases()
		b.listens()
		b.confirm(lease)
		b.unanswered()
		p.pass(direct + millisecond)
		p.sessions[2].repeats()
	}},
	{cutsWhenSent, "it asks for less than is left, and its answer is lost", "S1", func(p *play) {
		b := p.sessions[1]
		p.contends()
		p.sessions[0].releases()
		b.listens()
		b.confirm(direct / 5)
		b.call.run()
		b.unanswered()
		p.pass(direct / 2)
		p.sessions[2].repeats()
	}},
	{prolongsFromSent, "its answer is slow", "S7", func(p *play) {
		b := p.sessions[1]
		p.contends()
		p.sessions[0].releases()
		b.listens()
		b.confirm(lease)
		b.call.run()
		p.pass(direct / 2)
		b.answered()
	}},
}
