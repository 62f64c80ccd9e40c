package kinds

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// An event is one thing that can happen next.
type event struct {
	name string
	do   func()
}

var (
	lengths = []int64{2 * second, 10 * second, 90 * second}
	pauses  = []int64{1, 9, 50, 300, second, 2 * second, 7 * second, 21 * second, 61 * second}
	leaps   = []int64{-300, -second, -120 * second, second, 120 * second}

	// The kinds and numbers that the callers of one interleaving ask for.
	kinds = [][]kind{
		{exclusive, shared, slots}, {exclusive, shared, shared}, {slots}, {slots, slots, exclusive}, {shared, slots},
	}
	limits = [][]int{{2}, {1, 2}, {2, 5}, {1, 2, 3, 5}}
)

// TestRules checks the invariants of the package comment over random interleavings. By hand:
//
//	go test ./scripts/model/kinds -run TestRules -rapid.checks=100000
func TestRules(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		p := drawPlay(rt)
		evictions, steps := rapid.Bool().Draw(rt, "evictions"), rapid.Bool().Draw(rt, "steps of the clock")
		for n := rapid.IntRange(1, 100).Draw(rt, "events"); n > 0; n-- {
			e := rapid.SampledFrom(p.events(rt, evictions, steps)).Draw(rt, "event")
			rt.Log(e.name)
			e.do()
			p.holds(rt)
		}
		p.comesToRest(rt)
	})
}

func drawPlay(rt *rapid.T) *play {
	p := newPlay(everyRule, 3, rapid.IntRange(0, 2).Draw(rt, "pylocks"))
	p.kinds, p.limits = rapid.SampledFrom(kinds).Draw(rt, "kinds"), rapid.SampledFrom(limits).Draw(rt, "limits")
	p.deaths, p.revokes = rapid.IntRange(0, 1).Draw(rt, "deaths"), rapid.Bool().Draw(rt, "revokes")
	p.log = rt.Logf
	if len(p.pylocks) > 1 && rapid.Bool().Draw(rt, "a left-over, and a pylock that has read it") {
		p.leftOver(p.pylocks[0])
		p.pylocks[len(p.pylocks)-1].stalls()
	}
	return p
}

func (p *play) holds(rt *rapid.T) {
	for _, b := range p.watch.broken {
		rt.Fatalf("%s\n%v", b, &p.store)
	}
}

func (p *play) events(rt *rapid.T, evictions, steps bool) []event {
	var es []event
	add := func(name string, do func()) { es = append(es, event{name, do}) }
	for _, s := range p.sessions {
		s.events(rt, func(name string, do func()) { add(fmt.Sprintf("session %d: %s", s.id, name), do) })
	}
	for i, c := range p.late {
		add(fmt.Sprintf("copy of verb %d of %v arrives", c.verb, c.a.token), func() { p.arrive(i) })
	}
	for i, q := range p.pylocks {
		add(fmt.Sprintf("pylock %d acts", i+1), q.act)
		if q.next != nil {
			add(fmt.Sprintf("pylock %d crashes", i+1), q.crash)
		}
	}
	add("library takes", func() { p.library.take(rapid.SampledFrom(lengths).Draw(rt, "ttl")) })
	add("library leaves", p.library.leave)
	pass := func() { p.pass(rapid.SampledFrom(pauses).Draw(rt, "ms")) }
	add("time passes", pass)
	add("time passes", pass)
	if p.revokes {
		add("revoke all", func() { p.revoke(0, false) })
		add("revoke all now", func() { p.revoke(0, true) })
		for _, h := range p.store.shares {
			add("revoke one", func() { p.revoke(h.first, rapid.Bool().Draw(rt, "now")) })
		}
	}
	if evictions {
		add("lock evicted", p.store.evictLock)
		add("companion evicted", p.store.evictCompanion)
		add("more evicted", p.store.evictMore)
		add("queue evicted", p.store.evictQueue)
		add("shares evicted", p.store.evictShares)
	}
	if steps {
		add("clock steps", func() { p.step(rapid.SampledFrom(leaps).Draw(rt, "step")) })
	}
	return es
}

