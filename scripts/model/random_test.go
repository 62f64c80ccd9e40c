package model

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
	living  = []int64{second, second, 3 * second, 50}
	lengths = []int64{2 * second, 20 * second, 90 * second, 200 * second}
	pauses  = []int64{1, 9, 300, second, 2 * second, 7 * second, 21 * second, 55 * second, 61 * second}
	steps   = []int64{-1, -second, -120 * second, -3600 * second, -3600 * second, 1, second, 120 * second, 3600 * second}
)

// TestRules checks the invariants of the package comment over random interleavings. By hand:
//
//	go test ./scripts/model -run TestRules -rapid.checks=100000
func TestRules(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		p := newPlay(everyRule, 3, 3)
		evictions, leaps := rapid.Bool().Draw(rt, "evictions"), rapid.Bool().Draw(rt, "steps of the clock")
		for n := rapid.IntRange(1, 80).Draw(rt, "events"); n > 0; n-- {
			events := p.events(rt, evictions, leaps)
			e := rapid.SampledFrom(events).Draw(rt, "event")
			rt.Log(e.name)
			e.do()
			p.holds(rt)
		}
		p.comesToRest(rt)
	})
}

func (p *play) holds(rt *rapid.T) {
	for _, b := range p.watch.broken {
		rt.Fatalf("%s\n%+v %+v", b, p.store.lock, p.store.companion)
	}
}

func (p *play) events(rt *rapid.T, evictions, leaps bool) []event {
	var es []event
	add := func(name string, do func()) { es = append(es, event{name, do}) }
	for _, s := range p.sessions {
		s.events(rt, func(name string, do func()) { add(fmt.Sprintf("session %d: %s", s.id, name), do) })
	}
	for i, c := range p.late {
		add(fmt.Sprintf("copy of %v arrives", c.attempt.token), func() { p.arrive(i) })
	}
	for i, q := range p.pylocks {
		add(fmt.Sprintf("pylock %d acts", i+1), q.act)
		if q.next != nil {
			add(fmt.Sprintf("pylock %d crashes", i+1), q.crash)
		}
	}
	add("library takes", func() { p.library.take(rapid.SampledFrom(lengths).Draw(rt, "ttl")) })
	add("library leaves", p.library.leave)
	add("another's hash", func() { p.library.scribble(rapid.Bool().Draw(rt, "beside the lock")) })
	add("memory fills or empties", func() { p.store.memoryFull = !p.store.memoryFull })
	pass := func() { p.pass(rapid.SampledFrom(pauses).Draw(rt, "ms")) }
	add("time passes", pass)
	add("time passes", pass)
	add("time passes", pass)
	add("revoke", func() { p.revoke("0") })
	add("revoke now", func() { p.revoke("1") })
	if evictions {
		add("lock evicted", p.store.evictLock)
		add("companion evicted", p.store.evictCompanion)
		add("more evicted", p.store.evictMore)
		add("all evicted", p.store.evictAll)
	}
	if leaps {
		add("clock steps", func() { p.step(rapid.SampledFrom(steps).Draw(rt, "step")) })
	}
	return es
}

func (s *session) events(rt *rapid.T, add func(string, func())) {
	ttl := func() int64 { return rapid.SampledFrom(lengths).Draw(rt, "ttl") }
	coin := func(what string) bool { return rapid.Bool().Draw(rt, what) }
	a := s.attempt
	switch {
	case s.call != nil:
		s.callEvents(rt, add)
	case a == nil:
		add("begin", func() { s.begin(ttl(), coin("wait"), coin("fast")) })
		add("retire", s.retire)
		add("memory overflows", s.overflow)
	case a.phase == asking:
		add("ask again", func() {
			s.lives = rapid.SampledFrom(living).Draw(rt, "alive for")
			s.ask(ttl())
		})
		add("cancel", func() { s.end(false) })
	case a.phase == leased:
		add("renew", func() { s.renew(ttl()) })
		add("release", func() { s.end(coin("fast")) })
	default:
		add("settle", func() { s.end(false) })
		if a.ambiguous || a.refused {
			add("give up", s.giveUp)
		}
	}
}

func (s *session) callEvents(rt *rapid.T, add func(string, func())) {
	c := s.call
	run := func() { c.reply, c.ran = c.run(), true }
	if c.ran {
		add("answer", func() { s.answered(c.reply) })
		add("answer", func() { s.answered(c.reply) })
	} else {
		add("run", run)
		add("run and answer", func() { run(); s.answered(c.reply) })
		add("run and answer", func() { run(); s.answered(c.reply) })
	}
	add("no answer", func() {
		if c := s.unanswered(); rapid.Bool().Draw(rt, "a copy is on its way") {
			s.p.late = append(s.p.late, c)
		}
	})
}

// comesToRest checks that a key with nothing left to remember becomes quiet again, by a full script.
func (p *play) comesToRest(rt *rapid.T) {
	p.late = nil
	p.library.leave()
	p.store.memoryFull = false
	p.pass(p.back + 300*second) // longer than each lease, stamp and memory
	if p.store.expire(); p.store.lock.kind == stamp {
		p.store.lock = value{} // without a ttl, and ahead of a clock that went back
	}
	s := &session{p: p, id: 99, lives: second}
	s.begin(p.back+300*second, false, false)
	s.answered(s.call.run())
	if s.attempt == nil || s.attempt.phase != leased {
		rt.Fatalf("a free key is not granted: %+v %+v", p.store.lock, p.store.companion)
	}
	p.pass(p.back + keep + second)
	s.renew(300 * second)
	s.answered(s.call.run())
	if c := p.store.companion; c == nil || !c.quiet {
		rt.Fatalf("not quiet, with nothing to remember: %+v %+v", c, p.store.settled)
	}
	p.pass(1)
	s.renew(100 * second)
	s.answered(s.call.run())
	p.pass(1)
	if s.end(true); !s.call.fast || s.call.run().outcome != freed {
		rt.Fatalf("the fast path does not free a quiet key")
	}
	p.holds(rt)
}
