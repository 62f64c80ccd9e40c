package actors

import (
	"errors"
	"fmt"

	"github.com/turnstile-go/turnstile/actors/machine"
	"github.com/turnstile-go/turnstile/backends"
)

// noKind is kept out of Begin, whose stack a goroutine has while it posts.
//
//go:noinline
func (c *Coordinator) noKind(k backends.Kind) error {
	return fmt.Errorf("%w: %s keeps exclusive holds only, none of kind %v", backends.ErrInvalid, c.can.Name, k)
}

// BeginWithin is Begin for a caller that has a hold of the key, parent, and would wait for itself. A shared hold joins
// its parent's, if that is shared, past those who wait. Any other is granted if it can be at once; else h.Wait
// returns ErrDeadlock. Once parent has ended it is as Begin.
func (c *Coordinator) BeginWithin(h, parent *Hold, key string, spec Spec) error {
	h.state.Within = &parent.state
	return c.Begin(h, key, spec)
}

// Kind is what the hold is.
func (h *Hold) Kind() backends.Kind {
	if h.shared.Load() {
		return backends.Shared
	}
	return h.state.Spec.Kind
}

// Downgrade makes an exclusive hold a shared one, and lets in those that wait for one at the head of the queue. It
// returns nil when the backend has answered, and for a hold that is shared already. The errors are ErrNotHeld,
// ErrInvalid for a slot hold, one with AtLeast, or a backend that keeps no shared holds, and ErrUnavailable when the
// backend did not answer within 2 s or the rest of the hold: the hold is shared all the same, and each renewal of it
// says so.
func (h *Hold) Downgrade() error {
	if h.released.Load() {
		return backends.ErrNotHeld
	}
	done := make(chan error, 1)
	if !h.entry.post(downgrade{&machine.Extension{Hold: &h.state, Tag: done}}) {
		return h.state.Outcome(backends.ErrNotHeld)
	}
	err := <-done
	if err == nil || !errors.Is(err, backends.ErrNotHeld) && !errors.Is(err, backends.ErrInvalid) {
		h.shared.Store(true)
	}
	return err
}
