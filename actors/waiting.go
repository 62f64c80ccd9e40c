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
	case h.spec.Try && (a.busy() || a.heldBy.held && a.queue.len > 0 && a.failures == 0):
		// One try waits neither behind a holder nor behind other waiters.
		e := a.waitError(h, now)
		a.refuse(h, &e)
	case a.queue.len >= a.c.cfg.MaxWaiters:
		a.refuse(h, fmt.Errorf("%w: key %q has %d", backends.ErrOverloaded, a.entry.key, a.queue.len))
	default:
		if a.queue.len == 0 || h.until < a.soonest {
			a.soonest = h.until
		}
		if h.spec.Try {
			a.tries++
			a.askNow()
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
	if h.spec.Try {
		a.tries--
	}
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
		if _, ok := errors.AsType[*WaitError](err); ok {
			a.c.counters.timeouts.Add(1)
		}
		h.reply <- err
	}
}

// askNow ends the pause after a backend's failure: the backend may be well again,
// and a caller with one try has a right to it.
func (a *keyActor) askNow() {
	if a.failures > 0 {
		a.retryAt, a.renewRetry = 0, 0
	}
}

// failTries answers the callers with one try after their call, c, has not brought
// the key. If c began before they came, its failure is not theirs: another call
// follows at once.
func (a *keyActor) failTries(c *call, now instant) {
	for h := a.queue.first; h != nil && a.tries > 0; {
		next := h.next
		switch {
		case !h.spec.Try:
		case c.err != nil && c.began < h.arrived:
			a.askNow()
		default:
			e := a.waitError(h, now)
			if c.err != nil {
				e.Err, e.Silent, e.Held = c.err, true, false
			}
			a.fail(h, &e)
		}
		h = next
	}
}

// rejectTries answers the callers with one try to whom no call under way can grant
// the key: somebody got ahead of them, or the key is not to be asked for.
func (a *keyActor) rejectTries(now instant) {
	if a.call != nil && !a.busy() {
		return
	}
	for h := a.queue.first; h != nil && a.tries > 0; {
		next := h.next
		if h.spec.Try {
			e := a.waitError(h, now)
			a.fail(h, &e)
		}
		h = next
	}
}
