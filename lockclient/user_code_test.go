package lockclient

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// inStep reports whether its caller runs inside a step of a key actor, on whatever
// goroutine that is.
func inStep() bool {
	pc := make([]uintptr, 100)
	frames := runtime.CallersFrames(pc[:runtime.Callers(1, pc)])
	for {
		f, more := frames.Next()
		if strings.Contains(f.Function, "turnstile/actors.(*") {
			return true
		}
		if !more {
			return false
		}
	}
}

// A userLogger is a slog handler, and an error that says of itself what to log. All of
// it is the user's code: do is called in each of its methods, by the method's name.
type userLogger struct {
	do    func(method string)
	calls *sync.Map // the methods that were called
}

func (l userLogger) in(method string) {
	l.calls.Store(method, true)
	l.do(method)
}

func (l userLogger) Enabled(context.Context, slog.Level) bool { l.in("Enabled"); return true }
func (l userLogger) WithAttrs([]slog.Attr) slog.Handler       { l.in("WithAttrs"); return l }
func (l userLogger) WithGroup(string) slog.Handler            { l.in("WithGroup"); return l }
func (l userLogger) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool { a.Value.Resolve(); return true })
	l.in("Handle")
	return nil
}

// A wordyError is what a backend of the user's own complains by.
type wordyError struct{ userLogger }

func (wordyError) Error() string          { return "injected fault" }
func (wordyError) Unwrap() error          { return ErrUnavailable }
func (e wordyError) LogValue() slog.Value { e.in("LogValue"); return slog.StringValue("a fault") }

// A complainingBackend renews nothing when it is told so, by an error of the user's.
type complainingBackend struct {
	*fakeBackend
	fails atomic.Bool
	by    error
}

func (b *complainingBackend) Renew(ctx context.Context, a backends.Attempt, ttl time.Duration, known uint64) (backends.Reply, error) {
	if b.fails.Load() {
		return backends.Reply{}, b.by
	}
	return b.fakeBackend.Renew(ctx, a, ttl, known)
}

// inPlace is a backend whose calls are part of the step.
type inPlace struct{ *complainingBackend }

func (inPlace) Capabilities() backends.Capabilities {
	return backends.Capabilities{Name: "custom", Exclusive: true, Immediate: true}
}

// A hold was over late, and its key and the client stood still, when the user's log
// blocked on a full pipe, panicked, or looked at the client. Whatever it does, in whichever of its methods: every key goes on, and
// no hold's end is late.
func TestNoCodeOfALoggerRunsInAStep(t *testing.T) {
	methods := []string{"Enabled", "Handle", "LogValue"}
	for name, what := range map[string]func(t *testing.T, c *Client, gate <-chan struct{}){
		"blocks":     func(_ *testing.T, _ *Client, gate <-chan struct{}) { <-gate },
		"panics":     func(*testing.T, *Client, <-chan struct{}) { panic("a fault in the user's logger") },
		"exits":      func(*testing.T, *Client, <-chan struct{}) { runtime.Goexit() },
		"calls back": func(t *testing.T, c *Client, _ <-chan struct{}) { callBack(t, c) },
		"acquires": func(_ *testing.T, c *Client, _ <-chan struct{}) {
			if lock, err := c.Acquire(context.Background(), "k", Timeout(time.Second)); err == nil {
				_ = lock.Release() // it may end meanwhile
			}
		},
		"closes": func(_ *testing.T, c *Client, _ <-chan struct{}) { _ = c.Close() },
	} {
		for _, method := range methods {
			for _, immediate := range []bool{false, true} {
				if method == "LogValue" && name == "panics" {
					continue // slog makes a value of the panic
				}
				where := map[bool]string{false: "beside the step", true: "in the step"}[immediate]
				t.Run(name+" in "+method+", calls "+where, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { loggerDoes(t, method, immediate, what) })
				})
			}
		}
	}
}

// callBack uses a client as a handler might that adds to a record what it can learn.
func callBack(t *testing.T, c *Client) {
	if _, err := c.Inspect(context.Background(), "k"); err != nil && !errors.Is(err, ErrClosed) {
		t.Errorf("inspect: %v", err)
	}
	for range c.Keys() {
		continue
	}
	if lock, err := c.TryAcquire(context.Background(), "k"); err == nil {
		_ = lock.Release() // it may end meanwhile
	}
	_ = c.Stats()
}

