package lockclient

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A candidate calls Lead, and says when it leads and when it stops.
type candidate struct {
	terms chan term     // begun
	end   chan error    // what its function returns next, without being told to stop
	over  chan error    // what Lead returned
	stops chan struct{} // nil: it stops when it is told to; else when this is closed
	ran   atomic.Int32  // its functions that run now
}

type term struct {
	ctx   context.Context
	fence uint64
}

func campaign(ctx context.Context, t *testing.T, c *Client, stops chan struct{}, opts ...Option) *candidate {
	d := &candidate{terms: make(chan term, 100), end: make(chan error), over: make(chan error, 1), stops: stops}
	go func() { // ends with Lead
		d.over <- c.Lead(ctx, "k", func(ctx context.Context, fence uint64) error {
			if d.ran.Add(1) != 1 {
				t.Error("its function runs twice at a time")
			}
			defer d.ran.Add(-1)
			d.terms <- term{ctx, fence}
			select {
			case err := <-d.end:
				return err
			case <-ctx.Done():
				if d.stops != nil {
					<-d.stops
				}
				return ctx.Err()
			}
		}, opts...)
	}()
	return d
}

// next is the term that has begun.
func (d *candidate) next(t *testing.T, after uint64) term {
	t.Helper()
	select {
	case got := <-d.terms:
		if got.fence <= after {
			t.Errorf("fence %d after %d", got.fence, after)
		}
		return got
	case <-time.After(patience):
		t.Fatal("it does not lead")
		return term{}
	}
}

// A leader that is told to stop takes its time, and is elected again behind the other.
func TestALeaderThatIsRevokedIsElectedAgain(t *testing.T) {
	t.Parallel()
	one, two := embeddedClient(t, Config{}), embeddedClient(t, Config{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stops := make(chan struct{})
	a := campaign(ctx, t, one, stops)
	first := a.next(t, 0)
	b := campaign(ctx, t, two, nil)
	eventually(t, "the second waits", func() bool { return two.Stats().Waiters == 1 })
	if _, err := one.Acquire(first.ctx, "k"); !errors.Is(err, ErrDeadlock) {
		t.Errorf("an acquire under its own term: %v", err)
	}
	mustRevoke(t, two, "k", Revocation{}, Marked)
	<-first.ctx.Done()
	if cause := context.Cause(first.ctx); !errors.Is(cause, ErrRevoked) {
		t.Errorf("its ctx ended by %v", cause)
	}
	if len(b.terms) > 0 {
		t.Error("the second leads before the first has returned")
	}
	close(stops)
	second := b.next(t, first.fence)
	done := errors.New("done")
	b.end <- done
	if err := <-b.over; !errors.Is(err, done) || errors.Is(err, ErrNotHeld) {
		t.Errorf("Lead returned %v, want what its function did", err)
	}
	third := a.next(t, second.fence)
	cancel()
	<-third.ctx.Done()
	if err := <-a.over; !errors.Is(err, context.Canceled) || errors.Is(err, ErrNotHeld) {
		t.Errorf("Lead returned %v, want what its function did", err)
	}
	l, err := two.TryAcquire(t.Context(), "k")
	if err != nil {
		t.Fatalf("the key was not released: %v", err)
	}
	release(t, l)
}

// A leader that is cut off stops before the next one leads, and comes back behind it.
func TestALeaderThatIsCutOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		fake := newFake(s, 1, faults{})
		// The timeout is not about elections.
		one, err := New(fake, Config{KeyPrefix: NoPrefix, Timeout: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		defer one.Close()
		two, err := New(newFake(s, 2, faults{}), Config{KeyPrefix: NoPrefix})
		if err != nil {
			t.Fatal(err)
		}
		defer two.Close()
		ctx, cancel := context.WithCancel(context.Background())
		a := campaign(ctx, t, one, nil)
		first := a.next(t, 0)
		b := campaign(ctx, t, two, nil)
		time.Sleep(5 * time.Minute) // virtual
		if first.ctx.Err() != nil || len(b.terms) > 0 {
			t.Fatalf("the leader was not renewed: %v", context.Cause(first.ctx))
		}
		fake.kill(true)
		second := b.next(t, first.fence)
		if cause := context.Cause(first.ctx); !errors.Is(cause, ErrLost) {
			t.Errorf("the second leads, and the first has ended by %v", cause)
		}
		fake.kill(false)
		time.Sleep(time.Minute) // virtual
		if second.ctx.Err() != nil || len(a.terms) > 0 {
			t.Error("the second does not lead any more")
		}
		b.end <- nil
		if err := <-b.over; err != nil {
			t.Error(err)
		}
		a.next(t, second.fence)
		cancel()
		<-a.over
	})
}

func TestLeadEndsByItself(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		one, two := pair(t, Config{})
		free := func(when string) {
			t.Helper()
			l, err := two.TryAcquire(context.Background(), "k")
			if err != nil {
				t.Fatalf("%s: the key is not free: %v", when, err)
			}
			release(t, l)
		}
		never := func(context.Context, uint64) error { t.Error("it leads"); return nil }
		ctx := context.Background()
		if err := one.Lead(ctx, "k", never, Expires(-1)); !errors.Is(err, ErrInvalid) {
			t.Errorf("a bad option: %v", err)
		}
		boom := errors.New("boom")
		if err := one.Lead(ctx, "k", func(context.Context, uint64) error { return boom }); !errors.Is(err, boom) {
			t.Errorf("its function failed: %v", err)
		}
		free("after an error")
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic was swallowed")
				}
			}()
			_ = one.Lead(ctx, "k", func(context.Context, uint64) error { panic("boom") })
		}()
		free("after a panic")

		busy := mustAcquire(t, two, "k", Renew())
		if err := one.Lead(ctx, "k", never, Timeout(time.Second)); !errors.Is(err, ErrTimeout) || !errors.Is(err, ErrHeld) {
			t.Errorf("another leads: %v", err)
		}
		brief, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		if err := one.Lead(brief, "k", never); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("its ctx has ended: %v", err)
		}
		release(t, busy)

		terms := 0
		err := one.Lead(ctx, "k", func(ctx context.Context, _ uint64) error {
			if terms++; terms == 3 {
				one.Close()
			}
			<-ctx.Done()
			return nil
		}, MaxHold(time.Minute))
		if !errors.Is(err, ErrClosed) || terms != 3 {
			t.Errorf("the client was closed in the third term: %v, in term %d", err, terms)
		}
	})
}
