package backends

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// The sentinels of the whole module; lockclient re-exports those a caller can
// meet. Errors that match them say more in their text.
var (
	// ErrTimeout: the key was not acquired in time.
	ErrTimeout = errors.New("turnstile: timeout")
	// ErrHeld: somebody else has the key.
	ErrHeld = errors.New("turnstile: held by another")
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

// ErrRevoked is Renew's error for a lease that was revoked. The lease was not
// renewed, and is the caller's until it is released or over. The key actor tells
// the holder, who stops and releases. For the holder the hold has ended, so it
// matches ErrNotHeld.
var ErrRevoked error = &wrapped{"turnstile: revoked", []error{ErrNotHeld}}

// ErrDeadlock: the acquire would wait for a hold that its own ctx comes from, and so for
// itself. That hold has the key, so it matches ErrHeld.
var ErrDeadlock error = &wrapped{"turnstile: deadlock", []error{ErrHeld}}

// IsNotHeld reports whether a release or renewal found no lease of its token. It is
// false for a lease that was revoked: that one is there.
func IsNotHeld(err error) bool { return errors.Is(err, ErrNotHeld) && !IsRevoked(err) }

// IsRevoked reports whether a renewal found its lease revoked.
func IsRevoked(err error) bool { return errors.Is(err, ErrRevoked) }

// IsRefused reports whether waiting can't mend err.
func IsRefused(err error) bool { return errors.Is(err, ErrRefused) }

// Unavailable wraps what a backend's driver reported so that it matches
// ErrUnavailable; cause stays visible to errors.Is and errors.As.
func Unavailable(backend string, cause error) error { return Wrap(ErrUnavailable, backend, cause) }

// Refused wraps an answer that waiting can't mend; what says what to do
// about it. It matches ErrRefused and ErrUnavailable.
func Refused(backend, what string, cause error) error {
	return Wrap(refusal, backend+": "+what, cause)
}

// refusal reads as ErrRefused: that the backend is of no use, either, goes without saying.
var refusal error = &wrapped{ErrRefused.Error(), []error{ErrRefused, ErrUnavailable}}

// Interrupted is the error of a call that ended with its context: it matches
// ErrUnavailable, ctx.Err(), and the cause of a context that has one of its own.
func Interrupted(ctx context.Context, backend string) error {
	err := Unavailable(backend, ctx.Err())
	if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
		err = Wrap(err, "", cause)
	}
	return err
}

// Wrap returns an error that matches err and cause, and reads `err: what: cause`,
// or `err: cause` where there is nothing to add. fmt.Errorf would do the same, but
// would repeat the beginning of cause: the module's name, the text of err, and the
// backend's name in what.
func Wrap(err error, what string, cause error) error {
	text := err.Error()
	if what != "" {
		text += ": " + what
	}
	said := Bare(cause)
	for _, front := range []string{Bare(err), what} {
		if said == front {
			said = ""
		}
		said = strings.TrimPrefix(said, front+": ")
	}
	if said != "" {
		text += ": " + said
	}
	return &wrapped{text, []error{err, cause}}
}

type wrapped struct {
	text    string
	matches []error
}

func (w *wrapped) Error() string { return w.text }

func (w *wrapped) Unwrap() []error { return w.matches }

// Bare is an error's text without the module's name in front, for one that is
// quoted in another of the module's.
func Bare(err error) string { return strings.TrimPrefix(err.Error(), "turnstile: ") }

// A ShortExpires is the ErrInvalid of an expires that a backend can't keep.
type ShortExpires struct {
	Where   string // where it was given, as Config.Expires
	Expires time.Duration
	Least   time.Duration // that the backend keeps
}

func (e *ShortExpires) Error() string {
	return fmt.Sprintf("%v: %s of %v: this backend keeps no lease shorter than %v", ErrInvalid, e.Where, e.Expires, e.Least)
}

// Unwrap returns ErrInvalid.
func (e *ShortExpires) Unwrap() error { return ErrInvalid }

// ErrSettled is what Acquire says, with outcome NotRun, of an attempt that was
// released or cancelled before. The key actor never repeats such an attempt, so
// it only meets this from the late copy of a request.
var ErrSettled = errors.New("turnstile: attempt already settled")
