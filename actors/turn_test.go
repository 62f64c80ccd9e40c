package actors

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/turnstile-go/turnstile/actors/machine"
	"github.com/turnstile-go/turnstile/backends"
)

// A deafInPlace is a backend whose calls are made in place, and that doesn't answer its
// first acquire.
type deafInPlace struct {
	slowInPlace
	acquires int
}

func (b *deafInPlace) Acquire(ctx context.Context, r backends.Request) (backends.Reply, error) {
	if b.acquires++; b.acquires == 1 {
		return backends.Reply{}, backends.Unavailable("fake", errors.New("no answer"))
	}
	return b.slowInPlace.Acquire(ctx, r)
}

// Regression: a step asked for a longer lease, for a caller with one try, and then
// answered that caller. The answer of a call in place was lost behind that: the machine
// waited for it for ever, and so did the key.
func TestACallInPlaceIsTheLastOfItsStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := New(&deafInPlace{}, Config{})
		if err != nil {
			t.Fatal(err)
		}
		first := begin(t, c, Spec{Expires: time.Second})
		synctest.Wait() // it was not answered, and waits for the end of a pause
		try := begin(t, c, Spec{Expires: time.Minute, Try: true, Timeout: callTimeout})
		if _, err := first.Wait(nil); err != nil { // the try has ended the pause
			t.Fatal(err)
		}
		if _, err := try.Wait(nil); !errors.Is(err, backends.ErrHeld) {
			t.Errorf("one try behind the holder got %v, want ErrHeld", err)
		}
		if err := first.Release(); err != nil {
			t.Fatalf("release: %v", err) // without Close, which would wait for ever
		}
		if err := hold(t, c, Spec{Expires: time.Minute}).Release(); err != nil {
			t.Errorf("the next release: %v", err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Regression: an acquire that its caller gave up before the actor looked was said to
// have waited since the client was made.
func TestAnAcquireThatNeverArrivedHasWaitedForItsOwnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCoordinator(t, &grantAll{}, Config{})
		time.Sleep(time.Hour) // virtual
		h := hold(t, c, Spec{Expires: time.Minute})
		busy := make(chan Info)
		h.entry.post(snapshot{busy}) // keeps the actor until somebody receives
		came := time.Now()
		waiter := begin(t, c, Spec{Expires: time.Minute})
		why := make(chan WaitError, 1)
		go func() {
			e, _ := waiter.AbandonWhy()
			why <- e
		}()
		time.Sleep(time.Second) // virtual
		<-busy
		e := <-why
		if lasted := time.Since(came); e.Waited < 0 || e.Waited > lasted {
			t.Errorf("it waited for %v, want no more than the %v that it lasted", e.Waited, lasted)
		}
		if !e.Held {
			t.Error("nobody is said to hold the key")
		}
		if err := h.Release(); err != nil {
			t.Error(err)
		}
	})
}

// Regression: a waiter that came in a step whose effects panicked was counted when it
// went, and not when it came.
func TestWaitersAreCountedAfterAPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := New(&grantAll{}, Config{})
		if err != nil {
			t.Fatal(err)
		}
		spoil(c, misnumber)
		if _, err := begin(t, c, Spec{Expires: time.Minute}).Wait(nil); !errors.Is(err, backends.ErrUnavailable) {
			t.Errorf("the waiter got %v, want ErrUnavailable", err)
		}
		synctest.Wait()
		if n := c.Stats().Waiters; n != 0 {
			t.Errorf("%d wait, want 0", n)
		}
		begin(t, c, Spec{Expires: time.Minute}) // it waits for the end of a pause
		synctest.Wait()
		if n := c.Stats().Waiters; n != 1 {
			t.Errorf("%d wait, want 1", n)
		}
		_ = c.Close()
		if n := c.Stats().Waiters; n != 0 {
			t.Errorf("%d wait once it is closed, want 0", n)
		}
	})
}

// Regression: where the first of a step's effects panicked, the last was carried out all
// the same. If that was an offer, the caller had a hold that the machine had forgotten.
func TestAnOfferThatAPanicForgotIsNotMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &gatedRenewal{gate: make(chan struct{})}
		c := newCoordinator(t, b, Config{})
		h := hold(t, c, Spec{Expires: 10 * time.Second})
		next := begin(t, c, Spec{Expires: time.Second})
		// It waits for a renewal, and its answer, which comes before the offer, panics.
		h.entry.post(extend{&machine.Extension{Hold: &h.state, By: time.Hour, Tag: "no channel"}})
		synctest.Wait()
		if err := h.Release(); !errors.Is(err, backends.ErrUnavailable) {
			t.Errorf("release: %v, want ErrUnavailable", err)
		}
		if _, err := next.Wait(nil); !errors.Is(err, backends.ErrUnavailable) {
			t.Errorf("the next got %v, want ErrUnavailable", err)
		}
		if n := c.Stats().Holds; n != 1 {
			t.Errorf("%d holds were granted, want 1", n)
		}
		close(b.gate)
		if err := hold(t, c, Spec{Expires: time.Second}).Release(); err != nil { // after a pause
			t.Errorf("afterwards: %v", err)
		}
	})
}
