package lockclient

import "time"

// An Option changes one acquire.
type Option func(*options)

type options struct {
	expires time.Duration
	timeout time.Duration
	maxHold time.Duration
	renew   bool
}

// Expires sets how long the hold is valid unless renewed: 10 ms to 24 h.
func Expires(d time.Duration) Option { return func(o *options) { o.expires = d } }

// Timeout sets how long to wait for the hold, from 0, which is one try without
// waiting.
func Timeout(d time.Duration) Option { return func(o *options) { o.timeout = d } }

// Renew keeps the hold until it is released: it is renewed when a third of its
// Expires has passed. Without it a hold ends at its deadline, as in pylock.
func Renew() Option { return func(o *options) { o.renew = true } }

// MaxHold ends a renewed hold after d all the same, with ErrExpired; it needs
// Renew. 0 is no bound.
func MaxHold(d time.Duration) Option { return func(o *options) { o.maxHold = d } }

func (c *Client) options(opts []Option) (options, error) {
	if len(opts) == 0 {
		// Open has checked these. They are kept apart from what follows, where
		// calling the options moves them to the heap.
		return options{expires: c.cfg.Expires, timeout: c.cfg.Timeout}, nil
	}
	o := options{expires: c.cfg.Expires, timeout: c.cfg.Timeout}
	for _, set := range opts {
		set(&o)
	}
	if err := checkExpires(o.expires); err != nil {
		return o, err
	}
	if least := c.coordinator.Capabilities().MinExpires; o.expires < least {
		return o, invalid("expires of %v: this backend keeps no lease shorter than %v", o.expires, least)
	}
	switch {
	case o.timeout < 0:
		return o, invalid("timeout of %v: must not be negative", o.timeout)
	case o.maxHold < 0:
		return o, invalid("max hold of %v: must not be negative", o.maxHold)
	case o.maxHold > 0 && !o.renew:
		return o, invalid("MaxHold needs Renew: without it a hold ends when it expires")
	}
	return o, nil
}
