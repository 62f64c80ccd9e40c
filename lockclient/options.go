package lockclient

import (
	"context"
	"math"
	"time"

	"github.com/turnstile-go/turnstile/actors"
	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/internal/option"
)

// Forever as a timeout waits without a bound of its own: ctx alone ends the wait.
const Forever time.Duration = math.MaxInt64

// An Option changes one acquire. Of options that contradict each other the last counts.
type Option func(*options)

type options = option.Options

// Expires sets how long the hold is valid unless renewed: 10 ms (memcached: 1 s) to
// 24 h, default Config.Expires. Anything else is ErrInvalid.
func Expires(d time.Duration) Option { return func(o *options) { o.Expires = d } }

// Timeout sets how long to wait for the hold: 0 is one try without waiting, Forever
// is no bound; less than 0 is ErrInvalid. It counts whether ctx has a deadline or not;
// the earlier of the two ends the wait. Default: see Client.Acquire.
func Timeout(d time.Duration) Option { return func(o *options) { o.Timeout = d } }

// Renew keeps the hold until it is released: it is renewed when a third of its
// Expires has passed. It is the default of Do, and of all where Config.Renew is set;
// elsewhere a hold ends at its deadline, as in pylock.
func Renew() Option { return func(o *options) { o.Renew = true } }

// NoRenew ends the hold at its deadline, also in Do and where Config.Renew is set.
func NoRenew() Option { return func(o *options) { o.Renew = false } }

// MaxHold ends a renewed hold d after its grant all the same, with ErrExpired. A d
// below 0, or a hold that is not renewed, is ErrInvalid; 0, the default, is no
// bound.
func MaxHold(d time.Duration) Option { return func(o *options) { o.MaxHold = d } }

// AtLeast keeps the key from everybody else until d has passed since the grant, by the
// backend's clock, though the hold was released, expired, or its process crashed. Release
// returns at once, and the key rests. It is for a job that many machines start at about the
// same time and that must run once: TryAcquire with it, and a d that is longer than their
// starts are apart.
//
// d is up to 24 h; less than 0, or a backend that can't (open://, or one of the caller's own
// that does not declare Capabilities.Rests), is ErrInvalid; 0 is the default. The next hold
// in this process waits for d/100 more, since two clocks may differ. memcached counts whole
// seconds, and keeps a key up to 2 s longer. The lease lasts at least d, so a crash leaves the
// key held for as long. Until a rest is over, it takes some 2 KB of memory in the process
// that had the key.
//
// Client.Inspect and List show the key as Resting; Client.Revoke ends a rest. The process
// that had the key is told so by redis:// and embedded://; over other backends its own callers
// still wait until d is over, unless it is this process that revokes. A hold that its acquire
// could not hand over, since ctx had ended, leaves no rest.
func AtLeast(d time.Duration) Option {
	return func(o *options) { o.AtLeast, o.Confirmed = d, o.Confirmed || d > 0 }
}

// Owner sets the label that others see as this hold's holder: at most 256 bytes,
// none of them NUL, else ErrInvalid; default Config.Owner. This process's
// WaitError, Inspect and Keys show it for this hold. Other processes see the label
// of the hold that got the lease from the backend. That one stays while the process
// hands the key on, or takes a lease that lingers, since neither makes a backend call.
func Owner(label string) Option { return func(o *options) { o.Owner = label } }

// defaults returns the options of an acquire that sets none.
func (c *Client) defaults(ctx context.Context) options {
	o := options{Expires: c.cfg.Expires, Timeout: c.cfg.Timeout, Renew: c.cfg.Renew}
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
		if _, bounded := ctx.Deadline(); bounded {
			o.Timeout = Forever // the caller has said how long
		}
	}
	return o
}

// specOf returns what the options say, as the key's actor takes it.
func specOf(o options) actors.Spec {
	s := actors.Spec{
		Expires: o.Expires, Renew: o.Renew, MaxHold: o.MaxHold, Timeout: o.Timeout, Owner: o.Owner, Confirmed: o.Confirmed, AtLeast: o.AtLeast,
	}
	if o.Timeout == 0 {
		s.Try, s.Timeout = true, tryTimeout
	}
	s.Kind, s.N = kindOf(&o)
	return s
}

// options adds to o, which defaults has made, the options that the caller sets.
func (c *Client) options(o options, opts []Option) (options, error) {
	if len(opts) == 0 {
		return o, nil // Open has checked these
	}
	chosen := new(options)
	*chosen = o
	err := c.choose(chosen, opts)
	return *chosen, err
}

// choose is kept apart, since calling the options moves o to the heap.
func (c *Client) choose(o *options, opts []Option) error {
	for _, set := range opts {
		set(o)
	}
	if err := checkExpires(o.Expires); err != nil {
		return err
	}
	if least := c.coordinator.Capabilities().MinExpires; o.Expires < least {
		return &backends.ShortExpires{Where: "expires", Expires: o.Expires, Least: least}
	}
	switch {
	case o.Timeout < 0:
		return invalid("timeout of %v: must not be negative", o.Timeout)
	case o.MaxHold < 0:
		return invalid("max hold of %v: must not be negative", o.MaxHold)
	case o.MaxHold > 0 && !o.Renew:
		return invalid("MaxHold needs Renew: without it a hold ends when it expires")
	case o.AtLeast < 0 || o.AtLeast > MaxExpires:
		return invalid("AtLeast of %v: 0 to %v", o.AtLeast, MaxExpires)
	case o.AtLeast > 0 && !c.coordinator.Capabilities().Rests:
		return invalid("AtLeast: %s can't keep a key from others once it is released", c.coordinator.Capabilities().Name)
	case !isLabel(o.Owner):
		return invalid("Owner: %s", labelLimits)
	}
	if o.Shared || o.Slotted {
		return c.checkKind(o)
	}
	return nil
}
