package actors

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// A starter's calls are started: its verbs that block are not called.
type starter struct {
	backends.Backend                 // nil
	started          []backends.Call // written by the key's actor
	start            func(n int, c backends.Call, to backends.Asker) (run func())
}

func (s *starter) Start(c backends.Call, to backends.Asker) (run func()) {
	s.started = append(s.started, c)
	return s.start(len(s.started), c, to)
}

func (s *starter) Close() error { return nil }

// granted is what a sound backend answers when nobody else wants the key.
func granted(c backends.Call) backends.Reply {
	switch c.Verb {
	case backends.Acquiring, backends.Renewing:
		return backends.Reply{Outcome: backends.Granted, Base: 1000, TTL: c.TTL}
	}
	return backends.Reply{}
}

func TestCallsAreStarted(t *testing.T) {
	for name, start := range map[string]func(n int, c backends.Call, to backends.Asker) (run func()){
		"and answered by the backend": func(_ int, c backends.Call, to backends.Asker) func() {
			go to.Answered(granted(c), nil)
			return nil
		},
		"and run by a lone caller": func(_ int, c backends.Call, to backends.Asker) func() {
			return func() { to.Answered(granted(c), nil) }
		},
		"and answered twice": func(_ int, c backends.Call, to backends.Asker) func() {
			return func() {
				to.Answered(granted(c), nil)
				to.Answered(backends.Reply{}, backends.ErrRefused)
			}
		},
		"and panic": func(n int, c backends.Call, to backends.Asker) func() {
			if n == 1 {
				panic("a fault in Start")
			}
			return func() { to.Answered(granted(c), nil) }
		},
		"and panic when they are on their way": func(n int, c backends.Call, to backends.Asker) func() {
			if n == 1 {
				time.AfterFunc(time.Second, func() { to.Answered(backends.Reply{}, backends.ErrRefused) })
				panic("a fault in Start")
			}
			return func() { to.Answered(granted(c), nil) }
		},
		"and panic in a lone caller": func(n int, c backends.Call, to backends.Asker) func() {
			return func() {
				if n == 1 {
					panic("a fault of the driver")
				}
				to.Answered(granted(c), nil)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCoordinator(t, &starter{start: start}, Config{})
				h := hold(t, c, Spec{Expires: time.Minute})
				time.Sleep(2 * time.Second) // virtual: whatever comes late has come
				if err := h.Release(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestTheCallsOfAnAmbiguousAttemptSaySo: those of an attempt whose first request had no answer,
// and not those of the next.
func TestTheCallsOfAnAmbiguousAttemptSaySo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &starter{start: func(n int, c backends.Call, to backends.Asker) func() {
			return func() {
				if n == 1 {
					to.Answered(backends.Reply{}, backends.ErrUnavailable)
					return
				}
				to.Answered(granted(c), nil)
			}
		}}
		c := newCoordinator(t, b, Config{})
		for range 2 {
			if err := hold(t, c, Spec{Expires: time.Minute}).Release(); err != nil {
				t.Error(err)
			}
		}
		var said []bool
		for _, call := range b.started {
			said = append(said, call.Ambiguous)
		}
		if want := []bool{false, true, true, false, false}; !slices.Equal(said, want) {
			t.Errorf("acquire, acquire, release; acquire, release are ambiguous: %v, want %v", said, want)
		}
	})
}

// A started call says what the verb's arguments would, and ends by its budget.
func TestAStartedCallIsWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &starter{start: func(_ int, c backends.Call, to backends.Asker) func() {
			return func() { to.Answered(granted(c), nil) }
		}}
		c := newCoordinator(t, b, Config{Prefix: "pylock:", Owner: "me"})
		begun := time.Now()
		h := hold(t, c, Spec{Expires: time.Minute, Timeout: time.Hour})
		if err := h.Extend(2 * time.Minute); err != nil {
			t.Fatal(err)
		}
		if err := h.Release(); err != nil {
			t.Fatal(err)
		}
		if len(b.started) != 3 {
			t.Fatalf("%d calls, want acquire, renew, release", len(b.started))
		}
		for i, verb := range []backends.Verb{backends.Acquiring, backends.Renewing, backends.Releasing} {
			of := b.started[i]
			if of.Verb != verb || of.Key != "pylock:k" || of.Token != b.started[0].Token || of.Token == (backends.Token{}) {
				t.Errorf("%+v: want %v of pylock:k, by one token", of, verb)
			}
			if d := of.Deadline.Sub(begun); d <= 0 || d > callTimeout {
				t.Errorf("%v has a deadline %v from now", verb, d)
			}
		}
		if a := b.started[0]; a.Label != "me" || !a.Queue || a.TTL < time.Minute {
			t.Errorf("acquire: %+v", a)
		}
		if r := b.started[1]; r.Known != 1000 || r.TTL < 2*time.Minute {
			t.Errorf("renewal: %+v", r)
		}
	})
}

