package redis

import (
	"context"
	"fmt"
	"time"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/scripts"
)

// Start begins a call, which belongs to no goroutine until it is answered; see
// backends.Starter.
//
//	nobody is on the way, and round trips are quick   run is the rest of the call
//	otherwise                                         a flusher takes it along, and finishes it
//	its deadline passes before                        the batcher finishes it: see begun
//	the backend is closed, or of no use               run only says so
func (b *Backend) Start(of backends.Call, to backends.Asker) (run func()) {
	if err := b.ready(context.Background()); err != nil {
		return func() { to.Answered(backends.Reply{Outcome: backends.NotRun}, err) }
	}
	if b.routes != nil && !b.routes.known.Load() {
		return b.startBlocking(of, to)
	}
	c := b.ask(of)
	c.to, c.backend, c.deadline = to, b, of.Deadline
	c.batcher = b.batcher(context.Background(), of.Key)
	if !c.batcher.join(c) {
		return nil // it may be another call's by now
	}
	if c.run == nil {
		c.run = c.alone
	}
	return c.run
}

// startBlocking makes a call whose way the driver may have to ask for first, which
// would block. That is so until a Cluster has answered once.
func (b *Backend) startBlocking(of backends.Call, to backends.Asker) (run func()) {
	if b.batch.spawn(func() { // ends by the call's deadline
		ctx, cancel := context.WithDeadline(context.Background(), of.Deadline)
		defer cancel()
		to.Answered(b.call(ctx, of))
	}) {
		return nil
	}
	return func() { to.Answered(backends.Reply{Outcome: backends.NotRun}, errClosed) }
}

// alone sends a started command on its caller's goroutine, and finishes it.
func (c *command) alone() {
	if c.state.Load() != settled {
		by := time.Now().Add(c.backend.aloneBudget)
		if c.deadline.Before(by) {
			by = c.deadline
		}
		ctx, cancel := context.WithDeadline(context.Background(), by)
		c.batcher.sendAlone(ctx, c)
		cancel()
	}
	if c.finish() {
		c.recycle()
	}
}

// finish reads the answer of a started command that is settled, and tells its asker. It
// returns true if the command may be recycled: not after a fault. A panic becomes the
// asker's error: one key's trouble must not take the process down, nor the others of its
// batch with it.
func (c *command) finish() (recyclable bool) {
	b, to, told := c.backend, c.to, false
	defer func() {
		if p := recover(); p != nil && !told {
			b.memory.doubt(c.call.Key, backends.MayHaveRun)
			to.Answered(backends.Reply{}, fmt.Errorf("%w: reading the answer panicked: %v", backends.ErrUnavailable, p))
		}
	}()
	v, err := c.answer()
	if err != nil {
		told = true
		c.fail()
		return false
	}
	once(&b.let)
	reply, err := b.read(c, v)
	told = true
	to.Answered(reply, err)
	return true
}

// fail tells the asker of a command's fault. To name a key of a wrong type takes a round
// trip, for which neither the flusher nor a lone caller waits.
func (c *command) fail() {
	ctx, cancel := context.WithDeadline(context.Background(), c.deadline)
	_, f := c.backend.answer(ctx, c)
	if f.wrongType && c.batcher.spawn(func() { // ends by the call's deadline
		defer cancel()
		f.err = c.backend.nameWrongType(ctx, scripts.ShareKeys(c.key()), f.err)
		c.to.Answered(f.reply())
	}) {
		return
	}
	cancel()
	c.to.Answered(f.reply())
}
