package lockclient

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/internal/servers/servertest"
)

// exclusiveBackends names the backends that exclude; open returns the URL of a
// store of its own for a test. least is the shortest expires; untold says that others
// can't know when a lease will end.
var exclusiveBackends = []struct {
	name   string
	open   func(t *testing.T) string
	least  time.Duration
	untold bool
}{
	{"embedded", func(t *testing.T) string { return "embedded://" + t.Name() }, 0, false},
	{"file", func(t *testing.T) string { return "file://" + t.TempDir() + "/locks" }, 0, false},
	{"redis", func(t *testing.T) string { return servertest.Redis(t).URL() }, 0, false},
	{"memcached", func(t *testing.T) string { return servertest.Memcached(t).URL() }, time.Second, true},
}

func openClient(t *testing.T, cfg Config) *Client {
	t.Helper()
	c, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return c
}

// patience is what only a defect outlasts.
const patience = time.Minute

// eventually polls until cond holds; it fails the test after patience.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	poll := time.NewTicker(2 * time.Millisecond)
	defer poll.Stop()
	for !cond() {
		select {
		case <-poll.C:
		case <-deadline.C:
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// TestHotKey is 64 goroutines that take one key 5 000 times each, and all want it all the
// time: a thread that the system stops for 10 ms must not pass for unfairness.
func TestHotKey(t *testing.T) {
	const goroutines, rounds = 64, 5000
	for _, b := range exclusiveBackends {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			c := openClient(t, Config{Backend: b.open(t)})
			var owner atomic.Int64
			var last uint64 // guarded by the lock under test
			counts := make([]atomic.Int64, goroutines)
			// Fairness is looked at when the first is done: until then all compete.
			var done atomic.Int64
			var firstDone sync.Once
			var fairness float64
			others := func() { // wait
				for limit := time.Now().Add(patience); c.Stats().Waiters < goroutines-1-done.Load(); runtime.Gosched() {
					if time.Now().After(limit) {
						t.Error("the others don't wait")
						return
					}
				}
			}
			var wg sync.WaitGroup
			for g := range goroutines {
				wg.Go(func() {
					for round := range rounds {
						lock, err := c.Acquire(t.Context(), "hot")
						if err != nil {
							t.Errorf("acquire: %v", err)
							return
						}
						if !owner.CompareAndSwap(0, int64(g)+1) {
							t.Errorf("overlap: %d holds too", owner.Load()-1)
						}
						if lock.Fence() <= last {
							t.Errorf("fence %d after %d", lock.Fence(), last)
						}
						last = lock.Fence()
						counts[g].Add(1)
						others()
						if round == rounds-1 {
							firstDone.Do(func() { fairness = jain(counts) })
							done.Add(1)
						}
						owner.Store(0)
						// A machine with too much to do keeps the answer for longer than Release
						// waits: the hold has ended all the same, and the key goes on.
						if err := lock.Release(); errors.Is(err, ErrUnavailable) {
							t.Logf("release: %v", err)
						} else if err != nil {
							t.Errorf("release: %v", err)
						}
					}
				})
			}
			before := c.Stats().BackendCalls
			wg.Wait()
			if fairness < 0.99 {
				t.Errorf("Jain index %.4f, want at least 0.99", fairness)
			}
			s := c.Stats()
			calls := float64(s.BackendCalls-before) / float64(goroutines*rounds)
			t.Logf("%d holds, %d handoffs, %.4f backend calls a hold, Jain %.4f", s.Holds, s.Handoffs, calls, fairness)
			if calls >= 0.05 {
				t.Errorf("%.3f backend calls a hold, want fewer than 0.05", calls)
			}
			eventually(t, "the key is free", func() bool {
				info, err := c.Inspect(t.Context(), "hot")
				return err == nil && !info.Held
			})
		})
	}
}

// jain is Jain's fairness index: 1 when all are equal, 1/n when one has
// everything (Jain, Chiu, Hawe 1984).
func jain(counts []atomic.Int64) float64 {
	sum, squares := 0.0, 0.0
	for i := range counts {
		x := float64(counts[i].Load())
		sum += x
		squares += x * x
	}
	return sum * sum / (float64(len(counts)) * squares)
}