func (s *session) events(rt *rapid.T, add func(string, func())) {
	if s.dead {
		return
	}
	arrive := func() {
		s.arrive(rapid.SampledFrom(s.p.kinds).Draw(rt, "kind"), rapid.SampledFrom(s.p.limits).Draw(rt, "n"))
	}
	if len(s.waiting) < 4 {
		add("a caller arrives", arrive)
		add("a caller arrives", arrive)
	}
	for _, c := range s.waiting {
		add("a caller leaves", func() { s.leave(c) })
	}
	for _, c := range s.holding {
		add("a hold ends", func() { s.done(c) })
		if c.kind == exclusive && s.call == nil {
			add("a downgrade", func() { s.downgrade(c) })
		}
		if c.kind == shared {
			add("a nested one", func() { s.nests(c) })
		}
	}
	if len(s.inbox) > 0 {
		add("hears", s.listens)
		add("does not hear", func() { s.inbox = nil })
	}
	if s.call != nil {
		s.callEvents(rt, add)
		return
	}
	add("goes on", func() { s.plan() })
	add("goes on", func() { s.plan() })
	add("does all it has to", s.goesOn)
	for _, a := range s.attempts {
		s.attemptEvents(a, add)
	}
	add("other expires", func() { s.ttl = rapid.SampledFrom(lengths).Draw(rt, "ttl") })
	if s.p.deaths > 0 {
		add("dies", func() { s.p.deaths--; s.dies() })
	}
}

// attemptEvents are calls before the plan's time.
func (s *session) attemptEvents(a *attempt, add func(string, func())) {
	switch a.phase {
	case asking:
		add("asks again", func() { s.ask(a, false) })
	case leased:
		add("renews", func() { s.renew(a, s.ttl, a.turned()) })
	}
}

func (s *session) callEvents(rt *rapid.T, add func(string, func())) {
	c := s.call
	answer := func() { s.answered(); s.offer() }
	if c.ran {
		add("answer", answer)
		add("answer", answer)
	} else {
		add("run", c.run)
		add("run and answer", func() { c.run(); answer() })
		add("run and answer", func() { c.run(); answer() })
		add("run and answer", func() { c.run(); answer() })
	}
	add("no answer", func() {
		if c := s.unanswered(); !c.ran && rapid.Bool().Draw(rt, "a copy is on its way") {
			s.p.late = append(s.p.late, c)
		}
	})
}

// comesToRest checks that all get what they wait for once the faults end, and that nothing is left in the end.
func (p *play) comesToRest(rt *rapid.T) {
	p.late = nil
	p.library.leave()
	for _, q := range p.pylocks {
		q.crash()
	}
	p.pass(p.back + 100*second) // longer than each lease and stamp
	if p.store.expire(); p.store.lock.is == stamp {
		p.store.lock = value{} // without a ttl, and ahead of a clock that went back
	}
	for _, s := range p.sessions {
		if s.call != nil {
			s.unanswered()
		}
	}
	for n := 0; p.waits(); n++ {
		if n > 400 {
			rt.Fatalf("not all get the key: %s", p.told())
		}
		p.tick(100)
		p.holds(rt)
		for _, s := range p.sessions {
			for _, c := range append([]*caller(nil), s.holding...) {
				s.done(c)
			}
		}
	}
	for range 10 {
		p.tick(100)
	}
	p.holds(rt)
	p.nothingLeft(rt)
}

func (p *play) waits() bool {
	for _, s := range p.sessions {
		if !s.dead && len(s.waiting)+len(s.holding) > 0 {
			return true
		}
	}
	return false
}

func (p *play) told() string {
	said := p.store.String()
	for _, s := range p.sessions {
		said += fmt.Sprintf("session %d: waits %d\n", s.id, len(s.waiting))
		for _, a := range s.attempts {
			said += fmt.Sprintf("  %+v\n", *a)
		}
	}
	return said
}

func (s *store) String() string {
	return fmt.Sprintf("%+v %+v\nqueue %+v\nshares %+v\nsettled %v until %d, over %+v, revoked %v, until %d\n",
		s.lock, s.companion, s.queue, s.shares, s.settled, s.until, s.over, s.revoked, s.moreEnd)
}

func (p *play) nothingLeft(rt *rapid.T) {
	s := &p.store
	s.expire()
	if s.lock.is != free || len(s.queue) > 0 {
		rt.Fatalf("something is left: %s", p.told())
	}
	for _, s := range p.sessions {
		if !s.dead && len(s.attempts) > 0 {
			rt.Fatalf("session %d has attempts left:\n%s", s.id, p.told())
		}
	}
}
