package actors

import (
	"context"
	"errors"
	"testing"

	"github.com/turnstile-go/turnstile/backends"
)

// The end of a hold is two steps: it is marked, and its context is cancelled. A
// process that was stopped past its deadline looked in between, saw that the
// hold went on, and claimed a key that another had by then.
func TestAnEndedHoldIsNeverShownToGoOn(t *testing.T) {
	h := &Hold{entry: &entry{dir: &directory{clock: newClock()}}}
	h.deadline = h.entry.dir.clock.now().Add(DefaultTenure * 1e6)
	if err := h.Context(t.Context()).Err(); err != nil {
		t.Fatalf("it has only begun: %v", err)
	}
	h.mu.Lock() // as in end, before its cancel
	h.ended, h.cause = true, backends.ErrLost
	h.mu.Unlock()
	ctx := h.Context(t.Context())
	if ctx.Err() == nil || !errors.Is(context.Cause(ctx), backends.ErrLost) {
		t.Errorf("%v, cause %v", ctx.Err(), context.Cause(ctx))
	}
}

// The same for whoever finds the deadline passed, and is second to mark its end.
func TestWhoeverIsSecondToEndAHoldFindsItEnded(t *testing.T) {
	h := &Hold{entry: &entry{dir: &directory{clock: newClock()}}}
	ctx, cancel := context.WithCancelCause(t.Context())
	h.life = &lifetime{ctx, cancel}
	h.ended, h.cause = true, backends.ErrLost // the first has come so far
	h.end(backends.ErrExpired)
	if !errors.Is(context.Cause(ctx), backends.ErrLost) {
		t.Errorf("cause %v, want the first's, ErrLost", context.Cause(ctx))
	}
}

// A holder that sees the channel of Wanted closed since its hold has ended finds the
// context ended, too.
func TestTheContextEndsBeforeTheChannelOfWantedIsClosed(t *testing.T) {
	h := &Hold{entry: &entry{dir: &directory{clock: newClock()}}}
	h.wanted = make(chan struct{})
	cancelled := false
	h.life = &lifetime{cancel: func(error) {
		cancelled = true
		select {
		case <-h.wanted:
			t.Error("the channel was closed first")
		default:
		}
	}}
	h.end(backends.ErrLost)
	if !cancelled {
		t.Error("the context goes on")
	}
	<-h.wanted // the test would not end otherwise
	h.want()   // again: it stays closed
}
