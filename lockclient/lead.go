package lockclient

import (
	"context"

	"github.com/turnstile-go/turnstile/backends"
)

// Lead elects a leader among all that call it with the same key, and runs f while this
// process leads. It waits for the key, without a bound of its own unless the option Timeout
// is given: Config.Timeout is not about elections. The hold is renewed, and f gets its
// fence, which each later leader's is greater than.
//
// The ctx that f gets is ctx, and also ends when the hold does, with the hold's cause. f
// must return then, since another may lead by now. Lead waits until it has, drops what it
// returned, and waits for the key again: behind the others where the backend is fair, which
// memcached is not. So f may run many times, and never twice at a time.
//
// If f returns while this process leads, Lead releases the key, and returns f's error, or
// joins it with that of the release. If f panics, the key is released, too. Otherwise Lead
// returns the error of Acquire when the key can't be had: ctx's, when that has ended;
// ErrTimeout after the option Timeout, which counts anew after each loss; ErrClosed, when
// the client was closed.
//
// With Shared or Slots it is ErrInvalid.
//
// With MaxHold a leader steps down after that time, and takes its turn again. A revocation
// (turnstile release --force) makes it step down at once.
func (c *Client) Lead(ctx context.Context, key string, f func(ctx context.Context, fence uint64) error, opts ...Option) error {
	o := c.defaults(ctx)
	o.Renew, o.Timeout = true, Forever
	o, err := c.options(o, opts)
	if err != nil {
		return err
	}
	if kind, _ := kindOf(&o); kind != backends.Exclusive {
		return invalid("Lead: a leader's hold is exclusive")
	}
	for {
		lost, err := c.under(ctx, key, o, func(ctx context.Context, l *Lock) error { return f(ctx, l.Fence()) })
		if !lost {
			return err
		}
	}
}
