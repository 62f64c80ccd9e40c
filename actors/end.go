package actors

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// release ends a hold for its caller, who is answered when the key has gone to
// the next holder, back to the backend, or lingers.
func (a *keyActor) release(h *Hold, now instant) {
	a.expire(now)
	if h.listed != inHolders {
		h.reply <- ended(h, backends.ErrNotHeld)
		return
	}
	// A revoked hold has already ended for its caller, who still waits here until the
	// key is free: see ended. Its lease never lingers: see yields.
	a.holders.remove(h)
	a.cancelExtends(h)
	h.end(context.Canceled)
	a.lingerUntil = now.add(a.linger())
	if a.holders.len > 0 {
		h.reply <- ended(h, nil)
		return
	}
	// The caller waits until then at the most; the release itself goes on. No second
	// caller ever waits: this one is answered when the next holder is granted the
	// key, or when the lease lingers (see advance).
	h.patience = now.add(min(callTimeout, a.lease.deadline.sub(now)))
	a.released = h
}

// answerSettled tells the callers who wait for the end of a lease how it went.
func (a *keyActor) answerSettled(err error) {
	a.answerRelease(err)
	a.answerDisowns(err)
}

// answerRelease tells the caller who released what became of the key.
func (a *keyActor) answerRelease(err error) {
	if a.released != nil {
		a.released.reply <- ended(a.released, err)
		a.released = nil
	}
}

// ended is the answer to a release: a hold that was revoked had ended before,
// whatever became of its lease.
func ended(h *Hold, err error) error {
	switch {
	case !h.revoked:
		return err
	case err == nil || backends.IsNotHeld(err):
		return backends.ErrRevoked
	}
	return backends.Wrap(backends.ErrRevoked, "", err)
}

// timeoutRelease answers the caller of a Release that has waited long enough.
func (a *keyActor) timeoutRelease(now instant) {
	if a.released != nil && now >= a.released.patience {
		a.answerRelease(a.releaseGoesOn())
	}
}

func (a *keyActor) releaseGoesOn() error {
	return backends.Wrap(backends.ErrUnavailable,
		fmt.Sprintf("release of %q goes on in the background", a.entry.key), a.why())
}

// why is what the backend last complained of.
func (a *keyActor) why() error {
	if a.lastErr == nil {
		return errNoAnswer
	}
	return a.lastErr
}

var errNoAnswer = errors.New("no answer in time")

// extend moves a hold's deadline, at once if the lease is long enough, else
// when a renewal has made it so.
func (a *keyActor) extend(x *extension, now instant) {
	h := x.hold
	a.expire(now)
	if h.listed != inHolders || h.revoked {
		x.done <- ended(h, backends.ErrNotHeld)
		return
	}
	if x.asked = now; x.check {
		a.askNow()
		x.until = min(h.deadline, now.add(callTimeout))
		a.extends = append(a.extends, x)
		return
	}
	want := now.add(x.d)
	if h.bound != 0 && want > h.bound {
		x.done <- fmt.Errorf("%w: extend by %v goes beyond the hold's MaxHold", backends.ErrInvalid, x.d)
		return
	}
	if want <= a.lease.deadline && !a.doubts() {
		h.extendTo(want)
		x.done <- nil
		return
	}
	x.until = min(h.deadline, now.add(callTimeout))
	a.extends = append(a.extends, x)
}

// prolong lets holds have what a renewal brought. sent is when it was asked for.
func (a *keyActor) prolong(sent instant) {
	for h := a.holders.first; h != nil; h = h.next {
		if h.spec.Renew {
			h.extendTo(min(sent.add(h.spec.Expires), a.lease.deadline))
		}
	}
	kept := a.extends[:0]
	for _, x := range a.extends {
		want := x.asked.add(x.d)
		if want > a.lease.deadline || x.check && sent < x.asked {
			kept = append(kept, x)
			continue
		}
		if !x.check {
			x.hold.extendTo(want)
		}
		x.done <- nil
	}
	a.extends = kept
}

func (a *keyActor) timeoutExtends(now instant) {
	kept := a.extends[:0]
	for _, x := range a.extends {
		if now < x.until {
			kept = append(kept, x)
			continue
		}
		what := "%q was not extended"
		if x.check {
			what = "%q could not be checked"
		}
		x.done <- backends.Wrap(backends.ErrUnavailable, fmt.Sprintf(what, a.entry.key), a.why())
	}
	a.extends = kept
}

func (a *keyActor) failExtends(err error) {
	for _, x := range a.extends {
		x.done <- err
	}
	a.extends = nil
}

// cancelExtends answers the extensions of a hold that has ended.
func (a *keyActor) cancelExtends(h *Hold) {
	kept := a.extends[:0]
	for _, x := range a.extends {
		if x.hold != h {
			kept = append(kept, x)
			continue
		}
		x.done <- ended(h, backends.ErrNotHeld)
	}
	a.extends = kept
}

// nextWalk is when the queue may be searched again for waiters whose time is
// over. One that times out alone is answered to the moment. Of many that time out
// one after the other some wait for the next search, at most 220 ms with a million
// in the queue, so that searching takes but a small part of the time.
func (a *keyActor) nextWalk() instant {
	const pause, each = 20 * time.Millisecond, 200 * time.Nanosecond
	return a.walked.add(pause + time.Duration(a.queue.len)*each)
}

