package machine

import "time"

// Kind is what an effect does.
type Kind uint8

// The effects. An Offer or an Ask is the last of its step.
const (
	// Offer: Hold may have the key, with its Fence and until its Deadline. Taken or
	// Withdrawn has to follow before any other event: one compare-and-swap of the
	// caller's decides between the offer and its giving up.
	Offer Kind = iota
	// Refuse: Hold gets no key, because of Err.
	Refuse
	// TimeOut: Hold gets no key in its time, or its one try; Why says what it waited for.
	TimeOut
	// Finish: Hold ends, by its release or by Close (Err is ErrClosed then).
	Finish
	// End: Hold ends without a release, because of Err.
	End
	// Revoke: Hold is told to stop, because of Err. It stays a holder until its release.
	Revoke
	// Move: the Deadline of Hold has changed.
	Move
	// Wanted answers the Watch of Hold: others wait for the key, or the hold had ended.
	Wanted
	// Released answers the release of Hold: the key is free, has its next holder, or
	// lingers; or Err.
	Released
	// Extended answers Extension with Err.
	Extended
	// Disowned answers Disowning with Err.
	Disowned
	// Ask: Call is to be made.
	Ask
	// Drop: the call in flight is to be cancelled. Its Answered comes all the same.
	Drop
	// Undo: Call was answered, and nobody knows of it since a panic. It may have got a
	// lease, so its attempt has to be cancelled.
	Undo
	// Warn: renewals have failed for Since, so that Hold may end by its Deadline; Err is
	// the last failure.
	Warn
	// Leak: a lease could not be given back, because of Err. It ends by its ttl.
	Leak
)

func (k Kind) String() string {
	return [...]string{"Offer", "Refuse", "TimeOut", "Finish", "End", "Revoke", "Move", "Wanted", "Released",
		"Extended", "Disowned", "Ask", "Drop", "Undo", "Warn", "Leak"}[k]
}

// An Effect is something that a step wants done.
type Effect struct {
	Kind      Kind
	Hold      *Hold
	Err       error
	Why       *Why
	Call      *Call
	Extension *Extension
	Disowning *Disowning
	Since     time.Duration
}
