package redis

import (
	"context"
	"errors"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/scripts"
)

// Acquire makes one attempt; see backends.Backend.
func (b *Backend) Acquire(ctx context.Context, r backends.Request) (backends.Reply, error) {
	return b.call(ctx, backends.Call{Verb: backends.Acquiring, Request: r})
}

// Renew makes the lease last ttl from now; see backends.Backend.
func (b *Backend) Renew(ctx context.Context, a backends.Attempt, ttl time.Duration, known uint64) (backends.Reply, error) {
	return b.call(ctx, backends.Call{Verb: backends.Renewing, Request: backends.Request{Attempt: a, TTL: ttl}, Known: known})
}

// Release gives the lease back; see backends.Backend.
func (b *Backend) Release(ctx context.Context, a backends.Attempt) error {
	_, err := b.call(ctx, backends.Call{Verb: backends.Releasing, Request: backends.Request{Attempt: a}})
	return err
}

// Cancel ends an attempt that nobody awaits; see backends.Canceler.
func (b *Backend) Cancel(ctx context.Context, a backends.Attempt) error {
	_, err := b.call(ctx, backends.Call{Verb: backends.Cancelling, Request: backends.Request{Attempt: a}})
	return err
}

// call makes a call and waits for its answer.
func (b *Backend) call(ctx context.Context, of backends.Call) (backends.Reply, error) {
	if err := b.ready(ctx); err != nil {
		return backends.Reply{Outcome: backends.NotRun}, err
	}
	c := b.ask(of)
	c.deadline, _ = ctx.Deadline()
	v, f := b.travel(ctx, c)
	if f != nil {
		return f.reply()
	}
	defer c.recycle()
	return b.read(c, v)
}

// ask builds the command of a call.
func (b *Backend) ask(of backends.Call) *command {
	in := b.inbox.Load()
	c := blankCommand()
	c.call, c.push, c.inbox = of, b.pushes.push(), in
	switch of.Verb {
	case backends.Acquiring:
		c.pace = pacing{probe: of.Probe, queued: of.Queue, hears: in.hearing()}
		c.pace.seldom = !c.pace.hears && in.denied()
		if !c.pace.hears && in != nil {
			c.pace.crowd = in.beater.crowded()
		}
		if c.pace.repeats = in.repeats(); c.pace.repeats && of.Probe > 0 {
			in.beater.drop(of.Key)
		}
	case backends.Releasing, backends.Cancelling:
		in.ends(of.Token)
		if of.Verb == backends.Cancelling && in.repeats() {
			in.beater.drop(of.Key)
		}
	}
	var quiet bool
	if quiet, c.mark = b.memory.way(of); quiet {
		c.makeFast()
	} else {
		c.shared = b.memory.shares(of.Key)
		c.makeFull()
	}
	return c
}

// makeFull makes the command a request of its verb's script.
func (c *command) makeFull() {
	if c.byShares() {
		c.makeShare()
		return
	}
	of, wire := c.call, c.call.Token.Wire()
	switch of.Verb {
	case backends.Acquiring:
		c.build(scripts.Acquire, of.Key, wire, millis(of.TTL), of.Label, c.pace.wait(),
			strconv.FormatUint(of.Ask, 10), millis(c.pace.keeps(lives(of.Request))), c.push)
	case backends.Renewing:
		c.build(scripts.Renew, of.Key, wire, millis(of.TTL), strconv.FormatUint(of.Known, 10))
	case backends.Releasing:
		if of.AtLeast > 0 {
			c.build(scripts.Rest, of.Key, wire, c.marks(), c.push, millis(of.AtLeast))
			return
		}
		c.build(scripts.Release, of.Key, wire, c.marks(), c.push)
	case backends.Cancelling:
		c.build(scripts.Cancel, of.Key, wire, c.marks(), c.push)
	default:
		panic("redis: a call of an " + of.Verb.String())
	}
}

// keeps is for how long a request keeps its attempt alive, at least for alive: longer than until it polls again.
func (p pacing) keeps(alive time.Duration) time.Duration {
	return max(alive, time.Duration(p.crowd)*pollCrowd+beatGrace)
}

// wait is acquire's argument for an attempt of this pace.
func (p pacing) wait() string {
	switch {
	case p.queued && p.hears:
		return "1"
	case p.queued && p.seldom:
		return "3"
	case p.queued:
		return "2"
	}
	return "0"
}

// marks is release's and cancel's argument: whether the server has to remember the attempt.
func (c *command) marks() string { return scripts.Flag(c.mark) }

// read is what a script's reply means to the call.
func (b *Backend) read(c *command, v any) (reply backends.Reply, err error) {
	if c.fast {
		return b.readFast(c), nil
	}
	if c.byShares() {
		reply, err = b.readShared(c, v)
	} else if c.call.Verb == backends.Renewing {
		if reply, err = readRenew(v, c.call.Token); c.inbox != nil {
			c.inbox.noteRenewal(c.call.Attempt, &reply, err)
		}
	} else {
		var messages []told
		var quiet bool
		switch c.call.Verb {
		case backends.Acquiring:
			reply, quiet, messages, err = b.readAcquired(c, v)
		case backends.Releasing:
			quiet, messages, err = readRelease(v, c.call.Token, c.push)
		case backends.Cancelling:
			quiet, messages, err = readCancel(v, c.call.Token, c.push)
		}
		b.deliver(messages)
		b.memory.found(c.call.Key, quiet)
	}
	if malformedReply(err) {
		b.memory.doubt(c.call.Key, backends.MayHaveRun) // the reply makes no sense
		b.dialer.mistrust()
	}
	return reply, err
}

// malformedReply reports whether an error of reading a reply says that it makes no sense.
func malformedReply(err error) bool {
	return err != nil && !errors.Is(err, backends.ErrNotHeld) && !errors.Is(err, backends.ErrSettled)
}

func (b *Backend) readAcquired(c *command, v any) (backends.Reply, bool, []told, error) {
	reply, quiet, messages, err := readAcquire(v, c.call.Token, c.push, c.pace)
	b.settleAcquired(c, &reply, err)
	return reply, quiet, messages, err
}

// settleAcquired completes what was read of an answer to an acquire.
func (b *Backend) settleAcquired(c *command, reply *backends.Reply, err error) {
	switch {
	case errors.Is(err, backends.ErrSettled):
		reply.Outcome = backends.NotRun
	case err != nil:
		reply.Outcome = backends.MayHaveRun
	default:
		b.noteAcquired(c, reply)
	}
}

// noteAcquired takes from an answer what the session has to know from then on.
func (b *Backend) noteAcquired(c *command, reply *backends.Reply) {
	// A place in the queue takes a write as a lease does. A session may get all its leases by pushes.
	if reply.Outcome == backends.Granted || c.call.Queue {
		once(&b.wrote)
	}
	if c.inbox == nil {
		return
	}
	c.inbox.note(c.call.Request, reply)
	if reply.Outcome == backends.Held && reply.Retry > heartbeat { // by pacing.retry
		c.inbox.beater.add(b.batcher(context.Background(), c.call.Key), c.call.Attempt, reply.FreeIn)
	}
}

// once sets a flag that many cores read, and writes to it no more than it must.
func once(flag *atomic.Bool) {
	if !flag.Load() {
		flag.Store(true)
	}
}

// millis is a lease in the server's unit, rounded up so that it is never
// shorter than what was asked for.
func millis(d time.Duration) string {
	ms := (d + time.Millisecond - 1) / time.Millisecond
	return strconv.FormatInt(max(1, int64(ms)), 10)
}
