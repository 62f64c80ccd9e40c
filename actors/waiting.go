package actors

import (
	"errors"
	"fmt"
	"math"

	"github.com/turnstile-go/turnstile/backends"
)

// arrive queues an acquire, or answers it at once.
func (a *keyActor) arrive(h *Hold, now instant) {
	h.arrived, h.until = now, math.MaxInt64
	if h.spec.Timeout > 0 {
		h.until = now.add(h.spec.Timeout)
	}
	switch {
	case a.closing:
		a.refuse(h, backends.ErrClosed)
	case h.stage.Load() == abandoned:
		// The caller gave up before we looked; its own abandon follows.
	case h.spec.Try && (a.queue.len > 0 || a.busy()):
		// One try never waits behind another: whoever is ahead will have the key.
		e := a.waitError(h, now)
		a.refuse(h, &e)
	case a.queue.len >= a.c.cfg.MaxWaiters:
		a.refuse(h, fmt.Errorf("%w: key %q has %d", backends.ErrOverloaded, a.entry.key, a.queue.len))
	default:
		if a.queue.len == 0 || h.until < a.soonest {
			a.soonest = h.until
		}
		a.queue.push(h)
		a.c.counters.waiters.Add(1)
	}
}

// busy reports whether somebody here holds the key, and nobody else can.
func (a *keyActor) busy() bool { return a.c.can.Exclusive && a.holders.len > 0 }

// leave drops an abandoned acquire.
func (a *keyActor) leave(h *Hold) {
	a.c.counters.timeouts.Add(1)
	if h.listed == inQueue {
		a.dequeue(h)
	}
}

func (a *keyActor) dequeue(h *Hold) {
	a.queue.remove(h)
	a.c.counters.waiters.Add(-1)
}

// fail answers a waiter with an error, unless it gave up first.
func (a *keyActor) fail(h *Hold, err error) {
	a.dequeue(h)
	a.refuse(h, err)
}

func (a *keyActor) refuse(h *Hold, err error) {
	if h.stage.CompareAndSwap(waiting, settled) {
		if errors.Is(err, backends.ErrTimeout) {
			a.c.counters.timeouts.Add(1)
		}
		h.reply <- err
	}
}

// failTry answers the waiter at the head if it came for one try, and that has
// been made.
func (a *keyActor) failTry(err error, now instant) {
	h := a.queue.first
	if h == nil || !h.spec.Try {
		return
	}
	e := a.waitError(h, now)
	if err != nil {
		e.Err = err
	}
	a.fail(h, &e)
}

// rejectTry answers a try that got as far as the head and has nothing under way
// that could still grant it.
func (a *keyActor) rejectTry(now instant) {
	if h := a.queue.first; h != nil && h.spec.Try && a.call == nil {
		a.failTry(nil, now)
	}
}
