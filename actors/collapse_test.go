package actors

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/turnstile-go/turnstile/actors/machine"
	"github.com/turnstile-go/turnstile/backends"
)

// A slowLog counts what is logged, and takes a millisecond for it: whoever logs
// in a circle then shows in virtual time, which would stand still otherwise.
type slowLog struct{ n *atomic.Int64 }

func (slowLog) Enabled(context.Context, slog.Level) bool { return true }
func (l slowLog) WithAttrs([]slog.Attr) slog.Handler     { return l }
func (l slowLog) WithGroup(string) slog.Handler          { return l }
func (l slowLog) Handle(context.Context, slog.Record) error {
	l.n.Add(1)
	time.Sleep(time.Millisecond) // virtual
	return nil
}

// unnamable is an attempt number that no token can be made of, so that a call
// for it panics in the actor: the fault of ours that these tests need.
const unnamable = backends.MaxAttempt + 1

// misnumber has the key's attempts panic that begin from now on.
func misnumber(a *keyActor) {
	cfg := a.c.machineConfig()
	cfg.NextAttempt = func() uint64 { return unnamable }
	a.machine.Init(&cfg, a)
}

// misleased is a key whose lease can be neither renewed nor given back, held by h.
func misleased(a *keyActor, h *Hold) {
	misnumber(a)
	now := a.c.clock.now()
	h.entry, h.state.Tag, h.state.Spec = a.entry, h, Spec{Expires: time.Minute}
	effects, _ := a.machine.Step(machine.Arrive{Hold: &h.state}, now, nil)
	call := effects[len(effects)-1].Call
	call.Sent, call.Reply = now, backends.Reply{Outcome: backends.Granted, Base: 1, TTL: call.TTL}
	a.machine.Step(machine.Answered{Call: call}, now, nil)
	a.machine.Step(machine.Taken{}, now, nil)
	h.stage.Store(settled)
	h.deadline = h.state.Deadline
}

// spoil lets every key actor that c spawns from now on begin in a state of the
// test's choice.
func spoil(c *Coordinator, state func(*keyActor)) {
	c.directory.spawn = func(e *entry) actor.Actor {
		a := newKeyActor(c, e)
		state(a)
		return a
	}
}

// Regression: the actor tried again at once what had just
// panicked, and did nothing else, for ever.
func TestWhatPanicsIsNotTriedAgainAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logged atomic.Int64
		c, err := New(&grantAll{}, Config{Logger: slog.New(slowLog{&logged})})
		if err != nil {
			t.Fatal(err)
		}
		spoil(c, misnumber)
		h := begin(t, c, Spec{Expires: time.Second})
		if _, err := h.Wait(nil); !errors.Is(err, backends.ErrUnavailable) {
			t.Errorf("the waiter got %v, want ErrUnavailable", err)
		}
		time.Sleep(10 * time.Second) // virtual
		if n := logged.Load(); n < 2 || n > 21 {
			t.Errorf("%d panics in 10 s, want one each half second", n)
		}
		_ = c.Close() // says what was not settled
	})
}

// Regression: an actor that panicked at whatever it was asked never retired, and
// Close waited for it.
func TestCloseReturnsAlsoWhenAKeyDoesNothingButPanic(t *testing.T) {
	for name, spoiled := range map[string]struct {
		state   func(*keyActor)
		message func(*entry) any
	}{
		"on its way to settle an attempt": {misnumber, func(e *entry) any {
			h := &Hold{entry: e}
			h.state.Tag = h
			return acquire{h}
		}},
		"on its way to give a lease back": {
			func(a *keyActor) { misleased(a, &Hold{}) },
			func(*entry) any { return tick{} },
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, err := New(&grantAll{}, Config{})
				if err != nil {
					t.Fatal(err)
				}
				spoil(c, spoiled.state)
				if !c.directory.post("k", spoiled.message) {
					t.Fatal("the coordinator is closed")
				}
				synctest.Wait()
				start := time.Now()
				if err := c.Close(); !errors.Is(err, backends.ErrUnavailable) {
					t.Errorf("close: %v, want ErrUnavailable for what was not given back", err)
				}
				if d := time.Since(start); d > callTimeout+time.Second {
					t.Errorf("close took %v", d)
				}
			})
		})
	}
}

// Regression: an actor whose only message was its panic was never told that it was
// idle, and stayed.
func TestAnActorThatPanickedRetires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCoordinator(t, &grantAll{}, Config{})
		if !c.directory.post("k", func(*entry) any { return "a message that no key actor knows" }) {
			t.Fatal("the coordinator is closed")
		}
		time.Sleep(2 * defaultIdleAfter) // virtual
		synctest.Wait()
		if n := c.Stats().LiveKeys; n != 0 {
			t.Errorf("%d keys are live", n)
		}
	})
}

