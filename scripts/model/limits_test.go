package model

import (
	"strings"
	"testing"
)

// TestKnownLimits plays what the checks excuse, and shows how far it goes. A change that mends one of these has to
// take its excuse out of the checks.
func TestKnownLimits(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]func(*play){
		"a copy takes the key after its companion was evicted":          evictedThenCopy,
		"a free passes by those that wait after an eviction and a take": evictedThenFree,
		"a repair after the token was evicted":                          evictedThenRepair,
		"a repair after the clock stepped back":                         steppedThenRepair,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlay(everyRule, 3, 2)
			f(p)
			if b := p.watch.broken; len(b) > 0 {
				t.Error(strings.Join(b, "\n"))
			}
		})
	}
}

// The mark is there, but a fast take looks at the companion alone. It costs one lease, in which nobody gets the key.
// The first full script reads the mark again.
func evictedThenCopy(p *play) {
	s := p.sessions[0]
	s.begin(20*second, false, true)
	c := s.unanswered()
	s.releases()
	p.store.evictCompanion()
	c.run()
	p.want(p.store.lock.kind == ours, "the copy takes nothing")
	p.pass(20 * second)
	p.sessions[1].takesInFull(second)
	p.want(p.sessions[1].holds() && !p.store.companion.quiet, "the full script does not see the mark")
	p.sessions[1].releases()
	c.run()
	p.want(p.store.lock.kind == free, "a second copy takes the key")
}

// The one that waits finds the key free the next time it asks.
func evictedThenFree(p *play) {
	p.sessions[0].takes(2 * second)
	p.sessions[1].waits(20 * second)
	p.store.evictCompanion()
	p.pass(300)
	p.store.evictLock()
	p.sessions[2].takes(20 * second)
	p.pass(300)
	p.sessions[2].frees()
	p.want(p.store.lock.kind == free, "the key is given to the one that waits")
	p.sessions[1].ask(20 * second)
	p.sessions[1].do()
	p.want(p.sessions[1].holds(), "the one that waits does not get the key")
}

// The store can't tell a pylock's SETNX from a losing GETSET here.
func evictedThenRepair(p *play) {
	p.leftOver(p.pylocks[0])
	p.sessions[0].takesInFull(20 * second)
	p.store.evictLock()
	p.pylocks[1].act()
	p.sessions[1].takesInFull(20 * second)
	p.want(p.store.lock.kind == ours, "the lock is the pylock's")
}

// By the clock as it is now the lease goes on, which ran out before.
func steppedThenRepair(p *play) {
	p.leftOver(p.pylocks[0])
	p.sessions[0].takesInFull(2 * second)
	p.pass(3 * second)
	p.step(-2 * second)
	p.pylocks[1].act()
	p.sessions[1].takesInFull(20 * second)
	p.want(p.store.lock.kind == ours, "the lock is the pylock's")
}
