package lockclient

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// These broke earlier forms of a push that grants.

// TestTheConfirmationDecides: a hold that a push has granted goes on only if the very lease of the push is under the key.
func TestTheConfirmationDecides(t *testing.T) {
	atOnce := func(t *testing.T, g *gift, lock *Lock) {
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		if cause := context.Cause(lock.Context()); !errors.Is(cause, ErrLost) {
			t.Errorf("the hold goes on after the confirmation: %v", cause)
		}
	}
	inVirtualTime(t, "another has the key", func(t *testing.T) {
		g := give(t)
		lock := g.heard()
		g.s.forget("k")
		theirs := acquire(t, g.other, "k")
		atOnce(t, g, lock)
		release(t, theirs) // it is untouched
	})
	inVirtualTime(t, "the key is free", func(t *testing.T) {
		g := give(t)
		lock := g.heard()
		g.s.forget("k")
		atOnce(t, g, lock)
		if l, held := g.s.lease("k"); held {
			t.Errorf("the key was taken anew, by %v", l.token)
		}
	})
	inVirtualTime(t, "a late copy of its own call took the key anew", func(t *testing.T) {
		g := give(t)
		lock := g.heard()
		g.s.mu.Lock()
		l := g.s.leases["k"]
		l.first = g.s.mintLocked("k")
		l.base = l.first
		g.s.mu.Unlock()
		atOnce(t, g, lock)
		if l, held := g.s.lease("k"); held {
			t.Errorf("the lease that nobody awaits is left to %v", l.token)
		}
	})
	for name, confirms := range map[string]func(context.Context, func() (backends.Reply, error)) (backends.Reply, error){
		"no answer": func(ctx context.Context, _ func() (backends.Reply, error)) (backends.Reply, error) {
			<-ctx.Done()
			return backends.Reply{}, backends.Unavailable("fake", ctx.Err())
		},
		"an error at once": func(context.Context, func() (backends.Reply, error)) (backends.Reply, error) {
			return backends.Reply{}, backends.Unavailable("fake", backends.Loading)
		},
		"done, and no answer": func(ctx context.Context, call func() (backends.Reply, error)) (backends.Reply, error) {
			_, _ = call()
			<-ctx.Done()
			return backends.Reply{}, backends.Unavailable("fake", ctx.Err())
		},
	} {
		inVirtualTime(t, name, func(t *testing.T) {
			g := give(t, Expires(10*time.Second))
			var tries atomic.Int32
			g.b.confirms = func(ctx context.Context, call func() (backends.Reply, error)) (backends.Reply, error) {
				tries.Add(1)
				return confirms(ctx, call)
			}
			lock := g.heard()
			<-lock.Context().Done()
			if cause := context.Cause(lock.Context()); !errors.Is(cause, ErrLost) || errors.Is(cause, ErrExpired) {
				t.Errorf("ended by %v, want ErrLost", cause)
			}
			if late := time.Since(g.asked.Add(soundFor)); late > 0 || late < -30*time.Millisecond {
				t.Errorf("it ended %v after its short deadline", late)
			}
			if n := tries.Load(); n < 3 {
				t.Errorf("the confirmation was tried %d times", n)
			}
		})
	}
}

// TestAPushBesideACall: while a call is under way, it alone brings the hold, or the next one does.
func TestAPushBesideACall(t *testing.T) {
	inVirtualTime(t, "one that hangs", func(t *testing.T) {
		g := waits(t)
		hangs := make(chan struct{})
		g.b.asks = func(ctx context.Context, _ func() (backends.Reply, error)) (backends.Reply, error) {
			<-hangs // before it gets there
			g.b.asks = nil
			return backends.Reply{Outcome: backends.MayHaveRun}, backends.Unavailable("fake", errFault)
		}
		g.asksAgain()
		g.release(t)
		if g.heard() != nil {
			t.Error("granted by the push")
		}
		close(hangs)
		lock := <-g.got
		if d := time.Until(lock.Deadline()); d < 9*time.Second {
			t.Errorf("%v are left of a hold that a call has brought", d)
		}
		release(t, lock)
	})
	inVirtualTime(t, "one that was answered \"held\" before the push, and is heard after it", func(t *testing.T) {
		g := waits(t)
		answers := make(chan struct{})
		g.b.asks = func(_ context.Context, call func() (backends.Reply, error)) (backends.Reply, error) {
			g.b.asks = nil
			reply, err := call()
			<-answers
			return reply, err
		}
		g.asksAgain()
		g.release(t)
		if g.heard() != nil {
			t.Error("granted by the push")
		}
		close(answers)
		lock := g.now() // asked again at once, not at the next heartbeat
		if lock == nil {
			t.Fatal("the push is forgotten")
		}
		time.Sleep(time.Second)
		if err := lock.Context().Err(); err != nil {
			t.Error("the hold has ended")
		}
		release(t, lock)
	})
}

