package push

import "slices"

// A push is a message on its way to a session's inbox.
type push struct {
	to       token
	grants   bool
	base     int64
	length   int64
	number   int64
	score    int64
	origin   origin // for the watch
	received int64  // by the session's clock; 0: not yet
}

// A play is a server and its clients.
type play struct {
	without   rule
	real      int64
	server    server
	replica   state
	failsOver bool
	watch     *watch
	sessions  []*session
	wire      []push
	late      []*call // given up by their sessions, and not arrived
	numbers   int64
	back      int64 // how far the server's clock went back in all
}

func newPlay(without rule, sessions int) *play {
	const start = 1_000_000 * second
	p := &play{without: without, real: start}
	p.watch = newWatch(p)
	p.server = server{p: p, now: start, state: state{settled: map[int]int{}}}
	p.replica = p.server.copied()
	for i := range sessions {
		p.sessions = append(p.sessions, &session{p: p, id: i + 1, hears: true, plain: true, length: direct})
	}
	return p
}

func (p *play) pass(us int64) {
	p.real += us
	p.server.now += us
	p.late = slices.DeleteFunc(p.late, func(c *call) bool { return p.real > c.sentReal+60*second })
}

// step moves the server's clock.
func (p *play) step(us int64) {
	if us > 0 {
		p.watch.endsEarly()
	}
	p.back += max(0, -us)
	p.server.now += us
	p.watch.clockMoved()
}

// deliver brings push i to its session, which has yet to look at it.
func (p *play) deliver(i int, repeated bool) {
	m := p.wire[i]
	if !repeated {
		p.wire = slices.Delete(p.wire, i, i+1)
	}
	if s := p.sessions[m.to.session-1]; s.hears {
		m.received = s.clock()
		s.inbox = append(s.inbox, m)
	}
}

// delete ends the lock by hand.
func (p *play) delete() {
	p.watch.endsEarly()
	p.server.lock = token{}
}

// replicate brings the replica up to date.
func (p *play) replicate() { p.replica = p.server.copied() }

// replace puts the replica into the server's place, with a clock that differs. It takes longer than a proof counts,
// by any clock.
func (p *play) replace(differs int64) {
	for _, s := range p.sessions {
		for _, c := range []*call{s.call, s.beat} {
			if c != nil && !c.ran {
				c.gone = true
			}
		}
	}
	p.pass(proof + proof/50)
	p.server.state = p.replica.copied()
	p.back += max(0, -differs)
	p.server.now += differs
	p.watch.replaced()
}

// forge pushes what somebody can know who may publish and not read: the attempts count up, and the clock tells the time.
func (p *play) forge(s *session, guess int64) {
	a := s.attempt
	if a == nil || len(a.asks) == 0 {
		return
	}
	newest := a.asks[len(a.asks)-1]
	p.wire = append(p.wire, push{
		to: a.token, grants: true, base: p.server.last + guess, length: direct, number: newest.index, score: newest.score,
		origin: p.watch.origin,
	})
}