func loggerDoes(t *testing.T, method string, immediate bool, what func(*testing.T, *Client, <-chan struct{})) {
	const expires = 3 * time.Second
	gate := make(chan struct{})
	var c *Client
	l := userLogger{calls: new(sync.Map)}
	l.do = func(m string) {
		if inStep() {
			t.Errorf("%s is called in a step", m)
			return // it would stall the test
		}
		if m == method {
			what(t, c, gate)
		}
	}
	b := &complainingBackend{fakeBackend: newFake(newStore(), 1, faults{}), by: wordyError{l}}
	var backend backends.Backend = b
	if immediate {
		backend = inPlace{b}
	}
	c, err := New(backend, Config{KeyPrefix: NoPrefix, Logger: slog.New(l)})
	if err != nil {
		t.Fatal(err)
	}
	lost := acquire(t, c, "lost", Expires(expires), Renew())
	expired := acquire(t, c, "expired", Expires(2*expires))
	b.fails.Store(true)
	<-lost.Context().Done()
	want := ErrLost
	if c.coordinator.Closed() {
		want = ErrClosed
	}
	if cause := context.Cause(lost.Context()); !errors.Is(cause, want) || time.Now().After(lost.Deadline()) {
		t.Errorf("it ended by %v, %v before its deadline", cause, time.Until(lost.Deadline()))
	}
	b.fails.Store(false)
	synctest.Wait()
	if _, called := l.calls.Load(method); !called {
		t.Errorf("%s was not called", method)
	}
	if !c.coordinator.Closed() {
		for _, key := range []string{"lost", "another"} {
			release(t, acquire(t, c, key, Timeout(time.Second)))
		}
		<-expired.Context().Done()
		if late := time.Since(expired.Deadline()); late > 0 {
			t.Errorf("the end of the other hold came %v after its deadline", late)
		}
	}
	if err := expired.Release(); !errors.Is(err, ErrNotHeld) {
		t.Errorf("a late release: %v", err)
	}
	start := time.Now()
	_ = c.Close() // what it says of leases is another test's
	if took := time.Since(start); took > time.Second {
		t.Errorf("Close took %v", took)
	}
	close(gate)
}

// A stubbornContext is the user's own: from some time on its methods block for ever.
type stubbornContext struct {
	context.Context
	t      *testing.T
	blocks *atomic.Bool
	gate   chan struct{}
}

func (c stubbornContext) in(method string) {
	if inStep() {
		c.t.Errorf("%s is called in a step", method)
		return
	}
	if c.blocks.Load() {
		<-c.gate
	}
}

func (c stubbornContext) Done() <-chan struct{} { c.in("Done"); return c.Context.Done() }
func (c stubbornContext) Err() error            { c.in("Err"); return c.Context.Err() }
func (c stubbornContext) Value(key any) any     { c.in("Value"); return c.Context.Value(key) }
func (c stubbornContext) Deadline() (time.Time, bool) {
	c.in("Deadline")
	return c.Context.Deadline()
}

// No method of the ctx that an acquire was given runs in a step, and none is waited for
// once it is granted; nor is what the user does when a hold's context ends.
func TestNoContextOfTheUsersRunsInAStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const expires = 3 * time.Second
		c := newOver(t, newFake(newStore(), 1, faults{}), Config{})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		ctx = stubbornContext{ctx, t, new(atomic.Bool), make(chan struct{})}
		var locks []*Lock
		for _, key := range []string{"released", "expired"} {
			lock, err := c.Acquire(ctx, key, Expires(expires))
			if err != nil {
				t.Fatal(err)
			}
			locks = append(locks, lock)
		}
		ctx.(stubbornContext).blocks.Store(true)
		for _, lock := range locks {
			context.AfterFunc(lock.Context(), func() {
				if inStep() {
					t.Error("an AfterFunc is called in a step")
					return
				}
				callBack(t, c)
				<-ctx.(stubbornContext).gate
			})
		}
		release(t, locks[0])
		<-locks[1].Context().Done()
		if late := time.Since(locks[1].Deadline()); late > 0 {
			t.Errorf("the hold's end came %v after its deadline", late)
		}
		for _, key := range []string{"released", "expired"} {
			release(t, acquire(t, c, key, Timeout(time.Second)))
		}
		close(ctx.(stubbornContext).gate)
	})
}

// A function that ends its goroutine, as t.FailNow does, lets go of the lock.
func TestALockOfAGoroutineThatEndsIsReleased(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) *Client{
		"calls beside the step": func(t *testing.T) *Client { return newOver(t, newFake(newStore(), 1, faults{}), Config{}) },
		"calls in the step":     func(t *testing.T) *Client { return openClient(t, Config{Backend: "embedded://" + t.Name()}) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := open(t)
				done := make(chan struct{})
				go func() { // ends in the function
					defer close(done)
					_ = c.Do(context.Background(), "k", func(context.Context) error {
						runtime.Goexit()
						return nil
					}, Expires(time.Hour))
					t.Error("Do returned")
				}()
				<-done
				lock, err := c.TryAcquire(t.Context(), "k")
				if err != nil {
					t.Fatalf("the key is not free: %v", err)
				}
				release(t, lock)
			})
		})
	}
}
