package lockclient

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/turnstile-go/turnstile/actors"
	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/internal/logqueue"
)

// tryTimeout bounds an acquire that does not wait: its one try may still have
// to ask a backend.
const tryTimeout = 2 * time.Second

// A Client locks keys over one backend. Its methods may be called from any
// goroutine.
type Client struct {
	cfg         Config
	backend     backends.Backend
	coordinator *actors.Coordinator
	closeLog    func()
}

// New returns a client over a backend of the caller's own, which is closed with the
// client, and also if New fails. Config.Backend and Config.TLS are ignored. The
// duties of a backend are at backends.Backend. Its optional abilities are
// interfaces of their own: backends.Describer (name, limits, promises), Canceler,
// Waker, Reclaimer, Starter, Inspector, Lister and Revoker. Package backends/backendtest
// checks a backend. New returns ErrInvalid for a Config out of its limits.
func New(backend backends.Backend, cfg Config) (*Client, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, errors.Join(err, backend.Close())
	}
	var closeLog func()
	cfg.Logger, closeLog = logqueue.Wrap(cfg.Logger)
	return newClient(backend, cfg, closeLog)
}

// newClient takes a configuration with its defaults filled in and a logger that
// never blocks. closeLog is called when the client is closed, and if there is none.
func newClient(backend backends.Backend, cfg Config, closeLog func()) (*Client, error) {
	if least := backends.Describe(backend).MinExpires; cfg.Expires < least {
		err := errors.Join(&backends.ShortExpires{Where: "Config.Expires", Expires: cfg.Expires, Least: least}, backend.Close())
		closeLog()
		return nil, err
	}
	coordinator, err := actors.New(backend, actors.Config{
		Prefix: cfg.KeyPrefix, Owner: cfg.Owner, Tenure: cfg.Tenure, Linger: cfg.Linger,
		PollerGap: cfg.PollerGap, NoHandoff: cfg.NoHandoff, MaxWaiters: cfg.MaxWaiters, Logger: cfg.Logger,
	})
	if err != nil {
		closeLog()
		return nil, err
	}
	return &Client{cfg: cfg, backend: backend, coordinator: coordinator, closeLog: closeLog}, nil
}

// Acquire waits for a hold of key: up to the timeout, or to ctx's end.
//
// The timeout is that of the option Timeout, else Config.Timeout, else 60 s if ctx has
// no deadline, and none if it has one.
//
// Errors:
//
//   - A *WaitError if the timeout or ctx's deadline ended the wait. It matches
//     ErrTimeout, and ErrHeld if somebody has the key, or ErrUnavailable if no
//     attempt got an answer.
//   - If ctx was cancelled, an error that matches ctx.Err() and its cause alone.
//   - ErrRefused, an ErrUnavailable, at once if the backend refuses in a way that
//     waiting can't mend.
//   - ErrDeadlock at once if ctx comes from a hold of key in this client that goes on
//     (from Lock.Context, or from Do): the acquire would wait for itself. It is granted
//     all the same if it can be at once: see Shared.
//   - ErrInvalid, ErrOverloaded, ErrClosed.
//
// With an error there is no hold, and nothing is left in any queue: on embedded://
// when Acquire returns, elsewhere one round trip later (two, if a request was under
// way), while the backend answers.
func (c *Client) Acquire(ctx context.Context, key string, opts ...Option) (*Lock, error) {
	l, err := c.begin(ctx, key, opts)
	if err != nil {
		return nil, err
	}
	return l.wait(ctx)
}

// TryAcquire makes one try and never waits for another holder. If there is one, it
// returns at once a *WaitError that matches ErrHeld (and ErrTimeout). If the try
// gets no answer, the error matches ErrUnavailable alone. The try is bounded by ctx
// and 2 s. The other errors are those of Acquire.
func (c *Client) TryAcquire(ctx context.Context, key string, opts ...Option) (*Lock, error) {
	o, err := c.options(c.defaults(ctx), opts)
	if err != nil {
		return nil, err
	}
	o.Timeout = 0
	return c.acquire(ctx, key, o)
}

// begin and its callees have left the stack when the wait begins: see giveUp. The same goes
// for all that is large and comes before the key's actor runs here.
//
//go:noinline
func (c *Client) begin(ctx context.Context, key string, opts []Option) (*Lock, error) {
	var o *options
	if len(opts) > 0 {
		o = new(options) // here, since an allocation takes a kilobyte of stack
	}
	spec, err := c.spec(ctx, o, opts)
	if err != nil {
		return nil, err
	}
	return c.ask(ctx, key, spec)
}

