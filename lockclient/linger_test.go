package lockclient

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/backends/embedded"
)

// use takes a lock and releases it, and returns how many backend calls that took.
func use(t *testing.T, c *Client, key string) uint64 {
	t.Helper()
	before := c.Stats().BackendCalls
	release(t, acquire(t, c, key))
	return c.Stats().BackendCalls - before
}

// calls is how many backend calls each of the first three uses of a key takes.
func calls(t *testing.T, c *Client, key string) [3]uint64 {
	t.Helper()
	return [3]uint64{use(t, c, key), use(t, c, key), use(t, c, key)}
}

// TestAKeyLingers: by default over embedded:// alone, and there from its second hold on.
func TestAKeyLingers(t *testing.T) {
	never, fromTheFirst, fromTheSecond := [3]uint64{2, 2, 2}, [3]uint64{1, 0, 0}, [3]uint64{2, 1, 0}
	for name, row := range map[string]struct {
		open  func(t *testing.T, url string) (*Client, error)
		want  [3]uint64
		stays time.Duration
	}{
		"embedded://": {func(_ *testing.T, url string) (*Client, error) { return Open(Config{Backend: url}) }, fromTheSecond, time.Second},
		"New":         {func(t *testing.T, _ string) (*Client, error) { return New(embedded.Open(t.Name()), Config{}) }, fromTheSecond, time.Second},
		"Linger 3s": {func(_ *testing.T, url string) (*Client, error) {
			return Open(Config{Backend: url, Linger: 3 * time.Second})
		}, fromTheFirst, 3 * time.Second},
		"NoLinger": {func(_ *testing.T, url string) (*Client, error) {
			return Open(Config{Backend: url, Linger: NoLinger})
		}, never, 0},
		"NoHandoff": {func(_ *testing.T, url string) (*Client, error) {
			return Open(Config{Backend: url, NoHandoff: true})
		}, never, 0},
		"open://":         {func(*testing.T, string) (*Client, error) { return Open(Config{Backend: "open://"}) }, never, 0},
		"another backend": {func(*testing.T, string) (*Client, error) { return New(newFake(newStore(), 1, faults{}), Config{}) }, never, 0},
		"another, NoLinger": {func(*testing.T, string) (*Client, error) {
			return New(newFake(newStore(), 1, faults{}), Config{Linger: NoLinger})
		}, never, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, err := row.open(t, "embedded://"+t.Name())
				if err != nil {
					t.Fatal(err)
				}
				defer func() {
					if err := c.Close(); err != nil {
						t.Error(err)
					}
				}()
				if got := calls(t, c, "k"); got != row.want {
					t.Errorf("the first three uses took %v backend calls, want %v", got, row.want)
				}
				before := c.Stats().BackendCalls
				if row.stays > 0 {
					time.Sleep(row.stays - time.Millisecond) // virtual
					synctest.Wait()
					if n := c.Stats().BackendCalls - before; n != 0 {
						t.Errorf("it was given back before its time, by %d calls", n)
					}
					time.Sleep(2 * time.Millisecond)
				}
				synctest.Wait()
				if n := c.Stats().BackendCalls - before; n != min(1, uint64(row.stays)) {
					t.Errorf("%d calls to give it back", n)
				}
				time.Sleep(5 * time.Second) // virtual: the actor has retired
				synctest.Wait()
				if n := c.Stats().LiveKeys; n != 0 {
					t.Errorf("%d live keys are left", n)
				}
			})
		})
	}
}

// TestALingeringKeyIsFreeHere: to the client with which it lingers, and held to others.
func TestALingeringKeyIsFreeHere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		url := "embedded://" + t.Name()
		c, other := openClient(t, Config{Backend: url, Owner: "c"}), openClient(t, Config{Backend: url})
		seen := func(c *Client) (held bool, listed, keys int) {
			i, err := c.Inspect(t.Context(), "k")
			if err != nil {
				t.Fatal(err)
			}
			if !i.Held && (i.Holder != nil || i.HeldFor != nil || i.ExpiresIn != nil || i.Current(*i.Fence)) {
				t.Errorf("free, and told of a holder: %+v", i)
			}
			all, err := c.List(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return i.Held, len(all), len(slices.Collect(c.Keys()))
		}
		want := func(when string, c *Client, held bool, listed, keys int) {
			t.Helper()
			if h, l, k := seen(c); h != held || l != listed || k != keys {
				t.Errorf("%s: held %t, %d listed, %d keys; want %t, %d, %d", when, h, l, k, held, listed, keys)
			}
		}
		use(t, c, "k")
		lock := acquire(t, c, "k")
		want("held", c, true, 1, 1)
		want("held, elsewhere", other, true, 1, 0)
		release(t, lock)
		want("lingering", c, false, 0, 0)
		want("lingering, elsewhere", other, true, 1, 0)
		lock = acquire(t, c, "k")
		want("held again", c, true, 1, 1)
		release(t, lock)
		time.Sleep(1001 * time.Millisecond) // virtual
		synctest.Wait()
		want("gone", c, false, 0, 0)
		want("gone, elsewhere", other, false, 0, 0)

		// The store is the judge of a lease that is another's by now.
		calls(t, c, "k")
		lock = acquire(t, other, "k")
		want("taken over", c, true, 1, 0)
		want("taken over, elsewhere", other, true, 1, 1)
		release(t, lock)
	})
}

// inspecting is a backend that lets something happen before each look at a key.
type inspecting struct {
	*embedded.Backend
	before func()
}

