package actors

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// Regression: a release answers when the key lingers. If somebody waited when it came,
// and gave up before getting the key, nobody answered it any more: it waited for the
// end of the linger, or said ErrUnavailable after 2 s.
func TestAReleaseIsAnsweredWhenTheOnlyWaiterGoes(t *testing.T) {
	const linger = 10 * time.Second
	for name, play := range map[string]func(t *testing.T, h, waiter *Hold, gate chan struct{}) <-chan error{
		"while the lease is renewed for it": func(t *testing.T, h, waiter *Hold, _ chan struct{}) <-chan error {
			released := make(chan error, 1)
			go func() { released <- h.Release() }()
			synctest.Wait()
			if !waiter.Abandon() {
				t.Error("the waiter has the key: the test proves nothing")
			}
			return released
		},
		"just before it would be granted": func(t *testing.T, h, waiter *Hold, gate chan struct{}) <-chan error {
			close(gate)
			synctest.Wait() // the lease is long enough now
			busy := make(chan Info)
			h.entry.post(snapshot{busy}) // keeps the actor until somebody receives
			released := make(chan error, 1)
			go func() { released <- h.Release() }()
			synctest.Wait()
			waiter.Abandon()
			<-busy
			return released
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &gatedRenewal{gate: make(chan struct{})}
				c := newCoordinator(t, b, Config{Linger: linger, Tenure: linger})
				h := hold(t, c, Spec{Expires: 5 * time.Second})
				waiter := begin(t, c, Spec{Expires: time.Hour}) // which needs a longer lease
				synctest.Wait()
				released := play(t, h, waiter, b.gate)
				synctest.Wait()
				select {
				case err := <-released:
					if err != nil {
						t.Errorf("release: %v", err)
					}
				default:
					t.Errorf("no answer; later %v", <-released)
				}
				select {
				case <-b.gate:
				default:
					close(b.gate)
				}
			})
		})
	}
}

// Regression: an extension that came while a renewal was under way counted from when
// that had been sent, so the deadline was up to 2 s short of what Extend had promised.
func TestAnExtensionCountsFromItsCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &gatedRenewal{gate: make(chan struct{})}
		c := newCoordinator(t, b, Config{})
		h := hold(t, c, Spec{Expires: 2 * time.Second, Renew: true})
		time.Sleep(time.Second) // virtual: a renewal is under way since 667 ms or before
		extended := make(chan error, 1)
		want := time.Now().Add(2 * time.Second)
		go func() { extended <- h.Extend(2 * time.Second) }()
		synctest.Wait()
		close(b.gate)
		if err := <-extended; err != nil {
			t.Fatal(err)
		}
		if short := want.Sub(h.Deadline()); short > 0 {
			t.Errorf("the deadline is %v short", short)
		}
		if err := h.Release(); err != nil {
			t.Error(err)
		}
	})
}

// A slowInPlace is a backend whose calls are made in place, and whose first renewal takes long.
type slowInPlace struct {
	grantAll
	takes time.Duration
}

func (*slowInPlace) Capabilities() backends.Capabilities {
	return backends.Capabilities{Name: "fake", Exclusive: true, Wakes: true, Fences: true, Immediate: true}
}

func (b *slowInPlace) Renew(ctx context.Context, a backends.Attempt, ttl time.Duration, known uint64) (backends.Reply, error) {
	time.Sleep(b.takes) // virtual: the process had no CPU
	b.takes = 0
	return b.grantAll.Renew(ctx, a, ttl, known)
}

// Regression: the same as in TestAnExpiredHoldIsNotRevived, of a renewal that is made in
// place: its result is no message.
func TestAnExpiredHoldIsNotRevivedInPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const ms = time.Millisecond
		b := &slowInPlace{takes: 270 * ms}
		c := newCoordinator(t, b, Config{})
		h := hold(t, c, Spec{Expires: 300 * ms, Renew: true})
		time.Sleep(310 * ms) // virtual: a renewal is under way since 50 to 100 ms, until 320 to 370 ms
		if cause := context.Cause(h.Context(t.Context())); !errors.Is(cause, backends.ErrExpired) {
			t.Fatalf("the holder sees %v, want ErrExpired", cause)
		}
		if err := h.Release(); !errors.Is(err, backends.ErrNotHeld) {
			t.Errorf("release: %v, want ErrNotHeld", err)
		}
	})
}

// An alwaysSlowInPlace is one whose renewals all take long.
type alwaysSlowInPlace struct {
	slowInPlace
	takes atomic.Int64 // ns
}

func (b *alwaysSlowInPlace) Renew(ctx context.Context, a backends.Attempt, ttl time.Duration, known uint64) (backends.Reply, error) {
	time.Sleep(time.Duration(b.takes.Load())) // virtual
	return b.grantAll.Renew(ctx, a, ttl, known)
}

// Regression: where a renewal in place took longer than a third of the hold, the next
// was due when it returned. The actor made one after the other and handled no message.
func TestRenewalsInPlaceThatAreSlowKeepNoMessageWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const ms = time.Millisecond
		b := &alwaysSlowInPlace{}
		b.takes.Store(int64(120 * ms)) // more than a third, less than half
		c := newCoordinator(t, b, Config{})
		h := hold(t, c, Spec{Expires: 300 * ms, Renew: true})
		time.Sleep(time.Second) // virtual: renewals follow each other
		if err := h.Context(t.Context()).Err(); err != nil {
			t.Errorf("the hold, which is renewed in time: %v", err)
		}
		released := make(chan error, 1)
		go func() { released <- h.Release() }()
		select {
		case err := <-released:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(time.Minute): // virtual
			t.Error("the release was not handled")
			b.takes.Store(0) // else the test never ends
		}
	})
}

// A brokenEnd grants when its gate is opened, and panics at the end of an attempt.
type brokenEnd struct {
	grantAll
	gate chan struct{}
}

func (b *brokenEnd) Acquire(ctx context.Context, r backends.Request) (backends.Reply, error) {
	<-b.gate
	return b.grantAll.Acquire(ctx, r)
}

func (*brokenEnd) Release(context.Context, backends.Attempt) error {
	panic("a fault in the backend")
}

// Regression: what an actor gives back of an acquire that it has forgotten, after a panic
// of ours, was called with nothing to catch a panic of the backend's, which took the
// process down.
func TestABackendThatPanicsAtWhatIsForgottenCostsNoProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &brokenEnd{gate: make(chan struct{})}
		c, err := New(b, Config{})
		if err != nil {
			t.Fatal(err)
		}
		h := begin(t, c, Spec{Expires: time.Second})
		synctest.Wait()
		h.entry.post("a message that no key actor knows")
		if _, err := h.Wait(nil); !errors.Is(err, backends.ErrUnavailable) {
			t.Errorf("the waiter got %v, want ErrUnavailable", err)
		}
		close(b.gate)
		synctest.Wait()
		_ = c.Close()
	})
}
