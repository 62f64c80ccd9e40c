package lockclient

import (
	"github.com/turnstile-go/turnstile/actors"
	"github.com/turnstile-go/turnstile/backends"
)

// The errors of this package, for errors.Is.
var (
	// ErrTimeout: the key was not acquired in time. The error is a *WaitError.
	ErrTimeout = backends.ErrTimeout
	// ErrHeld: somebody else has the key; it comes with ErrTimeout.
	ErrHeld = backends.ErrHeld
	// ErrRevoked: somebody ended the hold by Revoke. It is an ErrNotHeld, too.
	ErrRevoked = backends.ErrRevoked
	// ErrDeadlock: the acquire's ctx comes from a hold of the same key, so it would wait
	// for itself. It is an ErrHeld, too.
	ErrDeadlock = backends.ErrDeadlock
	// ErrNotHeld: the hold had ended before.
	ErrNotHeld = backends.ErrNotHeld
	// ErrExpired: the hold reached its deadline.
	ErrExpired = backends.ErrExpired
	// ErrLost: the lease was taken away, or could not be proved before the deadline.
	ErrLost = backends.ErrLost
	// ErrClosed: the client is closed.
	ErrClosed = backends.ErrClosed
	// ErrOverloaded: too many callers wait for this key; see Config.MaxWaiters.
	ErrOverloaded = backends.ErrOverloaded
	// ErrUnavailable: the backend did not answer, or refused to work.
	ErrUnavailable = backends.ErrUnavailable
	// ErrRefused: an ErrUnavailable that waiting can't mend: a login or a permission is
	// missing, or the key holds something that is no lock.
	ErrRefused = backends.ErrRefused
	// ErrInvalid: an argument is out of its limits.
	ErrInvalid = backends.ErrInvalid
)

// A WaitError says why an acquire got nothing: the time that it waited, its place
// in the queue, the holder and since when it has the key, and the backend's last
// error. errors.Is matches:
//
//	somebody has the key; time is over, or it was one try   ErrTimeout, ErrHeld
//	no attempt ever got an answer; time is over             ErrTimeout, ErrUnavailable
//	one try, no answer                                      ErrUnavailable
//	ctx's deadline ended the wait                           as above, and context.DeadlineExceeded
//
// Its fields are Key; Waited; Try, if it was one try; Place and Queue, this caller's
// place among those that waited in this process (0 of 0 if it never queued); Process,
// this process's place among those that waited for the backend (0: unknown); Held, if
// somebody has the key; Kind, of what hold; Out, if the key is held shared or by slot holds, how
// many processes or slots (0: unknown); Holder and HeldFor, then of one of them (empty, 0: unknown); Local, if
// the holder is in this process; Silent, if no attempt got an answer; Err, the backend's last error
// or nil, with the types of its causes; CtxError, context.DeadlineExceeded or nil.
//
// As JSON its durations are in seconds and its names in snake case: key,
// waited_seconds, held; kind, if held; and, where they are not zero, try, place, queue, process,
// out, holder, local, held_for_seconds, silent, error, ctx_error.
type WaitError = actors.WaitError
