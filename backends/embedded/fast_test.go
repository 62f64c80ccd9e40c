package embedded

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/backends/embedded/engine"
)

// A client is a session at a store of the test's own. A test may replace its scripts.
type client struct {
	*Backend
	session backends.Session
	n       uint64
}

func newClient(t *testing.T) *client {
	b := Open(t.Name())
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	own := *b.verbs
	b.verbs = &own
	return &client{Backend: b, session: backends.NewSession()}
}

func (c *client) request() backends.Request {
	c.n++
	return backends.Request{
		Attempt: backends.Attempt{Key: "pylock:k", Token: c.session.Token(c.n)}, TTL: 2500*time.Millisecond - time.Microsecond, Label: "me", Queue: true,
	}
}

func script(t *testing.T, source string) *engine.Program {
	t.Helper()
	p, err := engine.Compile("a test's", source)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// wentInFull reports whether a verb was asked by its full script, which says so.
func wentInFull(err error) bool { return err != nil && strings.Contains(err.Error(), "in full") }

func TestAQuietKeyTakesTheFastPath(t *testing.T) {
	c := newClient(t)
	full := script(t, "return redis.error_reply('ERR in full')")
	c.verbs.acquire, c.verbs.release = full, full
	var base uint64
	for range 3 {
		r := c.request()
		got, err := c.Acquire(t.Context(), r)
		if err != nil || got.Outcome != backends.Granted || got.Base <= base || got.TTL != 2500*time.Millisecond || got.Contended {
			t.Fatalf("acquire: %+v, %v", got, err)
		}
		base = got.Base
		if _, err := c.Acquire(t.Context(), r); !wentInFull(err) {
			t.Errorf("a repeat, on a held key: %v", err)
		}
		if err := c.Release(t.Context(), r.Attempt); err != nil {
			t.Fatal(err)
		}
		if err := c.Release(t.Context(), r.Attempt); !wentInFull(err) {
			t.Errorf("a second release: %v", err)
		}
	}
}

// A call that may have run before goes in full, and so does one for a key that was held before.
func TestWhatIsNotAskedForTheFirstTimeGoesInFull(t *testing.T) {
	c := newClient(t)
	full := script(t, "return redis.error_reply('ERR in full')")
	c.verbs.acquire, c.verbs.release = full, full
	r := c.request()
	r.Probe = 1
	if _, err := c.Acquire(t.Context(), r); !wentInFull(err) {
		t.Errorf("a probe: %v", err)
	}
	r.Probe, r.Ambiguous = 0, true
	if _, err := c.Acquire(t.Context(), r); !wentInFull(err) {
		t.Errorf("an ambiguous acquire: %v", err)
	}
	r.Ambiguous = false
	if _, err := c.Acquire(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	r.Ambiguous = true
	if err := c.Release(t.Context(), r.Attempt); !wentInFull(err) {
		t.Errorf("an ambiguous release: %v", err)
	}
}

// A script that fails half way leaves a lease that nobody knows of. Its attempt is ended
// in full, and is granted no more.
func TestAFastScriptThatFailsHalfWayIsEndedInFull(t *testing.T) {
	for name, half := range map[string]string{
		"nothing":              "error('half way')",
		"the lock":             "redis.call('SET', KEYS[1], ARGV[2], 'NX', 'PX', ARGV[3]) error('half way')",
		"no answer":            "redis.call('SET', KEYS[1], ARGV[2], 'NX', 'PX', ARGV[3])",
		"another's":            "return {'0000000000991'}",
		"no answer to it":      "return {'000000000099' .. '0'}",
		"no number":            "return {string.sub(ARGV[2], 33) .. 'x'}",
		"no base of 16 digits": "return {string.sub(ARGV[2], 33) .. '12345'}",
	} {
		t.Run(name, func(t *testing.T) {
			c := newClient(t)
			c.verbs.fast = script(t, half)
			r := c.request()
			got, err := c.Acquire(t.Context(), r)
			if got.Outcome != backends.MayHaveRun || !errors.Is(err, backends.ErrUnavailable) {
				t.Fatalf("%+v, %v; want that it may have run", got, err)
			}
			c.verbs.fast = compiled().fast
			r.Ambiguous = true
			if err := c.Cancel(t.Context(), r.Attempt); err != nil {
				t.Fatal(err)
			}
			if got, err := c.Acquire(t.Context(), r); !errors.Is(err, backends.ErrSettled) {
				t.Errorf("after its end it is %v, %v", got.Outcome, err)
			}
			r = c.request()
			if got, err := c.Acquire(t.Context(), r); err != nil || got.Outcome != backends.Granted {
				t.Fatalf("the next: %v, %v", got.Outcome, err)
			}
			r = c.request()
			r.Key = "pylock:quiet"
			if got, err := c.Acquire(t.Context(), r); err != nil || got.Outcome != backends.Granted {
				t.Fatalf("another key: %v, %v", got.Outcome, err)
			}
			c.verbs.fast = script(t, half)
			if err := c.Release(t.Context(), r.Attempt); !errors.Is(err, backends.ErrUnavailable) {
				t.Errorf("its release: %v", err)
			}
		})
	}
}

// A key that the fast script would leave as it is costs no run of it.
func TestAKeyThatIsSeenToBeHeldIsAskedInFullAtOnce(t *testing.T) {
	c := newClient(t)
	holder, waiter, third := c.request(), c.request(), c.request()
	acquire := func(r backends.Request, want backends.Outcome) {
		t.Helper()
		if got, err := c.Acquire(t.Context(), r); got.Outcome != want {
			t.Fatalf("%v, %v, want %v", got.Outcome, err, want)
		}
	}
	acquire(holder, backends.Granted)
	fast := c.verbs.fast
	c.verbs.fast = script(t, "return redis.error_reply('ERR fast')")
	acquire(waiter, backends.Held)
	if err := c.Release(t.Context(), holder.Attempt); err != nil {
		t.Errorf("a release with a waiter: %v", err)
	}
	acquire(third, backends.Held)
	for _, a := range []backends.Attempt{waiter.Attempt, third.Attempt} {
		if err := c.Cancel(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Acquire(t.Context(), c.request()); err == nil {
		t.Error("a free key does not go to the fast script")
	}
	c.verbs.fast = fast
	acquire(c.request(), backends.Granted)
}
