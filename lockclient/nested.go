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

// deadlock returns ErrDeadlock if ctx comes from a hold of key in this client that goes
// on. Where a backend excludes nobody, such an acquire is granted at once.
func (c *Client) deadlock(ctx context.Context, key string) error {
	for {
		l, ok := ctx.Value(holding{}).(*Lock)
		switch {
		case !ok:
			return nil
		case l.hold.Has(c.coordinator, key) && c.coordinator.Capabilities().Exclusive:
			return fmt.Errorf("%w: the acquire's own ctx comes from a hold of key %q", backends.ErrDeadlock, key)
		}
		ctx = l.parent
	}
}
