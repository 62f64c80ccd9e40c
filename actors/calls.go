package actors

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// verb is what a backend call does.
type verb uint8

const (
	acquiring verb = iota
	renewing
	releasing
	cancelling
	looking
)

func (v verb) String() string {
	return [...]string{"acquire", "renew", "release", "cancel", "look"}[v]
}

// A call is one backend call: what is asked, and, when it comes back as a
// result message, what was answered. At most one is in flight for a key.
type call struct {
	verb    verb
	number  uint64 // of the attempt
	attempt backends.Attempt
	request backends.Request // when acquiring
	ttl     time.Duration    // when renewing
	known   uint64
	budget  time.Duration // how long it may take
	began   instant

	cancel context.CancelFunc // nil of a call that is made in place
	wanted bool               // the actor's: while it was in flight, a push said that others wait
	again  bool               // the actor's: while it was in flight, a push said that the backend answers again

	sent  instant
	reply backends.Reply
	info  backends.Info // when looking
	err   error
}

// start makes the call beside the mailbox; its result comes as a message. A
// backend that only computes is called in place instead, and start returns true.
func (a *keyActor) start(c *call) (done bool) {
	a.c.counters.calls.Add(1)
	a.call, c.began = c, a.c.clock.now()
	if c.attempt.Key = a.full; c.verb != looking {
		c.attempt = a.c.attempt(a.full, c.number)
	}
	c.request.Attempt = c.attempt
	c.budget = callTimeout
	if c.verb == renewing {
		c.budget = a.renewalBudget()
	}
	if a.closing {
		c.budget = min(c.budget, max(a.closeBy.sub(c.began), time.Millisecond))
	}
	if a.c.can.Immediate {
		c.run(a.c.ctx, a.c)
		return true
	}
	entry, coordinator := a.entry, a.c
	ctx, cancel := context.WithTimeout(coordinator.ctx, c.budget)
	c.cancel = cancel
	coordinator.dispatcher.Schedule(func() { // ends by the call's own timeout
		c.run(ctx, coordinator)
		cancel()
		entry.post(result{c})
	})
	return false
}

// renewalBudget is how long a renewal may take: a third of what is left, so that
// one connection that hangs leaves time for two more tries.
func (a *keyActor) renewalBudget() time.Duration {
	const least = 50 * time.Millisecond // a slow server still has to be able to answer
	now := a.c.clock.now()
	end := a.lease.deadline
	for h := a.holders.first; h != nil; h = h.next {
		end = min(end, h.deadline)
	}
	left := end.sub(now)
	return min(callTimeout, max(left/3, least), max(left, time.Millisecond))
}

// run makes the call. A panic of the backend becomes an error: one key's
// trouble must not take the process down, nor the key's waiters with it.
func (c *call) run(ctx context.Context, in *Coordinator) {
	defer func() {
		if r := recover(); r != nil {
			c.reply = backends.Reply{}
			c.err = fmt.Errorf("%w: %v panicked: %v", backends.ErrUnavailable, c.verb, r)
			in.warn("backend panicked", "verb", c.verb, "panic", r, "stack", string(debug.Stack()))
		}
	}()
	b := in.backend
	c.sent = in.clock.now()
	switch c.verb {
	case acquiring:
		c.reply, c.err = b.Acquire(ctx, c.request)
	case renewing:
		c.reply, c.err = b.Renew(ctx, c.attempt, c.ttl, c.known)
	case releasing:
		c.err = b.Release(ctx, c.attempt)
	case cancelling:
		c.err = backends.Cancel(ctx, b, c.attempt)
	case looking:
		c.info, c.err = b.(backends.Inspector).Inspect(ctx, c.attempt.Key)
	}
}

const (
	firstBackoff = 5 * time.Millisecond
	mostBackoff  = 500 * time.Millisecond
)

// backoff is how long to wait after the nth failure in a row, from 1: doubling,
// with the upper half jittered so that many keys don't come back at once.
func backoff(n int) time.Duration {
	d := mostBackoff
	if n < 8 {
		d = min(firstBackoff<<(n-1), mostBackoff)
	}
	return d/2 + rand.N(d/2+1)
}

// next decides which backend call the key needs now; nil if none, or not yet.
func (a *keyActor) next(now instant) *call {
	switch {
	case a.settling != 0:
		return a.nextSettle(now)
	case a.lease.own:
		return a.nextOwned(now)
	case a.queue.len > 0 && !a.closing:
		return a.nextAcquire(now)
	case a.pending != 0:
		// Nobody waits for the attempt any more.
		a.settle(a.pending, cancelling, now.add(a.pendingTTL))
		return a.nextSettle(now)
	}
	return nil
}

// nextAcquire repeats the pending attempt when its time has come, or begins one.
func (a *keyActor) nextAcquire(now instant) *call {
	if in, c := a.nextInGap(now); in {
		return c
	}
	if !a.woken && now < a.retryAt {
		return nil
	}
	a.woken = false
	if a.pending == 0 {
		if a.c.attempts.Load() >= backends.MaxAttempt {
			a.failQueue(errUsedUp)
			return nil
		}
		a.pending, a.pendingTTL, a.probe = a.c.attempts.Add(1), 0, 0
		a.heldBy = holder{}
	}
	head := a.queue.first
	ttl := ttlFor(head.spec.Expires + a.spare(head.spec.Expires))
	a.pendingTTL = max(a.pendingTTL, ttl) // of all the times it was asked
	return &call{verb: acquiring, number: a.pending, request: backends.Request{
		TTL: ttl, Label: a.c.label(head),
		Queue: !head.spec.Try, Probe: a.probe,
	}}
}

