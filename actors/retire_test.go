package actors

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// grantAll grants everything at once: what is tested here is the actors.
type grantAll struct{ base atomic.Uint64 }

func (b *grantAll) Acquire(_ context.Context, r backends.Request) (backends.Reply, error) {
	return backends.Reply{Outcome: backends.Granted, Base: b.base.Add(1), TTL: r.TTL}, nil
}

func (b *grantAll) Renew(_ context.Context, _ backends.Attempt, ttl time.Duration, _ uint64) (backends.Reply, error) {
	return backends.Reply{Outcome: backends.Granted, Base: b.base.Add(1), TTL: ttl}, nil
}

func (b *grantAll) Release(context.Context, backends.Attempt) error { return nil }
func (b *grantAll) Close() error                                    { return nil }

func newCoordinator(t testing.TB, b backends.Backend, cfg Config) *Coordinator {
	t.Helper()
	c, err := New(b, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if n := c.lingering.Load(); n != 0 {
			t.Errorf("%d keys linger after Close", n)
		}
	})
	return c
}

// TestRetirementLosesNoMessage lets actors retire all the time just when the
// next acquire comes: 256 keys, 16 senders, an idle time near the think time.
func TestRetirementLosesNoMessage(t *testing.T) {
	const keys, senders, acquires = 256, 16, retirementAcquires
	c := newCoordinator(t, &grantAll{}, Config{IdleAfter: 300 * time.Microsecond})
	var names [keys]string
	for i := range names {
		names[i] = fmt.Sprint("key ", i)
	}
	var granted atomic.Int64
	var retirements atomic.Int64
	var wg sync.WaitGroup
	for s := range senders {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(s), 7))
			seen := map[string]*entry{}
			for range acquires / senders {
				key := names[rng.IntN(keys)]
				h := &Hold{}
				if err := c.Begin(h, key, Spec{Expires: time.Minute}); err != nil {
					t.Errorf("begin: %v", err)
					return
				}
				if seen[key] != nil && seen[key] != h.entry {
					retirements.Add(1)
				}
				seen[key] = h.entry
				if _, err := h.Wait(nil); err != nil {
					t.Errorf("acquire: %v", err)
					return
				}
				granted.Add(1)
				if err := h.Release(); err != nil {
					t.Errorf("release: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	if n := granted.Load(); n != acquires {
		t.Errorf("%d of %d acquires were granted", n, acquires)
	}
	t.Logf("%d times a sender met another actor than before", retirements.Load())
	if retirements.Load() < 1000 {
		t.Error("the actors hardly retired: the test proves nothing")
	}
}

// TestAHotKeyIsForgottenAndClosed: an entry that is found without the shard's mutex is
// not kept after its actor has retired, and lets nobody in after Close.
func TestAHotKeyIsForgottenAndClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := New(&grantAll{}, Config{})
		if err != nil {
			t.Fatal(err)
		}
		again := func() *entry {
			t.Helper()
			h := begin(t, c, Spec{Expires: time.Minute})
			if _, err := h.Wait(nil); err != nil {
				t.Fatal(err)
			}
			if err := h.Release(); err != nil {
				t.Fatal(err)
			}
			return h.entry
		}
		again()
		again()
		e := again()
		s := c.directory.shard(e.key)
		if s.hot.Load() != e {
			t.Fatal("a key that was taken three times is not hot")
		}
		time.Sleep(10 * defaultIdleAfter) // virtual
		synctest.Wait()
		s.mu.Lock()
		if s.hot.Load() != nil || s.found != nil {
			t.Error("its actor has retired, and is kept")
		}
		s.mu.Unlock()
		if again() == e {
			t.Error("the actor that retired was given an acquire")
		}
		again()
		e = again()
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		s.hot.Store(e) // as a caller may have loaded it before
		if err := c.Begin(&Hold{}, e.key, Spec{Expires: time.Minute}); !errors.Is(err, backends.ErrClosed) {
			t.Errorf("after Close: %v, want ErrClosed", err)
		}
	})
}

// TestAPanicFailsTheKeysWaitersOnly makes the actor of one key panic.
func TestAPanicFailsTheKeysWaitersOnly(t *testing.T) {
	c := newCoordinator(t, &grantAll{}, Config{})
	holder, waiter := &Hold{}, &Hold{}
	spec := Spec{Expires: time.Minute}
	for _, h := range []*Hold{holder, waiter} {
		if err := c.Begin(h, "k", spec); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := holder.Wait(nil); err != nil {
		t.Fatal(err)
	}
	holder.entry.post("a message that no key actor knows")
	if _, err := waiter.Wait(nil); !errors.Is(err, backends.ErrUnavailable) {
		t.Errorf("the waiter got %v, want ErrUnavailable", err)
	}
	ctx := holder.Context(t.Context())
	<-ctx.Done()
	if cause := context.Cause(ctx); !errors.Is(cause, backends.ErrLost) {
		t.Errorf("the holder's context ended with %v, want ErrLost", cause)
	}
	for _, key := range []string{"k", "other"} {
		other := &Hold{}
		if err := c.Begin(other, key, spec); err != nil {
			t.Fatal(err)
		}
		if _, err := other.Wait(nil); err != nil {
			t.Errorf("%s afterwards: %v", key, err)
		}
		if err := other.Release(); err != nil {
			t.Errorf("%s afterwards: %v", key, err)
		}
	}
}

// panicky is a backend with a fault of its own.
type panicky struct {
	grantAll
	left atomic.Int64
}

func (b *panicky) Acquire(ctx context.Context, r backends.Request) (backends.Reply, error) {
	if b.left.Add(-1) >= 0 {
		panic("a fault in the backend")
	}
	return b.grantAll.Acquire(ctx, r)
}

// TestAPanicOfTheBackendIsAnError retries it like any other failure.
func TestAPanicOfTheBackendIsAnError(t *testing.T) {
	b := &panicky{}
	b.left.Store(2)
	c := newCoordinator(t, b, Config{})
	h := &Hold{}
	if err := c.Begin(h, "k", Spec{Expires: time.Minute}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Wait(nil); err != nil {
		t.Fatal(err)
	}
	if err := h.Release(); err != nil {
		t.Error(err)
	}
}
