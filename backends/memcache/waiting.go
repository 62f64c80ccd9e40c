package memcache

import (
	"math/rand/v2"
	"time"

	gomemcache "github.com/bradfitz/gomemcache/memcache"
)

const (
	// quick and slow are the longest pauses between two probes: of the first
	// quickProbes, a quarter of a second or so, within which a key that changes
	// hands every Tenure has come round, and of all that follow.
	quick       = 16 * time.Millisecond
	quickProbes = 20
	slow        = 50 * time.Millisecond

	// A wait item is written again when it has not changed for refresh, by
	// whoever waits and sees that; the holder takes it for a leftover when it has
	// not changed for stale. Its own expiration could not tell: that is whole seconds.
	refresh  = 100 * time.Millisecond
	stale    = 300 * time.Millisecond
	waitLife = 2 // s; the least that is longer than refresh for certain
)

// pace is when to probe again: 1 ms doubling, jittered by half so that sessions
// which came together drift apart.
func pace(probe int) time.Duration {
	d := min(time.Millisecond<<min(max(probe, 0), 5), quick)
	if probe >= quickProbes {
		d = slow
	}
	return d - rand.N(d/2)
}

// wanted reports whether another session waits for the key.
func (t *talk) wanted(s sight) bool {
	if s.wait == nil {
		return false
	}
	unchanged := t.b.memory.see(t.attempt, string(s.wait.Value))
	return unchanged < stale && !t.mark().wrote(s.wait.Value)
}

// ask makes sure that a wait item tells the holder of somebody. There is room for
// one name, which is enough: it is renewed by whoever sees that it has not been,
// and replaced when it is the holder's own, from when that was waiting.
func (t *talk) ask(s sight) {
	if s.wait != nil {
		unchanged := t.b.memory.see(t.attempt, string(s.wait.Value))
		holders := s.lock != nil && markOf(s.lease.token.Session()).wrote(s.wait.Value)
		if unchanged < refresh && !holders {
			return
		}
	}
	wish := t.mark().wish(t.b.wishes.Add(1))
	// A hint: whatever becomes of it, the answer of the verb stands.
	if err := t.do(func(w wire) error {
		return w.set(&gomemcache.Item{Key: t.items.wait, Value: wish, Expiration: waitLife})
	}); err == nil {
		t.b.memory.see(t.attempt, string(wish))
	}
}

// tidy takes back what is beside a key that this session has left or freed: hints,
// all of them, so that the answer of the verb stands whatever becomes of it.
func (t *talk) tidy(s sight) {
	if s.lock != nil && !s.own(t.attempt) {
		return
	}
	t.unask(s)
	t.unmark(s)
}

// unask takes back a wait item, so that the next holder doesn't give way to a session
// that has left.
//
// While another has the key it stays and goes stale: there is room for one name,
// and whoever waits beside us has relied on ours. The holder would be told that
// nobody waits, and its Tenure would start anew, each time a waiter gives up. Instead
// it may hand over once in vain. A key that is free has no Tenure to lose.
func (t *talk) unask(s sight) {
	if s.wait != nil && t.mark().wrote(s.wait.Value) {
		_ = t.erase(s.wait)
	}
}

func (t *talk) mark() mark { return markOf(t.attempt.Token.Session()) }
