package actors

import (
	"math"
	"strings"
	"time"

	"github.com/turnstile-go/turnstile/actors/machine"
	"github.com/turnstile-go/turnstile/backends"
)

const (
	// DefaultLinger is Config.Linger over a backend that can reclaim leases.
	DefaultLinger = time.Second
	// NoLinger as Config.Linger is none, over such a backend too.
	NoLinger time.Duration = math.MinInt64

	// mostLingering is how many keys of a coordinator linger at once, unless Config.Linger
	// was set: some 30 MB.
	mostLingering = 16_384
)

// resolveLinger puts in place of the default what it means over the backend. byDefault
// reports whether it was the default, and not 0.
func (c *Config) resolveLinger(b backends.Backend) (byDefault bool) {
	_, reclaims := b.(backends.Reclaimer)
	switch {
	case c.Linger < 0:
		c.Linger = 0
	case c.Linger == 0 && reclaims:
		c.Linger = DefaultLinger
		return true
	}
	return false
}

var _ machine.Keeper = (*keyActor)(nil)

// reclaimed is the bit of entry.unused that another session leaves: no attempt has such
// a number.
const reclaimed = 1 << 63

// Keep lets the lease of an attempt linger, unless too many keys do. From then on
// another session may reclaim it: see entry.unused.
func (a *keyActor) Keep(attempt uint64) bool {
	if !a.takeSlot() {
		return false
	}
	a.entry.unused.Store(attempt)
	return true
}

// takeSlot returns false if too many keys linger. The slot stays with the actor until it
// is idle: to count at each hold costs more than the rest of it.
func (a *keyActor) takeSlot() bool {
	if a.slot {
		return true
	}
	if n := a.c.lingering.Add(1); n > mostLingering && a.c.machines.LingerAgain {
		a.c.lingering.Add(-1)
		return false
	}
	a.slot = true
	return true
}

func (a *keyActor) giveSlot() {
	if a.slot {
		a.slot = false
		a.c.lingering.Add(-1)
	}
}

// Resume takes the lease into use again. It returns false if another session has it by
// now, or will.
func (a *keyActor) Resume(attempt uint64) bool {
	return a.entry.unused.CompareAndSwap(attempt, 0)
}

// Drop leaves the lease to whoever wants it: it is never in use again. So there is no
// moment between its linger and its end at the backend at which another session's one
// try would find it held.
func (a *keyActor) Drop() { a.giveSlot() }

// Key implements machine.Keeper.
func (a *keyActor) Key() string { return a.entry.key }

// reclaim gives up the lease of one of this session's attempts if it lingers, for
// another session that wants the key. It waits for nothing: one swap decides.
//
//	the reclaim is first   nothing more is granted under the lease; who asked for it releases it, and the actor too
//	Resume is first        the lease is in use again, and stays
//
// An attempt's number is never used again, so no other lease is meant, however long
// the way from the look at the key to here.
func (c *Coordinator) reclaim(a backends.Attempt) bool {
	key, ok := strings.CutPrefix(a.Key, c.cfg.Prefix)
	if !ok || a.Token.Session() != c.session {
		return false
	}
	e, n := c.directory.find(key), a.Token.Attempt()
	switch {
	case e == nil:
		return false
	case e.unused.CompareAndSwap(n, n|reclaimed):
		c.wake(backends.Wake{Key: a.Key, Kind: backends.Wanted}) // it has lingered: the actor settles the attempt
		return true
	}
	return e.unused.Load() == n|reclaimed // by a third session, at the same time
}
