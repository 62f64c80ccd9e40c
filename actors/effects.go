package actors

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/turnstile-go/turnstile/actors/machine"
	"github.com/turnstile-go/turnstile/backends"
)

// carryOut does what a step wants done. If the outcome of the last of it is there at
// once, it returns the event that says so; otherwise nil.
func (r *turn) carryOut() (next machine.Event) {
	for len(r.todo) > 0 {
		next = r.carryOutFirst()
	}
	return next
}

// carryOnOut does one thing after a panic, whose own panic would help nobody.
func (r *turn) carryOnOut() {
	defer func() { _ = recover() }()
	r.carryOutFirst()
}

func (r *turn) carryOutFirst() (next machine.Event) {
	e := &r.todo[0]
	r.todo = r.todo[1:]
	switch e.Kind {
	case machine.Offer:
		return r.offer(holdOf(e))
	case machine.Refuse:
		holdOf(e).settle(e.Err)
	case machine.TimeOut:
		r.timeOut(holdOf(e), *e.Why)
	case machine.Finish:
		holdOf(e).end(cmp.Or(e.Err, context.Canceled))
	case machine.End:
		r.end(holdOf(e), e.Err)
	case machine.Revoke:
		r.entry.counters.losses.Add(1)
		holdOf(e).end(e.Err)
		r.c.noteOf(holdOf(e), "hold revoked")
	case machine.Move:
		holdOf(e).publish()
	case machine.Wanted:
		holdOf(e).want()
	case machine.Released:
		holdOf(e).settle(e.Err)
	case machine.Extended:
		answer(e.Extension.Tag.(chan error), e.Err)
	case machine.Disowned:
		answer(e.Disowning.Tag.(chan error), e.Err)
	case machine.Ask:
		return r.ask(e.Call)
	case machine.Drop:
		switch c := e.Call.Tag.(type) {
		case context.CancelFunc:
			c()
		case *started:
			c.Answered(backends.Reply{}, backends.Unavailable(r.c.can.Name, context.Canceled))
		}
	case machine.Undo:
		r.undo(e.Call)
	case machine.Warn:
		r.noteFailing(holdOf(e), e)
	case machine.Leak:
		r.c.failed(e.Err)
	}
	return nil
}

func holdOf(e *machine.Effect) *Hold { return e.Hold.Tag.(*Hold) }

// answer fills a slot, unless it was filled before: after a panic a caller may be
// answered twice.
func answer(slot chan error, err error) {
	select {
	case slot <- err:
	default:
	}
}

// offer gives the key to a waiter, if it has not given up by now: see waiting. What
// the grant says must be there before the swap lets the caller read it, the counts too.
func (r *turn) offer(h *Hold) machine.Event {
	h.deadline = h.state.Deadline
	r.entry.counters.granted(h.state.Handoff, 1)
	if !h.settle(nil) {
		r.entry.counters.granted(h.state.Handoff, -1)
		return machine.Withdrawn{}
	}
	return machine.Taken{}
}

func (r *turn) timeOut(h *Hold, why machine.Why) {
	if h.stage.Load() == abandoned {
		return
	}
	e := r.waitError(h, why)
	r.entry.counters.timeouts.Add(1)
	if !h.settle(&e) {
		r.entry.counters.timeouts.Add(^uint64(0))
	}
}

func (r *turn) end(h *Hold, cause error) {
	switch {
	case h.state.Revoked(): // that was counted and told
		h.end(cause)
	case errors.Is(cause, backends.ErrExpired):
		r.entry.counters.expired.Add(1)
		h.end(cause)
		r.c.noteOf(h, "hold expired before its release", "held", h.state.Over.Sub(h.state.Granted))
	default:
		r.entry.counters.losses.Add(1)
		h.end(cause)
		r.c.noteOf(h, "hold lost", "cause", cause)
	}
}

// mostInPlace bounds the calls that are made in place for one message. A message
// needs fewer. But if a renewal takes longer than a third of the hold, the next is due
// when it returns, and the messages that wait would wait for ever.
const mostInPlace = 4

// ask makes a backend call beside the mailbox, or has a Starter begin it; its result
// comes as a message. A backend that only computes is called in place instead.
func (r *turn) ask(c *machine.Call) machine.Event {
	r.entry.counters.calls.Add(1)
	attempt := backends.Attempt{Key: r.entry.full}
	if c.Verb != machine.Looking {
		attempt = r.c.attempt(r.entry.full, c.Attempt)
		attempt.Kind, attempt.Ambiguous, attempt.Long, attempt.AtLeast = c.Kind, c.Ambiguous, c.Long, c.AtLeast
	}
	if r.c.can.Immediate && r.inPlace < mostInPlace {
		r.inPlace++
		r.c.call(r.c.ctx, c, attempt)
		r.now = r.c.clock.now()
		return machine.Answered{Call: c}
	}
	if r.c.starter != nil && c.Verb != machine.Looking {
		s := &started{by: r.c, entry: r.entry, call: c}
		c.Tag = s
		if r.c.start(s, attempt) {
			r.entry.mailbox.lone = s
		}
		return nil
	}
	entry, coordinator := r.entry, r.c
	ctx, cancel := context.WithTimeout(coordinator.ctx, c.Budget)
	c.Tag = cancel
	coordinator.dispatcher.Schedule(func() { // ends by the call's own timeout
		coordinator.call(ctx, c, attempt)
		cancel()
		entry.answer(result{c})
	})
	return nil
}

