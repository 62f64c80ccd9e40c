package push

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// An event is one thing that can happen next.
type event struct {
	name string
	do   func()
}

var (
	lengths = []int64{200 * millisecond, second, 3 * second, 20 * second}
	pauses  = []int64{0, 300, millisecond, 70 * millisecond, 300 * millisecond, 600 * millisecond, 900 * millisecond, second, 3 * second, 20 * second}
	steps   = []int64{-300, -millisecond, -second, -120 * second, millisecond, second, 120 * second}
)

// TestRules checks the invariants of the package comment over random interleavings, 1 000 of them unless told
// otherwise. By hand:
//
//	go test ./scripts/model/push -run TestRules -rapid.checks=10000
func TestRules(t *testing.T) {
	t.Parallel()
	for range 10 {
		rapid.Check(t, func(rt *rapid.T) { drawn(rt).comesToRest(rt) })
	}
}

// drawn plays a random interleaving.
func drawn(rt *rapid.T) *play {
	p := newPlay(everyRule, 3)
	p.failsOver = rapid.Bool().Draw(rt, "servers replace each other")
	leaps := rapid.Bool().Draw(rt, "leases end early")
	for _, s := range p.sessions {
		s.fast = rapid.Int64Range(-8, 8).Draw(rt, "fast")
	}
	for n := rapid.IntRange(1, 80).Draw(rt, "events"); n > 0; n-- {
		e := rapid.SampledFrom(p.events(rt, leaps)).Draw(rt, "event")
		rt.Log(e.name)
		e.do()
		p.holds(rt)
	}
	return p
}

func (p *play) holds(rt *rapid.T) {
	for _, b := range p.watch.broken {
		rt.Fatalf("%s\n%+v", b, p.server.state)
	}
}

func (p *play) events(rt *rapid.T, leaps bool) []event {
	var es []event
	add := func(name string, do func()) { es = append(es, event{name, do}) }
	for _, s := range p.sessions {
		s.events(rt, func(name string, do func()) { add(fmt.Sprintf("session %d: %s", s.id, name), do) })
	}
	for i, m := range p.wire {
		add(fmt.Sprintf("push of base %d arrives at session %d", m.base, m.to.session), func() { p.deliver(i, false) })
		add("a push is repeated", func() { p.deliver(i, true) })
		add("a push is lost", func() { p.wire = slices.Delete(p.wire, i, i+1) })
	}
	for i, c := range p.late {
		add(fmt.Sprintf("a call of %v arrives late", c.attempt.token), func() {
			p.late = slices.Delete(p.late, i, i+1)
			c.run()
		})
	}
	pass := func() { p.pass(rapid.SampledFrom(pauses).Draw(rt, "µs")) }
	add("time passes", pass)
	add("time passes", pass)
	add("revoke", func() { p.server.revoke(false) })
	if leaps {
		add("revoke now", func() { p.server.revoke(true) })
		add("deleted by hand", p.delete)
		add("clock steps", func() { p.step(rapid.SampledFrom(steps).Draw(rt, "step")) })
	}
	if p.failsOver {
		add("replicated", p.replicate)
		add("replaced", func() { p.replace(rapid.SampledFrom(append(steps, 0)).Draw(rt, "differs by")) })
	}
	return es
}

func (s *session) events(rt *rapid.T, add func(string, func())) {
	ttl := func() int64 { return rapid.SampledFrom(lengths).Draw(rt, "ttl") }
	a := s.attempt
	switch {
	case s.call != nil:
		s.callEvents(rt, add)
	case a == nil:
		add("begin", func() { s.begin(ttl()) })
		add("begin, and the caller shows the deadline", func() { s.plain = !s.plain; s.begin(ttl()) })
	case a.phase == asking:
		add("ask again", func() { s.ask(ttl()) })
		add("cancel", s.end)
	case a.phase == leased:
		add("confirm or renew", func() { s.confirm(ttl()) })
		add("release", s.end)
	default:
		add("settle", s.end)
	}
	if b := s.beat; b != nil {
		if b.ran {
			add("heartbeat is answered", s.beaten)
		} else if !b.gone {
			add("heartbeat runs", b.run)
			add("heartbeat runs and is answered", func() { b.run(); s.beaten() })
		}
		add("heartbeat is not answered", func() { s.beat = nil; s.p.lateOrLost(rt, b) })
	} else if a != nil && a.phase == asking && s.call == nil {
		add("heartbeat", s.heartbeat)
	}
	for i := range s.inbox {
		add("a push is taken", func() { s.take(i) })
	}
	add("hears, or not", func() { s.hears = !s.hears })
	add("has many keys, or few", func() { s.length = direct + long - s.length })
	if a != nil && a.phase == asking {
		add("a push is forged", func() { s.p.forge(s, rapid.Int64Range(-1, 1).Draw(rt, "guess")) })
	}
}

func (s *session) callEvents(rt *rapid.T, add func(string, func())) {
	c := s.call
	switch {
	case c.ran:
		add("answer", s.answered)
		add("answer", s.answered)
	case !c.gone:
		add("run", c.run)
		add("run and answer", s.do)
		add("run and answer", s.do)
	}
	add("no answer", func() { s.p.lateOrLost(rt, s.unanswered()) })
}

func (p *play) lateOrLost(rt *rapid.T, c *call) {
	if !c.ran && rapid.Bool().Draw(rt, "it is on its way") {
		p.late = append(p.late, c)
	}
}

// comesToRest checks that once the faults end, each session gets the key that asks by its pace.
func (p *play) comesToRest(rt *rapid.T) {
	p.late, p.wire = nil, nil
	for _, s := range p.sessions {
		s.inbox, s.plain, s.hears, s.length = nil, true, true, direct
		if s.beat = nil; s.call != nil {
			s.unanswered()
		}
		if s.attempt != nil {
			s.releases()
		}
	}
	p.pass(p.back + lease) // the leases of a replaced server are over
	for _, s := range p.sessions {
		s.takes()
	}
	const pause = 300 * millisecond
	left := len(p.sessions)
	for range 10 {
		for _, s := range p.sessions {
			switch {
			case s.attempt == nil:
				continue
			case s.holds():
				if s.releases(); s.attempt != nil {
					rt.Fatalf("%v can't be released", s.attempt.token)
				}
				left--
				continue
			}
			if s.listens(); !s.holds() && s.attempt.phase == asking {
				s.repeats()
			} else if !s.holds() {
				s.releases()
				s.takes()
			}
		}
		p.pass(pause)
		p.holds(rt)
	}
	if left > 0 {
		rt.Fatalf("%d sessions do not get the key: %+v", left, p.server.state)
	}
}
