package lockclient

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

func TestCheckAsksTheBackend(t *testing.T) {
	for _, b := range exclusiveBackends {
		t.Run(b.name, func(t *testing.T) {
			url := b.open(t)
			c := openClient(t, Config{Backend: url})
			lock := acquire(t, c, "k", Expires(time.Minute))
			deadline, calls := lock.Deadline(), c.Stats().BackendCalls
			if err := lock.Check(t.Context()); err != nil {
				t.Errorf("a hold that goes on: %v", err)
			}
			if n := c.Stats().BackendCalls - calls; n != 1 || !lock.Deadline().Equal(deadline) {
				t.Errorf("%d calls, the deadline moved by %v", n, lock.Deadline().Sub(deadline))
			}
			release(t, lock)
			if err := lock.Check(t.Context()); !errors.Is(err, ErrNotHeld) {
				t.Errorf("after its release: %v, want ErrNotHeld", err)
			}
		})
	}
}

// Extend that the lease covers says nil, though the key was deleted: Check does not.
func TestCheckFindsWhatExtendDoesNotAskFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		c := newOver(t, newFake(s, 1, faults{}), Config{})
		lock := acquire(t, c, "k", Expires(time.Minute))
		s.forget("k")
		if err := lock.Extend(time.Second); err != nil {
			t.Errorf("extend: %v", err)
		}
		if err := lock.Check(t.Context()); !errors.Is(err, ErrNotHeld) {
			t.Errorf("check: %v, want ErrNotHeld", err)
		}
		if cause := context.Cause(lock.Context()); !errors.Is(cause, ErrLost) {
			t.Errorf("the hold ended by %v, want ErrLost", cause)
		}
	})
}

// To look at a hold in an outage must not end it, nor shorten its lease.
func TestACheckWithoutAnAnswerDisturbsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		f := newFake(s, 1, faults{})
		c := newOver(t, f, Config{})
		first := acquire(t, c, "k", Expires(time.Minute))
		next := make(chan *Lock, 1)
		go func() { next <- acquire(t, c, "k", Expires(50*time.Second)) }() // ends with its acquire
		synctest.Wait()
		release(t, first)
		lock := <-next // its lease is longer than it needs
		before, _ := s.lease("k")
		if err := lock.Check(t.Context()); err != nil {
			t.Error(err)
		}
		if after, held := s.lease("k"); !held || after.ends.Before(before.ends) {
			t.Errorf("the lease ended at %v, and ends at %v", before.ends, after.ends)
		}
		deadline := lock.Deadline()
		f.kill(true)
		start := time.Now()
		if err := lock.Check(t.Context()); !errors.Is(err, ErrUnavailable) || errors.Is(err, ErrNotHeld) || !errors.Is(err, errFault) {
			t.Errorf("in an outage: %v, want ErrUnavailable with its cause", err)
		}
		if took := time.Since(start); took > 2250*time.Millisecond {
			t.Errorf("it took %v", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := lock.Check(ctx); !errors.Is(err, ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("as long as its ctx: %v, want ErrUnavailable and ctx.Err()", err)
		}
		f.kill(false)
		if err := lock.Check(t.Context()); err != nil || !lock.Deadline().Equal(deadline) || lock.Context().Err() != nil {
			t.Errorf("after the outage: %v, the deadline moved by %v, %v", err, lock.Deadline().Sub(deadline), lock.Context().Err())
		}
		release(t, lock)
	})
}

// A renewal that is under way proves what was true before somebody asked.
func TestACheckIsAnsweredByACallAfterIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		f := &renewsSlowly{fakeBackend: newFake(s, 1, faults{}), under: make(chan struct{}, 1), gate: make(chan struct{})}
		c := newOver(t, f, Config{})
		lock := acquire(t, c, "k", Expires(time.Minute), Renew())
		<-f.under // a renewal has been carried out, and its answer is on its way
		s.forget("k")
		time.Sleep(time.Millisecond) // virtual
		done := make(chan error, 1)
		go func() { done <- lock.Check(t.Context()) }() // ends with its answer
		synctest.Wait()
		close(f.gate)
		if err := <-done; !errors.Is(err, ErrNotHeld) {
			t.Errorf("%v, want ErrNotHeld", err)
		}
	})
}

// renewsSlowly answers a renewal when its gate is open.
type renewsSlowly struct {
	*fakeBackend
	under chan struct{}
	gate  chan struct{}
}

func (b *renewsSlowly) Renew(ctx context.Context, a backends.Attempt, ttl time.Duration, known uint64) (backends.Reply, error) {
	reply, err := b.fakeBackend.Renew(ctx, a, ttl, known)
	select {
	case b.under <- struct{}{}:
	default:
	}
	<-b.gate
	return reply, err
}
