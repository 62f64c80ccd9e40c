package actors

import (
	"fmt"
	"runtime/debug"
	"slices"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/turnstile-go/turnstile/actors/machine"
	"github.com/turnstile-go/turnstile/backends"
)

// A keyActor owns one key in this process, and another when it has retired from that. All that it decides is in its machine: a
// message becomes an event, the machine takes a step, and the actor carries out what
// the step wants done. Its fields are touched by receive alone.
type keyActor struct {
	// Immutable.
	c *Coordinator

	mailbox mailbox
	entry   *entry // of the key; immutable as long as the key is its own

	machine machine.Machine

	alarmAt instant // when a tick comes; 0: none does
	active  uint64  // entry.handled when the sweeper was told of this actor
	swept   bool    // the sweeper has it on its list
	slot    bool    // it has one of those for keys that linger
	retired bool
}

func newKeyActor(c *Coordinator, e *entry) *keyActor {
	a := &keyActor{c: c}
	a.mailbox.receiver = a
	a.own(e)
	return a
}

// own makes the actor the owner of a key that has none.
func (a *keyActor) own(e *entry) {
	a.machine = machine.Machine{}
	a.machine.Init(&a.c.machines, a)
	a.alarmAt, a.active = 0, 0
	a.swept, a.slot, a.retired = false, false, false
	e.full = a.c.cfg.Prefix + e.key
	e.key = e.full[len(a.c.cfg.Prefix):] // and what the caller gave is kept by nobody here
	e.mailbox = &a.mailbox
	a.entry = e
}

// Receive implements protoactor's Actor, for messages of the system.
func (a *keyActor) Receive(ctx actor.Context) {
	if _, ok := ctx.Message().(*actor.Stopped); ok {
		a.c.gone() // the actor's last message, and a worker's: Close waits for those
	}
}

// receive implements receiver.
func (a *keyActor) receive(message any) {
	a.entry.handled++
	if a.entry.idle.Load() {
		a.entry.idle.Store(false)
	}
	a.handle(message)
	if a.retired {
		a.c.directory.spare(a) // last: from here on it may own another key
	}
}

// A turn is the handling of one message.
type turn struct {
	*keyActor
	now   instant
	event machine.Event
	todo  []machine.Effect // of the newest step, not yet carried out

	waiting int // as counted last
	inPlace int // calls made in place
}

// handle is one message, whole. A panic in it would restart the actor without
// its state, and its waiters would wait for ever: it fails them instead.
func (a *keyActor) handle(message any) {
	r := turn{keyActor: a, now: a.c.clock.now(), waiting: a.machine.Waiters()}
	defer func() {
		if p := recover(); p != nil {
			r.panicked(message, p)
		}
	}()
	r.event = r.decode(message)
	look := r.run()
	a.arm(look, r.now)
	a.rest(r.now)
}

// decode returns the event of a message. Messages that only ask are answered here;
// after them the machine looks around, as after all others.
func (r *turn) decode(message any) machine.Event {
	switch m := message.(type) {
	case acquire:
		if m.hold.stage.Load() == abandoned {
			m.hold.state.CameAt(r.now)
			return machine.Tick{} // its own abandon follows
		}
		return machine.Arrive{Hold: &m.hold.state}
	case abandon:
		return r.left(m.hold)
	case explain:
		m.why <- r.waitError(m.hold, r.machine.Why(&m.hold.state, r.now))
		return r.left(m.hold)
	case barrier:
		close(m.done)
	case release:
		return machine.Release{Hold: &m.hold.state}
	case extend:
		return machine.Extend{Extension: m.Extension}
	case downgrade:
		return machine.Downgrade{Extension: m.Extension}
	case watch:
		return machine.Watch{Hold: &m.hold.state}
	case disown:
		return machine.Disown{Disowning: m.Disowning}
	case result:
		return machine.Answered{Call: m.Call}
	case wake:
		if m.Kind == backends.Gave {
			return machine.Gave{Attempt: m.Attempt, Ask: m.Ask, Base: m.Base, TTL: m.TTL, Contended: m.Contended}
		}
		return machine.Woken{Kind: m.Kind}
	case repetition:
		return *m.Repeated
	case tick:
		r.alarmAt = 0
	case sweep:
		r.swept = false
	case snapshot:
		m.reply <- r.info(r.now)
	case shutdown:
		return machine.Close{By: instant(r.c.closeBy.Load())}
	default:
		panic(fmt.Sprintf("actors: unknown message %T", message))
	}
	return machine.Tick{}
}

