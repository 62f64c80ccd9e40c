package lockclient

import (
	"context"
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// heartbeat is what a patientBackend says to wait before asking again.
const heartbeat = 300 * time.Millisecond

// A patientBackend answers Held with a long Retry, like Redis, which would push a
// wake before; here the wake is always lost.
type patientBackend struct{ *fakeBackend }

func (b patientBackend) Acquire(ctx context.Context, r backends.Request) (backends.Reply, error) {
	p, err := b.fakeBackend.Acquire(ctx, r)
	if p.Outcome == backends.Held {
		p.Retry = heartbeat
	}
	return p, err
}

// A try that found the key held kept everybody after it from asking for a
// whole heartbeat, and the next try of a free key was refused from memory.
func TestATryLeavesTheNextAcquireToAskForItself(t *testing.T) {
	for name, timeout := range map[string]time.Duration{"another try": 0, "a short wait": heartbeat / 2} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStore()
				other := newOver(t, newFake(s, 1, faults{}), Config{})
				c := newOver(t, patientBackend{newFake(s, 2, faults{})}, Config{})
				held := acquire(t, other, "k")
				if _, err := c.TryAcquire(t.Context(), "k"); !errors.Is(err, ErrTimeout) {
					t.Errorf("a try of a held key: %v, want ErrTimeout", err)
				}
				release(t, held)
				start := time.Now()
				lock, err := c.Acquire(t.Context(), "k", Timeout(timeout))
				if err != nil {
					t.Fatalf("the key is free: %v", err)
				}
				if d := time.Since(start); d != 0 {
					t.Errorf("the free key was granted after %v", d)
				}
				release(t, lock)
			})
		})
	}
}

// Who came and went between two polls of a held key was told that the backend
// never answered, when it had only not been asked.
func TestAPollThatIsNotDueIsNoSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		other := newOver(t, newFake(s, 1, faults{}), Config{})
		c := newOver(t, patientBackend{newFake(s, 2, faults{})}, Config{})
		held := acquire(t, other, "k", Expires(time.Minute))
		var wg sync.WaitGroup
		wg.Go(func() { // keeps the poll going, and its place before those that follow
			if _, err := c.Acquire(t.Context(), "k", Timeout(10*time.Second)); !errors.Is(err, ErrTimeout) {
				t.Errorf("the patient waiter: %v, want ErrTimeout", err)
			}
		})
		synctest.Wait()
		for _, timeout := range []time.Duration{heartbeat / 3, 0} {
			time.Sleep(time.Millisecond) // virtual: the last answer is from before
			_, err := c.Acquire(t.Context(), "k", Timeout(timeout))
			if !errors.Is(err, ErrTimeout) || errors.Is(err, ErrUnavailable) {
				t.Errorf("timeout %v: %v, want ErrTimeout and not ErrUnavailable", timeout, err)
			}
		}
		wg.Wait()
		release(t, held)
	})
}

// The end of the wait was past what an int64 of nanoseconds can say, so it
// came out as a time long ago, and the wait was over before it began.
func TestTheLongestTimeoutWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newOver(t, newFake(newStore(), 1, faults{}), Config{})
		held := acquire(t, c, "k", Expires(time.Minute))
		time.AfterFunc(5*time.Second, func() { release(t, held) })
		start := time.Now()
		lock, err := c.Acquire(t.Context(), "k", Timeout(math.MaxInt64))
		if err != nil {
			t.Fatalf("after %v: %v", time.Since(start), err)
		}
		if d := time.Since(start); d != 5*time.Second {
			t.Errorf("granted after %v, the key was free after 5 s", d)
		}
		release(t, lock)
	})
}

// In the same way the longest MaxHold ended the hold before it began.
func TestTheLongestMaxHoldIsNoBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newOver(t, newFake(newStore(), 1, faults{}), Config{})
		lock := acquire(t, c, "k", Expires(time.Second), Renew(), MaxHold(math.MaxInt64))
		time.Sleep(time.Minute) // virtual: many renewals
		if err := lock.Context().Err(); err != nil {
			t.Errorf("the hold ended: %v", context.Cause(lock.Context()))
		}
		release(t, lock)
	})
}

// A crossingContext has ended, but says so only once a grant has crossed its end:
// that makes the one order that is rare happen each time.
type crossingContext struct {
	context.Context
	done    chan struct{} // closed from the start
	granted <-chan struct{}
	err     error
	asked   atomic.Bool
}

func (c *crossingContext) Done() <-chan struct{} { return c.done }

func (c *crossingContext) Err() error {
	if !c.asked.Swap(true) {
		return nil // so that the acquire begins
	}
	<-c.granted
	time.Sleep(time.Millisecond) // virtual: the actor has taken the grant and settled the hold
	return c.err
}

// A stuckRelease grants, says so, and never answers a release.
type stuckRelease struct {
	*fakeBackend
	granted  chan struct{}
	released atomic.Bool
}

func (b *stuckRelease) Acquire(ctx context.Context, r backends.Request) (backends.Reply, error) {
	time.Sleep(time.Millisecond) // virtual: so the caller sees the end before the grant
	defer close(b.granted)
	return b.fakeBackend.Acquire(ctx, r)
}

func (b *stuckRelease) Release(ctx context.Context, _ backends.Attempt) error {
	b.released.Store(true)
	<-ctx.Done()
	return backends.Interrupted(ctx, "fake")
}

// Whoever gave up as the grant came waited for its release, up to 2 s, and
// then got an error that named key "".
func TestACallerWhoseEndCrossesTheGrantIsAnsweredAtOnce(t *testing.T) {
	for _, end := range []error{context.DeadlineExceeded, context.Canceled} {
		t.Run(end.Error(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &stuckRelease{fakeBackend: newFake(newStore(), 1, faults{}), granted: make(chan struct{})}
				c, err := New(b, Config{KeyPrefix: NoPrefix})
				if err != nil {
					t.Fatal(err)
				}
				ctx := &crossingContext{Context: t.Context(), done: make(chan struct{}), granted: b.granted, err: end}
				close(ctx.done)
				start := time.Now()
				_, err = c.Acquire(ctx, "k")
				if d := time.Since(start); d > 10*time.Millisecond {
					t.Errorf("the answer came after %v", d)
				}
				if !errors.Is(err, end) {
					t.Errorf("acquire: %v, want %v", err, end)
				}
				var why *WaitError
				if errors.As(err, &why) && why.Key != "k" {
					t.Errorf("the error names key %q", why.Key)
				}
				synctest.Wait()
				if c.Stats().Holds != 1 || !b.released.Load() {
					t.Errorf("%d holds, given back: %v; want a grant that was", c.Stats().Holds, b.released.Load())
				}
				if err := c.Close(); !errors.Is(err, ErrUnavailable) {
					t.Errorf("close: %v, want ErrUnavailable for the release that got no answer", err)
				}
			})
		})
	}
}
