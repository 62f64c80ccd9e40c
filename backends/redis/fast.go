package redis

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/scripts"
)

// fastMost is how many keys one call of the script fast takes at most: a Lua stack holds
// no more of their names.
const fastMost = 256

const _ = uint(fastMost - batchMost) // so one call is enough for a batch

// A fastCall is one request of the script fast: the acquires and releases of any number of
// quiet keys, each of which is a command.
//
// Each command gets its own part of the reply, or the error of the whole request:
//
//	the part is the attempt's and makes sense   it is the answer
//	it says "ask in full"                       nothing was done: the command travels again, by its verb's script
//	the script is missing                       nothing was done: the request is sent with its source
//	several keys are refused together           nothing was done: each travels again, by a request of its own
//	anything else                               what judge says of the error
type fastCall struct {
	*goredis.StringCmd // of this request alone

	items   []*command // releases first
	written atomic.Bool

	// For the driver to serialize; see command.
	args  []any
	text  string // of the script, or its SHA
	keys  int
	frees int
	last  []byte
}

// load begins a request for some commands, of which those that are releases go first.
func (f *fastCall) load(items ...*command) {
	f.items, f.frees, f.keys = f.items[:0], 0, 2*len(items)
	f.args = append(f.args[:0], nil, nil, &f.keys)
	for _, verb := range []backends.Verb{backends.Releasing, backends.Acquiring} {
		for _, c := range items {
			if c.call.Verb == verb {
				f.items = append(f.items, c)
				f.args = append(f.args, &c.texts[0], &c.texts[1])
			}
		}
	}
	f.args = append(f.args, &f.frees)
	for _, c := range f.items {
		if c.call.Verb == backends.Releasing {
			f.frees++
		}
		for i := 2; i < len(c.texts); i++ {
			f.args = append(f.args, &c.texts[i])
		}
	}
	lastItem := f.items[len(f.items)-1]
	f.last = append(f.last[:0], lastItem.texts[len(lastItem.texts)-1]...)
	f.args[len(f.args)-1] = f
	f.bySHA()
}

func (*fastCall) of() *scripts.Script { return scripts.Fast }

func (f *fastCall) bySHA() { f.renew("evalsha", scripts.Fast.SHA()) }

func (f *fastCall) bySource() { f.renew("eval", scripts.Fast.Source()) }

func (f *fastCall) renew(verb, script string) {
	f.written.Store(false)
	f.text = script
	f.args[0], f.args[1] = verb, &f.text
	f.StringCmd = goredis.NewStringCmd(context.Background(), f.args...)
}

// NoRetry keeps the driver from sending it twice; see command.
func (*fastCall) NoRetry() bool { return true }

// MarshalBinary is the last argument's text; see command.
func (f *fastCall) MarshalBinary() ([]byte, error) {
	f.written.Store(true)
	return f.last, nil
}

// silent reports whether nothing at all became of the request.
func (f *fastCall) silent() bool { return f.Err() == nil && f.Val() == "" }

// refusedTogether reports whether the server refused the request at the door for a reason
// that need not concern each of its keys: the user may not use one of them, or they are in different slots.
// The latter is so where a client of one server talks to a Cluster of one node.
func (f *fastCall) refusedTogether() bool {
	var reply goredis.Error
	if len(f.items) == 1 || !errors.As(f.Err(), &reply) || strings.Contains(reply.Error(), scripts.Fast.SHA()) {
		return false
	}
	return strings.HasPrefix(reply.Error(), "NOPERM") || strings.HasPrefix(reply.Error(), "CROSSSLOT")
}

// deal gives each command its part of the reply. It returns false if the commands must not
// travel together.
func (f *fastCall) deal() (together bool) {
	parts, err, written := f.Val(), f.Err(), f.written.Load()
	complete := strings.Count(parts, " ")+1 == len(f.items)
	if err == nil {
		err = goredis.Nil // for judge: an answer, and none of the script's
	}
	together = !f.refusedTogether()
	for _, c := range f.items {
		c.written.Store(written)
		c.did, c.failed, c.apart = false, err, !together
		var part string
		if part, parts, _ = strings.Cut(parts, " "); complete && c.understands(part) {
			c.failed = nil
		}
	}
	clear(f.items)
	clear(f.args)
	return together
}

// understands reads the command's part of a reply. It returns false if that is no answer to
// the command's attempt.
func (c *command) understands(part string) (ok bool) {
	if c.call.Verb == backends.Releasing {
		c.did, ok = scripts.ReadFree(part, c.texts[2])
		return ok
	}
	c.base, ok = scripts.ReadTake(part, c.texts[2])
	c.did = c.base != 0
	return ok
}

// makeFast makes the command an item of a fastCall.
func (c *command) makeFast() {
	c.fast, c.script, c.first = true, scripts.Fast, false
	c.did, c.failed = false, nil
	c.written.Store(false)
	keys := scripts.Pair(c.call.Key)
	c.texts = append(c.texts[:0], keys[0], keys[1], c.call.Token.Wire())
	if c.call.Verb == backends.Acquiring {
		c.texts = append(c.texts, millis(c.call.TTL), c.call.Label)
	}
}

// wantsFull reports whether its key is not quiet, as far as the script fast can tell, and
// nothing was done.
func (c *command) wantsFull() bool { return c.fast && c.failed == nil && !c.did }

// readFast reads the answer of the script fast about a quiet key.
func (b *Backend) readFast(c *command) backends.Reply {
	if c.call.Verb == backends.Releasing {
		return backends.Reply{}
	}
	ttl := max(time.Millisecond, (c.call.TTL + time.Millisecond - 1).Truncate(time.Millisecond))
	reply := backends.Reply{Outcome: backends.Granted, Base: c.base, TTL: ttl}
	b.noteAcquired(c, &reply)
	return reply
}
