package redis

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/scripts"
)

// run executes one script in one request. Inspect and Revoke ask no more of it than
// this: either the script's reply, or a fault that says whether it may have run. How
// requests travel together is the batcher's business.
func (b *Backend) run(ctx context.Context, s *scripts.Script, key string, args ...string) (any, *fault) {
	if err := b.ready(ctx); err != nil {
		return nil, &fault{outcome: backends.NotRun, err: err}
	}
	c := newCommand(s, key, args...)
	c.deadline, _ = ctx.Deadline()
	v, f := b.travel(ctx, c)
	if f == nil {
		c.recycle()
	}
	return v, f
}

// travel has a command sent and waits for its reply. The command may be recycled after
// a reply; after a fault it is left to the collector, since a batch may still write to it.
func (b *Backend) travel(ctx context.Context, c *command) (any, *fault) {
	key := c.key() // later its flusher may be at it
	if outcome, settled := b.batcher(ctx, key).do(ctx, c); !settled {
		b.memory.doubt(key, outcome)
		return nil, &fault{outcome: outcome, err: backends.Interrupted(ctx, name)}
	}
	v, f := b.answer(ctx, c)
	if f != nil && f.wrongType {
		f.err = b.nameWrongType(ctx, scripts.ShareKeys(key), f.err)
	}
	return v, f
}

// answer is what came of a command that is settled.
func (b *Backend) answer(ctx context.Context, c *command) (any, *fault) {
	v, err := c.answer()
	if err != nil {
		f := b.judge(ctx, c.script, c.key(), err, c.written.Load())
		b.memory.doubt(c.key(), f.outcome)
		return nil, f
	}
	once(&b.let)
	return v, nil
}

// ready says why nothing is to be sent at all; nil if there is no reason.
func (b *Backend) ready(ctx context.Context) error {
	switch {
	case b.closed.Load():
		return errClosed
	case ctx.Err() != nil:
		return backends.Interrupted(ctx, name)
	}
	return b.topology.refusal
}

// batcher is where the requests of a key travel.
func (b *Backend) batcher(ctx context.Context, key string) *batcher {
	if b.routes == nil {
		return b.batch
	}
	if q := b.routes.of(ctx, key); q != nil {
		return q
	}
	return b.batch // what ails the Cluster is the request's to find out
}

// A command is a script's request. It is never sent again by the driver, and
// it knows whether it was ever given to a connection.
//
// It goes back to its pool once its answer was read, and only then: a command
// whose caller left may still be written to by the flush that carries it.
type command struct {
	*goredis.Cmd // of this request alone: the driver keeps a Cluster slot in it

	script   *scripts.Script
	first    bool      // it overtakes the others that wait: a renewal, since its lease runs out
	deadline time.Time // until when its caller waits
	state    atomic.Uint32
	done     chan struct{} // one slot; the flush sends once, if it settles the command
	written  atomic.Bool

	// Of a call: to write its request, and to read the reply.
	call   backends.Call
	pace   pacing
	push   string
	mark   bool // the server has to remember the attempt once it is over: see doubtful
	shared bool // shares of its key are out, as far as is known
	inbox  *inbox

	// Of a call about a quiet key, as far as is known: see fastCall.
	fast   bool     // it travels as a part of one; otherwise Cmd is its request
	apart  bool     // with others it was refused
	failed error    // it has no part of the reply
	did    bool     // the server did it; otherwise it has to be asked in full
	base   uint64   // of a granted acquire
	lone   fastCall // for itself alone

	// Of a call that was started, and waits on no goroutine: see start.go.
	to         backends.Asker // nil: a caller waits for done
	backend    *Backend
	batcher    *batcher
	prev, next *command // in batcher.begun
	read       bool     // its flusher's: finish has read its reply
	run        func()   // alone, bound once

	// What the driver serializes. args holds pointers to text and into texts, which
	// spares an allocation each; the last argument is the command itself.
	args  []any
	text  string // of the script, or its SHA
	texts []string
	last  []byte
}

var commands = sync.Pool{New: func() any { return &command{done: make(chan struct{}, 1)} }}