// TestWaitersAreServedInTheOrderOfTheirArrival queues one waiter after another.
func TestWaitersAreServedInTheOrderOfTheirArrival(t *testing.T) {
	const waiters = 64
	for _, b := range exclusiveBackends {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			c := openClient(t, Config{Backend: b.open(t)})
			first, err := c.Acquire(t.Context(), "k")
			if err != nil {
				t.Fatal(err)
			}
			eventually(t, "the first is no waiter any more", func() bool { return c.Stats().Waiters == 0 })
			order := make(chan int, waiters)
			var wg sync.WaitGroup
			for i := range waiters {
				wg.Go(func() {
					lock, err := c.Acquire(t.Context(), "k")
					if err != nil {
						t.Errorf("waiter %d: %v", i, err)
						return
					}
					order <- i
					if err := lock.Release(); err != nil {
						t.Errorf("waiter %d: %v", i, err)
					}
				})
				eventually(t, "the waiter is queued", func() bool { return c.Stats().Waiters == int64(i+1) })
			}
			if err := first.Release(); err != nil {
				t.Fatal(err)
			}
			wg.Wait()
			close(order)
			want := 0
			for got := range order {
				if got != want {
					t.Fatalf("waiter %d came where %d was next", got, want)
				}
				want++
			}
		})
	}
}

// TestAHoldThatDoesNothingExpires checks what everybody sees of it.
func TestAHoldThatDoesNothingExpires(t *testing.T) {
	for _, b := range exclusiveBackends {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			c := openClient(t, Config{Backend: b.open(t)})
			expires := max(300*time.Millisecond, b.least)
			idle, err := c.Acquire(t.Context(), "k", Expires(expires))
			if err != nil {
				t.Fatal(err)
			}
			next, err := c.Acquire(t.Context(), "k", Timeout(patience), Expires(time.Hour))
			if err != nil {
				t.Fatalf("the next waiter: %v", err)
			}
			if time.Now().Before(idle.Deadline()) {
				t.Error("the next waiter got the key before the deadline of the hold")
			}
			<-idle.Context().Done()
			if cause := context.Cause(idle.Context()); !errors.Is(cause, ErrExpired) {
				t.Errorf("cause %v, want ErrExpired", cause)
			}
			if err := idle.Release(); !errors.Is(err, ErrNotHeld) {
				t.Errorf("late release: %v, want ErrNotHeld", err)
			}
			if err := next.Extend(2 * time.Hour); err != nil {
				t.Errorf("the late release harmed the next holder: %v", err)
			}
			if err := next.Release(); err != nil {
				t.Errorf("the late release harmed the next holder: %v", err)
			}
		})
	}
}

// TestARenewedHoldOutlivesItsExpires keeps a hold for more than twice its expires beside a
// second process that would take it.
func TestARenewedHoldOutlivesItsExpires(t *testing.T) {
	for _, b := range exclusiveBackends {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			url := b.open(t)
			c, rival := openClient(t, Config{Backend: url}), openClient(t, Config{Backend: url})
			// Two thirds of it is what a renewal may be late by on a loaded machine.
			const expires = 2 * time.Second
			lock, err := c.Acquire(t.Context(), "k", Expires(expires), Renew())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := rival.Acquire(t.Context(), "k", Timeout(5*expires/2)); !errors.Is(err, ErrTimeout) {
				t.Errorf("the rival got %v, want ErrTimeout", err)
			}
			if err := lock.Context().Err(); err != nil {
				t.Errorf("the hold ended: %v", context.Cause(lock.Context()))
			}
			if err := lock.Release(); err != nil {
				t.Errorf("release: %v", err)
			}
		})
	}
}

