package lockclient

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var long = flag.Bool("long", false, "let sets of keys compete for 60 s on each backend")

// TestSetsNeverWaitInACircle has 200 goroutines, of two clients, take random sets of 5 out
// of 20 keys, in any order. Each set is there whole or not at all, and none waits for ever.
func TestSetsNeverWaitInACircle(t *testing.T) {
	const goroutines, keys, size = 200, 20, 5
	for _, b := range exclusiveBackends {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			url := b.open(t)
			clients := []*Client{openClient(t, Config{Backend: url}), openClient(t, Config{Backend: url})}
			var holders [keys]atomic.Int64 // the goroutine that has the key; 0: nobody
			var sets, given atomic.Int64
			begin := time.Now()
			more := func(round int) bool {
				if *long {
					return time.Since(begin) < time.Minute
				}
				return round < 3
			}
			take := func(c *Client, me int64, rng *rand.Rand) error {
				names := make([]string, size)
				chosen := rng.Perm(keys)[:size]
				for i, k := range chosen {
					names[i] = fmt.Sprintf("key%02d", k)
				}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				limit := patience // one that a defect alone reaches
				if rng.IntN(3) == 0 {
					limit = time.Duration(rng.IntN(20)) * time.Millisecond
				}
				if rng.IntN(5) == 0 {
					time.AfterFunc(time.Duration(rng.IntN(20))*time.Millisecond, cancel)
				}
				locks, err := c.AcquireAll(ctx, names, Timeout(limit))
				if err != nil {
					given.Add(1)
					if locks != nil || limit == patience && ctx.Err() == nil {
						return fmt.Errorf("%v: %w", names, err)
					}
					return nil
				}
				sets.Add(1)
				for _, k := range chosen {
					if was := holders[k].Swap(me); was != 0 {
						return fmt.Errorf("key %d is held by %d and %d", k, was, me)
					}
				}
				if rng.IntN(2) == 0 {
					time.Sleep(time.Duration(rng.IntN(1000)) * time.Microsecond) // a section of some length
				}
				for _, k := range chosen {
					if was := holders[k].Swap(0); was != me {
						return fmt.Errorf("key %d is held by %d and %d", k, was, me)
					}
				}
				return locks.Release()
			}
			var wg sync.WaitGroup
			for i := range goroutines {
				wg.Go(func() { // ends with its rounds
					rng := rand.New(rand.NewPCG(7, uint64(i)))
					for round := 0; more(round) && !t.Failed(); round++ {
						if err := take(clients[i%2], int64(i+1), rng); err != nil {
							t.Errorf("goroutine %d, round %d: %v", i, round, err)
						}
					}
				})
			}
			wg.Wait()
			if sets.Load() == 0 || given.Load() == 0 {
				t.Errorf("%d sets were had, %d given up: nothing was proved", sets.Load(), given.Load())
			}
			for k := range keys { // nothing is left of those that were given up
				lock, err := clients[k%2].Acquire(t.Context(), fmt.Sprintf("key%02d", k), Timeout(patience), Expires(time.Second))
				if err != nil {
					t.Errorf("key %d is not free: %v", k, err)
					continue
				}
				release(t, lock)
			}
			for _, c := range clients {
				if n := c.Stats().Waiters; n != 0 {
					t.Errorf("%d waiters are left", n)
				}
			}
			t.Logf("%d sets in %v, %d given up", sets.Load(), time.Since(begin).Round(time.Millisecond), given.Load())
		})
	}
}

// A set that can't be had leaves its keys as they were, at once where calls compute.
func TestSetsThatFailAreGivenBack(t *testing.T) {
	t.Parallel()
	c := embeddedClient(t, Config{})
	other := embeddedClient(t, Config{})
	busy := acquire(t, other, "b")
	defer release(t, busy)
	for range 100 {
		if _, err := c.AcquireAll(t.Context(), []string{"b", "a"}, Timeout(0)); !errors.Is(err, ErrHeld) {
			t.Fatalf("b is held: %v", err)
		}
		lock, err := other.TryAcquire(t.Context(), "a", Timeout(0))
		if err != nil {
			t.Fatalf("a was not given back: %v", err)
		}
		release(t, lock)
	}
}
