package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"
	"syscall"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/lockclient"
)

// The words of what went wrong: what failed, on which backend, and what to try.

// A reworded error says in the words of the command line what the library says in
// its own, and matches what that matches.
type reworded struct {
	error
	text string
}

func (r *reworded) Error() string { return r.text }

func (r *reworded) Unwrap() error { return r.error }

func reword(err error, text string) error { return &reworded{err, text} }

// essence is what a library's error says beyond its kind, for which the command has
// the exit code and words of its own, and beyond the backend's name, which its URL tells.
func essence(err error) string {
	s := err.Error()
	for _, kind := range []error{lockclient.ErrInvalid, lockclient.ErrRefused, lockclient.ErrUnavailable} {
		s = strings.TrimPrefix(s, kind.Error()+": ")
	}
	for _, backend := range []string{"redis: ", "memcache: ", "file: "} {
		if rest, ok := strings.CutPrefix(s, backend); ok && !errors.Is(err, lockclient.ErrInvalid) {
			return strings.TrimPrefix(rest, backend) // the driver says it, too
		}
	}
	return s
}

// unavailable says that a backend can't be used, and suggests a remedy.
func unavailable(backend, why string, err error) string {
	return fmt.Sprintf("backend %s: %s%s", display(backend), why, hint(err))
}

// hint suggests a remedy by the type of the error; nil means no answer at all.
func hint(err error) string {
	const reachable, name = "; is the server reachable from here, and is the port right?", "; check the host's name"
	var timeout net.Error
	var path *fs.PathError
	_, unresolved := errors.AsType[*net.DNSError](err)
	switch {
	case errors.Is(err, lockclient.ErrRefused):
		return "" // the error itself says what to do
	case backends.IsPassing(err):
		return "; this passes by itself: --timeout says how long to wait for it"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "; is the server running there, and is the port right?"
	case unresolved:
		return name
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "; is the server reachable from here?"
	case err == nil, errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return reachable
	case errors.Is(err, syscall.ENOSPC):
		return "; free some space, or name another place with --backend file:///DIR"
	case errors.As(err, &path) && path.Op == "mkdir":
		return "; name a directory whose parent exists with --backend file:///DIR"
	}
	return ""
}

// late says why the key was not acquired in time: its holder, and since when. The
// length of one try is of no interest.
func (p *plan) late(why *lockclient.WaitError) string {
	s := fmt.Sprintf("%q not acquired", why.Key)
	if !p.try && p.timeout > 0 {
		s += " in " + readable(why.Waited)
	}
	switch {
	case p.found.Resting:
		s += ": it rests" + after(&why.Holder) + moreRest(p.found)
	case why.Kind != lockclient.KindExclusive:
		s += ": " + together(why.Kind, why.Out)
		if why.HeldFor > 0 {
			s += " for " + readable(why.HeldFor)
		}
		s += amongThem(why.Out, why.Holder)
	case why.Holder != "" && why.HeldFor > 0:
		s += fmt.Sprintf(": held by %s for %s", printable(why.Holder), readable(why.HeldFor))
	case why.Holder != "":
		s += ": held by " + printable(why.Holder)
	case p.found.Foreign:
		s += ": held by another library's client"
		if p.found.ExpiresIn == nil && !strings.HasPrefix(p.backend, "memcache:") { // memcached never reports it
			s += fmt.Sprintf(", and the key has no end: turnstile release %s --force --now deletes it", printable(why.Key))
		}
	}
	if why.Process > 1 { // the first in line has nobody to wait for but the holder
		s += fmt.Sprintf(", with %d ahead in line", why.Process-1)
	}
	s += fmt.Sprintf(" (on %s)", display(p.backend))
	if why.Err != nil {
		s += "; the backend's last error: " + essence(why.Err)
	}
	return s
}

// after is who had a key before it rested.
func after(holder *string) string {
	if holder == nil || *holder == "" {
		return ""
	}
	return " after " + printable(*holder)
}

// moreRest is for how much longer a key rests.
func moreRest(i lockclient.Info) string {
	if i.ExpiresIn == nil {
		return ""
	}
	return ", for " + readable(*i.ExpiresIn) + " more"
}

// silence says that a whole wait went by without an answer.
func silence(backend string, why *lockclient.WaitError) string {
	cause := "no answer"
	if why.Err != nil {
		cause = essence(why.Err)
	}
	return fmt.Sprintf("%q not acquired in %s: %s", why.Key, readable(why.Waited), unavailable(backend, cause, why.Err))
}
