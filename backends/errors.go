package backends

import (
	"context"
	"errors"
	"fmt"
)

// The sentinels of the whole module; lockclient re-exports those a caller can
// meet. Errors that match them say more in their text.
var (
	// ErrTimeout: the key was not acquired in time.
	ErrTimeout = errors.New("turnstile: timeout")
	// ErrNotHeld: the hold or lease had already ended.
	ErrNotHeld = errors.New("turnstile: not held")
	// ErrExpired: the hold reached its deadline.
	ErrExpired = errors.New("turnstile: hold expired")
	// ErrLost: the lease was taken away, or could not be proved in time.
	ErrLost = errors.New("turnstile: hold lost")
	// ErrClosed: the client was closed.
	ErrClosed = errors.New("turnstile: closed")
	// ErrOverloaded: too many waiters on one key.
	ErrOverloaded = errors.New("turnstile: too many waiters")
	// ErrUnavailable: the backend did not answer, or could not do its work.
	ErrUnavailable = errors.New("turnstile: backend unavailable")
	// ErrInvalid: the caller's input breaks a limit.
	ErrInvalid = errors.New("turnstile: invalid")
	// ErrRefused: the backend answered and will answer the same again: auth
	// refused, a permission missing, a key that holds something that is no
	// lock. Waiting can't mend it, so waiters get it at once.
	ErrRefused = errors.New("turnstile: refused by the backend")
)

// IsNotHeld reports whether a release or renewal found no lease of its token.
func IsNotHeld(err error) bool { return errors.Is(err, ErrNotHeld) }

// IsRefused reports whether waiting can't mend err.
func IsRefused(err error) bool { return errors.Is(err, ErrRefused) }

// Unavailable wraps what a backend's driver reported so that it matches
// ErrUnavailable; cause stays visible to errors.Is.
func Unavailable(backend string, cause error) error {
	return fmt.Errorf("%w: %s: %w", ErrUnavailable, backend, cause)
}

// Refused wraps an answer that waiting can't mend; what says what to do
// about it. It matches ErrRefused and ErrUnavailable.
func Refused(backend, what string, cause error) error {
	return fmt.Errorf("%w: %w: %s: %s: %w", ErrUnavailable, ErrRefused, backend, what, cause)
}

// Interrupted is the error of a call that ended with its context: it matches
// ErrUnavailable, ctx.Err(), and the cause of a context that has one of its own.
func Interrupted(ctx context.Context, backend string) error {
	err := ctx.Err()
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, err) {
		err = fmt.Errorf("%w: %w", err, cause)
	}
	return Unavailable(backend, err)
}

// ErrSettled is what Acquire says, with outcome NotRun, of an attempt that was
// released or cancelled before. The key actor never repeats such an attempt, so
// it only meets this from the late copy of a request.
var ErrSettled = errors.New("turnstile: attempt already settled")