// Regression: the wire format has no number for an attempt after the last, and the
// key that first needed one panicked for ever.
func TestAClientWhoseAttemptsAreUsedUpSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logged atomic.Int64
		c := newCoordinator(t, &grantAll{}, Config{Logger: slog.New(slowLog{&logged})})
		c.attempts.Store(backends.MaxAttempt - 1)
		if err := hold(t, c, Spec{Expires: time.Second}).Release(); err != nil {
			t.Errorf("the last attempt: %v", err)
		}
		for _, spec := range []Spec{{Expires: time.Second}, {Expires: time.Second, Try: true, Timeout: time.Second}} {
			h := begin(t, c, spec)
			if _, err := h.Wait(nil); !errors.Is(err, backends.ErrUnavailable) || errors.Is(err, backends.ErrTimeout) {
				t.Errorf("try %v: %v, want ErrUnavailable at once", spec.Try, err)
			}
		}
		if n := logged.Load(); n > 0 {
			t.Errorf("%d lines were logged", n)
		}
	})
}

// A brokenLog panics.
type brokenLog struct{ slowLog }

func (brokenLog) Handle(context.Context, slog.Record) error { panic("a fault in the user's logger") }

// Regression: a panic of the user's logger, met while a panic of
// ours was being logged, took the process down.
func TestALoggerThatPanicsCostsNoKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCoordinator(t, &grantAll{}, Config{Logger: slog.New(brokenLog{})})
		h := hold(t, c, Spec{Expires: time.Minute}) // its loss is logged as well
		ctx := h.Context(t.Context())
		h.entry.post("a message that no key actor knows")
		<-ctx.Done()
		if cause := context.Cause(ctx); !errors.Is(cause, backends.ErrLost) {
			t.Errorf("the hold ended by %v, want ErrLost", cause)
		}
		if err := hold(t, c, Spec{Expires: time.Minute}).Release(); err != nil {
			t.Errorf("the key afterwards: %v", err)
		}
	})
}

// Regression: the same when it is a panic of the backend that is logged.
func TestALoggerThatPanicsCostsNoCall(t *testing.T) {
	b := &panicky{}
	b.left.Store(1)
	c := newCoordinator(t, b, Config{Logger: slog.New(brokenLog{})})
	if err := hold(t, c, Spec{Expires: time.Minute}).Release(); err != nil {
		t.Error(err)
	}
}

// holdUnnamable holds key k under a lease whose next call panics in the actor. To close
// the coordinator says that the lease was not given back.
func holdUnnamable(t *testing.T) (*Coordinator, *Hold) {
	t.Helper()
	c, err := New(&grantAll{}, Config{})
	if err != nil {
		t.Fatal(err)
	}
	h := &Hold{}
	spoil(c, func(a *keyActor) { misleased(a, h) })
	c.directory.post("k", func(*entry) any { return tick{} })
	synctest.Wait()
	return c, h
}

// Regression: a release that panicked was answered twice, and
// the second answer was found in the pooled channel by an acquire of another key.
func TestAReleaseThatPanicsIsAnsweredOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, h := holdUnnamable(t)
		busy := make(chan Info)
		h.entry.post(snapshot{busy}) // keeps the actor until somebody receives
		released := make(chan error)
		go func() { released <- h.Release() }()
		synctest.Wait() // the caller is parked
		reply := h.reply
		<-busy
		if err := <-released; !errors.Is(err, backends.ErrUnavailable) {
			t.Errorf("release: %v, want ErrUnavailable", err)
		}
		synctest.Wait()
		select {
		case <-reply:
			t.Error("a second answer")
		default:
		}
		_ = c.Close()
	})
}

// Regression: a check that panicked was answered twice, and where its caller had left
// by then, the second answer blocked the actor for good.
func TestACheckThatPanicsAfterItsCallerLeftBlocksNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, h := holdUnnamable(t)
		ctx, cancel := context.WithCancel(t.Context())
		busy := make(chan Info)
		h.entry.post(snapshot{busy}) // keeps the actor until somebody receives
		time.AfterFunc(time.Millisecond, cancel)
		if err := h.Check(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("check: %v, want that its caller left", err)
		}
		<-busy
		synctest.Wait()
		if err := h.Release(); !errors.Is(err, backends.ErrNotHeld) {
			t.Errorf("release: %v, want ErrNotHeld: the hold was lost", err)
		}
		_ = c.Close()
	})
}