// errUsedUp ends a client that has made 10¹² attempts, which takes 77 days at
// 150 000 a second: the wire format has no number for the next.
var errUsedUp = fmt.Errorf("%w: this client's attempts are used up, open another", backends.ErrUnavailable)

// spare is what a lease gets beyond its longest hold: slack for the next hold,
// and the time it may linger with none.
func (a *keyActor) spare(expires time.Duration) time.Duration {
	return slackOf(expires) + a.linger()
}

// linger is how long a lease stays that nobody here needs. Where no push tells
// that another process waits, that is no longer than it may wait for a busy key.
func (a *keyActor) linger() time.Duration {
	if !a.c.can.Wakes {
		return min(a.c.cfg.Linger, a.c.cfg.Tenure)
	}
	return a.c.cfg.Linger
}

// nextOwned gives the lease back when nobody here needs it or another's turn
// has come, and renews it when it gets too short.
func (a *keyActor) nextOwned(now instant) *call {
	if now >= a.lease.deadline {
		// No hold is left: none goes beyond the lease. What is at the backend
		// ends by itself within the margin, but the attempt has to be settled.
		a.dropLease(now)
		return a.nextSettle(now)
	}
	if a.holders.len == 0 {
		if a.closing || a.queue.len == 0 && !a.lingers(now) || a.queue.len > 0 && a.yields(now) {
			a.gap.release(now, a.queue.len == 0)
			a.settle(a.lease.attempt, releasing, a.lease.ends)
			a.lease = lease{}
			return a.nextSettle(now)
		}
	}
	if a.lease.revoked {
		return a.nextProbe(now)
	}
	need, urgent := a.need(now)
	if !urgent && now < a.lease.renewAt || need == 0 || now < a.renewRetry {
		return nil
	}
	ttl := ttlFor(need)
	// If the reply is lost, the backend may already have shortened the lease.
	a.lease.deadline = min(a.lease.deadline, now.add(ttl-marginOf(ttl)))
	return &call{verb: renewing, number: a.lease.attempt, ttl: ttl, known: a.lease.base}
}

// need is how long the lease should last from now, spare included, and whether
// a renewal is due before its time: because a hold can't be granted, or soon
// won't be, because the fence's numbers run out, or because the lease is in doubt.
func (a *keyActor) need(now instant) (need time.Duration, urgent bool) {
	if a.lease.revoked {
		return 0, false
	}
	left := a.lease.deadline.sub(now)
	expires := time.Duration(0)
	for h := a.holders.first; h != nil; h = h.next {
		expires = max(expires, h.spec.Expires)
		rest := h.deadline.sub(now) // written by the actor alone, so read without the mutex
		if h.spec.Renew {
			rest = max(rest, h.spec.Expires)
			urgent = urgent || now >= h.renewAt(a.lease.pace)
		}
		need = max(need, rest)
	}
	if head := a.queue.first; head != nil && !a.yields(now) {
		expires = max(expires, head.spec.Expires)
		need = max(need, head.spec.Expires)
		// Ahead of time, beside the running hold, so that the next one need not wait.
		urgent = urgent || left < head.spec.Expires+slackOf(head.spec.Expires)/2 || a.lease.n > spareN ||
			a.asksForOthers(now)
	}
	checked := false
	for _, x := range a.extends {
		need = max(need, x.d)
		urgent, checked = true, checked || x.check
	}
	if need == 0 {
		return 0, false // it lingers
	}
	urgent = urgent || a.doubts() || a.queue.len > 0 && a.stale(now)
	need += a.spare(expires)
	if checked {
		need = max(need, left) // to look must not shorten what is looked at
	}
	if a.tooLong(now, need) && now >= a.shrinkAt() {
		urgent = true
	}
	return need, urgent
}

// tooLong reports whether the long hold that the lease was made for is over, so
// that it should shrink: a crash would leave it to its end.
func (a *keyActor) tooLong(now instant, need time.Duration) bool {
	return a.lease.deadline.sub(now) > 2*need+time.Second
}

// shrinkAt is when a lease may be shortened. A backend may decline, so it is not
// asked all the time.
func (a *keyActor) shrinkAt() instant { return a.lease.renewed.add(maxSlack / 2) }

// asksForOthers reports whether it is time to ask the backend, by a renewal,
// whether another process waits: twice a Tenure while holds are handed on, where
// the backend has no push that would tell (L4).
func (a *keyActor) asksForOthers(now instant) bool {
	return !a.c.can.Wakes && a.c.can.Exclusive && !a.lease.contended && a.lease.holds > 0 &&
		now.sub(a.lease.renewed) >= a.c.cfg.Tenure/2
}

// settle begins to end an attempt at the backend: one that was granted, or one
// that may have been. It is retried until it is answered, or until the lease
// would have ended by itself.
func (a *keyActor) settle(attempt uint64, v verb, until instant) {
	a.settling, a.settleVerb, a.settleUntil = attempt, v, until
	a.pending = 0
	a.failures, a.retryAt = 0, 0
}

func (a *keyActor) nextSettle(now instant) *call {
	if now < a.retryAt {
		return nil
	}
	return &call{verb: a.settleVerb, number: a.settling}
}