func (r *turn) left(h *Hold) machine.Event {
	r.entry.counters.timeouts.Add(1)
	return machine.Leave{Hold: &h.state}
}

// run takes the machine's steps, one after the other while what a step wants done
// has an outcome at once, and returns when to look again.
func (r *turn) run() instant {
	buffer := r.c.effects.Get().(*[]machine.Effect)
	for {
		effects, look := r.machine.Step(r.event, r.now, *buffer)
		*buffer = effects
		r.todo = effects
		r.event = r.carryOut()
		clear(effects)
		if r.event == nil {
			if cap(*buffer) <= keptEffects {
				r.c.effects.Put(buffer)
			}
			r.countWaiters()
			return look
		}
	}
}

// crowd is how many wait when acquires are no longer handled where they are.
const crowd = 128

// countWaiters counts those who came and went since the last time.
func (r *turn) countWaiters() {
	if n := r.machine.Waiters(); n != r.waiting {
		r.entry.counters.waiters.Add(int64(n - r.waiting))
		r.waiting = n
		if crowded := n >= crowd; crowded != r.entry.crowded.Load() {
			r.entry.crowded.Store(crowded)
		}
	}
}

// keptEffects is the most that a buffer may hold to be used again: a burst that
// answers a hundred thousand waiters must not stay.
const keptEffects = 64

// panicked tells all that depend on the key, and leaves the rest to the next
// message.
func (r *turn) panicked(message, p any) {
	err := fmt.Errorf("%w: key actor panicked: %v", backends.ErrUnavailable, p)
	r.c.warn("key actor panicked", "key", r.entry.key, "panic", p, "stack", string(debug.Stack()))
	switch m := message.(type) {
	case explain:
		select {
		case m.why <- WaitError{Key: r.entry.key, Err: err}:
		default:
		}
	case snapshot:
		select {
		case m.reply <- Info{Key: r.entry.key}:
		default:
		}
	}
	left := r.todo
	effects, look := r.machine.Step(machine.Panicked{Event: r.event, Err: err}, r.c.clock.now(), nil)
	r.countWaiters()
	// The machine has forgotten an offer or a call that was not carried out.
	left = slices.DeleteFunc(left, func(e machine.Effect) bool { return e.Kind == machine.Offer || e.Kind == machine.Ask })
	for r.todo = slices.Concat(left, effects); len(r.todo) > 0; {
		r.carryOnOut()
	}
	r.arm(look, r.now)
	r.rest(r.now)
}

// arm sets the alarm for the next look. It is left alone when it comes sooner
// anyway: to set it for each hold of a hot key would cost more than a tick in
// vain now and then.
func (a *keyActor) arm(at, now instant) {
	if at == 0 || a.alarmAt != 0 && at >= a.alarmAt && a.entry.alarms().gained.Load() == a.c.clock.ahead.Load() {
		return
	}
	a.alarmAt = at
	a.entry.alarms().set(a.entry, at, now)
}

// rest puts an actor with nothing to do on the sweeper's list, and retires one
// that has had nothing to do ever since.
func (a *keyActor) rest(now instant) {
	if a.retired || !a.machine.Idle() {
		return
	}
	a.entry.idle.Store(true)
	a.giveSlot()
	closing := a.machine.Closing()
	if a.swept && !closing {
		return
	}
	if (closing || a.entry.handled == a.active+1) && a.c.directory.retire(a.entry) {
		a.retired = true
		a.entry.alarms().drop(a.entry)
		return
	}
	if !closing {
		a.swept, a.active = true, a.entry.handled
		a.c.sweeper.add(a.entry, now)
	}
}
