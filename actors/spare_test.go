package actors

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// spares counts the spare actors.
func (dir *directory) spares() (n int) {
	for i := range dir.shards {
		s := &dir.shards[i]
		s.mu.Lock()
		n += len(s.spares)
		s.mu.Unlock()
	}
	return n
}

// sibling is another key of a key's shard.
func sibling(c *Coordinator, key string) string {
	for i := 0; ; i++ {
		if k := fmt.Sprint("sibling ", i); c.directory.shard(k) == c.directory.shard(key) {
			return k
		}
	}
}

// An actor that has retired owns the next key, of which it knows nothing. Those who still
// have a hold of the key before reach neither.
func TestARetiredActorOwnsTheNextKeyAndForgetsTheLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCoordinator(t, &grantAll{}, Config{Linger: time.Second})
		c.machines.LingerAgain = true // so a key's first hold does not linger, and its second does
		old := hold(t, c, Spec{Expires: time.Minute})
		if old.Key() != "k" {
			t.Errorf("the key is %q", old.Key())
		}
		actor := old.entry.mailbox
		if err := old.Release(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(defaultIdleAfter + time.Millisecond) // virtual
		synctest.Wait()
		if n := c.directory.spares(); n != 1 {
			t.Fatalf("%d actors are spare", n)
		}

		h := &Hold{}
		if err := c.Begin(h, sibling(c, "k"), Spec{Expires: time.Minute}); err != nil {
			t.Fatal(err)
		}
		if _, err := h.Wait(nil); err != nil {
			t.Fatal(err)
		}
		if h.entry.mailbox != actor || h.entry == old.entry || c.directory.spares() != 0 {
			t.Error("the next key of the shard has another actor")
		}
		handled := h.entry.handled
		if err := old.Release(); err != backends.ErrNotHeld {
			t.Errorf("the old hold, released again: %v", err)
		}
		if err := old.Extend(time.Second); err != backends.ErrNotHeld {
			t.Errorf("the old hold, extended: %v", err)
		}
		old.entry.post(tick{})
		old.entry.work(sweep{})
		old.entry.answer(wake{})
		synctest.Wait()
		if h.entry.handled != handled || h.state.Over != 0 {
			t.Error("what was sent to the old key reached the next")
		}
		if err := h.Release(); err != nil || h.Key() != sibling(c, "k") || h.state.Handoff || h.state.Lingers {
			t.Errorf("the next key's first hold: %v, key %q, handoff %v, lingers %v", err, h.Key(), h.state.Handoff, h.state.Lingers)
		}
	})
}

// Of a burst of keys few actors stay, and with Close none.
func TestFewActorsAreKeptForTheNextKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCoordinator(t, &grantAll{}, Config{Linger: NoLinger})
		const keys = 3 * sparesKept * shardCount
		for range 2 {
			for i := range keys {
				h := &Hold{}
				if err := c.Begin(h, fmt.Sprint(i), Spec{Expires: time.Minute}); err != nil {
					t.Fatal(err)
				}
				if _, err := h.Wait(nil); err != nil {
					t.Fatal(err)
				}
				if err := h.Release(); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(3 * defaultIdleAfter) // virtual
			synctest.Wait()
			n, all := c.directory.spares(), c.directory.actors.Load()
			if n == 0 || n > sparesKept*shardCount || int64(n) != all || c.directory.live.Load() != 0 {
				t.Errorf("%d actors are spare of %d, and %d keys live", n, all, c.directory.live.Load())
			}
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		if n := c.directory.actors.Load(); n != 0 || c.directory.spares() != 0 {
			t.Errorf("%d actors are left after Close", n)
		}
	})
}
