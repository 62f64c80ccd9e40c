package lockclient

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/internal/option"
)

// soundFor is how long a lease that was given for a second is used: less 1 % and 50 ms.
const soundFor = 940 * time.Millisecond

// A gift is a key that was given to a client which waited for it. The test delivers the push.
type gift struct {
	s     *store
	b     *pusher
	c     *Client
	other *Client
	asked time.Time // when c's call was sent
	push  backends.Wake
	first *Lock      // the other's
	got   chan *Lock // of c's Acquire; nil: an error
}

// give has a client wait for "k" behind another's hold, for 100 ms, and releases that.
func give(t *testing.T, opts ...Option) *gift {
	g := waits(t, opts...)
	g.release(t)
	return g
}

// waits has a client wait for "k" behind another's hold, since 100 ms.
func waits(t *testing.T, opts ...Option) *gift {
	t.Helper()
	s := newStore()
	g := &gift{s: s, b: newPusher(s, 1, faults{}, pushFaults{}), got: make(chan *Lock, 4)}
	g.b.caught = make(chan backends.Wake, 16)
	g.c, g.other = newOver(t, g.b, Config{}), newOver(t, newFake(s, 2, faults{}), Config{})
	g.first = acquire(t, g.other, "k", Expires(time.Hour))
	g.asked = time.Now()
	g.acquire(t, opts...)
	synctest.Wait() // the call was answered: another has it
	time.Sleep(100 * time.Millisecond)
	return g
}

// acquire has the client wait for "k".
func (g *gift) acquire(t *testing.T, opts ...Option) {
	ctx := t.Context()
	go func() { // ends with its acquire
		lock, _ := g.c.Acquire(ctx, "k", opts...)
		g.got <- lock
	}()
}

// release releases the other's hold, which gives the key to the client.
func (g *gift) release(t *testing.T) {
	t.Helper()
	release(t, g.first)
	g.push = <-g.b.caught
}

// asksAgain has the client ask, as at a heartbeat.
func (g *gift) asksAgain() {
	g.b.wake(backends.Wake{Key: "k", Kind: backends.Given})
	synctest.Wait()
}

// heard delivers the push, and returns the hold that is there at once, if any.
func (g *gift) heard() *Lock {
	g.b.wake(g.push)
	return g.now()
}

// now returns the hold that the client has by now, if any.
func (g *gift) now() *Lock {
	synctest.Wait()
	select {
	case lock := <-g.got:
		return lock
	default:
		return nil
	}
}

// inVirtualTime runs f in a bubble.
func inVirtualTime(t *testing.T, name string, f func(t *testing.T)) {
	t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
}

// TestAPushIsAGrant: the hold is there with the push, short; 1 ms later a renewal has confirmed it, and it has its full time.
func TestAPushIsAGrant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := give(t, Expires(10*time.Second))
		calls := g.b.callsMade()
		lock := g.heard()
		if lock == nil || g.b.callsMade() != calls {
			t.Fatal("the push is no grant, or took a call")
		}
		if got, want := lock.Deadline(), g.asked.Add(soundFor); !got.Equal(want) {
			t.Errorf("deadline %v after the call that the push repeats, want %v", got.Sub(g.asked), soundFor)
		}
		if lock.Fence()>>10 != g.push.Base {
			t.Errorf("fence %d, want one of base %d", lock.Fence(), g.push.Base)
		}
		granted := time.Now()
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		if got := lock.Deadline().Sub(granted); got < 10*time.Second || got > 10*time.Second+2*time.Millisecond {
			t.Errorf("confirmed for %v from the grant, want 10s from the confirmation", got)
		}
		if l, held := g.s.lease("k"); !held || l.ends.Before(lock.Deadline()) {
			t.Errorf("the lease ends at %v, before the hold's deadline", l.ends)
		}
		release(t, lock)
	})
}

// TestAShortHoldCostsNoConfirmation: a hold that a push has granted, and that is released within a millisecond, costs
// its release alone.
func TestAShortHoldCostsNoConfirmation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := give(t)
		calls := g.b.callsMade()
		lock := g.heard()
		time.Sleep(time.Millisecond / 2)
		release(t, lock)
		time.Sleep(time.Second)
		if n := g.b.callsMade() - calls; n != 1 {
			t.Errorf("%d calls for a hold of half a millisecond, want its release", n)
		}
		if _, held := g.s.lease("k"); held {
			t.Error("the key is not free")
		}
	})
}

