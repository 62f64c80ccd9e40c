package actors

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// begin posts an acquire of key k.
func begin(t *testing.T, c *Coordinator, spec Spec) *Hold {
	t.Helper()
	h := &Hold{}
	if err := c.Begin(h, "k", spec); err != nil {
		t.Fatal(err)
	}
	return h
}

// hold acquires key k.
func hold(t *testing.T, c *Coordinator, spec Spec) *Hold {
	t.Helper()
	h := begin(t, c, spec)
	if _, err := h.Wait(nil); err != nil {
		t.Fatal(err)
	}
	return h
}

// leap makes the wall clock gain d, as a suspend or a step forward does.
func leap(c *clock, d time.Duration) {
	passed := time.Since(c.start)
	c.at(passed, passed+time.Duration(c.ahead.Load())+d)
}

// Review H3, mended in cbdb790: what the clock leapt over was noticed by those who
// asked, but an actor asleep on its timer slept on for as long as the leap was.
func TestWhatAClockJumpMakesDueHappensAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCoordinator(t, &grantAll{}, Config{})
		h := hold(t, c, Spec{Expires: time.Hour})
		ctx := h.Context(t.Context())
		waiter := begin(t, c, Spec{Expires: 2 * time.Hour, Timeout: 30 * time.Minute})
		synctest.Wait()

		start := time.Now()
		leap(c.clock, 45*time.Minute) // the waiter's time is over, the hold's is not
		if _, err := waiter.Wait(nil); !errors.Is(err, backends.ErrTimeout) {
			t.Errorf("the waiter got %v, want ErrTimeout", err)
		}
		if ctx.Err() != nil {
			t.Error("the hold has ended before its time")
		}
		leap(c.clock, time.Hour)
		<-ctx.Done()
		if d := time.Since(start); d != 0 {
			t.Errorf("it took %v", d)
		}
	})
}

// Review H3: a timer set before the leap fires too late after it, so one that is
// to fire sooner by the clock than it does by itself has to be set again.
func TestATimerSetBeforeAClockJumpIsSetAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCoordinator(t, &grantAll{}, Config{})
		first := hold(t, c, Spec{Expires: time.Hour})
		synctest.Wait()
		leap(c.clock, 50*time.Minute)
		if err := first.Release(); err != nil {
			t.Fatal(err)
		}
		// By the clock this is due when the first was; the timer would need an hour.
		start := time.Now()
		h := hold(t, c, Spec{Expires: 10 * time.Minute})
		<-h.Context(t.Context()).Done()
		if d := time.Since(start); d != 10*time.Minute {
			t.Errorf("a hold of 10 minutes ended after %v", d)
		}
	})
}

// Review H3: jumps too small to tell everybody of, as when the clock is slewed, add
// up; the next message sets the timer right all the same.
func TestSmallGainsOfTheClockAreNotForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCoordinator(t, &grantAll{}, Config{})
		h := hold(t, c, Spec{Expires: time.Minute})
		synctest.Wait()
		start := time.Now()
		for range 1000 {
			leap(c.clock, jump) // 10 s in all, in steps of which none is told
		}
		if _, ok := c.Lookup("k"); !ok {
			t.Error("the key has no actor")
		}
		<-h.Context(t.Context()).Done()
		if d := time.Since(start); d != 50*time.Second {
			t.Errorf("a hold of a minute ended after %v, the clock had gained 10 s", d)
		}
	})
}
