package redis

import (
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// A memory lets a session ask for each key in the right way: by the script fast, or in full
// by the verb's own.
type memory struct {
	// unanswered are keys with a request that was sent and never answered. A copy of it
	// may still arrive, also when the attempt that it was of was given up, and the key's actor is
	// gone. So for a minute all attempts of the session on such a key end in full, and the
	// server remembers that they have: it then refuses the copy, since its number is no higher.
	unanswered recent
	// busy are keys that were not quiet when the server last told: to ask for them by the
	// script fast is a round trip for nothing. A key that is forgotten costs one.
	busy recent
	// shared are keys of which shares were out when the server last told. To ask for the lock of one by the mutex's verb
	// is a round trip for nothing.
	shared recent
}

func newMemory() *memory { return &memory{busy: recent{hints: true}, shared: recent{hints: true}} }

// way tells how to make a call: quiet, if its key seems to be; and, at the end of an attempt, whether the
// server has to mark that. A renewal and a cancel never concern quiet keys.
func (m *memory) way(of backends.Call) (quiet, mark bool) {
	now := time.Now()
	mark = of.Ambiguous || m.unanswered.has(of.Key, now)
	switch {
	case of.Kind != backends.Exclusive:
	case of.Verb == backends.Acquiring:
		quiet = of.Probe == 0 && of.AtLeast == 0
	case of.Verb == backends.Releasing:
		quiet = !of.Long && of.AtLeast == 0 // the script fast leaves the companion as it is
	}
	return quiet && !mark && !m.busy.has(of.Key, now), mark
}

// doubt notes that a request about a key may have run. It has to be noted before its
// asker is told: the next attempt may begin at once.
func (m *memory) doubt(key string, o backends.Outcome) {
	if o == backends.MayHaveRun {
		m.unanswered.note(key, time.Now())
	}
}

// shares reports whether shares of a key may be out.
func (m *memory) shares(key string) bool { return m.shared.has(key, time.Now()) }

// sharing notes whether shares of a key were out when the server last told.
func (m *memory) sharing(key string, out bool) {
	if out {
		m.shared.note(key, time.Now())
	} else {
		m.shared.forget(key)
	}
}

// found notes whether a key was quiet when the server last told.
func (m *memory) found(key string, quiet bool) {
	if quiet {
		m.busy.forget(key)
	} else {
		m.busy.note(key, time.Now())
	}
}