// newCommand builds an EVALSHA.
func newCommand(s *scripts.Script, key string, args ...string) *command {
	c := blankCommand()
	c.build(s, key, args...)
	return c
}

// blankCommand is one that has no request yet.
func blankCommand() *command {
	c := commands.Get().(*command)
	c.state.Store(waiting)
	return c
}

// build makes the command a request of its own.
func (c *command) build(s *scripts.Script, key string, args ...string) {
	c.script, c.first, c.fast = s, s == scripts.Renew || s == scripts.RenewShare, false
	keys := s.Keys(key)
	c.texts = append(append(c.texts[:0], keys...), args...)
	c.args = append(c.args[:0], nil, nil, len(keys))
	for i := range c.texts {
		c.args = append(c.args, &c.texts[i])
	}
	c.last = append(c.last[:0], c.texts[len(c.texts)-1]...)
	c.args[len(c.args)-1] = c
	c.bySHA()
}

// key is the lock that the command is about.
func (c *command) key() string { return c.texts[0] }

// of is its script.
func (c *command) of() *scripts.Script { return c.script }

// bySHA makes it a request that the server may not know the script of.
func (c *command) bySHA() { c.renew("evalsha", c.script.SHA()) }

// bySource makes it a request that brings the script along, and leaves it with
// the server for those that follow.
func (c *command) bySource() { c.renew("eval", c.script.Source()) }

// renew forgets what became of the request so far, which nothing ran of.
func (c *command) renew(verb, script string) {
	c.written.Store(false)
	c.text = script
	c.args[0], c.args[1] = verb, &c.text
	c.Cmd = goredis.NewCmd(context.Background(), c.args...)
}

// recycle hands the command back; nobody else may know it any more.
func (c *command) recycle() {
	c.Cmd, c.inbox, c.to, c.backend, c.batcher = nil, nil, nil, nil, nil
	c.call, c.mark, c.shared, c.apart, c.did, c.failed = backends.Call{}, false, false, false, false, nil
	c.lone.StringCmd = nil
	clear(c.texts) // they are large, and one of them is a secret
	clear(c.last)
	clear(c.lone.last)
	commands.Put(c)
}

// NoRetry keeps the driver from sending a script twice, or a pipeline that has
// one in it. MaxRetries: -1 alone does not: the cluster client retries on its own.
func (*command) NoRetry() bool { return true }

// MarshalBinary is the last argument's text. go-redis asks an argument for its
// bytes in one place, when it writes the command; so this is where the command
// learns that it is on its way, and judge rests on that: a server runs nothing
// of a request whose end it can't have seen.
func (c *command) MarshalBinary() ([]byte, error) {
	c.written.Store(true)
	return c.last, nil
}

// Err is the request's error.
func (c *command) Err() error {
	if c.fast {
		return c.failed
	}
	return c.Cmd.Err()
}

// SetErr says what went wrong with the request.
func (c *command) SetErr(err error) {
	if c.fast {
		c.failed = err
		return
	}
	c.Cmd.SetErr(err)
}

// silent reports whether nothing at all became of the request.
func (c *command) silent() bool { return c.Cmd.Err() == nil && c.Val() == nil }

// answer is the script's reply; of a fast command it is in did and base. When a pipeline breaks, the driver marks all
// its commands with the error, those included that were answered before; their
// reply was read whole and stands. (A script's reply is always an array; the
// driver leaves a nil one where it could not read to the end.)
func (c *command) answer() (any, error) {
	if c.fast {
		return nil, c.failed
	}
	err := c.Cmd.Err()
	if reply, ok := c.Val().([]any); ok && reply != nil {
		err = nil
	}
	return c.Val(), err
}

// answered tells whether it has its script's reply.
func (c *command) answered() bool {
	_, err := c.answer()
	return err == nil
}

// unknown tells whether the server didn't know the script: nothing ran.
func (c *command) unknown() bool {
	err := c.Err()
	return err != nil && refusedAs(err, "NOSCRIPT")
}

// refusedAs reports whether the server refused a request by an error that begins so.
func refusedAs(err error, prefix string) bool {
	var reply goredis.Error
	return errors.As(err, &reply) && strings.HasPrefix(reply.Error(), prefix)
}