// Nobody can cancel a started call, and Close need not: it waits for 2 s, which is as long
// as any call may take.
func TestCloseOutlastsStartedCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		silent := func(_ int, c backends.Call, to backends.Asker) func() {
			if c.Verb == backends.Acquiring {
				return func() { to.Answered(granted(c), nil) }
			}
			time.AfterFunc(time.Until(c.Deadline), func() {
				to.Answered(backends.Reply{}, backends.Unavailable("fake", context.DeadlineExceeded))
			})
			return nil
		}
		c, err := New(&starter{start: silent}, Config{})
		if err != nil {
			t.Fatal(err)
		}
		hold(t, c, Spec{Expires: time.Minute})
		begun := time.Now()
		if err := c.Close(); !errors.Is(err, backends.ErrUnavailable) {
			t.Errorf("%v, want the release's error", err)
		}
		if took := time.Since(begun); took > callTimeout+10*time.Millisecond { // virtual
			t.Errorf("it took %v", took)
		}
	})
}

// TestALoneCallIsMadeByItsOwnCaller: a caller makes the calls that its own messages
// begin, outside the actor, and no others.
func TestALoneCallIsMadeByItsOwnCaller(t *testing.T) {
	var by []string // the goroutines of the calls; one call at a time
	var c *Coordinator
	b := &starter{start: func(_ int, call backends.Call, to backends.Asker) func() {
		return func() {
			by = append(by, call.Verb.String()+" by "+goroutine())
			if _, live := c.Lookup("k"); !live { // the mailbox is free meanwhile
				t.Error("the actor handles nothing while the call is on its way")
			}
			to.Answered(granted(call), nil)
		}
	}}
	c = newCoordinator(t, b, Config{})
	h := hold(t, c, Spec{Expires: time.Minute})
	if err := h.Release(); err != nil {
		t.Error(err)
	}
	self := goroutine()
	if want := []string{"acquire by " + self, "release by " + self}; !slices.Equal(by, want) {
		t.Errorf("%q, want %q", by, want)
	}
	h = hold(t, c, Spec{Expires: time.Minute})
	by = nil
	h.Discard() // nobody waits for it
	for c.Stats().LiveKeys > 0 {
		runtime.Gosched()
	}
	if len(by) != 1 || by[0] == "release by "+self {
		t.Errorf("%q, want one release, by a worker", by)
	}
}

// TestCloseCountsTheTimeThatAReleaseWaited: the backend answers nothing before a call's
// deadline. A Release has waited for that long, so Close does not do so again.
func TestCloseCountsTheTimeThatAReleaseWaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &starter{start: func(n int, c backends.Call, to backends.Asker) func() {
			if n == 1 {
				return func() { to.Answered(granted(c), nil) }
			}
			time.AfterFunc(time.Until(c.Deadline), func() {
				to.Answered(backends.Reply{}, backends.ErrUnavailable)
			})
			return nil
		}}
		c, err := New(b, Config{})
		if err != nil {
			t.Fatal(err)
		}
		if err := hold(t, c, Spec{Expires: time.Minute}).Release(); !errors.Is(err, backends.ErrUnavailable) {
			t.Errorf("release: %v", err)
		}
		time.Sleep(20 * time.Millisecond) // virtual: the release is under way again
		start := time.Now()
		if err := c.Close(); !errors.Is(err, backends.ErrUnavailable) {
			t.Errorf("close: %v, want that the lease was not given back", err)
		}
		if took := time.Since(start); took > callTimeout/2 {
			t.Errorf("close took %v", took)
		}
		time.Sleep(callTimeout) // virtual: the late answer finds nobody
	})
}
