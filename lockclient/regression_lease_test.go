package lockclient

import (
	"context"
	"errors"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// Here and in regression_wait_test.go and regression_handoff_test.go are the
// faults that once were: each comment says what went wrong. Those of an actor alone
// are tested in its own package.

// newOver is a client over a backend, and closed with the test.
func newOver(t *testing.T, b backends.Backend, cfg Config) *Client {
	t.Helper()
	cfg.KeyPrefix = NoPrefix
	c, err := New(b, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return c
}

// A deafBackend carries out acquires and renewals but loses their replies, and
// lets no release through, until it is healed.
type deafBackend struct {
	*fakeBackend
	deaf atomic.Bool
}

func (b *deafBackend) Acquire(ctx context.Context, r backends.Request) (backends.Reply, error) {
	p, err := b.fakeBackend.Acquire(ctx, r)
	if b.deaf.Load() {
		return backends.Reply{Outcome: backends.MayHaveRun}, backends.Unavailable("fake", errFault)
	}
	return p, err
}

func (b *deafBackend) Renew(ctx context.Context, a backends.Attempt, ttl time.Duration, known uint64) (backends.Reply, error) {
	p, err := b.fakeBackend.Renew(ctx, a, ttl, known)
	if b.deaf.Load() {
		return backends.Reply{}, backends.Unavailable("fake", errFault)
	}
	return p, err
}

func (b *deafBackend) Release(ctx context.Context, a backends.Attempt) error {
	if b.deaf.Load() {
		return backends.Unavailable("fake", errFault)
	}
	return b.fakeBackend.Release(ctx, a)
}

// heals lets the fault end, and checks that what it left behind is given back.
func (b *deafBackend) heals(t *testing.T, c *Client) {
	t.Helper()
	if l, held := b.store.lease("k"); !held || time.Until(l.ends) < 30*time.Minute {
		t.Fatal("the store has no long lease while the fault lasts: the test proves nothing")
	}
	b.deaf.Store(false)
	time.Sleep(2 * time.Second) // virtual: longer than any backoff, and than an idle actor stays
	if l, held := b.store.lease("k"); held {
		t.Errorf("after the fault the store keeps the lease for another %v", time.Until(l.ends))
	}
	if n := c.Stats().LiveKeys; n != 0 {
		t.Errorf("%d keys are live with nothing left to do", n)
	}
}

// The lease was taken to end when it would have without the renewal, so its
// release was given up long before the hour that the store had made of it.
func TestALeaseThatAnUnansweredRenewalMadeLongerIsGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &deafBackend{fakeBackend: newFake(newStore(), 1, faults{})}
		c := newOver(t, b, Config{})
		lock := acquire(t, c, "k", Expires(time.Second))
		b.deaf.Store(true)
		if err := lock.Extend(time.Hour); err == nil {
			t.Error("an extension that nobody confirmed was granted")
		}
		<-lock.Context().Done()
		time.Sleep(5 * time.Second) // virtual: past the end of the first lease
		b.heals(t, c)
	})
}

// An attempt's lease was taken to be as long as it was last asked for, also
// when an earlier copy of the attempt had asked for an hour.
func TestALeaseThatARepeatAskedShorterIsGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &deafBackend{fakeBackend: newFake(newStore(), 1, faults{})}
		b.deaf.Store(true)
		c := newOver(t, b, Config{})
		var wg sync.WaitGroup
		wait := func(expires time.Duration) (cancel func()) {
			ctx, cancel := context.WithCancel(t.Context())
			wg.Go(func() {
				if _, err := c.Acquire(ctx, "k", Expires(expires)); !errors.Is(err, context.Canceled) {
					t.Errorf("acquire: %v, want context.Canceled", err)
				}
			})
			synctest.Wait()
			return cancel
		}
		long := wait(time.Hour)
		short := wait(MinExpires)
		long()
		time.Sleep(50 * time.Millisecond) // virtual: the attempt is repeated for the short one
		short()
		wg.Wait()
		time.Sleep(5 * time.Second) // virtual: past the end of the short lease
		b.heals(t, c)
	})
}

// An unshrinkingBackend never shortens a lease, and says so in its reply.
type unshrinkingBackend struct {
	*fakeBackend
	immediate bool
	renewals  atomic.Int64
}

func (b *unshrinkingBackend) Capabilities() backends.Capabilities {
	return backends.Capabilities{Name: "fake", Exclusive: true, Immediate: b.immediate}
}

func (b *unshrinkingBackend) Renew(ctx context.Context, a backends.Attempt, ttl time.Duration, known uint64) (backends.Reply, error) {
	if b.renewals.Add(1) > 500 { // or an actor that goes round in circles would never end
		return backends.Reply{}, backends.Unavailable("fake", errFault)
	}
	time.Sleep(time.Millisecond) // virtual: what goes round in circles must show in time
	if l, ok := b.store.lease(a.Key); ok {
		ttl = max(ttl, time.Until(l.ends))
	}
	return b.fakeBackend.Renew(ctx, a, ttl, known)
}