// spec sets o, which is nil without options.
//
//go:noinline
func (c *Client) spec(ctx context.Context, o *options, opts []Option) (actors.Spec, error) {
	if o == nil {
		return specOf(c.defaults(ctx)), nil // Open has checked these
	}
	*o = c.defaults(ctx)
	err := c.choose(o, opts)
	return specOf(*o), err
}

// acquire is Acquire with the options as they are.
func (c *Client) acquire(ctx context.Context, key string, o options) (*Lock, error) {
	l, err := c.ask(ctx, key, specOf(o))
	if err != nil {
		return nil, err
	}
	return l.wait(ctx)
}

// ask posts an acquire, to be waited for.
func (c *Client) ask(ctx context.Context, key string, spec actors.Spec) (*Lock, error) {
	if err := c.may(ctx, key); err != nil {
		return nil, err
	}
	l := &Lock{parent: ctx}
	if parent := c.holderOf(ctx, key); parent != nil {
		return l, c.askWithin(l, parent, key, spec)
	}
	if err := c.coordinator.Begin(&l.hold, key, spec); err != nil {
		return nil, err
	}
	return l, nil
}

// askWithin is the rest of ask for an acquire whose ctx comes from a hold of its key.
//
//go:noinline
func (c *Client) askWithin(l, parent *Lock, key string, spec actors.Spec) error {
	return c.coordinator.BeginWithin(&l.hold, &parent.hold, key, spec)
}

// may returns why a key is not to be asked for at all.
//
//go:noinline
func (c *Client) may(ctx context.Context, key string) error {
	if err := checkKey(key); err != nil {
		return err
	}
	if ctx.Err() != nil {
		// A ctx that has ended wins over a key that is free: the caller is gone.
		return tooLate(ctx, key)
	}
	return nil
}

// wait blocks until the acquire has its one outcome. That it times out is the
// key actor's word; ctx is watched here.
//
// A grant can cross ctx's end. The end wins: the grant is given back, since
// nobody may be left to release it.
func (l *Lock) wait(ctx context.Context) (*Lock, error) {
	decided, err := l.hold.Wait(ctx.Done())
	if !decided {
		err = giveUp(ctx, &l.hold)
	}
	if err != nil {
		l.hold.Leave()
		return nil, err
	}
	return l, nil
}

// giveUp is the rest of wait once ctx has ended. It is kept out of there because what they keep on the stack is large: the stack
// of a goroutine that waits would have to be 4 KB instead of 2 (measured).
//
//go:noinline
func giveUp(ctx context.Context, h *actors.Hold) error {
	var why actors.WaitError
	var ok bool
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		why, ok = h.AbandonWhy()
	} else {
		ok = h.Abandon()
	}
	if !ok { // the outcome crossed ctx's end
		why.Key = h.Key()
		var waited *actors.WaitError
		switch _, err := h.Wait(nil); {
		case err == nil:
			h.Discard()
		case !errors.As(err, &waited):
			return err
		default:
			why = *waited
		}
	}
	return interrupted(ctx, why)
}

// tooLate is the error of an acquire whose ctx had ended before it began.
//
//go:noinline
func tooLate(ctx context.Context, key string) error {
	return interrupted(ctx, actors.WaitError{Key: key})
}

// interrupted is the error of an acquire whose ctx has ended. A deadline is a
// kind of timeout; a cancellation is not, and matches ctx.Err() only.
func interrupted(ctx context.Context, why actors.WaitError) error {
	if err := ctx.Err(); !errors.Is(err, context.DeadlineExceeded) {
		if cause := context.Cause(ctx); !errors.Is(cause, err) {
			err = backends.Wrap(err, "", cause)
		}
		return fmt.Errorf("turnstile: acquire cancelled: %w", err)
	}
	why.CtxError = ctx.Err()
	return &why
}

// Close fails the waiters with ErrClosed, ends the contexts of holds, and gives the
// leases back to the backend, for at most 2 s. The time that a Release has waited
// counts, too. When Close returns, the client's goroutines are gone. It waits 250
// ms more for a handler of Config.Logger that blocks; the goroutine of that handler
// then ends when the handler returns. Closing again returns nil.
func (c *Client) Close() error {
	err := c.coordinator.Close()
	c.closeLog()
	return err
}
