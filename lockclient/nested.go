package lockclient

import (
	"context"
	"fmt"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// A within is a Lock as the context that those of its hold descend from: the acquire's
// ctx, which can name the Lock. The Lock itself serves as one, so that it costs nothing.
type within Lock

// holding is the key of a within's Lock among a context's values.
type holding struct{}

func (w *within) Deadline() (time.Time, bool) { return w.parent.Deadline() }
func (w *within) Done() <-chan struct{}       { return w.parent.Done() }
func (w *within) Err() error                  { return w.parent.Err() }

func (w *within) Value(key any) any {
	if key == (holding{}) {
		return (*Lock)(w)
	}
	return w.parent.Value(key)
}

// holderOf returns the hold of key in this client that ctx comes from and that goes on, the
// innermost one; nil if there is none.
//
//go:noinline
func (c *Client) holderOf(ctx context.Context, key string) *Lock {
	for {
		l, ok := ctx.Value(holding{}).(*Lock)
		if !ok || l.hold.Has(c.coordinator, key) {
			return l
		}
		ctx = l.parent
	}
}

// deadlock returns ErrDeadlock if ctx comes from a hold of key in this client that goes on,
// and a hold of that kind can't be beside it. Whether another can, the key's actor decides when it is
// asked for. Where a backend excludes nobody, each is granted at once.
func (c *Client) deadlock(ctx context.Context, key string, kind Kind) error {
	l := c.holderOf(ctx, key)
	if l == nil || !c.coordinator.Capabilities().Exclusive || kind != KindExclusive && kind == l.hold.Kind() {
		return nil
	}
	return fmt.Errorf("%w: the acquire's own ctx comes from a hold of key %q", backends.ErrDeadlock, key)
}
