package lockclient

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/internal/servers/servertest"
)

// TestCancelledAcquiresLeaveNoHold lets 10 000 acquires be cancelled around
// their grant. The holds would last an hour, so one that was left behind would
// show.
func TestCancelledAcquiresLeaveNoHold(t *testing.T) {
	for _, b := range exclusiveBackends {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			c := openClient(t, Config{Backend: b.open(t), Expires: time.Hour})
			var granted, cancelled atomic.Int64
			// The cancels come within a time that follows the grants': a busy machine takes
			// longer for one than any time that was chosen beforehand.
			var within atomic.Int64
			within.Store(int64(200 * time.Microsecond))
			var wg sync.WaitGroup
			for range 20 {
				wg.Go(func() {
					for range 500 {
						ctx, cancel := context.WithCancel(t.Context())
						d := within.Load()
						time.AfterFunc(time.Duration(rand.N(d)), cancel)
						lock, err := c.Acquire(ctx, "k")
						switch {
						case err == nil:
							granted.Add(1)
							within.Store(max(d-d/50, 1000))
							if err := lock.Release(); err != nil {
								t.Errorf("release: %v", err)
							}
						case errors.Is(err, context.Canceled):
							cancelled.Add(1)
							within.Store(d + d/50)
						default:
							t.Errorf("acquire: %v", err)
						}
						cancel()
					}
				})
			}
			wg.Wait()
			t.Logf("%d granted, %d cancelled", granted.Load(), cancelled.Load())
			if granted.Load() == 0 || cancelled.Load() == 0 {
				t.Error("the cancels were not around the grants")
			}
			eventually(t, "the queue is empty", func() bool { return c.Stats().Waiters == 0 })
			other := openClient(t, Config{Backend: c.cfg.Backend})
			lock, err := other.Acquire(t.Context(), "k", Timeout(patience))
			if err != nil {
				t.Fatalf("the key is not free afterwards: %v", err)
			}
			if err := lock.Release(); err != nil {
				t.Error(err)
			}
			eventually(t, "the actor retires", func() bool { return c.Stats().LiveKeys == 0 })
		})
	}
}

