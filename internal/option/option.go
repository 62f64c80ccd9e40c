// Package option has what a caller of lockclient asks of one acquire. It is apart from that package, so that others of
// this module can ask for what is no public option.
package option

import "time"

// Options are what the options of lockclient set.
type Options struct {
	Expires time.Duration
	Timeout time.Duration
	MaxHold time.Duration
	Renew   bool
	Owner   string // empty: the client's

	// Confirmed: see the function of that name.
	Confirmed bool
}

// Confirmed is a lockclient.Option. With it the hold is granted only under a lease that the backend has confirmed, so that
// Deadline is from the beginning what was asked for. Without it a push of the backend can be the grant, of
// which the process knows that the lease lasts for nearly a second, and no more until a round trip later. So it is for
// callers that show the deadline to others, or start what they can't stop at once.
func Confirmed(o *Options) { o.Confirmed = true }
