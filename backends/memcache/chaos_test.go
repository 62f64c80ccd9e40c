package memcache

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// A chaos spoils commands on their way to a real server.
type chaos struct {
	percent int  // of commands that are spoilt
	flush   bool // now and then all is forgotten
	late    sync.WaitGroup
	spoilt  [4]atomic.Int64
}

// see loses a request, or its answer, or delivers it when the verb has long gone
// on, or holds the verb up before it. A late copy is sent with the number it had,
// over another connection.
func (c *chaos) see(b *Backend) func(command) error {
	return func(cmd command) error {
		if rand.N(100) >= c.percent {
			return cmd.do()
		}
		kind := rand.N(4)
		c.spoilt[kind].Add(1)
		switch kind {
		case 0:
			return errInjected
		case 1:
			_ = cmd.do()
			return errInjected
		case 2:
			c.late.Go(func() { // ends with its one command
				time.Sleep(rand.N(20 * time.Millisecond)) // the network's, not the test's
				b.copyOf(cmd)
			})
			return errInjected
		}
		time.Sleep(rand.N(3 * time.Millisecond))
		return cmd.do()
	}
}

// copyOf sends a command once more, over a link of its own.
func (b *Backend) copyOf(cmd command) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	s := b.servers[0]
	l, err := s.take(ctx)
	if err != nil {
		return
	}
	defer s.give(l)
	switch cmd.verb {
	case "add":
		_ = l.add(cmd.item)
	case "set":
		_ = l.set(cmd.item)
	case "cas":
		_ = l.cas(cmd.item)
	case "incr":
		_, _ = l.incr(cmd.name, 1)
	}
}

// A witness is what a fenced and locked resource sees of one key.
type witness struct {
	inside  atomic.Int64
	highest atomic.Uint64 // base that any session has got
	holds   atomic.Int64
}

// note takes a base, which has to be above all that were there before it was asked for.
func (w *witness) note(base, before uint64) error {
	if base <= before {
		return fmt.Errorf("base %d, and %d was there before it was asked for", base, before)
	}
	for {
		h := w.highest.Load()
		if base <= h || w.highest.CompareAndSwap(h, base) {
			return nil
		}
	}
}

// A contender is a session that takes one key again and again, as a key actor would.
type contender struct {
	b     *Backend
	w     *witness
	r     backends.Request
	flush bool
}

func (c *contender) turn() error {
	ctx := context.Background() // each command ends by its own timeout
	c.r = next(c.r)
	c.r.Probe = 0
	var reply backends.Reply
	var before uint64
	for tries := 0; ; tries++ {
		before = c.w.highest.Load()
		var err error
		reply, err = c.b.Acquire(ctx, c.r)
		switch {
		case err == nil && reply.Outcome == backends.Granted:
		case err == nil:
			c.r.Probe++
			if tries > 3 && rand.N(30) == 0 { // it gives up
				return c.settle(func() error { return c.b.Cancel(ctx, c.r.Attempt) })
			}
			time.Sleep(reply.Retry)
			continue
		case !errors.Is(err, backends.ErrUnavailable):
			return fmt.Errorf("acquire: %w", err)
		default:
			if rand.N(4) == 0 {
				return c.settle(func() error { return c.b.Cancel(ctx, c.r.Attempt) })
			}
			continue
		}
		break
	}
	return c.hold(ctx, reply.Base, before)
}

func (c *contender) hold(ctx context.Context, base, before uint64) error {
	if n := c.w.inside.Add(1); n != 1 && !c.flush {
		return fmt.Errorf("%d are inside", n)
	}
	err := c.w.note(base, before)
	lost := false
	for range rand.N(3) {
		before = c.w.highest.Load()
		reply, failure := c.b.Renew(ctx, c.r.Attempt, c.r.TTL, base)
		switch {
		case failure == nil:
			base = reply.Base
			if !c.flush { // else another may have had the key since
				err = errors.Join(err, c.w.note(base, before))
			}
		case backends.IsNotHeld(failure):
			lost = true
		}
	}
	if lost && !c.flush {
		err = errors.Join(err, errors.New("the lease was lost, and nobody took it"))
	}
	c.w.holds.Add(1)
	c.w.inside.Add(-1)
	return errors.Join(err, c.settle(func() error { return c.b.Release(ctx, c.r.Attempt) }))
}

// settle repeats a release or a cancel until it has an answer.
func (c *contender) settle(end func() error) error {
	for range 1000 {
		if err := end(); err == nil || backends.IsNotHeld(err) {
			return nil
		}
	}
	return errors.New("a thousand tries did not settle it")
}

// run has eight sessions contend for two keys, until each has had so many holds.
func (c *chaos) run(t *testing.T, url string, holds int64) {
	t.Helper()
	// The second key can't be carried as it is.
	keys := []string{newKey(t), newKey(t) + " spaced"}
	witnesses := []*witness{{}, {}}
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for i := range 8 {
		b := open(t, url)
		b.hook(c.see(b))
		one := &contender{b: b, w: witnesses[i%2], r: newRequest(keys[i%2]), flush: c.flush}
		wg.Go(func() {
			for ctx.Err() == nil {
				if err := one.turn(); err != nil {
					t.Errorf("session %d: %v", i, err)
					cancel()
				}
			}
		})
	}
	rest := time.NewTimer(patience)
	defer rest.Stop()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	enough := func() bool {
		return !slices.ContainsFunc(witnesses, func(w *witness) bool { return w.holds.Load() < holds })
	}
	forget := time.NewTicker(70 * time.Millisecond)
	defer forget.Stop()
	inside := driver(t, shared.Addr)
	for running := true; running; {
		select {
		case <-rest.C:
			running = false
		case <-look.C:
			running = !enough()
		case <-ctx.Done():
			running = false
		case <-forget.C:
			for _, key := range keys {
				if c.flush { // of these keys only: other tests use the server as well
					_ = inside.Delete(itemsOf(key).lock)
					_ = inside.Delete(itemsOf(key).fence)
				}
			}
		}
	}
	cancel()
	wg.Wait()
	c.late.Wait()
	// All is settled; a late add may still be there, for its few seconds.
	for i, key := range keys {
		b, r := open(t, shared.URL()), newRequest(key)
		eventually(t, "the key is free", func() bool {
			reply, err := b.Acquire(bounded(t), r)
			return err == nil && reply.Outcome == backends.Granted
		})
		mustRelease(t, b, r)
		t.Logf("%d holds of key %d; spoilt: %d lost, %d answers lost, %d late, %d held up", witnesses[i].holds.Load(), i,
			c.spoilt[0].Load(), c.spoilt[1].Load(), c.spoilt[2].Load(), c.spoilt[3].Load())
		if n := witnesses[i].holds.Load(); n < holds {
			t.Errorf("only %d holds", n)
		}
	}
}

// TestChaosNeverOverlaps checks S1, S2, S4 and S5: holds that don't overlap, bases
// that grow, leases that nobody else ends.
func TestChaosNeverOverlaps(t *testing.T) {
	for percent, holds := range map[int]int64{5: 1500, 30: 500} {
		t.Run(fmt.Sprint(percent), func(t *testing.T) {
			t.Parallel()
			(&chaos{percent: percent}).run(t, shared.URL(), holds)
		})
	}
}

// TestChaosThatForgets checks what is left when the server forgets: whoever is
// granted a key gets a base above all that were given out before it asked (S3).
func TestChaosThatForgets(t *testing.T) {
	t.Parallel()
	(&chaos{percent: 10, flush: true}).run(t, shared.URL(), 1500)
}
