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
	h.deadline = h.entry.dir.clock.now().add(DefaultTenure * 1e6)
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
