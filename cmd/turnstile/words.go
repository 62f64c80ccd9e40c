package main

import (
	"errors"
	"fmt"
	"strings"

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

// unavailable says that a backend is of no use, and what may help.
func unavailable(backend, why string) string {
	return fmt.Sprintf("backend %s: %s%s", backend, why, hint(why))
}

// hints are what to try, by the words of the system. They are words by the time they
// come here: errors of a driver keep their types to themselves.
var hints = []struct{ words, try string }{
	{"connection refused", "is the server running there, and is the port right?"},
	{"no such host", "check the host's name"},
	{"server misbehaving", "check the host's name"},
	{"i/o timeout", "is the server reachable from here, and is the port right?"},
	{"deadline exceeded", "is the server reachable from here, and is the port right?"},
	{"no answer", "is the server reachable from here, and is the port right?"},
	{"no route to host", "is the server reachable from here?"},
	{"network is unreachable", "is the server reachable from here?"},
	{"no space left on device", "free some space, or name another place with --backend file:///DIR"},
	{"mkdir", "name a directory whose parent exists with --backend file:///DIR"},
}

func hint(why string) string {
	for _, h := range hints {
		if strings.Contains(why, h.words) {
			return "; " + h.try
		}
	}
	return ""
}

// timeout says why a key was not acquired in time: who has it and since when. once
// says that there was one try, whose length is of no interest.
func timeout(backend string, why *lockclient.WaitError, once bool) string {
	s := fmt.Sprintf("%q not acquired in %s", why.Key, readable(why.Waited))
	if once {
		s = fmt.Sprintf("%q not acquired", why.Key)
	}
	switch {
	case why.Holder != "" && why.HeldFor > 0:
		s += fmt.Sprintf(": held by %s for %s", printable(why.Holder), readable(why.HeldFor))
	case why.Holder != "":
		s += ": held by " + printable(why.Holder)
	}
	if why.Process > 1 { // the first in line has nobody to wait for but the holder
		s += fmt.Sprintf(", with %d ahead in line", why.Process-1)
	}
	s += fmt.Sprintf(" (on %s)", backend)
	if why.Err != nil {
		s += "; the backend's last error: " + essence(why.Err)
	}
	return s
}

// silence says that a whole wait went by without an answer.
func silence(backend string, why *lockclient.WaitError) string {
	cause := "no answer"
	if why.Err != nil {
		cause = essence(why.Err)
	}
	return fmt.Sprintf("%q not acquired in %s: %s", why.Key, readable(why.Waited), unavailable(backend, cause))
}