// timeoutWaiters answers the waiters that have waited long enough. That is
// decided here, by the one who grants, so a timeout never crosses a grant; and
// a waiter needs no timer of its own.
func (a *keyActor) timeoutWaiters(now instant) {
	if a.queue.len == 0 || now < a.soonest || now < a.nextWalk() {
		return
	}
	a.walked, a.soonest = now, 0
	for h := a.queue.first; h != nil; {
		next := h.next
		switch {
		case now >= h.until:
			e := a.waitError(h, now)
			a.fail(h, &e)
		case a.soonest == 0 || h.until < a.soonest:
			a.soonest = h.until
		}
		h = next
	}
}

// unproved is the cause of a hold that is lost for want of a renewal.
func (a *keyActor) unproved() error {
	return backends.Wrap(backends.ErrLost, "no renewal got through", a.why())
}

// lostAt is when a hold has to be taken for lost: at its deadline, less what
// it takes to say so in time, if that is there because no renewal has come. A hold
// that was to end then expires instead; one that was revoked has been told, and
// its time is its own to the end.
func (a *keyActor) lostAt(h *Hold) instant {
	if h.revoked || h.deadline == h.bound || !h.spec.Renew && !a.lease.unproved {
		return h.deadline.add(time.Hour)
	}
	return h.deadline.add(-min(25*time.Millisecond, h.spec.Expires/20))
}

// drop ends a hold that was not released.
func (a *keyActor) drop(h *Hold, cause error) {
	a.holders.remove(h)
	a.lingerUntil = 0 // what ended badly does not linger
	a.cancelExtends(h)
	h.over = min(a.c.clock.now(), h.deadline) // a process that was stopped comes late
	h.end(cause)
	a.noteEnd(h, cause)
}

// lose ends everything that stood on a lease that is gone.
func (a *keyActor) lose(now instant, why error) {
	a.lastErr = why
	for h := a.holders.first; h != nil; h = a.holders.first {
		a.drop(h, backends.Wrap(backends.ErrLost, "", why))
	}
	a.dropLease(now)
}

// dropLease gives up a lease that is over or lost. Its attempt is settled all
// the same: a copy of its request that is still on its way must grant nothing.
func (a *keyActor) dropLease(now instant) {
	a.settle(a.lease.attempt, releasing, max(a.lease.ends, now))
	a.lease = lease{}
}

// collapse forgets everything after a panic, except what others rely on: each
// waiter and holder is told, and the attempt is settled in the background.
func (a *keyActor) collapse(err error) {
	for h := a.queue.first; h != nil; h = a.queue.first {
		a.fail(h, err)
	}
	a.lastErr = err
	for h := a.holders.first; h != nil; h = a.holders.first {
		a.drop(h, backends.Wrap(backends.ErrLost, "", err))
	}
	a.answerSettled(err)
	a.failExtends(err)
	now := a.c.clock.now()
	switch {
	case a.lease.own:
		a.dropLease(now)
	case a.call != nil && a.call.verb == acquiring:
		a.settle(a.call.number, cancelling, now.add(a.call.request.TTL))
	case a.pending != 0:
		a.settle(a.pending, cancelling, now.add(a.pendingTTL))
	}
	a.call = nil
	// Not at once: what panicked may do so again.
	a.retryAt = now.add(mostBackoff)
	if a.closing && a.c.ctx.Err() != nil {
		// Close has been patient. What panics on its way to the backend would
		// keep it waiting for ever: the lease ends by its ttl.
		a.settling, a.pending = 0, 0
		a.c.failed(err)
	}
	a.arm(now)
	a.rest(now)
}

// stopTrying ends the call or the attempt that Close has waited for long enough.
func (a *keyActor) stopTrying(now instant) {
	switch {
	case !a.closing || now < a.closeBy:
	case a.call != nil && a.call.cancel != nil:
		a.call.cancel() // its result follows
	case a.call == nil && a.settling != 0 && a.failures > 0:
		a.leaveUnsettled(a.why())
	}
}

// leaveUnsettled gives up the end of an attempt: its lease ends by its ttl.
func (a *keyActor) leaveUnsettled(err error) {
	a.answerSettled(err)
	if a.closing && a.settleVerb == releasing {
		a.c.failed(err)
	}
	a.settling, a.failures, a.retryAt = 0, 0, 0
}

// lastTry is how long Close goes on waiting for a backend that has not answered in
// all of Close's time: it may be there again.
const lastTry = 50 * time.Millisecond

// shutdown handles the coordinator's Close: nobody gets the key any more. A Release
// that waited for the backend has already used part of Close's time, or all of it.
func (a *keyActor) shutdown(now instant) {
	if !a.closing {
		a.closing, a.closeBy = true, instant(a.c.closeBy.Load())
		silent := a.unheard
		if silent == 0 && a.call != nil {
			silent = a.call.began
		}
		if silent != 0 {
			a.closeBy = min(a.closeBy, max(silent.add(callTimeout), now.add(lastTry)))
		}
	}
	a.retryAt = 0 // Close waits, so whatever is to be given back is tried now
	for h := a.queue.first; h != nil; h = a.queue.first {
		a.fail(h, backends.ErrClosed)
	}
	for h := a.holders.first; h != nil; h = a.holders.first {
		a.holders.remove(h)
		a.cancelExtends(h)
		h.end(backends.ErrClosed)
	}
}
