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

// mark has every release and cancel settle its attempt.
const mark = "1"

// ask builds the command of a call.
func (b *Backend) ask(of backends.Call) *command {
	var c *command
	wire, push := of.Token.Wire(), b.pushes.push()
	in := b.inbox.Load()
	switch of.Verb {
	case backends.Acquiring:
		pace := pacing{probe: of.Probe, queued: of.Queue, hears: in.hearing()}
		pace.seldom = !pace.hears && in.denied()
		c = newCommand(scripts.Acquire, of.Key, wire, millis(of.TTL), of.Label, pace.wait(), push)
		c.pace = pace
	case backends.Renewing:
		c = newCommand(scripts.Renew, of.Key, wire, millis(of.TTL), strconv.FormatUint(of.Known, 10))
	case backends.Releasing:
		in.ends(of.Token)
		c = newCommand(scripts.Release, of.Key, wire, mark, push)
	case backends.Cancelling:
		in.ends(of.Token)
		c = newCommand(scripts.Cancel, of.Key, wire, mark, push)
	default:
		panic("redis: a call of an " + of.Verb.String())
	}
	c.call, c.push, c.inbox = of, push, in
	return c
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

// read is what a script's reply means to the call.
func (b *Backend) read(c *command, v any) (reply backends.Reply, err error) {
	var messages []told
	switch c.call.Verb {
	case backends.Acquiring:
		return b.readAcquired(c, v)
	case backends.Renewing:
		if reply, err = readRenew(v); c.inbox != nil {
			c.inbox.noteRenewal(c.call.Attempt, &reply, err)
		}
		return reply, err
	case backends.Releasing:
		_, messages, err = readRelease(v, c.push)
	case backends.Cancelling:
		_, messages, err = readCancel(v, c.push)
	}
	b.deliver(messages)
	return backends.Reply{}, err
}

func (b *Backend) readAcquired(c *command, v any) (backends.Reply, error) {
	reply, _, messages, err := readAcquire(v, c.push, c.pace)
	b.deliver(messages)
	if errors.Is(err, backends.ErrSettled) {
		return backends.Reply{Outcome: backends.NotRun}, err
	}
	if err != nil {
		return backends.Reply{Outcome: backends.MayHaveRun}, err
	}
	if reply.Outcome == backends.Granted {
		once(&b.granted)
	}
	if c.inbox != nil {
		c.inbox.note(c.call.Request, &reply)
	}
	return reply, nil
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