// TestAPushThatIsPastGrantsNothing: a process that was stopped between the push and the grant, or a push that took as long,
// leaves too little of the lease, or none.
func TestAPushThatIsPastGrantsNothing(t *testing.T) {
	for name, d := range map[string]time.Duration{
		"past the lease": 2 * time.Second, "past its deadline": soundFor - 100*time.Millisecond, "with little time left": 700 * time.Millisecond,
	} {
		inVirtualTime(t, name, func(t *testing.T) {
			g := give(t, Expires(10*time.Second))
			time.Sleep(d)
			theirs := acquireIf(t, g.other, "k", d > time.Second)
			lock := g.heard()
			switch {
			case d > time.Second && lock != nil:
				t.Fatal("granted, and another has the key")
			case d > time.Second:
				release(t, theirs)
				g.asksAgain()
				lock = g.now()
			}
			if lock == nil {
				t.Fatal("not granted when asked for")
			}
			if left := time.Until(lock.Deadline()); left < 10*time.Second {
				t.Errorf("granted by the push, for %v", left)
			}
			release(t, lock)
		})
	}
}

// TestAPushGrantsOnce: a push that is repeated, of an attempt that has ended, of a key that was given in another way meanwhile,
// or that somebody made up, brings at most one hold, of a lease that is there.
func TestAPushGrantsOnce(t *testing.T) {
	// nothing reports whether the client has no hold, while the other has the key.
	nothing := func(t *testing.T, g *gift, more ...backends.Wake) {
		t.Helper()
		theirs := acquire(t, g.other, "k")
		g.acquire(t)
		synctest.Wait() // it waits behind that
		for _, w := range append(more, g.push) {
			g.b.wake(w)
			if g.now() != nil {
				t.Fatalf("granted by %+v, and another has the key", w)
			}
		}
		release(t, theirs)
		g.push = <-g.b.caught
		lock := g.heard()
		if lock == nil {
			t.Fatal("its own push is no grant")
		}
		release(t, lock)
	}
	inVirtualTime(t, "repeated", func(t *testing.T) {
		g := give(t)
		lock := g.heard()
		if g.heard() != nil {
			t.Error("twice at once")
		}
		release(t, lock)
		if g.heard() != nil {
			t.Error("once more after the release")
		}
		nothing(t, g)
	})
	inVirtualTime(t, "the attempt was cancelled, and the next has its own number", func(t *testing.T) {
		g := waits(t, Timeout(200*time.Millisecond))
		g.release(t)
		if <-g.got != nil {
			t.Fatal("granted without the push")
		}
		synctest.Wait()
		nothing(t, g)
	})
	inVirtualTime(t, "the connection was lost, so it asked", func(t *testing.T) {
		g := give(t)
		g.b.wake(backends.Wake{Kind: backends.Given})
		lock := g.now()
		if lock == nil || time.Until(lock.Deadline()) < 9*time.Second {
			t.Fatal("the call brought no hold")
		}
		if g.heard() != nil {
			t.Error("granted twice")
		}
		release(t, lock)
		nothing(t, g)
	})
	inVirtualTime(t, "an earlier call, whose lease is gone: a later one was answered \"held\"", func(t *testing.T) {
		g := give(t)
		g.s.forget("k")
		theirs := acquire(t, g.other, "k")
		g.asksAgain()
		if g.heard() != nil {
			t.Error("granted, and the client was told that another has the key")
		}
		release(t, theirs)
		g.push = <-g.b.caught
		lock := g.heard()
		if lock == nil {
			t.Fatal("its own push is no grant")
		}
		release(t, lock)
	})
	inVirtualTime(t, "made up by somebody who sees all but the queue", func(t *testing.T) {
		g := waits(t)
		rng := rand.New(rand.NewPCG(1, 1))
		for attempt := range uint64(4) {
			for n := range uint64(250) {
				w := backends.Wake{Key: "k", Kind: backends.Gave, Attempt: attempt, Base: uint64(time.Now().UnixMicro()), TTL: time.Second}
				if w.Ask = n; n > 125 {
					w.Ask = 1 + rng.Uint64N(backends.MaxAsk)
				}
				if g.b.wake(w); g.now() != nil {
					t.Fatalf("granted by %+v", w)
				}
			}
		}
		g.release(t)
		release(t, g.heard())
	})
}

// TestAGivenLeaseIsRevoked: its holder is told, as of any lease, and nobody else has the key before it has let go.
func TestAGivenLeaseIsRevoked(t *testing.T) {
	for name, revoke := range map[string]func(g *gift) error{
		"elsewhere": func(g *gift) error {
			_, err := g.other.Revoke(context.Background(), "k", Revocation{})
			return err
		},
		"elsewhere, and it is said so": func(g *gift) error {
			_, err := g.other.Revoke(context.Background(), "k", Revocation{})
			g.b.wake(backends.Wake{Key: "k", Kind: backends.Revoking})
			return err
		},
		"here, at once": func(g *gift) error {
			_, err := g.c.Revoke(context.Background(), "k", Revocation{Fence: g.push.Base << 10, Now: true})
			return err
		},
	} {
		inVirtualTime(t, name, func(t *testing.T) {
			g := give(t, Expires(10*time.Second))
			lock := g.heard()
			if err := revoke(g); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Millisecond)
			synctest.Wait()
			if cause := context.Cause(lock.Context()); !errors.Is(cause, ErrRevoked) || !errors.Is(cause, ErrLost) {
				t.Errorf("the holder is told %v, want ErrRevoked", cause)
			}
			if _, err := g.other.TryAcquire(t.Context(), "k"); (err == nil) != (name == "here, at once") {
				t.Errorf("another asks for the key: %v", err) // the revoked lease has gone back
			}
			if err := lock.Release(); !errors.Is(err, ErrRevoked) {
				t.Errorf("release: %v", err)
			}
		})
	}
}
