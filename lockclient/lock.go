package lockclient

import (
	"context"
	"time"

	"github.com/turnstile-go/turnstile/actors"
)

// A Lock is one hold of a key. Its methods may be called from any goroutine. A nil
// *Lock, as it comes with an error, is a hold that has ended: its methods return zero
// values, ErrNotHeld, a Context that has ended by ErrNotHeld, and a closed channel.
type Lock struct {
	parent context.Context
	hold   actors.Hold
}

// Key is the key as it was given to Acquire.
func (l *Lock) Key() string {
	if l == nil {
		return ""
	}
	return l.hold.Key()
}

// Fence is the number of this hold: greater than that of every earlier hold of
// the key, in any process. It is below 2^63; its upper bits are a time in µs.
func (l *Lock) Fence() uint64 {
	if l == nil {
		return 0
	}
	return l.hold.Fence()
}

// Deadline is when the hold ends unless it is renewed or extended. It has a
// monotonic clock reading, and never moves back, unless the machine was suspended
// or its clock was set forward.
//
// A hold that came by a push, from another process's release, begins with a lease of about a second:
// Deadline is less than that away. A millisecond later the client asks the backend to confirm the lease, beside the hold.
// From then Deadline is Expires away. If the lease is not there, the hold ends by ErrLost. Check and Extend wait for
// the confirmation.
func (l *Lock) Deadline() time.Time {
	if l == nil {
		return time.Time{}
	}
	return l.hold.Deadline()
}

// Context is the acquire's ctx without its cancellation. It ends when the hold
// does; context.Cause then is ErrExpired, ErrLost, ErrClosed (the client was
// closed), or plain context.Canceled after a release. A hold that was revoked ends
// by ErrLost and ErrRevoked, but nobody else gets its key before its deadline or
// Release: stop, and release.
//
// An acquire of the same key with this ctx, or one that comes from it, fails with
// ErrDeadlock while the hold goes on.
func (l *Lock) Context() context.Context {
	if l == nil {
		ctx, cancel := context.WithCancelCause(context.Background())
		cancel(ErrNotHeld)
		return ctx
	}
	return l.hold.Context((*within)(l))
}

// Wanted returns a channel that is closed when anybody else waits for the key, so that
// a holder with more to do can let go in between:
//
//   - Another caller of this client waits behind the hold. One that waits already when
//     Wanted is first called counts. A TryAcquire doesn't wait.
//   - Another process waits. embedded:// and redis:// say so at once. file:// and
//     memcache:// say so at the lease's next renewal, up to a third of Expires later.
//     Clients of other libraries, which poll, are never seen. redis:// says so also
//     while it can't know: before its connection for pushes is up, or when it was lost.
//   - The hold has ended, by Release as well, so nobody waits on the channel for ever.
//     Context has ended then, and tells the two apart. Of a nil *Lock it is closed.
//
// It stays closed, even if the others give up. On open://, where nobody waits, only
// the end of the hold closes it. Wanted doesn't block, and each call returns the same
// channel.
func (l *Lock) Wanted() <-chan struct{} {
	if l == nil {
		closed := make(chan struct{})
		close(closed)
		return closed
	}
	return l.hold.Wanted()
}

// Extend makes the deadline now + d, but never earlier than it was; d is 10 ms to
// 24 h, and within MaxHold. If the process's lease is long enough already, Extend
// returns nil without asking the backend; Check asks. Errors:
//
//   - ErrInvalid for a d out of these limits.
//   - ErrNotHeld if the hold has ended, also meanwhile. ErrRevoked as well, if it
//     was revoked.
//   - ErrUnavailable if the backend did not confirm the longer lease within 2 s
//     or the rest of the hold. The hold then goes on to its old deadline.
func (l *Lock) Extend(d time.Duration) error {
	if l == nil {
		return ErrNotHeld
	}
	if err := checkExpires(d); err != nil {
		return err
	}
	return l.hold.Extend(d)
}

// Check asks the backend whether the hold is still ours, which costs a round trip: the
// lease is renewed, for at least as long as it had, and Deadline stays as it is. It
// returns nil if it was ours when the backend answered. Errors:
//
//   - ErrNotHeld if the hold has ended, also if that is found now: Context ends then.
//     ErrRevoked as well, if it was revoked.
//   - ErrUnavailable if the backend did not answer within 2 s, the rest of the
//     hold, or ctx. The hold goes on. An error by ctx matches ctx's own, too.
func (l *Lock) Check(ctx context.Context) error {
	if l == nil {
		return ErrNotHeld
	}
	return l.hold.Check(ctx)
}

// Release gives the hold back. It takes no context: it works after the caller's
// is cancelled. It returns nil once the key is free in the backend, or has its next
// holder, or lingers; of several holds that share the key in this client, the last waits
// for that, and the others return at once. Errors:
//
//   - ErrNotHeld if the hold had ended before, by expiry, loss or an earlier Release;
//     of a nil *Lock, too.
//   - ErrRevoked and ErrNotHeld if it was revoked; ErrUnavailable as well if its lease
//     could not be given back.
//   - ErrUnavailable if the backend did not answer within 2 s or the rest of the
//     lease: the release is then retried in the background until the lease ends, so
//     the key is not stuck.
func (l *Lock) Release() error {
	if l == nil {
		return ErrNotHeld
	}
	return l.hold.Release()
}