// TestALostServerIsNoticedBeforeTheDeadline kills Redis under a holder, and
// brings it back.
func TestALostServerIsNoticedBeforeTheDeadline(t *testing.T) {
	t.Parallel()
	server := servertest.Redis(t)
	c := openClient(t, Config{Backend: server.URL()})
	for name, opts := range map[string][]Option{
		"renewed": {Expires(time.Second), Renew()},
		"plain":   {Expires(time.Second)},
	} {
		t.Run(name, func(t *testing.T) {
			var lock *Lock
			for try := 1; ; try++ {
				lock = acquire(t, c, "k", opts...)
				server.Stop()
				<-lock.Context().Done()
				late := time.Since(lock.Deadline())
				if cause := context.Cause(lock.Context()); !errors.Is(cause, ErrLost) {
					t.Errorf("cause %v, want ErrLost", cause)
				}
				if late <= 0 {
					break
				}
				// What else the machine does can only make it later.
				if try == 5 {
					t.Fatalf("learned of the loss %v after the deadline, and after it each time", late)
				}
				if err := server.Restart(); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := c.Acquire(t.Context(), "other", Timeout(200*time.Millisecond)); !errors.Is(err, ErrTimeout) || !errors.Is(err, ErrUnavailable) {
				t.Errorf("an acquire without a server: %v, want ErrTimeout and ErrUnavailable", err)
			}
			if err := server.Restart(); err != nil {
				t.Fatal(err)
			}
			again, err := c.Acquire(t.Context(), "k", Timeout(patience))
			if err != nil {
				t.Fatalf("after the restart: %v", err)
			}
			if again.Fence() <= lock.Fence() {
				t.Errorf("fence %d after %d", again.Fence(), lock.Fence())
			}
			if err := again.Release(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestALeaseDeletedBehindItsBackIsLost checks that a holder without Renew
// learns of it as well, long before its deadline.
func TestALeaseDeletedBehindItsBackIsLost(t *testing.T) {
	t.Parallel()
	server := servertest.Redis(t)
	c := openClient(t, Config{Backend: server.URL()})
	lock, err := c.Acquire(t.Context(), "k", Expires(3*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	if err := server.RedisClient(t, nil).Del(t.Context(), "pylock:k").Err(); err != nil {
		t.Fatal(err)
	}
	<-lock.Context().Done()
	if cause := context.Cause(lock.Context()); !errors.Is(cause, ErrLost) {
		t.Errorf("cause %v, want ErrLost", cause)
	}
	if late := time.Since(lock.Deadline()); late >= 0 {
		t.Errorf("learned of the loss %v after the deadline, and not at the renewal that was due", late)
	}
	if err := lock.Release(); !errors.Is(err, ErrNotHeld) {
		t.Errorf("release: %v, want ErrNotHeld", err)
	}
}

// TestTwoClientsOfOneEmbeddedNameShareIt checks the names' scope.
func TestTwoClientsOfOneEmbeddedNameShareIt(t *testing.T) {
	t.Parallel()
	name := "embedded://" + t.Name()
	one, two := openClient(t, Config{Backend: name}), openClient(t, Config{Backend: name})
	other := openClient(t, Config{Backend: name + "2"})
	lock, err := one.Acquire(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := two.TryAcquire(t.Context(), "k"); !errors.Is(err, ErrTimeout) {
		t.Errorf("the same name: %v, want ErrTimeout", err)
	}
	free, err := other.TryAcquire(t.Context(), "k")
	if err != nil {
		t.Errorf("another name: %v", err)
	} else if err := free.Release(); err != nil {
		t.Error(err)
	}
	if err := lock.Release(); err != nil {
		t.Error(err)
	}
}

// TestOpenNeverExcludes holds one key twice in one process.
func TestOpenNeverExcludes(t *testing.T) {
	t.Parallel()
	c := openClient(t, Config{Backend: "open://"})
	var fences []uint64
	for i := range 3 {
		lock, err := c.Acquire(t.Context(), "k", Timeout(time.Second))
		if err != nil {
			t.Fatalf("hold %d while others hold: %v", i+1, err)
		}
		defer func() {
			if err := lock.Release(); err != nil {
				t.Errorf("hold %d: %v", i+1, err)
			}
		}()
		fences = append(fences, lock.Fence())
	}
	if fences[0] >= fences[1] || fences[1] >= fences[2] {
		t.Errorf("fences %v don't grow", fences)
	}
	if _, err := c.TryAcquire(t.Context(), "k"); err != nil {
		t.Errorf("a try while others hold: %v", err)
	}
}

// TestProcessesTakeTurns has two clients contend for one key on each backend:
// neither overlaps the other, and neither is starved (L4).
func TestProcessesTakeTurns(t *testing.T) {
	for _, b := range exclusiveBackends {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			url := b.open(t)
			var inside atomic.Int64
			var last uint64
			counts := make([]atomic.Int64, 2)
			const enough = 12      // of the turns
			turns, before := 0, -1 // guarded by the lock under test
			done, end := context.WithTimeout(t.Context(), patience)
			defer end()
			var wg sync.WaitGroup
			for i := range counts {
				c := openClient(t, Config{Backend: url, Owner: fmt.Sprint("process ", i)})
				for range 8 {
					wg.Go(func() {
						for {
							if done.Err() != nil {
								return
							}
							lock, err := c.Acquire(t.Context(), "k")
							if err != nil {
								t.Errorf("process %d: %v", i, err)
								return
							}
							if inside.Add(1) != 1 {
								t.Error("overlap")
							}
							if lock.Fence() <= last {
								t.Errorf("fence %d after %d", lock.Fence(), last)
							}
							last = lock.Fence()
							if before != i {
								turns, before = turns+1, i
							}
							if turns > enough { // and the last of them is not over
								end()
							}
							// Long enough that the others here are back in the queue: the
							// process would never let go by itself.
							<-time.After(200 * time.Microsecond)
							inside.Add(-1)
							if err := lock.Release(); err != nil {
								t.Errorf("process %d: %v", i, err)
							}
							counts[i].Add(1)
						}
					})
				}
			}
			wg.Wait()
			j := jain(counts)
			t.Logf("holds: %d and %d, Jain %.3f", counts[0].Load(), counts[1].Load(), j)
			if turns <= enough {
				t.Errorf("%d turns in %v", turns, patience)
			}
			if j < 0.8 {
				t.Errorf("Jain index over processes %.3f", j)
			}
		})
	}
}
