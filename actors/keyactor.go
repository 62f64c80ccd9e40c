package actors

import (
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/turnstile-go/turnstile/backends"
)

// A keyActor owns one key in this process: its callers' queue, its lease, its
// timers. Its fields are touched by Receive alone, but for what is marked.
//
// Every message is handled in the same three steps: change the state, then
// advance: end what is over, grant what can be granted, start the one backend
// call that is needed next, and set the timer for whatever comes first.
type keyActor struct {
	// Immutable.
	c     *Coordinator
	entry *entry
	full  string // the key with its prefix

	queue   queue   // waiting, by arrival
	tries   int     // those of them that came for one try
	soonest instant // no waiter times out before; 0 when none waits
	walked  instant // when the queue was last searched for those who do
	holders queue   // holding; at most one where the backend excludes

	lease      lease
	pending    uint64 // the number of an attempt that was answered Held, or never answered
	pendingTTL time.Duration
	probe      int // how often it was answered Held
	woken      bool
	call       *call // in flight

	settling    uint64 // the number of an attempt that is being released or cancelled
	settleVerb  verb
	settleUntil instant
	released    *Hold        // whose caller waits for what becomes of the key
	disowns     []*disowning // whose callers wait for the end of the lease
	extends     []*extension

	retryAt    instant // no acquire, release or cancel before
	renewRetry instant // no renewal before
	doubted    instant // a lease last proved before this may be gone: see doubts
	failures   int     // of calls, in a row
	failing    instant // when the first of the renewals that failed in a row began
	lastErr    error
	answered   instant // when the backend last said whose the key is
	unheard    instant // when the first of the calls began that it has not answered since; 0: none
	heldBy     holder  // who had the key when the attempt that is pending last asked

	lingerUntil instant
	gap         gap // for pollers
	closing     bool
	closeBy     instant // closing: when to give up what the backend doesn't answer
	retired     bool

	timer   *time.Timer
	timerAt instant // when it fires; zero when it is not running
	gained  int64   // clock.ahead when it was set: it fires late if that has grown
	swept   bool    // the sweeper has this actor on its list
	active  uint64  // entry.handled when it was put there
}

// holder is what the backend said of whoever has the key.
type holder struct {
	held  bool // somebody has
	label string
	since instant
	known bool // since is
	place int  // ours in the backend's queue; 0 if not queued
}

func newKeyActor(c *Coordinator, e *entry) *keyActor {
	return &keyActor{
		c: c, entry: e, full: c.cfg.Prefix + e.key,
		queue: queue{name: inQueue}, holders: queue{name: inHolders},
	}
}

// Receive implements protoactor's Actor.
func (a *keyActor) Receive(ctx actor.Context) {
	switch ctx.Message().(type) {
	case actor.SystemMessage, actor.AutoReceiveMessage:
		return
	}
	a.entry.handled++
	if a.entry.idle.Load() {
		a.entry.idle.Store(false)
	}
	a.handle(ctx.Message())
	if a.retired {
		ctx.Stop(ctx.Self())
		a.c.gone()
	}
}

// handle is one message, whole. A panic in it would restart the actor without
// its state, and its waiters would wait for ever: it fails them instead.
func (a *keyActor) handle(message any) {
	defer func() {
		if r := recover(); r != nil {
			err := fmt.Errorf("%w: key actor panicked: %v", backends.ErrUnavailable, r)
			a.c.warn("key actor panicked", "key", a.entry.key, "panic", r, "stack", string(debug.Stack()))
			a.answer(message, err)
			a.collapse(err)
		}
	}()
	now := a.c.clock.now()
	switch m := message.(type) {
	case acquire:
		a.arrive(m.hold, now)
	case abandon:
		a.leave(m.hold)
	case explain:
		m.why <- a.waitError(m.hold, now)
		a.leave(m.hold)
	case barrier:
		close(m.done)
	case release:
		a.release(m.hold, now)
	case extend:
		a.extend(m.extension, now)
	case disown:
		a.disown(m.disowning, now)
	case result:
		a.finish(m.call, now)
		now = a.c.clock.now() // what follows grants holds: their time starts now
	case wake:
		a.wake(m.kind, now)
	case tick:
		a.timerAt = 0
	case sweep:
		a.swept = false
	case snapshot:
		m.reply <- a.info(now)
	case shutdown:
		a.shutdown(now)
	default:
		panic(fmt.Sprintf("actors: unknown message %T", message))
	}
	a.advance(now)
}

// answer fails the sender of a message whose handling panicked before the
// message was anywhere that collapse, which follows, would find it.
func (a *keyActor) answer(message any, err error) {
	switch m := message.(type) {
	case acquire:
		if m.hold.listed == nowhere {
			a.refuse(m.hold, err)
		}
	case release:
		if m.hold.listed == inHolders { // else it was answered, or collapse does it
			m.hold.reply <- err
		}
	case extend:
		answerOnce(slices.Contains(a.extends, m.extension), m.done, err)
	case disown:
		answerOnce(slices.Contains(a.disowns, m.disowning), m.done, err)
	case explain:
		select {
		case m.why <- WaitError{Key: a.entry.key, Err: err}:
		default:
		}
	case snapshot:
		select {
		case m.reply <- Info{Key: a.entry.key}:
		default:
		}
	}
}

// answerOnce answers a request that outlasts its message, unless collapse will, or
// it has its answer: a second send would wait for ever if nobody is there to take
// it.
func answerOnce(listed bool, done chan<- error, err error) {
	if listed {
		return
	}
	select {
	case done <- err:
	default:
	}
}

