package actors

import (
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// arm sets the timer for what comes first. It is left alone when it fires
// sooner anyway: resetting it for each hold of a hot key would cost more than
// a tick in vain now and then.
func (a *keyActor) arm(now instant) {
	at := a.due(now)
	gained := a.c.clock.ahead.Load()
	if at == 0 || a.timerAt != 0 && at >= a.timerAt && gained == a.gained {
		return
	}
	a.timerAt, a.gained = at, gained
	d := max(at.sub(now), 0)
	if a.timer == nil {
		a.timer = time.AfterFunc(d, func() { a.entry.post(tick{}) })
		return
	}
	a.timer.Reset(d)
}

// due is when the actor has to look again, if no message comes; zero if never.
func (a *keyActor) due(now instant) instant {
	var at earliest
	for h := a.holders.first; h != nil; h = h.next {
		at.of(min(h.deadline, a.lostAt(h)))
		if h.spec.Renew && a.call == nil && !a.lease.revoked {
			at.of(max(h.renewAt(a.lease.pace), a.renewRetry, now))
		}
	}
	if a.released != nil {
		at.of(a.released.patience)
	}
	for _, x := range a.extends {
		at.of(x.until)
	}
	for _, d := range a.disowns {
		at.of(d.until)
	}
	if a.queue.len > 0 {
		at.of(max(a.soonest, a.nextWalk()))
	}
	if a.closing && now < a.closeBy {
		at.of(a.closeBy)
	}
	if a.call == nil { // the result of one that is under way wakes us
		a.callDue(&at, now)
	}
	return instant(at)
}

// callDue adds the time of the next call to the backend.
func (a *keyActor) callDue(at *earliest, now instant) {
	switch {
	case a.settling != 0:
		at.of(max(a.retryAt, now))
	case !a.lease.own && (a.queue.len > 0 || a.pending != 0):
		at.of(max(a.retryAt, a.gap.until, now))
		at.of(a.gap.at)
	case a.lease.own:
		if a.holders.len == 0 && a.queue.len == 0 {
			at.of(a.lingerUntil)
			at.of(a.gap.at)
		}
		at.of(a.lease.deadline)
		at.of(a.probeAt())
		switch need, urgent := a.need(now); {
		case urgent:
			at.of(max(a.renewRetry, now))
		case need > 0:
			at.of(max(a.lease.renewAt, a.renewRetry))
			if a.ages() && a.queue.len > 0 {
				at.of(max(a.lease.renewed.add(proofLasts+1), a.renewRetry)) // ahead of the next grant
			}
			if a.tooLong(now, need) {
				at.of(max(a.shrinkAt(), a.renewRetry))
			}
		}
	}
}

// earliest is the first of some instants; zero is none.
type earliest instant

func (e *earliest) of(t instant) {
	if t != 0 && (*e == 0 || t < instant(*e)) {
		*e = earliest(t)
	}
}

// expire ends the holds whose time is over, and answers the callers that have
// waited long enough for the backend to confirm something.
func (a *keyActor) expire(now instant) {
	a.expireHolds(now)
	a.timeoutWaiters(now)
	a.timeoutRelease(now)
	a.timeoutDisowns(now)
	a.stopTrying(now)
	a.timeoutExtends(now)
}

// expireHolds ends the holds whose time is over. A hold whose lease no renewal
// could prove is lost, and learns so a little before its deadline rather than
// after.
func (a *keyActor) expireHolds(now instant) {
	for h := a.holders.first; h != nil; {
		next := h.next
		switch {
		case now >= a.lostAt(h):
			a.drop(h, a.unproved())
		case now >= h.deadline:
			a.drop(h, backends.ErrExpired)
		}
		h = next
	}
}

// rest puts an actor with nothing to do on the sweeper's list, and retires one
// that has had nothing to do ever since.
func (a *keyActor) rest(now instant) {
	if a.retired || a.queue.len > 0 || a.holders.len > 0 || a.call != nil || a.lease.own ||
		a.pending != 0 || a.settling != 0 || a.released != nil || len(a.disowns) > 0 {
		return
	}
	a.entry.idle.Store(true)
	if a.swept && !a.closing {
		return
	}
	if (a.closing || a.entry.handled == a.active+1) && a.c.directory.retire(a.entry) {
		a.retired = true
		if a.timer != nil {
			a.timer.Stop()
		}
		return
	}
	if !a.closing {
		a.swept, a.active = true, a.entry.handled
		a.c.sweeper.add(a.entry, now)
	}
}
