package main

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/lockclient"
)

// The exit codes of turnstile's own, from sysexits.h and the shells, so that a
// script can tell them from the command's.
const (
	exitUsage       = 64  // EX_USAGE: the command line or the environment is wrong
	exitUnavailable = 69  // EX_UNAVAILABLE: the backend never answered, or refuses
	exitOutput      = 74  // EX_IOERR: stdout could not be written to
	exitConflict    = 75  // EX_TEMPFAIL: the key was not acquired in time
	exitLost        = 76  // EX_PROTOCOL: the hold was lost while the command ran, or before; release: its holder never let go
	exitCannotRun   = 126 // as in sh
	exitNotFound    = 127 // as in sh
	exitSignal      = 128 // plus the signal's number, as in sh
)

// An exitError ends turnstile with a code of its own choice.
type exitError struct {
	code int
	err  error // what to print; nil when there is nothing to say
	// quiet says that -q silences the message: the code alone tells it all.
	quiet bool
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// usage is the error of a command line that can't be meant.
func usage(format string, args ...any) error {
	return &exitError{code: exitUsage, err: fmt.Errorf(format, args...)}
}

// failed gives an error of the backend, or of opening it, its exit code and the
// words of the command line.
func (s settings) failed(err error) error {
	if errors.Is(err, lockclient.ErrInvalid) {
		return &exitError{code: exitUsage, err: reword(err, essence(err))}
	}
	return &exitError{code: exitUnavailable, err: reword(err, unavailable(s.backend, essence(err), err))}
}

// notAcquired does the same for an error of acquiring the key. The order counts: a
// wait in which the backend never answered matches ErrTimeout as well.
func (p *plan) notAcquired(err error) error {
	var why *lockclient.WaitError
	switch {
	case errors.Is(err, lockclient.ErrUnavailable) && errors.As(err, &why):
		return &exitError{code: exitUnavailable, err: reword(err, silence(p.backend, why))}
	case errors.Is(err, lockclient.ErrLost), errors.Is(err, lockclient.ErrExpired): // one of several, while the others were waited for
		return &exitError{code: exitLost, err: err}
	case errors.Is(err, lockclient.ErrTimeout) && errors.As(err, &why):
		return p.conflicted(reword(err, p.late(why)))
	case errors.Is(err, lockclient.ErrOverloaded):
		return p.conflicted(err)
	}
	if short, ok := errors.AsType[*backends.ShortExpires](err); ok {
		return usage("%s %v: this backend keeps no lease shorter than %v", p.expiresBy, short.Expires, short.Least)
	}
	return p.failed(err)
}

// conflicted ends a wait for a key that others have. With -E 0 that counts as
// success and prints nothing: cron would mail it.
func (p *plan) conflicted(err error) error {
	if p.conflict == 0 && !p.verbose {
		err = nil
	}
	return &exitError{code: p.conflict, err: err, quiet: true}
}

// codeOf is the exit code of an error. One without a code comes from the parsing
// of the command line.
func codeOf(err error) int {
	var e *exitError
	var output *fs.PathError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &e):
		return e.code
	case errors.As(err, &output) && output.Op == "write":
		return exitOutput // what ls or show had to say; their caller must not take it for a slip of its own
	}
	return exitUsage
}