// A lease that was too long was renewed, to shorten it, again and again for as
// long as it stayed too long; of an immediate backend the actor never came back.
func TestABackendThatDoesNotShortenALeaseIsNotAskedAllTheTime(t *testing.T) {
	for name, immediate := range map[string]bool{"by message": false, "in place": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &unshrinkingBackend{fakeBackend: newFake(newStore(), 1, faults{}), immediate: immediate}
				c := newOver(t, b, Config{})
				long := acquire(t, c, "k", Expires(time.Minute))
				short := make(chan *Lock, 1)
				go func() { // ends with its acquire
					l, err := c.Acquire(t.Context(), "k", Expires(time.Second))
					if err != nil {
						t.Error(err)
					}
					short <- l
				}()
				synctest.Wait()
				release(t, long)
				lock := <-short
				before := b.renewals.Load()
				time.Sleep(900 * time.Millisecond) // virtual: most of the short hold
				if n := b.renewals.Load() - before; n == 0 || n > 10 {
					t.Errorf("%d renewals in 900 ms, want a few", n)
				}
				release(t, lock)
			})
		})
	}
}

// failFirst fails so many releases, and then works.
type failFirst struct {
	*fakeBackend
	left atomic.Int64
}

func (b *failFirst) Release(ctx context.Context, a backends.Attempt) error {
	if b.left.Add(-1) >= 0 {
		return backends.Unavailable("fake", errFault)
	}
	return b.fakeBackend.Release(ctx, a)
}

// Close gave a lease up when its release failed once, and the key stayed
// locked for the rest of an hour.
func TestCloseTriesAReleaseAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		b := &failFirst{fakeBackend: newFake(s, 1, faults{})}
		b.left.Store(3)
		c := newOver(t, b, Config{})
		acquire(t, c, "k", Expires(time.Hour))
		start := time.Now()
		if err := c.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if d := time.Since(start); d > 200*time.Millisecond {
			t.Errorf("close took %v for three failures in a row", d)
		}
		if l, held := s.lease("k"); held {
			t.Errorf("the lease was left to its end, in %v", time.Until(l.ends))
		}
	})
}

// A release that waited for its next try when Close's patience ended kept
// Close waiting for up to half a second more.
func TestCloseGivesUpWhenItsPatienceEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &failFirst{fakeBackend: newFake(newStore(), 1, faults{})}
		b.left.Store(math.MaxInt64)
		c, err := New(b, Config{KeyPrefix: NoPrefix})
		if err != nil {
			t.Fatal(err)
		}
		acquire(t, c, "k", Expires(time.Hour))
		start := time.Now()
		if err := c.Close(); !errors.Is(err, ErrUnavailable) {
			t.Errorf("close: %v, want ErrUnavailable", err)
		}
		if d := time.Since(start); d != 2*time.Second {
			t.Errorf("close took %v, want 2 s", d)
		}
	})
}

// hangFirst lets so many renewals hang until their ctx ends, and then works.
type hangFirst struct {
	*fakeBackend
	left atomic.Int64
}

func (b *hangFirst) Renew(ctx context.Context, a backends.Attempt, ttl time.Duration, known uint64) (backends.Reply, error) {
	if b.left.Add(-1) >= 0 {
		<-ctx.Done()
		return backends.Reply{}, backends.Interrupted(ctx, "fake")
	}
	return b.fakeBackend.Renew(ctx, a, ttl, known)
}

// A renewal might take all that was left of the lease, so one connection
// that hung cost a hold which a second try would have kept.
func TestOneRenewalThatHangsCostsNoHold(t *testing.T) {
	for _, expires := range []time.Duration{200 * time.Millisecond, time.Second, 2 * time.Second, 3 * time.Second, time.Minute} {
		t.Run(expires.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &hangFirst{fakeBackend: newFake(newStore(), 1, faults{})}
				b.left.Store(1)
				c := newOver(t, b, Config{})
				lock := acquire(t, c, "k", Expires(expires), Renew())
				time.Sleep(3 * expires) // virtual
				if b.left.Load() >= 0 {
					t.Error("no renewal came after the one that hung")
				}
				if err := lock.Release(); err != nil {
					t.Errorf("release: %v, the hold ended by %v", err, context.Cause(lock.Context()))
				}
			})
		})
	}
}

// The error of an extension whose renewal hung read "%!w(<nil>)".
func TestAnExtensionThatHangsSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &hangFirst{fakeBackend: newFake(newStore(), 1, faults{})}
		b.left.Store(1)
		c := newOver(t, b, Config{})
		lock := acquire(t, c, "k", Expires(time.Minute))
		start := time.Now()
		if err := lock.Extend(time.Hour); !errors.Is(err, ErrUnavailable) || strings.Contains(err.Error(), "%!") {
			t.Errorf("extend: %v, want ErrUnavailable in words", err)
		}
		if d := time.Since(start); d != 2*time.Second {
			t.Errorf("the extension took %v, want 2 s", d)
		}
		release(t, lock)
	})
}