// TestWhatWantsMoreWaitsForTheConfirmation: an extension within the short lease, and a check, are answered by the confirmation,
// and ask for it at once; the hold has its full time by then.
func TestWhatWantsMoreWaitsForTheConfirmation(t *testing.T) {
	for name, ask := range map[string]func(*Lock) error{
		"extend": func(l *Lock) error { return l.Extend(10 * time.Millisecond) },
		"check":  func(l *Lock) error { return l.Check(context.Background()) },
	} {
		inVirtualTime(t, name, func(t *testing.T) {
			g := give(t, Expires(10*time.Second))
			g.b.confirms = func(_ context.Context, call func() (backends.Reply, error)) (backends.Reply, error) {
				time.Sleep(50 * time.Millisecond)
				return call()
			}
			lock, at := g.heard(), time.Now()
			if err := ask(lock); err != nil {
				t.Error(err)
			}
			if d := time.Since(at); d != 50*time.Millisecond {
				t.Errorf("answered after %v, want 50ms: the confirmation's time", d)
			}
			if d := time.Until(lock.Deadline()); d < 9*time.Second {
				t.Errorf("%v are left", d)
			}
			release(t, lock)
		})
		inVirtualTime(t, name+", and it is lost", func(t *testing.T) {
			g := give(t, Expires(10*time.Second))
			lock := g.heard()
			g.s.forget("k")
			if err := ask(lock); !errors.Is(err, ErrNotHeld) {
				t.Errorf("%v, want ErrNotHeld", err)
			}
			if err := lock.Release(); !errors.Is(err, ErrNotHeld) {
				t.Errorf("release: %v", err)
			}
		})
	}
}

// TestAReleaseBesideTheConfirmation: a release that comes while the confirmation is under way frees the key, by any answer
// to the confirmation.
func TestAReleaseBesideTheConfirmation(t *testing.T) {
	for name, confirms := range map[string]func(context.Context, func() (backends.Reply, error)) (backends.Reply, error){
		"confirmed": func(_ context.Context, call func() (backends.Reply, error)) (backends.Reply, error) {
			time.Sleep(50 * time.Millisecond)
			return call()
		},
		"failed": func(context.Context, func() (backends.Reply, error)) (backends.Reply, error) {
			time.Sleep(50 * time.Millisecond)
			return backends.Reply{}, backends.Unavailable("fake", errFault)
		},
		"done, and unanswered": func(_ context.Context, call func() (backends.Reply, error)) (backends.Reply, error) {
			_, _ = call()
			time.Sleep(50 * time.Millisecond)
			return backends.Reply{}, backends.Unavailable("fake", errFault)
		},
	} {
		inVirtualTime(t, name, func(t *testing.T) {
			g := give(t)
			g.b.confirms = confirms
			lock := g.heard()
			time.Sleep(2 * time.Millisecond) // it is under way
			release(t, lock)
			if _, held := g.s.lease("k"); held {
				t.Error("the key is not free")
			}
		})
	}
}

// TestWhoShowsADeadlineHasNoShortOne: such a caller is not granted by a push, and has its full time from the beginning, also behind
// a hold that was granted by a push.
func TestWhoShowsADeadlineHasNoShortOne(t *testing.T) {
	inVirtualTime(t, "first in line", func(t *testing.T) {
		g := give(t, Expires(10*time.Second), option.Confirmed)
		lock := g.heard() // it asks, and has it
		if lock == nil {
			t.Fatal("the push did not make it ask")
		}
		if d := time.Until(lock.Deadline()); d < 10*time.Second {
			t.Errorf("%v are left, want 10s", d)
		}
		release(t, lock)
	})
	inVirtualTime(t, "behind another", func(t *testing.T) {
		g := waits(t, Expires(200*time.Millisecond))
		g.acquire(t, Expires(100*time.Millisecond), option.Confirmed)
		g.b.confirms = func(_ context.Context, call func() (backends.Reply, error)) (backends.Reply, error) {
			time.Sleep(50 * time.Millisecond)
			return call()
		}
		synctest.Wait()
		g.release(t)
		release2 := make(chan struct{})
		go func(lock *Lock) { release(t, lock); close(release2) }(g.heard()) // ends with the confirmation
		if g.now() != nil {
			t.Error("granted under a lease that is not confirmed")
		}
		<-release2
		release(t, <-g.got)
	})
}