// A started call is with a Starter, which tells what came of it.
type started struct {
	by       *Coordinator
	entry    *entry
	call     *machine.Call
	run      func()      // the rest of a lone caller's call; else nil
	answered atomic.Bool // by the backend, or in its place after its panic or a Drop
}

// Answered implements backends.Asker. Drop calls it in the backend's place, too: the
// call itself ends later, by its deadline or with the backend.
func (s *started) Answered(reply backends.Reply, err error) {
	if !s.answered.CompareAndSwap(false, true) {
		return
	}
	s.call.Reply, s.call.Err = reply, err
	s.entry.answer(result{s.call})
}

// alone makes the rest of a lone caller's call, which takes at most the time that the
// backend gives it.
func (s *started) alone() {
	defer s.by.recovered(s)
	s.run()
}

// start has the Starter begin a call. It returns true if the rest of the call is for
// whoever runs the actor, to be made after the mailbox was given back.
func (c *Coordinator) start(s *started, a backends.Attempt) (lone bool) {
	defer c.recovered(s)
	m := s.call
	m.Chance = rand.Float64()
	m.Sent = c.clock.now()
	s.run = c.starter.Start(backends.Call{
		Verb: verbs[m.Verb], Known: m.Known, Deadline: time.Now().Add(m.Budget),
		Request: request(m, a),
	}, s)
	return s.run != nil
}

func request(m *machine.Call, a backends.Attempt) backends.Request {
	return backends.Request{
		Attempt: a, TTL: m.TTL, Label: m.Owner, Queue: m.Queue, Probe: m.Probe, Ask: m.Ask, Alive: m.Alive, N: int(m.N), Want: int(m.Want),
	}
}

// verbs are those of the calls that a Starter takes.
var verbs = [...]backends.Verb{
	machine.Acquiring: backends.Acquiring, machine.Renewing: backends.Renewing,
	machine.Releasing: backends.Releasing, machine.Cancelling: backends.Cancelling,
}

// recovered answers a call that panicked, unless it was answered before.
func (c *Coordinator) recovered(s *started) {
	if p := recover(); p != nil {
		s.Answered(backends.Reply{}, c.panicked(s.call, p))
	}
}

// panicked is the error of a call whose backend panicked: one key's trouble must not
// take the process down, nor the key's waiters with it.
func (c *Coordinator) panicked(m *machine.Call, p any) error {
	c.warn("backend panicked", "verb", m.Verb, "panic", p, "stack", string(debug.Stack()))
	return fmt.Errorf("%w: %v panicked: %v", backends.ErrUnavailable, m.Verb, p)
}

// undo cancels what a forgotten call may have got.
func (r *turn) undo(c *machine.Call) {
	coordinator, attempt := r.c, r.c.attempt(r.entry.full, c.Attempt)
	attempt.Kind = c.Kind
	attempt.Ambiguous = true // the cancel that followed the panic may have overtaken it

	coordinator.dispatcher.Schedule(func() { // ends by its timeout
		ctx, cancel := context.WithTimeout(coordinator.ctx, callTimeout)
		defer cancel()
		coordinator.call(ctx, &machine.Call{Verb: machine.Cancelling}, attempt)
	})
}

// call makes a backend call that blocks. A panic of the backend becomes an error.
func (c *Coordinator) call(ctx context.Context, m *machine.Call, a backends.Attempt) {
	defer func() {
		if r := recover(); r != nil {
			m.Reply, m.Err = backends.Reply{}, c.panicked(m, r)
		}
	}()
	m.Chance = rand.Float64()
	m.Sent = c.clock.now()
	switch m.Verb {
	case machine.Acquiring:
		m.Reply, m.Err = c.backend.Acquire(ctx, request(m, a))
	case machine.Renewing:
		if a.Kind == backends.Exclusive {
			m.Reply, m.Err = c.backend.Renew(ctx, a, m.TTL, m.Known)
		} else {
			m.Reply, m.Err = c.backend.(backends.Sharer).RenewShare(ctx, request(m, a), m.Known)
		}
	case machine.Releasing:
		m.Err = c.backend.Release(ctx, a)
	case machine.Cancelling:
		m.Err = backends.Cancel(ctx, c.backend, a)
	case machine.Looking:
		info, err := c.backend.(backends.Inspector).Inspect(ctx, a.Key)
		m.Info, m.Err = &info, err
	}
}
