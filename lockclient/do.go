package lockclient

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/turnstile-go/turnstile/backends"
)

// Do runs f under a hold of key, which is renewed until f returns, unless the
// option NoRenew is given. The ctx that f gets is ctx, and also ends when the hold
// does, with the hold's cause. f should return then, since the key may be
// another's. The hold is released when f returns or panics. Do returns the error of
// Acquire, or joins the errors of f and of the release. A release that finds the
// hold ended already reports ErrNotHeld and how it ended, so a nil result says that
// f ran under the lock to its end.
func (c *Client) Do(ctx context.Context, key string, f func(context.Context) error, opts ...Option) (err error) {
	o := c.defaults(ctx)
	o.Renew = true
	if o, err = c.options(o, opts); err != nil {
		return err
	}
	_, err = c.under(ctx, key, o, func(ctx context.Context, _ *Lock) error { return f(ctx) })
	return err
}

// under acquires key and runs f under it: see Do. It reports whether f ran, and the hold
// had ended before its release; err then says how, too.
func (c *Client) under(ctx context.Context, key string, o options, f func(context.Context, *Lock) error) (lost bool, err error) {
	lock, err := c.acquire(ctx, key, o)
	if err != nil {
		return false, err
	}
	held := lock.Context()
	defer func() {
		released := lock.Release()
		lost = errors.Is(released, ErrNotHeld)
		if how := context.Cause(held); lost && how != nil {
			released = backends.Wrap(released, "", how) // it says more
		}
		switch {
		case err == nil:
			err = released
		case released != nil:
			err = errors.Join(err, released)
		}
	}()

	ctx, cancel := context.WithCancelCause((*within)(lock))
	defer cancel(context.Canceled)
	stop := context.AfterFunc(held, func() { cancel(context.Cause(held)) })
	defer stop()
	return false, f(ctx, lock)
}

// Locker returns a sync.Locker of key, for code that takes one. An interface
// without errors has only one way to say that a lock can't be had: Lock panics
// when the acquire fails, be it by timeout or because the backend is away.
// Unlock panics if the Locker is not locked; a hold that ended before Unlock, by
// expiry or loss, is logged. Like a sync.Mutex, one Locker may be locked by one
// goroutine and unlocked by another.
func (c *Client) Locker(key string, opts ...Option) sync.Locker {
	return &locker{client: c, key: key, opts: opts}
}

type locker struct {
	client *Client
	key    string
	opts   []Option

	mu   sync.Mutex // protects held
	held *Lock
}

func (l *locker) Lock() {
	lock, err := l.client.Acquire(context.Background(), l.key, l.opts...)
	if err != nil {
		panic(fmt.Sprintf("lockclient: Locker.Lock: %v", err))
	}
	l.mu.Lock()
	// The hold before this one may have expired without an Unlock; whoever had
	// it will unlock ours, as with a mutex that is unlocked by the wrong one.
	l.held = lock
	l.mu.Unlock()
}

func (l *locker) Unlock() {
	l.mu.Lock()
	lock := l.held
	l.held = nil
	l.mu.Unlock()
	if lock == nil {
		panic("lockclient: Locker.Unlock of an unlocked Locker")
	}
	if err := lock.Release(); err != nil && !errors.Is(err, ErrNotHeld) { // that is logged
		l.client.cfg.Logger.Warn("unlock", "key", l.key, "error", err)
	}
}
