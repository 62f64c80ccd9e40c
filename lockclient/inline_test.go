package lockclient

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/backends/embedded"
)

// finishes waits for all to end, and shows where the others are if they don't.
func finishes(t *testing.T, what string, all *sync.WaitGroup) {
	t.Helper()
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }() // ends with those that it waits for
	select {
	case <-done:
	case <-time.After(patience):
		stacks := make([]byte, 1<<20)
		t.Fatalf("not within %v: %s\n%s", patience, what, stacks[:runtime.Stack(stacks, true)])
	}
}

// TestAKeyGoesRoundWhileAClientCloses: clients of one embedded store hand one key
// round. A release runs a script that wakes the next client's actor, which runs a
// script that wakes the next, and so on back to the first, while one of them closes.
func TestAKeyGoesRoundWhileAClientCloses(t *testing.T) {
	for name, open := range map[string]func(name string, store *sync.Mutex) backends.Backend{
		"embedded":               func(name string, _ *sync.Mutex) backends.Backend { return embedded.Open(name) },
		"pushes with locks held": func(name string, store *sync.Mutex) backends.Backend { return &lockedStore{embedded.Open(name), store} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for range 20 {
				goRound(t, func(store *sync.Mutex) backends.Backend { return open(t.Name(), store) })
			}
		})
	}
}

func goRound(t *testing.T, open func(*sync.Mutex) backends.Backend) {
	const clients, each = 4, 3
	r := ring{half: make(chan struct{})}
	var store sync.Mutex
	var wg sync.WaitGroup
	for i := range clients {
		// The lease goes to another client as soon as one waits.
		c := newOver(t, open(&store), Config{Tenure: time.Nanosecond})
		closes := i == 1
		for range each {
			wg.Go(func() { r.hold(t, c, closes) })
		}
		if !closes {
			continue
		}
		wg.Go(func() {
			<-r.half
			if err := c.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		})
	}
	finishes(t, "the key goes round", &wg)
}

// A lockedStore has one lock for all that its clients do, and pushes with it held.
type lockedStore struct {
	*embedded.Backend
	store *sync.Mutex
}

func (b *lockedStore) Acquire(ctx context.Context, r backends.Request) (backends.Reply, error) {
	b.store.Lock()
	defer b.store.Unlock()
	return b.Backend.Acquire(ctx, r)
}

func (b *lockedStore) Release(ctx context.Context, a backends.Attempt) error {
	b.store.Lock()
	defer b.store.Unlock()
	return b.Backend.Release(ctx, a)
}

func (b *lockedStore) Close() error {
	b.store.Lock()
	defer b.store.Unlock()
	return b.Backend.Close()
}

// A ring is some clients that hand one key round, for ringHolds holds.
type ring struct {
	granted atomic.Int64
	half    chan struct{} // closed when half of them were granted
	holder  atomic.Pointer[Lock]
	last    atomic.Uint64 // the newest fence of a client that isn't closed
}

const ringHolds = 400

// hold takes the key again and again. If closes, its client is closed meanwhile: that
// ends a hold of which its caller has yet to notice.
func (r *ring) hold(t *testing.T, c *Client, closes bool) {
	for r.granted.Load() < ringHolds {
		lock, err := c.Acquire(t.Context(), "k", Timeout(patience))
		if closes && errors.Is(err, ErrClosed) {
			return
		}
		if err != nil {
			t.Errorf("acquire: %v", err)
			return
		}
		if other := r.holder.Swap(lock); other != nil && other.Context().Err() == nil && lock.Context().Err() == nil {
			t.Errorf("fences %d and %d hold the key", other.Fence(), lock.Fence())
		}
		if !closes {
			if last := r.last.Swap(lock.Fence()); last >= lock.Fence() {
				t.Errorf("fence %d after %d", lock.Fence(), last)
			}
		}
		if r.granted.Add(1) == ringHolds/2 {
			close(r.half)
		}
		r.holder.CompareAndSwap(lock, nil)
		if err := lock.Release(); err != nil && (!closes || !errors.Is(err, ErrNotHeld)) {
			t.Errorf("release: %v", err)
		}
	}
}

