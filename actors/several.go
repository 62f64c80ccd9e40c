package actors

import (
	"github.com/turnstile-go/turnstile/actors/machine"
	"github.com/turnstile-go/turnstile/backends"
)

// What sets of holds need: holds that know of each other, and go on and end together.

// Has reports whether the hold, which was granted, is one of key in c and goes on.
func (h *Hold) Has(c *Coordinator, key string) bool {
	if h.entry.dir != c.directory || h.entry.key != key || h.released.Load() {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.ended && c.clock.now() < h.deadline
}

// Restart has a hold go on as if it were granted now to spec, whose Expires, Renew and
// MaxHold count. It returns a slot with the outcome, which comes as that of Extend.
func (h *Hold) Restart(spec *Spec) <-chan error {
	done := make(chan error, 1)
	by := spec.Expires
	if spec.Renew && spec.MaxHold > 0 {
		by = min(by, spec.MaxHold)
	}
	switch {
	case h.released.Load():
		done <- backends.ErrNotHeld
	case !h.entry.post(extend{&machine.Extension{Hold: &h.state, By: by, As: spec, Tag: done}}):
		done <- h.state.Outcome(backends.ErrNotHeld) // the actor has retired
	}
	return done
}

// ReleaseAll releases holds side by side, and returns what Release would of each.
func ReleaseAll(holds []*Hold) []error {
	errs := make([]error, len(holds))
	asked := make([]bool, len(holds))
	for i, h := range holds {
		errs[i] = h.letGo(h.entry.answer)
		asked[i] = errs[i] == nil
	}
	for i, h := range holds {
		if asked[i] {
			errs[i] = h.gone()
		}
	}
	return errs
}

// DiscardAll gives back holds that their caller doesn't want. Where the backend
// computes in place, that is done when it returns; elsewhere it waits for nothing.
func DiscardAll(holds []*Hold) {
	for _, h := range holds {
		h.Discard()
	}
	for _, h := range holds {
		h.settleHere()
	}
}

// settleHere waits until the actor has handled all earlier messages, if the backend
// computes in place.
func (h *Hold) settleHere() {
	done := make(chan struct{})
	if h.entry.dir.immediate && h.entry.post(barrier{done}) {
		<-done
	}
}
