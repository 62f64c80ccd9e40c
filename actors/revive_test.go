package actors

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// A gatedRenewal renews when its gate is opened.
type gatedRenewal struct {
	grantAll
	gate chan struct{}
}

func (b *gatedRenewal) Renew(ctx context.Context, a backends.Attempt, ttl time.Duration, known uint64) (backends.Reply, error) {
	<-b.gate
	return b.grantAll.Renew(ctx, a, ttl, known)
}

// Regression: on a busy machine the result of a renewal may lie
// in the mailbox until after the deadline, ahead of the tick that would end the
// hold. The holder had seen the end by then, and the actor went on renewing the
// hold of nobody.
func TestAnExpiredHoldIsNotRevived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const ms = time.Millisecond
		b := &gatedRenewal{gate: make(chan struct{})}
		c := newCoordinator(t, b, Config{})
		h := hold(t, c, Spec{Expires: 300 * ms, Renew: true})
		time.Sleep(150 * ms) // virtual: a renewal is under way since 100 ms
		busy := make(chan Info)
		h.entry.post(snapshot{busy}) // keeps the actor until somebody receives
		time.Sleep(100 * ms)
		close(b.gate) // in time: the result is queued
		time.Sleep(80 * ms)
		ctx := h.Context(t.Context()) // 330 ms: too late
		if cause := context.Cause(ctx); !errors.Is(cause, backends.ErrExpired) {
			t.Fatalf("the holder sees %v, want ErrExpired", cause)
		}
		<-busy
		synctest.Wait()
		if i, _ := c.Lookup("k"); i.Held || i.Leased {
			t.Errorf("held %v, leased %v, for another %v", i.Held, i.Leased, i.ExpiresIn)
		}
		if err := h.Release(); !errors.Is(err, backends.ErrNotHeld) {
			t.Errorf("release: %v, want ErrNotHeld", err)
		}
		// The deadline that the holder reads does not come back to life either.
		if left := time.Until(h.Deadline()); left > 0 {
			t.Errorf("the deadline is %v away", left)
		}
	})
}
