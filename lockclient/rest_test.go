package lockclient

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// Eight machines start the same job within 300 ms of each other (with -long a second), each
// with one try. One of them runs it.
func TestOneOfManyMachinesRunsTheJob(t *testing.T) {
	const machines = 8
	rounds, apart, least := 3, 300*time.Millisecond, time.Second
	if *long {
		rounds, apart, least = 20, time.Second, 2*time.Second
	}
	for _, b := range exclusiveBackends {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			url := b.open(t)
			var clients [machines]*Client
			for i := range clients {
				clients[i] = openClient(t, Config{Backend: url})
			}
			for round := range rounds {
				key := fmt.Sprintf("nightly %d", round)
				var ran atomic.Int32
				var wg sync.WaitGroup
				begin := time.Now()
				var late atomic.Bool // it was not started in time, and may rightly run again
				for _, c := range clients {
					wg.Go(func() { // ends with its one try
						time.Sleep(rand.N(apart)) // the clock by which it starts
						lock, err := c.TryAcquire(t.Context(), key, AtLeast(least))
						if time.Since(begin) > least {
							late.Store(true)
						}
						switch {
						case err == nil:
							ran.Add(1)
							release(t, lock)
						case !errors.Is(err, ErrHeld):
							t.Error(err)
						}
					})
				}
				wg.Wait()
				if n := ran.Load(); n != 1 && !(n > 1 && late.Load()) {
					t.Errorf("round %d: %d ran it", round, n)
				}
			}
		})
	}
}

// Those who wait get a key that rested soon after that, here and elsewhere.
func TestWhoWaitsForAKeyThatRests(t *testing.T) {
	const least = time.Second
	for _, b := range exclusiveBackends {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			url := b.open(t)
			one, two := openClient(t, Config{Backend: url}), openClient(t, Config{Backend: url})
			begin := time.Now()
			first := acquire(t, one, "k", AtLeast(least))
			there, here := acquireLater(t, two, "k"), acquireLater(t, one, "k")
			eventually(t, "both wait", func() bool { return one.Stats().Waiters+two.Stats().Waiters == 2 })
			release(t, first)
			for range 2 {
				var g grant
				select {
				case g = <-there:
				case g = <-here:
				case <-time.After(patience):
					t.Fatal("it rests for ever")
				}
				after := g.at.Sub(begin)
				t.Logf("had after %v", after.Round(time.Millisecond))
				if after < least {
					t.Errorf("had after %v", after)
				}
				release(t, g.lock)
			}
		})
	}
}

// Another process ends a rest by force: where sessions are told, the one that had the key
// knows it at once, though its own callers had to wait as well.
func TestARestThatAnotherProcessEnds(t *testing.T) {
	t.Parallel()
	told := 0
	for _, b := range exclusiveBackends {
		url := b.open(t)
		one, two := openClient(t, Config{Backend: url}), openClient(t, Config{Backend: url})
		if !one.coordinator.Capabilities().Wakes {
			continue
		}
		told++
		release(t, acquire(t, one, "k", AtLeast(time.Hour)))
		if _, err := one.TryAcquire(t.Context(), "k"); !errors.Is(err, ErrHeld) {
			t.Errorf("%s: it does not rest: %v", b.name, err)
		}
		mustRevoke(t, two, "k", Revocation{}, Deleted)
		release(t, acquire(t, one, "k"))
	}
	if told == 0 {
		t.Error("no backend tells")
	}
}