// TestCloseWaitsForTheStepsOfItsCallers: when Close returns, no step runs, nor a call
// to the backend, wherever they were under way; and each caller has its outcome. It has
// no tests beside it: their steps would be seen.
func TestCloseWaitsForTheStepsOfItsCallers(t *testing.T) {
	const callers, rounds = 12, 60
	for round := range rounds {
		b := &closeWatch{Backend: embedded.Open(t.Name()), t: t}
		c, err := New(b, Config{})
		if err != nil {
			t.Fatal(err)
		}
		var holds atomic.Int64
		enough := make(chan struct{})
		var wg sync.WaitGroup
		for g := range callers {
			wg.Go(func() {
				for {
					key := "k" + strconv.Itoa(g%3)
					lock, err := c.Acquire(t.Context(), key, Timeout(patience))
					if errors.Is(err, ErrClosed) {
						return
					}
					if err != nil {
						t.Errorf("acquire: %v", err)
						return
					}
					if holds.Add(1) == int64(round) {
						close(enough)
					}
					if err := lock.Release(); err != nil && !errors.Is(err, ErrNotHeld) {
						t.Errorf("release: %v", err)
					}
				}
			})
		}
		if round > 0 {
			<-enough
		}
		if err := c.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		stacks := make([]byte, 1<<18)
		if s := stacks[:runtime.Stack(stacks, true)]; bytes.Contains(s, []byte("turnstile/actors.(*keyActor)")) {
			t.Fatalf("Close has returned, and a step runs:\n%s", s)
		}
		finishes(t, "each caller has its outcome", &wg)
	}
}

// TestCloseWaitsForAStepThatIsSlow: the step is that of a caller, who finds the key
// released.
func TestCloseWaitsForAStepThatIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &gated{fakeBackend: newFake(newStore(), 1, faults{}), gate: make(chan struct{})}
		c, err := New(b, Config{})
		if err != nil {
			t.Fatal(err)
		}
		lock := acquire(t, c, "k", Expires(time.Hour))
		released, closed := make(chan error, 1), make(chan error, 1)
		go func() { released <- lock.Release() }() // ends when the gate opens
		synctest.Wait()
		go func() { closed <- c.Close() }() // and so does this one
		time.Sleep(time.Minute)             // virtual: all that Close allows a call has passed
		select {
		case err := <-closed:
			t.Errorf("Close has returned (%v), and a step runs", err)
			closed <- err
		default:
		}
		close(b.gate)
		if err := <-released; err != nil {
			t.Errorf("release: %v", err)
		}
		if err := <-closed; err != nil {
			t.Errorf("close: %v", err)
		}
	})
}

// A gated backend computes in place, and a release takes until its gate opens.
type gated struct {
	*fakeBackend
	gate chan struct{}
}

func (*gated) Capabilities() backends.Capabilities {
	return backends.Capabilities{Name: "custom", Exclusive: true, Immediate: true}
}

func (b *gated) Release(_ context.Context, a backends.Attempt) error {
	<-b.gate
	return b.fakeBackend.Release(context.Background(), a)
}

// A closeWatch sees calls that go on when the backend is closed, or begin after it.
type closeWatch struct {
	*embedded.Backend
	t      *testing.T
	calls  atomic.Int64
	closed atomic.Bool
}

func (b *closeWatch) call() (end func()) {
	b.calls.Add(1)
	if b.closed.Load() {
		b.t.Error("a call after Close")
	}
	return func() { b.calls.Add(-1) }
}

func (b *closeWatch) Acquire(ctx context.Context, r backends.Request) (backends.Reply, error) {
	defer b.call()()
	return b.Backend.Acquire(ctx, r)
}

func (b *closeWatch) Release(ctx context.Context, a backends.Attempt) error {
	defer b.call()()
	return b.Backend.Release(ctx, a)
}

func (b *closeWatch) Close() error {
	b.closed.Store(true)
	if n := b.calls.Load(); n > 0 {
		b.t.Errorf("%d calls go on at Close", n)
	}
	return b.Backend.Close()
}