// mostInPlace bounds the calls that are made in place for one message. A message
// needs fewer. But if a renewal takes longer than a third of the hold, the next is due
// when it returns, and the messages that wait would wait for ever.
const mostInPlace = 4

// advance brings the key from where a message left it to where it can be.
func (a *keyActor) advance(now instant) {
	for calls := 0; ; calls++ {
		a.expire(now)
		a.grant(now)
		if a.lease.own && a.holders.len == 0 && a.queue.len == 0 && a.lingers(now) {
			a.answerRelease(nil)
		}
		if a.call != nil || calls == mostInPlace { // then it is due, and arm sees to it
			break
		}
		c := a.next(now)
		if c == nil || !a.start(c) {
			break
		}
		now = a.c.clock.now()
		a.finish(c, now)
	}
	a.rejectTries(now)
	a.arm(now)
	a.rest(now)
}

// yields reports whether the lease has to go back before the next local grant:
// because another process waits and the budget of handoffs or time is used up,
// or because handoff is turned off, or because pollers get their gap; or because
// it was revoked.
func (a *keyActor) yields(now instant) bool {
	l := &a.lease
	switch {
	case l.revoked:
		return true
	case l.holds == 0 || !a.c.can.Exclusive:
		return false // what was just acquired is used at least once
	case a.c.cfg.NoHandoff:
		return true
	case l.contended && (l.passed >= maxN || now.sub(l.since) >= a.c.cfg.Tenure):
		return true
	case a.gap.due(now):
		return true
	}
	return false
}

// lingers reports whether a lease that nobody here needs stays for a while.
func (a *keyActor) lingers(now instant) bool {
	return a.c.cfg.Linger > 0 && !a.closing && !a.lease.contended && now < a.lingerUntil && !a.yields(now)
}

// wake takes a push: a hint that something changed at the backend.
func (a *keyActor) wake(kind backends.WakeKind, now instant) {
	switch kind {
	case backends.Given:
		// Ask now; or again, if we are asking and the answer is from before.
		a.woken = a.queue.len > 0 && !a.lease.own
	case backends.Wanted:
		// A push is faster than an answer: what is in flight may be answered by what was
		// true before somebody came, and then nobody would say it again for a heartbeat.
		if a.call != nil {
			a.call.wanted = true
		}
		if a.lease.own {
			a.lease.note(true, now)
		}
	case backends.Doubted:
		// Also for a call in flight: what answers it may be the server from before.
		a.doubted, a.renewRetry = now, 0
	case backends.Revoking:
		// The word may be of an earlier lease, or anybody's who may publish: it takes a
		// renewal to know. Nothing is granted before that; what lingers just goes.
		a.doubted, a.renewRetry = now, 0
		a.lingerUntil = 0
	case backends.Answering:
		a.retryNow()
	}
}

// retryNow ends the pause after a failure. A call in flight may still fail for the
// earlier reason; then the next follows at once.
func (a *keyActor) retryNow() {
	if a.call != nil {
		a.call.again = true
	}
	if a.failures > 0 {
		a.retryAt, a.renewRetry = 0, 0
	}
}

// pause returns how long to wait after c, the newest of some failures in a row.
func (a *keyActor) pause(c *call) time.Duration {
	if c.again {
		return 0
	}
	return backoff(a.failures)
}

// doubts reports whether the lease may be gone although its time is not over:
// since the backend said so, or since no renewal got through to a backend
// whose place another can take. What is held goes on, but for the renewal that
// is due now; nothing is granted until that has proved the lease.
func (a *keyActor) doubts() bool {
	return a.lease.own && (a.lease.renewed < a.doubted || a.lease.unproved && a.c.can.FailsOver)
}

// ages reports whether the lease can go without a push that says so: see
// proofLasts.
func (a *keyActor) ages() bool {
	return a.c.can.Exclusive && (a.c.can.FailsOver || !a.c.can.Wakes)
}

// stale reports whether the lease has to be proved before it can be handed on.
func (a *keyActor) stale(now instant) bool {
	return a.lease.own && a.ages() && now.sub(a.lease.renewed) > proofLasts
}

// grant gives the key to the waiters whose turn it is: one where the backend
// excludes, all where it does not. Nothing is granted on a lease that is past
// its deadline, that would end before the hold does, or that may be gone.
func (a *keyActor) grant(now instant) {
	for h := a.queue.first; h != nil; h = a.queue.first {
		if a.closing || a.busy() || a.settling != 0 ||
			!a.lease.fits(now, h.spec.Expires) || a.doubts() || a.stale(now) || a.yields(now) {
			return
		}
		a.dequeue(h)
		// A hold that its caller has abandoned by now is not granted: see waiting.
		// What the grant says must be there before the swap lets the caller read it.
		h.granted = now
		h.deadline = now.add(h.spec.Expires)
		if h.spec.Renew && h.spec.MaxHold > 0 {
			h.bound = now.add(h.spec.MaxHold)
			h.deadline = min(h.deadline, h.bound)
		}
		h.fence = a.lease.base<<10 | a.lease.n
		if !h.stage.CompareAndSwap(waiting, settled) {
			continue
		}
		if a.lease.holds > 0 {
			a.c.counters.handoffs.Add(1)
			if a.lease.contended {
				a.lease.passed++
			}
		}
		a.lease.n++
		a.lease.holds++
		a.c.counters.holds.Add(1)
		a.holders.push(h)
		h.reply <- nil
		a.answerRelease(nil)
	}
}