func (b *inspecting) Inspect(ctx context.Context, key string) (backends.Info, error) {
	b.before()
	return b.Backend.Inspect(ctx, key)
}

// TestAKeyThatIsTakenOverIsHeld: also to a client that looks while that happens.
func TestAKeyThatIsTakenOverIsHeld(t *testing.T) {
	other := embeddedClient(t, Config{Owner: "the other"})
	b := &inspecting{Backend: embedded.Open(t.Name())}
	c, err := New(b, Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	calls(t, c, "k")
	b.before = func() { acquire(t, other, "k") }
	if i, err := c.Inspect(t.Context(), "k"); err != nil || !i.Held || *i.Holder != "the other" {
		t.Errorf("%+v, %v", i, err)
	}
}

// TestAnotherClientHasALingeringKeyAtOnce: within its own call, also by one try, and
// before the client with which the key lingers does anything.
func TestAnotherClientHasALingeringKeyAtOnce(t *testing.T) {
	for name, cfg := range map[string]Config{"by default": {}, "Linger 1h": {Linger: time.Hour}} {
		for how, ask := range map[string]func(*Client, context.Context, string, ...Option) (*Lock, error){
			"Acquire": (*Client).Acquire, "TryAcquire": (*Client).TryAcquire,
		} {
			t.Run(name+", "+how, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					cfg.Backend = "embedded://" + t.Name()
					c, other := openClient(t, cfg), openClient(t, cfg)
					calls(t, c, "k")
					began := time.Now()
					lock, err := ask(other, t.Context(), "k")
					if err != nil {
						t.Fatal(err)
					}
					if n, took := other.Stats().BackendCalls, time.Since(began); n != 1 || took != 0 {
						t.Errorf("it took %d calls and %v", n, took)
					}
					if lock, err := c.TryAcquire(t.Context(), "k"); !errors.Is(err, ErrHeld) {
						t.Errorf("%+v: %v, want ErrHeld", lock, err)
					}
					waited := make(chan *Lock)
					go func() { waited <- acquire(t, c, "k") }() // ends when other releases
					synctest.Wait()
					release(t, lock)
					next := <-waited
					if next.Fence() <= lock.Fence() || time.Since(began) != 0 {
						t.Errorf("after %v with fence %d, after %d", time.Since(began), next.Fence(), lock.Fence())
					}
					release(t, next)
				})
			})
		}
	}
}

// TestALingeringKeyIsNobodysToRevoke, whoever asks.
func TestALingeringKeyIsNobodysToRevoke(t *testing.T) {
	url := "embedded://" + t.Name()
	c, other := openClient(t, Config{Backend: url}), openClient(t, Config{Backend: url})
	for _, by := range []*Client{c, other} {
		for _, now := range []bool{false, true} {
			use(t, c, "k")
			lock := acquire(t, c, "k")
			release(t, lock)
			for _, fence := range []uint64{lock.Fence(), 0} {
				if got, err := by.Revoke(t.Context(), "k", Revocation{Fence: fence, Now: now}); err != nil || got != NobodyHolds {
					t.Errorf("now %t, fence %d: %v, %v, want that nobody holds it", now, fence, got, err)
				}
			}
		}
	}
}

// TestOneTryOfAFreeKeyIsGranted: a lease that lingers, or has just lingered, turns no
// try down. Leases linger for about as long as the pauses between tries, so that these
// meet every moment of their ends.
func TestOneTryOfAFreeKeyIsGranted(t *testing.T) {
	const rounds = 5000
	cfg := Config{Backend: "embedded://" + t.Name(), Linger: 30 * time.Microsecond}
	clients := []*Client{openClient(t, cfg), openClient(t, cfg), openClient(t, cfg)}
	for range rounds {
		c := clients[rand.IntN(len(clients))]
		lock, err := c.TryAcquire(t.Context(), "k")
		if err != nil {
			t.Fatalf("nobody has the key: %v", err)
		}
		release(t, lock)
		for end := time.Now().Add(rand.N(60 * time.Microsecond)); time.Now().Before(end); { // too short for a timer
		}
	}
}

// TestLingeringLeasesExclude: clients that take each other's leases all the time never
// hold a key together, and their fences grow.
func TestLingeringLeasesExclude(t *testing.T) {
	const goroutines, each, keys = 4, 400, 2
	for _, linger := range []time.Duration{0, 50 * time.Microsecond} {
		t.Run(fmt.Sprint(linger), func(t *testing.T) {
			t.Parallel()
			var holders [keys]atomic.Int32
			var fences [keys]atomic.Uint64
			var wg sync.WaitGroup
			for range 3 {
				c := openClient(t, Config{Backend: "embedded://" + t.Name(), Linger: linger})
				for g := range goroutines {
					wg.Go(func() {
						for i := range each {
							n := rand.IntN(keys)
							timeout := time.Duration(g%2) * patience
							lock, err := c.Acquire(t.Context(), fmt.Sprint("k", n), Timeout(timeout))
							switch {
							case errors.Is(err, ErrHeld) && timeout == 0:
								continue
							case err != nil:
								t.Error(i, err)
								return
							}
							if h := holders[n].Add(1); h != 1 {
								t.Errorf("%d hold k%d", h, n)
							}
							if last := fences[n].Swap(lock.Fence()); last >= lock.Fence() {
								t.Errorf("fence %d after %d", lock.Fence(), last)
							}
							holders[n].Add(-1)
							release(t, lock)
						}
					})
				}
			}
			wg.Wait()
		})
	}
}
