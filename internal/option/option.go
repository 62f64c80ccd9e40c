// Package option has the options of one acquire of lockclient. It is apart from that package, so that others of
// this module can set some that are not public.
package option

import "time"

// Options are set by the options of lockclient.
type Options struct {
	Expires time.Duration
	Timeout time.Duration
	MaxHold time.Duration
	AtLeast time.Duration
	Renew   bool
	Shared  bool
	Slotted bool // Slots was said
	Slots   int
	Owner   string // empty: the client's

	// Confirmed: see the function of that name.
	Confirmed bool
}

// Confirmed is a lockclient.Option. With it the hold is granted only under a lease that the backend has confirmed, so that
// Deadline is from the beginning what was asked for. Without it a push of the backend can be the grant, of
// which the process knows that the lease lasts for nearly a second, and no more until a round trip later. So it is for
// callers that show the deadline to others, or start what they can't stop at once.
func Confirmed(o *Options) { o.Confirmed = true }
