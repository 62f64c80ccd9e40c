package actors

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/turnstile-go/turnstile/actors/machine"
	"github.com/turnstile-go/turnstile/backends"
)

// The log tells of holds that don't end by their release: first that they may end,
// then that they have, and at a late release how long their callers went on.

// noteEvery and noteSeldom bound the time to the next such line, of all keys
// together. Within these it is as long as the outage lasts.
const noteEvery, noteSeldom = time.Second, 5 * time.Second

// label returns the holder's name that others see.
func (c *Coordinator) label(h *Hold) string {
	if h.state.Spec.Owner != "" {
		return h.state.Spec.Owner
	}
	return c.cfg.Owner
}

// noteOf logs about a hold.
func (c *Coordinator) noteOf(h *Hold, message string, more ...any) {
	c.warn(message, append([]any{"key", h.entry.key, "owner", c.label(h), "fence", h.state.Fence}, more...)...)
}

// noteLate logs, at a release, how long its caller went on after the end of the
// hold.
func (c *Coordinator) noteLate(h *Hold) {
	if h.state.Over != 0 {
		c.noteOf(h, "hold released after its end", "overrun", c.clock.now().Sub(h.state.Over))
	}
}

// noteFailing logs, seldom, that a hold will end unless a renewal gets through.
func (r *turn) noteFailing(h *Hold, e *machine.Effect) {
	if !r.c.seldom.passes(r.now, min(max(e.Since, noteEvery), noteSeldom)) {
		return
	}
	silence := "no answer from"
	if backends.IsRefused(e.Err) || backends.IsPassing(e.Err) {
		silence = "no renewal by"
	}
	r.c.noteOf(h, fmt.Sprintf("%s %s for %.1f s, the hold of %q ends in %.1f s", silence, r.c.can.Name,
		e.Since.Seconds(), r.entry.key, max(h.state.Deadline.Sub(r.now), 0).Seconds()), "cause", e.Err)
}

// seldom lets one caller through, and then none for a while.
type seldom struct{ next atomic.Int64 }

func (s *seldom) passes(now instant, pause time.Duration) bool {
	next := s.next.Load()
	return int64(now) >= next && s.next.CompareAndSwap(next, int64(now.Add(pause)))
}