// TestACancelledCallerIsGoneAtOnce checks that nobody waits behind it.
func TestACancelledCallerIsGoneAtOnce(t *testing.T) {
	t.Parallel()
	c := openClient(t, Config{Backend: "embedded://" + t.Name()})
	holder, err := c.Acquire(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	result := make(chan error, 1)
	go func() { // ends with its acquire
		_, err := c.Acquire(ctx, "k", Timeout(time.Hour))
		result <- err
	}()
	eventually(t, "it waits", func() bool { return c.Stats().Waiters == 1 })
	why := errors.New("the user went home")
	cancel(why)
	if err := <-result; !errors.Is(err, context.Canceled) || !errors.Is(err, why) || errors.Is(err, ErrTimeout) {
		t.Errorf("%v, want context.Canceled and its cause, and not ErrTimeout", err)
	}
	eventually(t, "it has left the queue", func() bool { return c.Stats().Waiters == 0 })
	if err := holder.Release(); err != nil {
		t.Error(err)
	}
}

// TestKeysUsedOnceLeaveNothing uses 100 000 keys. The backend is one that keeps
// nothing either: what embedded:// remembers of a key for another minute is the
// lock server's memory, and has a test of its own there.
func TestKeysUsedOnceLeaveNothing(t *testing.T) {
	c := openClient(t, Config{Backend: "open://"})
	use := func(from, to int) {
		var wg sync.WaitGroup
		for g := range 16 {
			wg.Go(func() {
				for i := from + g; i < to; i += 16 {
					lock, err := c.Acquire(t.Context(), fmt.Sprint("key ", i))
					if err != nil {
						t.Error(err)
						return
					}
					if err := lock.Release(); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		eventually(t, "the directory is empty", func() bool { return c.Stats().LiveKeys == 0 })
	}
	heap := func() int64 {
		runtime.GC()
		runtime.GC() // the second empties the pools
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	// protoactor's registry is 32 768 small maps, which stay once they were used
	// (measured: 12 MB), so the first round is for them. After that a round adds
	// nothing but what pools and timers wobble by; a leak would show in each.
	const rounds, keys, wobble = 4, 100_000, 2 << 20
	use(0, keys)
	goroutines, least := runtime.NumGoroutine(), int64(math.MaxInt64)
	for round := 1; round <= rounds && least > wobble; round++ {
		before := heap()
		use(round*keys, (round+1)*keys)
		least = min(least, heap()-before)
	}
	eventually(t, "goroutines are back at baseline", func() bool { return runtime.NumGoroutine() <= goroutines+300 })
	if least > wobble {
		t.Errorf("the heap grows by %d bytes a key", least/keys)
	}
}

// TestClose checks the unlucky paths: waiters, holders, leases, a second Close.
func TestClose(t *testing.T) {
	for _, b := range exclusiveBackends {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			url := b.open(t)
			keeper := openClient(t, Config{Backend: url}) // keeps embedded:// alive
			c, err := Open(Config{Backend: url, Expires: time.Minute})
			if err != nil {
				t.Fatal(err)
			}
			lock, err := c.Acquire(t.Context(), "k")
			if err != nil {
				t.Fatal(err)
			}
			const waiters = 10
			results := make(chan error, waiters)
			for range waiters {
				go func() { // ends with its acquire
					_, err := c.Acquire(t.Context(), "k")
					results <- err
				}()
			}
			eventually(t, "all wait", func() bool { return c.Stats().Waiters == waiters })
			ctx := lock.Context()
			if err := c.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
			for range waiters {
				if err := <-results; !errors.Is(err, ErrClosed) {
					t.Errorf("a waiter got %v, want ErrClosed", err)
				}
			}
			if ctx.Err() == nil || !errors.Is(context.Cause(ctx), ErrClosed) {
				t.Errorf("the holder's context: %v, cause %v", ctx.Err(), context.Cause(ctx))
			}
			if err := lock.Release(); !errors.Is(err, ErrNotHeld) {
				t.Errorf("release after Close: %v, want ErrNotHeld", err)
			}
			if _, err := c.Acquire(t.Context(), "k"); !errors.Is(err, ErrClosed) {
				t.Errorf("acquire after Close: %v, want ErrClosed", err)
			}
			if _, err := c.Inspect(t.Context(), "k"); !errors.Is(err, ErrClosed) {
				t.Errorf("inspect after Close: %v, want ErrClosed", err)
			}
			if err := c.Close(); err != nil {
				t.Errorf("second close: %v", err)
			}
			free, err := keeper.TryAcquire(t.Context(), "k")
			if err != nil {
				t.Fatalf("the lease was not given back: %v", err)
			}
			if err := free.Release(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestBadInput checks the limits of docs/design.md: each breach is an error of its
// kind, before any backend call.
func TestBadInput(t *testing.T) {
	t.Parallel()
	fake := newFake(newStore(), 1, faults{})
	c, err := New(fake, Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	long := strings.Repeat("x", MaxKey)
	for _, bad := range []struct {
		name string
		key  string
		opts []Option
	}{
		{"empty key", "", nil},
		{"key of 513 bytes", long + "x", nil},
		{"key with NUL", "a\x00b", nil},
		{"expires 0", "k", []Option{Expires(0)}},
		{"expires -1", "k", []Option{Expires(-1)}},
		{"expires 9 ms", "k", []Option{Expires(9 * time.Millisecond)}},
		{"expires 25 h", "k", []Option{Expires(25 * time.Hour)}},
		{"timeout -1", "k", []Option{Timeout(-1)}},
		{"max hold -1", "k", []Option{Renew(), MaxHold(-1)}},
		{"max hold without renew", "k", []Option{NoRenew(), MaxHold(time.Second)}},
		{"owner of 257 bytes", "k", []Option{Owner(long[:257])}},
		{"owner with NUL", "k", []Option{Owner("a\x00b")}},
	} {
		t.Run(bad.name, func(t *testing.T) {
			if _, err := c.Acquire(t.Context(), bad.key, bad.opts...); !errors.Is(err, ErrInvalid) {
				t.Errorf("Acquire: %v, want ErrInvalid", err)
			}
			if _, err := c.TryAcquire(t.Context(), bad.key, bad.opts...); !errors.Is(err, ErrInvalid) {
				t.Errorf("TryAcquire: %v, want ErrInvalid", err)
			}
			if err := c.Do(t.Context(), bad.key, func(context.Context) error { t.Error("Do ran it"); return nil }, bad.opts...); !errors.Is(err, ErrInvalid) {
				t.Errorf("Do: %v, want ErrInvalid", err)
			}
		})
	}
	if n := fake.callsMade(); n != 0 {
		t.Errorf("%d backend calls were made", n)
	}
	for _, key := range []string{long, "a b", "line\nbreak", "{x}", "}{", "ключ", "\x01\xff"} {
		lock, err := c.Acquire(t.Context(), key, Expires(MinExpires), Timeout(time.Second))
		if err != nil {
			t.Errorf("key %q: %v", key, err)
			continue
		}
		if lock.Key() != key {
			t.Errorf("key %q came back as %q", key, lock.Key())
		}
		if err := lock.Release(); err != nil && !errors.Is(err, ErrNotHeld) { // 10 ms may pass
			t.Errorf("key %q: %v", key, err)
		}
	}
	lock, err := c.Acquire(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []time.Duration{0, -1, 9 * time.Millisecond, 25 * time.Hour} {
		if err := lock.Extend(d); !errors.Is(err, ErrInvalid) {
			t.Errorf("Extend(%v): %v, want ErrInvalid", d, err)
		}
	}
	if err := lock.Release(); err != nil {
		t.Error(err)
	}
}

// TestBadConfig checks URLs and settings; no error may print a password.
func TestBadConfig(t *testing.T) {
	t.Parallel()
	const secret = "hunter2"
	for _, cfg := range []Config{
		{Backend: "ftp://host"},
		{Backend: "no scheme"},
		{Backend: "redis"},
		{Backend: "redis://user:" + secret + "@localhost:notaport/0"},
		{Backend: "redis://user:" + secret + "@localhost:6379/0?frobnicate=1"},
		{Backend: "redis://user:" + secret + "@localhost:6379/zero"},
		{Backend: "redis://user:" + secret + "%zz@localhost:6379/0"},
		{Backend: "memcache://user:" + secret + "@localhost:11211"},
		{Backend: "memcache://localhost:11211?password=" + secret},
		{Backend: secret + "://" + secret},
		// Slips in the scheme.
		{Backend: "redis//:" + secret + "@h"},
		{Backend: "//u:" + secret + "@h"},
		{Backend: "u/" + secret + "@h"},
		{Backend: "redis:" + secret + "@h"},
		{Backend: "redis:/u:" + secret + "@h"},
		{Backend: "u:" + secret + "://h"},
		{Backend: "file://h/u:" + secret + "@h"},
		{Backend: "redis://h?addr=u%3A" + secret + "%40h:1"},
		{Backend: "redis+cluster://h?addr=" + secret + "%40h:1"},
		{Backend: "embedded://x?y=1"},
		{Backend: "open://x?y=1"},
		{Backend: "file://"},
		{Backend: "file://relative/dir"},
		{Backend: "file:///tmp/x?mode=0700"},
		{Expires: 9 * time.Millisecond},
		{Expires: 25 * time.Hour},
		{Expires: -1},
		{Timeout: -1},
		{Tenure: -1},
		{Linger: -1},
		{Linger: 25 * time.Hour},
		{PollerGap: -1},
		{MaxWaiters: -1},
		{MaxWaiters: MaxMaxWaiters + 1},
		{Owner: strings.Repeat("x", 257)},
		{KeyPrefix: "a\x00b"},
	} {
		c, err := Open(cfg)
		if !errors.Is(err, ErrInvalid) {
			t.Errorf("%+v: %v, want ErrInvalid", cfg, err)
		}
		if err == nil {
			c.Close()
			continue
		}
		if strings.Contains(err.Error(), secret) && !strings.HasPrefix(cfg.Backend, secret) {
			t.Errorf("the error shows the password: %v", err)
		}
	}
}

// TestOverload checks MaxWaiters.
func TestOverload(t *testing.T) {
	t.Parallel()
	c := openClient(t, Config{Backend: "embedded://" + t.Name(), MaxWaiters: 2})
	holder, err := c.Acquire(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			if _, err := c.Acquire(ctx, "k"); !errors.Is(err, context.Canceled) {
				t.Errorf("waiter: %v", err)
			}
		})
	}
	eventually(t, "both wait", func() bool { return c.Stats().Waiters == 2 })
	if _, err := c.Acquire(t.Context(), "k"); !errors.Is(err, ErrOverloaded) {
		t.Errorf("the third waiter: %v, want ErrOverloaded", err)
	}
	cancel()
	wg.Wait()
	if err := holder.Release(); err != nil {
		t.Error(err)
	}
}

// TestACustomBackendIsClosedWithItsClient checks New's promise.
func TestACustomBackendIsClosedWithItsClient(t *testing.T) {
	t.Parallel()
	b := &closeCounter{fakeBackend: newFake(newStore(), 1, faults{})}
	c, err := New(b, Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil || b.closed.Load() != 1 {
		t.Errorf("close: %v, %d times", err, b.closed.Load())
	}
	if _, err := New(b, Config{Expires: 1}); !errors.Is(err, ErrInvalid) || b.closed.Load() != 2 {
		t.Errorf("a bad config: %v, closed %d times", err, b.closed.Load())
	}
}

type closeCounter struct {
	*fakeBackend
	closed atomic.Int64
}

func (b *closeCounter) Close() error { b.closed.Add(1); return nil }

var _ backends.Backend = (*closeCounter)(nil)

// TestCloseIsBoundedOnAServerThatHangs stops Redis under a waiter, whose attempt
// is under way, and would be cancelled after it.
func TestCloseIsBoundedOnAServerThatHangs(t *testing.T) {
	t.Parallel()
	server := servertest.Redis(t)
	holder := openClient(t, Config{Backend: server.URL()})
	c, err := Open(Config{Backend: server.URL()})
	if err != nil {
		t.Fatal(err)
	}
	lock := acquire(t, holder, "k", Expires(time.Minute))
	waiting := make(chan error, 1)
	go func() { // ends with its acquire
		_, err := c.Acquire(t.Context(), "k")
		waiting <- err
	}()
	eventually(t, "it waits", func() bool { return c.Stats().Waiters == 1 })
	if err := server.Pause(); err != nil {
		t.Fatal(err)
	}
	calls := c.Stats().BackendCalls
	eventually(t, "an attempt hangs", func() bool { return c.Stats().BackendCalls > calls })
	_ = c.Close() // may say what it could not give back; it would wait for the server's return
	if err := <-waiting; !errors.Is(err, ErrClosed) {
		t.Errorf("the waiter got %v, want ErrClosed", err)
	}
	if err := server.Resume(); err != nil {
		t.Fatal(err)
	}
	release(t, lock)
}
