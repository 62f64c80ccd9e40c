package actors

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// finish takes the result of a call.
func (a *keyActor) finish(c *call, now instant) {
	if c != a.call {
		// Only after a panic of ours: the actor has forgotten the call. What it
		// may have got is given back.
		if c.verb == acquiring {
			a.c.dispatcher.Schedule(func() { // ends by its timeout
				ctx, cancel := context.WithTimeout(a.c.ctx, callTimeout)
				defer cancel()
				(&call{verb: cancelling, attempt: c.attempt}).run(ctx, a.c)
			})
		}
		return
	}
	// A hold that is over stays over, even if a renewal succeeded: its holder may
	// have seen the end already. Callers who wait for the result get it although it
	// was late: to a process that had no CPU for a while, everything is late.
	a.expireHolds(now)
	a.call = nil
	c.reply.Contended = c.reply.Contended || c.wanted
	if c.err != nil {
		a.lastErr = c.err
	}
	switch {
	case c.err == nil, backends.IsNotHeld(c.err), backends.IsRevoked(c.err):
		a.unheard = 0
	case a.unheard == 0:
		a.unheard = c.began
	}
	switch c.verb {
	case acquiring:
		a.acquired(c, now)
	case renewing:
		a.renewed(c, now)
	case releasing, cancelling:
		a.settledBy(c, now)
	case looking:
		a.looked(c, now)
	}
}

func (a *keyActor) acquired(c *call, now instant) {
	switch {
	case c.err == nil && c.reply.Outcome == backends.Granted:
		a.answered, a.failures, a.retryAt, a.renewRetry = now, 0, 0, 0
		a.pending = 0
		a.lastErr = nil
		a.lease = lease{attempt: c.number, own: true}
		a.lease.set(c.sent, now, c.reply)
		a.heldBy = holder{}
	case c.err == nil && c.reply.Outcome == backends.Held:
		a.answered, a.failures = now, 0
		a.lastErr = nil
		a.probe++
		a.retryAt = now.add(max(c.reply.Retry, time.Millisecond))
		a.heldBy = holder{held: true, label: c.reply.Holder, place: c.reply.Place, since: now.add(-c.reply.HeldFor), known: c.reply.HeldFor > 0}
		if !c.request.Queue {
			a.pending, a.retryAt = 0, 0 // it left no trace: the next asks for itself
		}
		a.failTries(c, now)
	default:
		if c.err == nil {
			c.err = fmt.Errorf("%w: outcome %v without an error", backends.ErrUnavailable, c.reply.Outcome)
		}
		a.attemptFailed(c, now)
	}
}

func (a *keyActor) attemptFailed(c *call, now instant) {
	a.failures++
	a.retryAt = now.add(a.pause(c))
	if errors.Is(c.err, backends.ErrSettled) {
		a.pending = 0
	}
	if backends.IsRefused(c.err) {
		a.failQueue(c.err)
		return
	}
	a.failTries(c, now)
}

func (a *keyActor) renewed(c *call, now instant) {
	switch {
	case c.err == nil:
		a.answered, a.failures, a.renewRetry = now, 0, 0
		a.lastErr = nil
		a.lease.set(c.sent, now, c.reply)
		if !a.lease.revoked {
			a.prolong(c.sent)
		}
	case backends.IsNotHeld(c.err):
		a.lose(now, c.err)
	case backends.IsRevoked(c.err):
		a.answered, a.failures, a.renewRetry = now, 0, 0
		a.lease.renewed = c.sent // it is there
		a.revoke(c.err)
	default:
		a.failures++
		a.lease.unproved = true
		a.noteFailing(c, now)
		a.lease.ends = max(a.lease.ends, now.add(c.ttl)) // it may have run
		a.renewRetry = now.add(min(a.pause(c), c.ttl/10))
		a.failTries(c, now)
		if backends.IsRefused(c.err) {
			a.failExtends(c.err)
			a.failQueue(c.err)
		}
	}
}

// settledBy takes the answer to a release or a cancel.
func (a *keyActor) settledBy(c *call, now instant) {
	err := c.err
	switch {
	case err == nil:
		a.lastErr = nil
		a.answerSettled(nil)
	case backends.IsNotHeld(err) && a.failures > 0:
		// An earlier try may have done it, and its reply was lost.
		a.lastErr = nil
		a.answerSettled(nil)
	case backends.IsNotHeld(err):
		a.lastErr = nil
		a.answerSettled(backends.ErrNotHeld)
	case stays(err), a.closing && (a.c.ctx.Err() != nil || now >= a.closeBy), now >= a.settleUntil:
		a.leaveUnsettled(err)
	default:
		a.failures++
		a.retryAt = now.add(a.pause(c))
		a.failTries(c, now)
		if backends.IsRefused(err) {
			a.failQueue(err)
		}
		return
	}
	a.settling = 0
	a.failures, a.retryAt = 0, 0
	a.madeGap(now)
}

// stays reports whether a release was refused for a lasting reason. A refused
// login, a missing permission, or a server that takes no writes does not last:
// credentials, permissions and masters may change while the lease still stands.
func stays(err error) bool {
	var r backends.Reason
	if !backends.IsRefused(err) {
		return false
	}
	errors.As(err, &r)
	return r != backends.WrongLogin && r != backends.NoPermission && r != backends.ReadOnly
}

// failQueue fails all that wait.
func (a *keyActor) failQueue(err error) {
	for h := a.queue.first; h != nil; h = a.queue.first {
		a.fail(h, err)
	}
}
