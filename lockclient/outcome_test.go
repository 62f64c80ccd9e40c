package lockclient

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// A mute backend takes requests and answers none.
type mute struct{ *fakeBackend }

func (mute) Acquire(ctx context.Context, _ backends.Request) (backends.Reply, error) {
	<-ctx.Done()
	return backends.Reply{Outcome: backends.MayHaveRun}, backends.Interrupted(ctx, "fake")
}

// The kinds of outcome that an acquire may match.
var outcomes = []error{ErrTimeout, ErrHeld, ErrUnavailable, ErrNotHeld, context.DeadlineExceeded, context.Canceled}

func wantMatches(t *testing.T, what string, err error, want ...error) {
	t.Helper()
	for _, kind := range outcomes {
		wanted := false
		for _, w := range want {
			wanted = wanted || w == kind
		}
		if errors.Is(err, kind) != wanted {
			t.Errorf("%s: %v; matches %v: %v, want %v", what, err, kind, !wanted, wanted)
		}
	}
}

// The table at WaitError: whose timeout it was, and what it says of the key.
func TestWhatAnAcquireThatGotNothingMatches(t *testing.T) {
	type client func(t *testing.T) *Client
	heldElsewhere := func(t *testing.T) *Client {
		s := newStore()
		release := acquire(t, newOver(t, newFake(s, 1, faults{}), Config{}), "k", Expires(time.Hour))
		t.Cleanup(func() { _ = release.Release() })
		return newOver(t, newFake(s, 2, faults{}), Config{})
	}
	heldHere := func(t *testing.T) *Client {
		c := newOver(t, newFake(newStore(), 1, faults{}), Config{})
		acquire(t, c, "k", Expires(time.Hour))
		return c
	}
	away := func(t *testing.T) *Client {
		f := newFake(newStore(), 1, faults{})
		f.kill(true)
		return newOver(t, f, Config{})
	}
	silent := func(t *testing.T) *Client { return newOver(t, mute{newFake(newStore(), 1, faults{})}, Config{}) }
	// Somebody had it when an earlier caller asked; now nobody answers.
	knownAndAway := func(t *testing.T) *Client {
		s := newStore()
		lock := acquire(t, newOver(t, newFake(s, 1, faults{}), Config{}), "k", Expires(time.Hour))
		f := newFake(s, 2, faults{})
		c := newOver(t, f, Config{})
		_, err := c.TryAcquire(t.Context(), "k")
		wantMatches(t, "before", err, ErrTimeout, ErrHeld)
		f.kill(true)
		time.Sleep(time.Millisecond) // virtual: the answer is from before
		t.Cleanup(func() { _ = lock.Release() })
		return c
	}

	const short = 20 * time.Millisecond // less than a backend may take to be called silent
	wait := func(ctx context.Context, c *Client) error {
		_, err := c.Acquire(ctx, "k", Timeout(short))
		return err
	}
	try := func(ctx context.Context, c *Client) error {
		_, err := c.TryAcquire(ctx, "k")
		return err
	}
	deadline := func(ctx context.Context, c *Client) error {
		ctx, cancel := context.WithTimeout(ctx, short)
		defer cancel()
		_, err := c.Acquire(ctx, "k")
		return err
	}
	both := func(ctx context.Context, c *Client) error { // the two cross
		ctx, cancel := context.WithTimeout(ctx, short)
		defer cancel()
		return wait(ctx, c)
	}
	tryInTime := func(ctx context.Context, c *Client) error {
		ctx, cancel := context.WithTimeout(ctx, short)
		defer cancel()
		return try(ctx, c)
	}
	cancelled := func(ctx context.Context, c *Client) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		time.AfterFunc(short, cancel)
		_, err := c.Acquire(ctx, "k", Timeout(time.Minute))
		return err
	}

	for _, row := range []struct {
		name   string
		open   client
		how    func(context.Context, *Client) error
		want   []error
		either bool // the timeout or ctx was first
	}{
		{name: "held elsewhere, timeout", open: heldElsewhere, how: wait, want: []error{ErrTimeout, ErrHeld}},
		{name: "held here, timeout", open: heldHere, how: wait, want: []error{ErrTimeout, ErrHeld}},
		{name: "held elsewhere, one try", open: heldElsewhere, how: try, want: []error{ErrTimeout, ErrHeld}},
		{name: "held here, one try", open: heldHere, how: try, want: []error{ErrTimeout, ErrHeld}},
		{name: "held elsewhere, ctx's deadline", open: heldElsewhere, how: deadline, want: []error{ErrTimeout, ErrHeld, context.DeadlineExceeded}},
		{name: "held elsewhere, both at once", open: heldElsewhere, how: both, want: []error{ErrTimeout, ErrHeld, context.DeadlineExceeded}, either: true},
		{name: "held elsewhere, cancelled", open: heldElsewhere, how: cancelled, want: []error{context.Canceled}},
		{name: "away, timeout", open: away, how: wait, want: []error{ErrTimeout, ErrUnavailable}},
		{name: "away, one try", open: away, how: try, want: []error{ErrUnavailable}},
		{name: "away, ctx's deadline", open: away, how: deadline, want: []error{ErrTimeout, ErrUnavailable, context.DeadlineExceeded}},
		{name: "away, cancelled", open: away, how: cancelled, want: []error{context.Canceled}},
		{name: "silent, timeout", open: silent, how: wait, want: []error{ErrTimeout, ErrUnavailable}},
		{name: "silent, one try", open: silent, how: try, want: []error{ErrUnavailable}},
		{name: "silent, one try with ctx's deadline", open: silent, how: tryInTime, want: []error{ErrUnavailable, context.DeadlineExceeded}},
		{name: "held when last asked, timeout", open: knownAndAway, how: wait, want: []error{ErrTimeout, ErrUnavailable}},
		{name: "held when last asked, one try", open: knownAndAway, how: try, want: []error{ErrUnavailable}},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := row.open(t)
				err := row.how(t.Context(), c)
				if row.either && !errors.Is(err, context.DeadlineExceeded) {
					row.want = row.want[:len(row.want)-1]
				}
				wantMatches(t, row.name, err, row.want...)
				var why *WaitError
				if !errors.As(err, &why) {
					if !errors.Is(err, context.Canceled) {
						t.Errorf("%v is no *WaitError", err)
					}
					return
				}
				named := why.Holder != "" || why.Local
				if errors.Is(err, ErrUnavailable) && named || errors.Is(err, ErrHeld) && !named {
					t.Errorf("the holder is %q, local %v: %v", why.Holder, why.Local, err)
				}
			})
		})
	}
}

