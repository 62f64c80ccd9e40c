package actors

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// reclaiming is a backend over which leases linger by default.
type reclaiming struct {
	grantAll
	give func(backends.Attempt) bool
}

func (b *reclaiming) Capabilities() backends.Capabilities {
	return backends.Capabilities{Name: "reclaiming", Exclusive: true, Wakes: true, Immediate: true}
}

func (b *reclaiming) Subscribe(backends.Session, func(backends.Wake)) error { return nil }
func (b *reclaiming) Reclaims(give func(backends.Attempt) bool)             { b.give = give }

// use takes a key and releases it.
func use(t *testing.T, c *Coordinator, key string) {
	t.Helper()
	h := &Hold{}
	if err := c.Begin(h, key, Spec{Expires: time.Minute}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Wait(nil); err != nil {
		t.Fatal(err)
	}
	if err := h.Release(); err != nil {
		t.Fatal(err)
	}
}

// TestNotTooManyKeysLinger: of keys used once none does by default, and of others not
// too many at a time; all of them where Linger was asked for. After its time none is
// left.
func TestNotTooManyKeysLinger(t *testing.T) {
	const keys = mostLingering + 500
	for _, row := range []struct {
		linger      time.Duration
		once, twice int64
	}{
		{0, 0, mostLingering},
		{time.Minute, keys, keys},
		{NoLinger, 0, 0},
	} {
		t.Run(fmt.Sprint(row.linger), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCoordinator(t, &reclaiming{}, Config{Linger: row.linger})
				if row.linger == NoLinger && c.machines.Linger != 0 {
					t.Errorf("leases have room to linger for %v", c.machines.Linger)
				}
				for _, want := range []int64{row.once, row.twice} {
					for i := range keys {
						use(t, c, fmt.Sprint(i))
					}
					if n := c.lingering.Load(); n != want {
						t.Errorf("%d keys linger, want %d", n, want)
					}
				}
				time.Sleep(2 * time.Minute) // virtual
				synctest.Wait()
				if n, live := c.lingering.Load(), c.directory.live.Load(); n != 0 || live != 0 {
					t.Errorf("%d keys still linger, %d are live", n, live)
				}
			})
		})
	}
}

// TestALingeringKeyLeavesTimeToOthers: a goroutine that takes and releases a key that
// lingers never waits. Others of its processor run all the same, and not only when the
// runtime stops it after 10 ms.
func TestALingeringKeyLeavesTimeToOthers(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	c := newCoordinator(t, &reclaiming{}, Config{})
	use(t, c, "k")
	use(t, c, "k")
	var ran atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() { ran.Store(true) })
	n := 0
	for ; !ran.Load(); n++ {
		use(t, c, "k")
	}
	wg.Wait()
	if n > 2*yieldEvery {
		t.Errorf("another goroutine ran after %d holds, want it after %d", n, yieldEvery)
	}
}

// TestALeaseIsReclaimedOnce: and only while it lingers, whichever session asks.
func TestALeaseIsReclaimedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &reclaiming{}
		c := newCoordinator(t, b, Config{Prefix: "p:"})
		gives := func(n uint64) bool { return b.give(c.attempt("p:k", n)) }
		want := func(when string, n uint64, given bool) {
			t.Helper()
			if gives(n) != given {
				t.Errorf("%s: attempt %d was given: %t", when, n, !given)
			}
		}
		use(t, c, "k") // attempt 1
		want("released", 1, false)
		use(t, c, "k") // attempt 2
		want("of an earlier lease", 1, false)
		for name, a := range map[string]backends.Attempt{
			"of another session": {Key: "p:k", Token: backends.NewSession().Token(2)},
			"of another key":     {Key: "p:other", Token: c.session.Token(2)},
			"without the prefix": {Key: "k", Token: c.session.Token(2)},
		} {
			if b.give(a) {
				t.Errorf("it was given, by the name %s", name)
			}
		}
		h := &Hold{}
		if err := c.Begin(h, "k", Spec{Expires: time.Minute}); err != nil {
			t.Fatal(err)
		}
		if _, err := h.Wait(nil); err != nil {
			t.Fatal(err)
		}
		want("in use again", 2, false)
		if err := h.Release(); err != nil {
			t.Fatal(err)
		}
		want("lingering", 2, true)
		want("lingering, another session at the same time", 2, true)
		use(t, c, "k") // attempt 3: not under what was given away
		want("given away before", 2, false)
		want("lingering", 3, true)
		use(t, c, "k")                                                            // attempt 4
		if e := c.directory.find("k"); !e.unused.CompareAndSwap(4, 4|reclaimed) { // as reclaim does, and the actor is not told yet
			t.Errorf("attempt 4 does not linger: %x", e.unused.Load())
		}
		use(t, c, "k")
		want("lingering", 5, true)
		synctest.Wait()
		if n := c.lingering.Load(); n != 0 {
			t.Errorf("%d keys linger", n)
		}
	})
}
