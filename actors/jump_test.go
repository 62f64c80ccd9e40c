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

// leap plays a suspend of d: the wall clock has gained it.
func leap(c *clock, d time.Duration) {
	passed, gain := time.Since(c.start), time.Duration(c.ahead.Load())+d
	c.slept = func() (time.Duration, bool) { return c.sleptStart + gain, true }
	c.at(passed, passed+gain)
}

// The wall clock is set forward by more than the hold has left. No time has passed.
func TestAStepOfTheWallClockEndsNoHold(t *testing.T) {
	if _, known := slept(); !known {
		t.Log("this system can't tell a step from a suspend: it takes both for one")
		return
	}
	synctest.Test(t, func(t *testing.T) {
		c := newCoordinator(t, &grantAll{}, Config{})
		h := hold(t, c, Spec{Expires: time.Minute})
		passed := time.Since(c.clock.start)
		c.clock.at(passed, passed+time.Hour)
		synctest.Wait()
		if err := h.Context(t.Context()).Err(); err != nil {
			t.Error("the hold has ended")
		}
		if left := time.Until(h.Deadline()); left < 59*time.Second {
			t.Errorf("the deadline is in %v, want 1 min", left)
		}
	})
}

// Regression: what the clock leapt over was noticed by those who
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

// Regression: gains too small to tell every key of, as when the clock is slewed, add
// up, and a timer that was set before them fires late by their sum. The next message
// sets it right.
func TestSmallGainsOfTheClockAreNotForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCoordinator(t, &grantAll{}, Config{})
		start := time.Now()
		h := hold(t, c, Spec{Expires: time.Second})
		time.Sleep(900 * time.Millisecond) // virtual: the timer is set for the hold's end, and for nothing before
		for range 9 {
			leap(c.clock, jump)
		}
		if i, ok := c.Lookup("k"); !ok || i.ExpiresIn != 10*time.Millisecond {
			t.Errorf("the hold expires in %v, want 10 ms", i.ExpiresIn)
		}
		<-h.Context(t.Context()).Done()
		if d := time.Since(start); d != 910*time.Millisecond {
			t.Errorf("the hold of a second ended after %v, when its clock had gained 90 ms", d)
		}
	})
}
