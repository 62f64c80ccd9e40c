package kinds

import "slices"

// A letter is a message on its way to an attempt's session.
type letter struct {
	to      token
	message message
}

// A play is a store and its clients.
type play struct {
	store    store
	watch    *watch
	sessions []*session
	pylocks  []*pylock
	library  library
	lossy    bool // each third message is lost
	messages int
	log      func(string, ...any)
	late     []*call // given up, and not arrived
	beside   *lua    // runs the scripts beside the model; nil: nobody does
	stamps   int
	kinds    []kind // that callers ask for at random
	limits   []int
	deaths   int // that may come
	revokes  bool
	heard    map[token]bool // those that were told that somebody waits
	back     int64          // how far the clock went back in all
}

const start = 1_000_000 * second

func newPlay(without rule, sessions, pylocks int) *play {
	p := &play{watch: newWatch()}
	p.store = store{without: without, p: p, watch: p.watch, now: start, real: start}
	for i := range sessions {
		p.sessions = append(p.sessions, &session{p: p, id: i + 1, ttl: 10 * second})
	}
	for range pylocks {
		p.pylocks = append(p.pylocks, &pylock{p: p, expires: 5 * second})
	}
	p.watch.pylocks = p.pylocks
	p.library.p = p
	return p
}

// revoke revokes what has that base, or all. It reports whether there is more than one call revokes.
func (p *play) revoke(base int64, now bool) (more bool) {
	if p.beside != nil {
		return p.beside.revokes(&p.store, base, now)
	}
	return p.store.revoke(base, now)
}

// pass lets time go by. A copy does not arrive 60 s after it was sent.
func (p *play) pass(ms int64) {
	p.store.pass(ms)
	p.late = slices.DeleteFunc(p.late, func(c *call) bool { return p.store.real >= c.sent+keep })
	for _, s := range p.sessions {
		s.offer()
	}
}

func (p *play) step(ms int64) {
	p.back += max(0, -ms)
	p.store.step(ms)
}

func (p *play) sent(t token, m message) {
	if p.messages++; p.lossy && p.messages%3 == 0 {
		return
	}
	if p.heard != nil && m == wanted {
		p.heard[t] = true
	}
	for _, s := range p.sessions {
		if s.id == t.session && !s.dead {
			s.inbox = append(s.inbox, letter{t, m})
		}
	}
}

// arrive lets the copy i run.
func (p *play) arrive(i int) {
	c := p.late[i]
	p.late = slices.Delete(p.late, i, i+1)
	c.run()
}

// listens takes all messages of a session.
func (s *session) listens() {
	for len(s.inbox) > 0 {
		l := s.inbox[0]
		s.inbox = s.inbox[1:]
		s.hears(l)
	}
}

// do sends the call in flight, and those that its answers lead to, and reads the answers.
func (s *session) do() {
	for s.call != nil {
		s.call.run()
		s.answered()
		s.offer()
	}
}

// goesOn does all that a session has to do by now.
func (s *session) goesOn() {
	for range 50 {
		s.listens()
		if s.do(); !s.plan() {
			return
		}
	}
	s.p.watch.fail(&s.p.store, "session %d has no end of calls: %+v", s.id, *s.attempts[0])
}

// tick lets time go by, and everybody act.
func (p *play) tick(ms int64) {
	p.pass(ms)
	for _, s := range p.sessions {
		if !s.dead {
			s.goesOn()
		}
	}
}

// dies ends a process. Its locks and shares stay until their time is over.
func (s *session) dies() {
	for _, a := range s.attempts {
		s.lose(a)
	}
	s.dead, s.waiting, s.call, s.inbox = true, nil, nil, nil
}