// Whatever becomes of the hold, nobody has its key before the time is over.
func TestAtLeast(t *testing.T) {
	t.Parallel()
	const least = time.Minute
	for _, row := range []struct {
		name    string
		expires time.Duration
		end     func(t *testing.T, s *store, c *Client, l *Lock)
		early   bool // the key is free at once
	}{
		{name: "it is released", end: func(t *testing.T, _ *store, _ *Client, l *Lock) { release(t, l) }},
		{name: "it expires", expires: time.Second, end: func(_ *testing.T, _ *store, _ *Client, l *Lock) { <-l.Context().Done() }},
		{name: "its process crashes", end: func(_ *testing.T, _ *store, c *Client, _ *Lock) {
			c.backend.(*fakeBackend).kill(true)
		}},
		{name: "its client is closed", end: func(t *testing.T, _ *store, c *Client, _ *Lock) { c.Close() }},
		{name: "late copies of its requests come", end: func(t *testing.T, s *store, _ *Client, l *Lock) {
			held, _ := s.lease("k")
			release(t, l)
			a := backends.Attempt{Key: "k", Token: held.token}
			if s.release(a) == nil {
				t.Error("a copy of the release found it")
			}
			if _, err := s.renew(a, time.Hour, held.base); err == nil {
				t.Error("a copy of a renewal found it")
			}
		}},
		{name: "it is revoked", early: true, end: func(t *testing.T, _ *store, c *Client, l *Lock) {
			time.Sleep(time.Millisecond) // virtual: a proof of the lease from the same instant would do
			mustRevoke(t, c, "k", Revocation{}, Marked)
			<-l.Context().Done()
			l.Release()
		}},
		{name: "its rest is ended by force", early: true, end: func(t *testing.T, _ *store, c *Client, l *Lock) {
			release(t, l)
			mustRevoke(t, c, "k", Revocation{}, Deleted)
		}},
		{name: "its rest is ended by force, now", early: true, end: func(t *testing.T, _ *store, c *Client, l *Lock) {
			release(t, l)
			mustRevoke(t, c, "k", Revocation{Now: true}, Deleted)
		}},
	} {
		for _, local := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, local %v", row.name, local), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					s := newStore()
					open := func(seed uint64) *Client {
						c, err := New(newFake(s, seed, faults{}), Config{KeyPrefix: NoPrefix})
						if err != nil {
							t.Fatal(err)
						}
						t.Cleanup(func() { c.Close() })
						return c
					}
					one, two := open(1), open(2)
					expires := row.expires
					if expires == 0 {
						expires = 10 * time.Second
					}
					l := mustAcquire(t, one, "k", AtLeast(least), Expires(expires))
					granted := time.Now()
					next := two
					if local && row.name != "its client is closed" && row.name != "its process crashes" {
						next = one
					}
					row.end(t, s, one, l)
					synctest.Wait() // what follows from the end is done
					if !row.early {
						if i, err := two.Inspect(context.Background(), "k"); err != nil || !i.Held || i.Resting != (row.name != "its process crashes") {
							t.Errorf("inspect: %+v, %v", i, err)
						}
						if _, err := next.TryAcquire(context.Background(), "k"); !errors.Is(err, ErrHeld) {
							t.Errorf("one try: %v", err)
						}
					}
					lock := mustAcquire(t, next, "k", Timeout(Forever))
					after := time.Since(granted)
					switch most := least + 3*time.Second; {
					case row.early && after > 2*time.Second:
						t.Errorf("the next has it after %v", after)
					case !row.early && (after < least || after > most):
						t.Errorf("the next has it after %v, want %v", after, least)
					case !row.early && next == one && after < least+least/100:
						t.Errorf("the next here has it after %v: two clocks may differ", after)
					}
					release(t, lock)
				})
			})
		}
	}
}

// A hold that its acquire could not hand over leaves no rest: nobody ran the job.
func TestAtLeastOfAHoldThatNobodyHad(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		one, two := pair(t, Config{})
		b := mustAcquire(t, two, "b", Renew())
		if _, err := one.AcquireAll(context.Background(), []string{"a", "b"}, AtLeast(time.Hour), Timeout(time.Second)); !errors.Is(err, ErrHeld) {
			t.Fatal(err)
		}
		release(t, mustAcquire(t, two, "a", Timeout(time.Second)))
		release(t, b)
	})
}

// The rest of a set begins when the last key is there.
func TestASetRestsFromItsReturn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		one, two := pair(t, Config{})
		b := mustAcquire(t, two, "b", Renew())
		sets := acquireAllLater(context.Background(), one, []string{"a", "b"}, AtLeast(10*time.Second), Timeout(Forever))
		time.Sleep(time.Minute) // virtual
		release(t, b)
		s := <-sets
		if s.err != nil {
			t.Fatal(s.err)
		}
		if err := s.locks.Release(); err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"a", "b"} {
			l := mustAcquire(t, two, key)
			if after := time.Since(s.at); after < 10*time.Second {
				t.Errorf("%s is had after %v", key, after)
			}
			release(t, l)
		}
	})
}

func TestAtLeastOutOfItsLimits(t *testing.T) {
	t.Parallel()
	c := embeddedClient(t, Config{})
	never := openClient(t, Config{Backend: "open://"})
	for _, row := range []struct {
		client *Client
		d      time.Duration
	}{{c, -1}, {c, MaxExpires + 1}, {never, time.Second}} {
		if _, err := row.client.TryAcquire(t.Context(), "k", AtLeast(row.d)); !errors.Is(err, ErrInvalid) {
			t.Errorf("AtLeast(%v): %v", row.d, err)
		}
	}
	lock, err := never.TryAcquire(t.Context(), "k", AtLeast(0))
	if err != nil {
		t.Fatal(err)
	}
	release(t, lock)
}

// rests returns how much too early r's grant came, after one whose key was to rest: by the
// store's clock, which bases are the time of, and for callers of one client by their own.
func (before run) rests(r run) time.Duration {
	if before.op.least == 0 || before.op.revoked {
		return 0
	}
	there := before.op.least - time.Duration(r.fence>>10-before.fence>>10)*time.Microsecond
	here := before.op.least + before.op.least/100 - r.start.Sub(before.start)
	if before.op.client != r.op.client {
		return there
	}
	return max(there, here)
}
