package lockclient

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// In these tests time is virtual and the backend a fake: they check what is
// rare with a real server to the millisecond.

func fakeClient(t *testing.T, s *store, f faults, cfg Config) (*Client, *fakeBackend) {
	t.Helper()
	b := newFake(s, 1, f)
	cfg.KeyPrefix = NoPrefix
	c, err := New(b, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c, b
}

func TestAReleaseThatFailsGoesOnInTheBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		c, b := fakeClient(t, s, faults{}, Config{})
		defer c.Close()
		lock := acquire(t, c, "k", Expires(time.Minute))
		b.kill(true)
		start := time.Now()
		if err := lock.Release(); !errors.Is(err, ErrUnavailable) {
			t.Errorf("release without a backend: %v, want ErrUnavailable", err)
		}
		if d := time.Since(start); d != 2*time.Second {
			t.Errorf("the release took %v, want 2 s", d)
		}
		if _, held := s.lease("k"); !held {
			t.Fatal("the lease is gone without a backend: the test proves nothing")
		}
		b.kill(false)
		time.Sleep(time.Second) // virtual: longer than any backoff
		if _, held := s.lease("k"); held {
			t.Error("the lease was not given back after the backend healed")
		}
	})
}

func TestAReleaseNearTheEndWaitsForTheRestOfTheLeaseOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, b := fakeClient(t, newStore(), faults{}, Config{})
		defer c.Close()
		lock := acquire(t, c, "k", Expires(200*time.Millisecond))
		b.kill(true)
		start := time.Now()
		if err := lock.Release(); !errors.Is(err, ErrUnavailable) {
			t.Errorf("release: %v, want ErrUnavailable", err)
		}
		if d := time.Since(start); d > 450*time.Millisecond {
			t.Errorf("the release took %v, the lease lasts 400 ms", d)
		}
	})
}

func TestCloseIsBoundedWithoutABackend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, b := fakeClient(t, newStore(), faults{latency: time.Hour}, Config{})
		b.faults.latency = 0
		acquire(t, c, "k", Expires(time.Minute))
		b.faults.latency = 100 * time.Hour // nothing answers any more
		start := time.Now()
		if err := c.Close(); !errors.Is(err, ErrUnavailable) {
			t.Errorf("close: %v, want ErrUnavailable for the lease that was not given back", err)
		}
		if d := time.Since(start); d > 2100*time.Millisecond {
			t.Errorf("close took %v", d)
		}
		if err := c.Close(); err != nil {
			t.Errorf("second close: %v", err)
		}
	})
}

func TestWithoutABackendATimeoutSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, b := fakeClient(t, newStore(), faults{}, Config{})
		defer c.Close()
		b.kill(true)
		for _, timeout := range []time.Duration{0, 3 * time.Second} {
			start := time.Now()
			_, err := c.Acquire(t.Context(), "k", Timeout(timeout))
			var why *WaitError
			if !errors.As(err, &why) || errors.Is(err, ErrTimeout) != (timeout > 0) || !errors.Is(err, ErrUnavailable) || !errors.Is(why.Err, errFault) {
				t.Errorf("timeout %v: %v, want ErrUnavailable, the fault, and ErrTimeout if it waited", timeout, err)
			}
			if d := time.Since(start); d > timeout+250*time.Millisecond {
				t.Errorf("timeout %v took %v", timeout, d)
			}
		}
		b.kill(false)
		release(t, acquire(t, c, "k", Timeout(time.Second)))
	})
}

func TestAnAnswerDuringTheWaitIsNoSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		holder, _ := fakeClient(t, s, faults{}, Config{})
		waiter, b := fakeClient(t, s, faults{}, Config{})
		defer holder.Close()
		defer waiter.Close()
		lock := acquire(t, holder, "k", Expires(time.Minute))
		time.AfterFunc(time.Second, func() { b.kill(true) })
		_, err := waiter.Acquire(t.Context(), "k", Timeout(3*time.Second))
		if !errors.Is(err, ErrTimeout) || errors.Is(err, ErrUnavailable) {
			t.Errorf("%v, want ErrTimeout and not ErrUnavailable", err)
		}
		b.kill(false)
		release(t, lock)
	})
}

// refusing answers that waiting won't help.
type refusing struct{ *fakeBackend }

func (b refusing) Acquire(context.Context, backends.Request) (backends.Reply, error) {
	return backends.Reply{Outcome: backends.NotRun}, backends.Refused("fake", "grant the user +@all", errFault)
}

func TestARefusalComesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := New(refusing{newFake(newStore(), 1, faults{})}, Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		start := time.Now()
		_, err = c.Acquire(t.Context(), "k", Timeout(time.Minute))
		if !errors.Is(err, ErrUnavailable) || errors.Is(err, ErrTimeout) || !errors.Is(err, errFault) {
			t.Errorf("%v, want ErrUnavailable with its cause", err)
		}
		if d := time.Since(start); d > 100*time.Millisecond {
			t.Errorf("the refusal came after %v", d)
		}
	})
}

// TestAReplyAfterTheLeaseGrantsNothing delays the grant until it is worthless.
func TestAReplyAfterTheLeaseGrantsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		c, b := fakeClient(t, s, faults{}, Config{})
		defer c.Close()
		slow := &slowReply{fakeBackend: b, delay: 400 * time.Millisecond}
		c2, err := New(slow, Config{KeyPrefix: NoPrefix})
		if err != nil {
			t.Fatal(err)
		}
		defer c2.Close()
		// The lease asked for is (100 + 100) ms / 0.9; its reply takes 400 ms once.
		lock := acquire(t, c2, "k", Expires(100*time.Millisecond))
		if l, held := s.lease("k"); !held || l.ends.Before(lock.Deadline()) {
			t.Errorf("granted until %v; the store says %v until %v", lock.Deadline(), held, l.ends)
		}
		if slow.acquires < 2 {
			t.Errorf("granted by a reply that was older than its lease")
		}
		release(t, lock)
	})
}

type slowReply struct {
	*fakeBackend
	delay    time.Duration
	acquires int
}

func (b *slowReply) Acquire(ctx context.Context, r backends.Request) (backends.Reply, error) {
	reply, err := b.fakeBackend.Acquire(ctx, r)
	if b.acquires++; b.acquires == 1 {
		time.Sleep(b.delay) // virtual
	}
	return reply, err
}

func TestALeaseGrowsAndShrinksWithItsHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		c, _ := fakeClient(t, s, faults{}, Config{})
		defer c.Close()
		left := func() time.Duration {
			l, _ := s.lease("k")
			return time.Until(l.ends)
		}
		lock := acquire(t, c, "k", Expires(10*time.Second))
		// As docs/design.md says under Time: (10 s + 500 ms slack + 50 ms) / 0.99.
		if d := left(); d < 10650*time.Millisecond || d > 10670*time.Millisecond {
			t.Errorf("the lease of a 10 s hold lasts %v", d)
		}
		next := make(chan *Lock, 1)
		go func() { // ends with its acquire
			l, err := c.Acquire(t.Context(), "k", Expires(time.Second))
			if err != nil {
				t.Error(err)
			}
			next <- l
		}()
		synctest.Wait()
		release(t, lock)
		lock = <-next
		time.Sleep(300 * time.Millisecond) // virtual: what a lease may be too long for
		synctest.Wait()
		if d := left(); d > 1570*time.Millisecond || d < time.Second {
			t.Errorf("the lease of a 1 s hold that followed lasts %v", d)
		}
		if err := lock.Extend(time.Minute); err != nil {
			t.Error(err)
		}
		if d := left(); d < 60*time.Second {
			t.Errorf("the lease of an extended hold lasts %v", d)
		}
		release(t, lock)
	})
}

// TestOneCallAtATime checks that a key never has two backend calls in flight.
func TestOneCallAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &counting{fakeBackend: newFake(newStore(), 3, faults{latency: 30 * time.Millisecond, lost: 20})}
		c, err := New(b, Config{KeyPrefix: NoPrefix})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		done := make(chan struct{})
		for range 20 {
			go func() { // ends after its rounds
				defer func() { done <- struct{}{} }()
				for range 10 {
					lock, err := c.Acquire(t.Context(), "k", Expires(100*time.Millisecond), Timeout(time.Minute))
					if err != nil {
						t.Error(err)
						return
					}
					_ = lock.Release() // may fail: replies are lost
				}
			}()
		}
		for range 20 {
			<-done
		}
		if b.most > 1 {
			t.Errorf("%d calls were in flight at once", b.most)
		}
	})
}

type counting struct {
	*fakeBackend
	flying, most int // in a synctest bubble with one key: no two writers without a fault
}

func (b *counting) enter() func() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.flying++
	b.most = max(b.most, b.flying)
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.flying--
	}
}

func (b *counting) Acquire(ctx context.Context, r backends.Request) (backends.Reply, error) {
	defer b.enter()()
	return b.fakeBackend.Acquire(ctx, r)
}

func (b *counting) Renew(ctx context.Context, a backends.Attempt, ttl time.Duration, known uint64) (backends.Reply, error) {
	defer b.enter()()
	return b.fakeBackend.Renew(ctx, a, ttl, known)
}

func (b *counting) Release(ctx context.Context, a backends.Attempt) error {
	defer b.enter()()
	return b.fakeBackend.Release(ctx, a)
}
