package lockclient

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// isWanted reports, in a bubble, whether the holder has been told to let go by now.
func isWanted(lock *Lock) bool {
	wanted := lock.Wanted()
	synctest.Wait()
	select {
	case <-wanted:
		return true
	default:
		return false
	}
}

// waitFor has one more caller wait for the key k of c, in a bubble; its hold comes on the
// channel, or nil.
func waitFor(ctx context.Context, c *Client) <-chan *Lock {
	got := make(chan *Lock, 1)
	go func() { // ends with its acquire
		lock, _ := c.Acquire(ctx, "k")
		got <- lock
	}()
	synctest.Wait()
	return got
}

func TestAHolderIsToldThatACallerWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newOver(t, newFake(newStore(), 1, faults{}), Config{})
		first := acquire(t, c, "k")
		if isWanted(first) {
			t.Error("wanted, and nobody waits")
		}
		if _, err := c.TryAcquire(t.Context(), "k"); !errors.Is(err, ErrHeld) {
			t.Error(err)
		}
		if isWanted(first) {
			t.Error("wanted by one try, which doesn't wait")
		}
		ctx, cancel := context.WithCancel(t.Context())
		impatient := waitFor(ctx, c)
		if !isWanted(first) {
			t.Error("somebody waits, and the holder wasn't told")
		}
		cancel()
		if <-impatient != nil {
			t.Error("it was to give up")
		}
		if !isWanted(first) {
			t.Error("the channel was open again")
		}

		a, b := waitFor(t.Context(), c), waitFor(t.Context(), c)
		release(t, first)
		second := <-a
		if !isWanted(second) {
			t.Error("another waited at the grant, and the holder wasn't told when it asked")
		}
		release(t, second)
		third := <-b
		if isWanted(third) {
			t.Error("wanted, and nobody waits any more")
		}
		release(t, third)
	})
}

// TestAHolderIsToldThatAnotherProcessWaits: by a push, where the hold is so long that
// no renewal comes; else by a renewal.
func TestAHolderIsToldThatAnotherProcessWaits(t *testing.T) {
	for _, b := range exclusiveBackends {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			url := b.open(t)
			holds, waits := openClient(t, Config{Backend: url}), openClient(t, Config{Backend: url})
			expires := 24 * time.Hour
			if !holds.coordinator.Capabilities().Wakes {
				expires = 2 * time.Second
			}
			lock := acquireUnwanted(t, holds, Expires(expires), Renew())
			wanted := lock.Wanted()
			var wg sync.WaitGroup
			wg.Go(func() {
				next, err := waits.Acquire(t.Context(), "k", Timeout(patience))
				if err != nil {
					t.Errorf("the other process: %v", err)
					return
				}
				if err := next.Release(); err != nil {
					t.Errorf("the other process: %v", err)
				}
			})
			select {
			case <-wanted:
			case <-time.After(patience):
				t.Error("another process waits, and the holder wasn't told")
			}
			if err := lock.Context().Err(); err != nil {
				t.Errorf("the hold has ended: %v", err)
			}
			release(t, lock)
			wg.Wait()
		})
	}
}

// acquireUnwanted returns a hold that nobody else waits for. A new client of redis://
// can't know that before its first push has come.
func acquireUnwanted(t *testing.T, c *Client, opts ...Option) (lock *Lock) {
	t.Helper()
	eventually(t, "nobody waits", func() bool {
		lock = acquire(t, c, "k", opts...)
		wanted := lock.Wanted()
		if err := lock.Extend(MinExpires); err != nil { // it comes after what Wanted asks
			t.Fatal(err)
		}
		select {
		case <-wanted:
			release(t, lock)
			return false
		default:
			return true
		}
	})
	return lock
}

// Where the backend has no pushes, the reply of a renewal tells of the other process,
// and nothing before it.
func TestAHolderIsToldByARenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, l := newStore(), &line{want: map[backends.Session]bool{}}
		holds := newOver(t, lineBackend{newFake(s, 1, faults{}), l}, Config{})
		waits := newOver(t, lineBackend{newFake(s, 2, faults{}), l}, Config{})
		lock := acquire(t, holds, "k", Expires(9*time.Second), Renew())
		wanted := lock.Wanted()
		got := waitFor(t.Context(), waits)
		since := time.Now()
		<-wanted
		if late := time.Since(since); late < time.Second || late > 4*time.Second {
			t.Errorf("told after %v, want a renewal's time", late)
		}
		release(t, lock)
		release(t, <-got)
	})
}