// A try repeated the error of an outage that was over, for as long as the key's actor
// backed off, be it from the end of an earlier try or on behalf of those who wait.
func TestATryAfterAnOutageAsksForItself(t *testing.T) {
	for name, waiters := range map[string]int{"alone": 0, "behind those who wait": 2} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(newStore(), 1, faults{})
				c := newOver(t, f, Config{})
				f.kill(true)
				_, err := c.TryAcquire(t.Context(), "k")
				wantMatches(t, "in the outage", err, ErrUnavailable)
				got := make(chan *Lock, waiters)
				for range waiters {
					go func() { got <- acquire(t, c, "k", Expires(time.Minute)) }() // ends with its acquire
				}
				time.Sleep(3 * time.Second) // virtual: the actor backs off for half a second at a time
				synctest.Wait()
				f.kill(false)
				start := time.Now()
				lock, err := c.TryAcquire(t.Context(), "k")
				if took := time.Since(start); took != 0 {
					t.Errorf("the try took %v", took)
				}
				if waiters == 0 {
					if err != nil {
						t.Fatalf("a free key: %v", err)
					}
					release(t, lock)
					return
				}
				wantMatches(t, "whoever is ahead has the key", err, ErrTimeout, ErrHeld)
				for range waiters {
					release(t, <-got)
				}
			})
		})
	}
}

// A failing call that was under way when somebody came is not his try.
func TestATryIsMadeAfterItsCallerCame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(newStore(), 1, faults{latency: 100 * time.Millisecond})
		c := newOver(t, f, Config{})
		f.kill(true)
		first := make(chan error, 1)
		go func() { // ends with its try
			_, err := c.TryAcquire(t.Context(), "k")
			first <- err
		}()
		synctest.Wait()              // the request is on its way to a server that is away
		f.kill(false)                // its fate is decided
		time.Sleep(time.Millisecond) // virtual
		lock, err := c.TryAcquire(t.Context(), "k")
		if err != nil {
			t.Fatalf("the second try: %v", err)
		}
		wantMatches(t, "the first try", <-first, ErrUnavailable)
		release(t, lock)
	})
}

// All methods of what comes with an error do nothing, and say so.
func TestANilLockIsAHoldThatHasEnded(t *testing.T) {
	var lock *Lock
	for name, err := range map[string]error{
		"release": lock.Release(), "extend": lock.Extend(time.Second), "check": lock.Check(t.Context()), "context": context.Cause(lock.Context()),
	} {
		wantMatches(t, name, err, ErrNotHeld)
	}
	if lock.Key() != "" || lock.Fence() != 0 || !lock.Deadline().IsZero() || lock.Context().Err() == nil {
		t.Error("it has a key, a fence, a deadline or a context that goes on")
	}
}

// A release after a revocation read like one after an expiry.
func TestAfterARevocationErrorsSaySo(t *testing.T) {
	for name, late := range map[string]time.Duration{"at once": 0, "after the deadline": time.Minute} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newOver(t, newFake(newStore(), 1, faults{}), Config{})
				lock := acquire(t, c, "k", Expires(3*time.Second), Renew())
				if found, err := c.Revoke(t.Context(), "k", Revocation{}); found != Marked || err != nil {
					t.Fatalf("revoke: %v, %v", found, err)
				}
				<-lock.Context().Done()
				if cause := context.Cause(lock.Context()); !errors.Is(cause, ErrLost) || !errors.Is(cause, ErrRevoked) {
					t.Errorf("cause %v, want ErrLost and ErrRevoked", cause)
				}
				time.Sleep(late) // virtual: then the key's actor has retired
				for what, err := range map[string]error{"extend": lock.Extend(time.Second), "check": lock.Check(t.Context()), "release": lock.Release()} {
					if !errors.Is(err, ErrRevoked) || !errors.Is(err, ErrNotHeld) {
						t.Errorf("%s: %v, want ErrRevoked and ErrNotHeld", what, err)
					}
				}
				if err := lock.Release(); !errors.Is(err, ErrNotHeld) || errors.Is(err, ErrRevoked) {
					t.Errorf("a second release: %v, want ErrNotHeld", err)
				}
			})
		})
	}
}

// Each reading of a deadline took both clocks anew, which are read some ns apart.
func TestADeadlineNeverStepsBack(t *testing.T) {
	c := openClient(t, Config{Backend: "open://"})
	lock := acquire(t, c, "k", Expires(time.Hour))
	last := lock.Deadline()
	for range 200_000 {
		next := lock.Deadline()
		if next.Before(last) || next.Round(0).Before(last.Round(0)) {
			t.Fatalf("from %v to %v", last, next)
		}
		last = next
	}
	release(t, lock)
}
