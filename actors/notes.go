package actors

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// The log tells of holds that don't end by their release: first that they may end,
// then that they have, and at a late release how long their callers went on.

const (
	// noteAfter is how long renewals fail before it is logged; for short holds an
	// eighth of their length. A blip that the next try mends is no news.
	noteAfter = 250 * time.Millisecond
	// noteEvery and noteSeldom bound the time to the next such line, of all keys
	// together. Within these it is as long as the outage lasts.
	noteEvery, noteSeldom = time.Second, 5 * time.Second
)

// label returns the holder's name that others see.
func (c *Coordinator) label(h *Hold) string {
	if h.spec.Owner != "" {
		return h.spec.Owner
	}
	return c.cfg.Owner
}

// noteOf logs about a hold.
func (c *Coordinator) noteOf(h *Hold, message string, more ...any) {
	c.warn(message, append([]any{"key", h.entry.key, "owner", c.label(h), "fence", h.fence}, more...)...)
}

// noteEnd logs that a hold ended without a release.
func (a *keyActor) noteEnd(h *Hold, cause error) {
	switch {
	case h.revoked: // that was told
	case errors.Is(cause, backends.ErrExpired):
		a.c.counters.expired.Add(1)
		a.c.noteOf(h, "hold expired before its release", "held", h.over.sub(h.granted))
	default:
		a.c.counters.losses.Add(1)
		a.c.noteOf(h, "hold lost", "cause", cause)
	}
}

// noteLate logs, at a release, how long its caller went on after the end of the
// hold.
func (c *Coordinator) noteLate(h *Hold) {
	if h.over != 0 {
		c.noteOf(h, "hold released after its end", "overrun", c.clock.now().sub(h.over))
	}
}

// noteFailing logs, early and seldom, that a hold will end unless a renewal gets
// through. c is a renewal that failed.
func (a *keyActor) noteFailing(c *call, now instant) {
	if a.failures == 1 {
		a.failing = c.began
	}
	var h *Hold
	for x := a.holders.first; x != nil; x = x.next {
		if x.spec.Renew && !x.revoked && (h == nil || x.deadline < h.deadline) {
			h = x
		}
	}
	if h == nil {
		return
	}
	since := now.sub(a.failing)
	if since < min(noteAfter, h.spec.Expires/8) || !a.c.seldom.passes(now, min(max(since, noteEvery), noteSeldom)) {
		return
	}
	what := "no answer from"
	if backends.IsRefused(c.err) || backends.IsPassing(c.err) {
		what = "no renewal by"
	}
	a.c.noteOf(h, fmt.Sprintf("%s %s for %.1f s, the hold of %q ends in %.1f s",
		what, a.c.can.Name, since.Seconds(), a.entry.key, max(h.deadline.sub(now), 0).Seconds()), "cause", c.err)
}

// seldom lets one caller through, and then none for a while.
type seldom struct{ next atomic.Int64 }

func (s *seldom) passes(now instant, pause time.Duration) bool {
	next := s.next.Load()
	return int64(now) >= next && s.next.CompareAndSwap(next, int64(now.add(pause)))
}