// TestWantedEndsWithTheHold: nobody waits for ever on a hold that has ended, and who
// sees the channel closed sees the context ended.
func TestWantedEndsWithTheHold(t *testing.T) {
	const expires = time.Minute
	for name, end := range map[string]func(t *testing.T, c *Client, f *fakeBackend, lock *Lock){
		"released": func(t *testing.T, _ *Client, _ *fakeBackend, lock *Lock) { release(t, lock) },
		"expired":  func(*testing.T, *Client, *fakeBackend, *Lock) {},
		"lost":     func(_ *testing.T, _ *Client, f *fakeBackend, _ *Lock) { f.store.forget("k") },
		"revoked": func(t *testing.T, c *Client, _ *fakeBackend, _ *Lock) {
			revokeNow(false)(t, c, nil)
		},
		"taken away": func(t *testing.T, c *Client, _ *fakeBackend, _ *Lock) { revokeNow(true)(t, c, nil) },
		"closed":     func(_ *testing.T, c *Client, _ *fakeBackend, _ *Lock) { _ = c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(newStore(), 1, faults{})
				c := newOver(t, f, Config{})
				lock := acquire(t, c, "k", Expires(expires))
				wanted, ctx := lock.Wanted(), lock.Context()
				if isWanted(lock) {
					t.Fatal("wanted, and nobody waits")
				}
				go func() { time.Sleep(time.Second); end(t, c, f, lock) }() // ends with what it does
				<-wanted                                                    // deadlocks the bubble otherwise
				if ctx.Err() == nil {
					t.Error("the channel was closed before the context had ended")
				}
				time.Sleep(2 * expires) // virtual: the actor has retired
				if !isWanted(lock) {
					t.Error("the channel was open again")
				}
				_ = lock.Release()
			})
		})
	}
}

// TestWantedOfAHoldThatHasEnded asks for the first time after the end.
func TestWantedOfAHoldThatHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newOver(t, newFake(newStore(), 1, faults{}), Config{})
		released, expired := acquire(t, c, "a"), acquire(t, c, "b", Expires(time.Second))
		release(t, released)
		time.Sleep(time.Second) // virtual
		for name, lock := range map[string]*Lock{"released": released, "expired": expired, "none": nil} {
			if !isWanted(lock) {
				t.Errorf("%s: the channel is open", name)
			}
		}
		time.Sleep(time.Minute) // virtual: the actors have retired
		if !isWanted(released) || !isWanted(expired) {
			t.Error("the channel was open again")
		}
	})
}

// TestNobodyWaitsWhereNobodyExcludes: only the end of a hold closes its channel.
func TestNobodyWaitsWhereNobodyExcludes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := openClient(t, Config{Backend: "open://"})
		a, b := acquire(t, c, "k"), acquire(t, c, "k")
		if isWanted(a) || isWanted(b) {
			t.Error("wanted, and nobody waits")
		}
		release(t, a)
		release(t, b)
		if !isWanted(a) || !isWanted(b) {
			t.Error("the holds have ended, and the channel is open")
		}
	})
}

// TestWantedCrossesTheEndOfItsHold asks while the hold is handed on: whichever comes
// first, the channel is closed in the end.
func TestWantedCrossesTheEndOfItsHold(t *testing.T) {
	t.Parallel()
	c := openClient(t, Config{Backend: "embedded://" + t.Name()})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 500 {
				lock, err := c.Acquire(t.Context(), "k", Timeout(patience))
				if err != nil {
					t.Error(err)
					return
				}
				var asks sync.WaitGroup
				for range 2 {
					asks.Go(func() {
						select {
						case <-lock.Wanted():
						case <-time.After(patience):
							t.Error("the hold has ended, and the channel is open")
						}
					})
				}
				if err := lock.Release(); err != nil {
					t.Error(err)
				}
				asks.Wait()
			}
		})
	}
	wg.Wait()
}
