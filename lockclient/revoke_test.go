package lockclient

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// A pair is two clients on one store, in virtual time: processes as far as the
// store can tell.
func pair(t *testing.T, cfg Config) (one, two *Client) {
	t.Helper()
	s := newStore()
	cfg.KeyPrefix = NoPrefix
	open := func(seed uint64) *Client {
		c, err := New(newFake(s, seed, faults{}), cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		})
		return c
	}
	return open(1), open(2)
}

func mustAcquire(t *testing.T, c *Client, key string, opts ...Option) *Lock {
	t.Helper()
	l, err := c.Acquire(context.Background(), key, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func mustRevoke(t *testing.T, c *Client, key string, r Revocation, want Revoked) {
	t.Helper()
	if got, err := c.Revoke(context.Background(), key, r); err != nil || got != want {
		t.Fatalf("revoke: %v, %v; want %v", got, err, want)
	}
}

// A grant is when a waiter got the key.
type grant struct {
	at   time.Time
	lock *Lock
}

func acquireLater(t *testing.T, c *Client, key string) <-chan grant {
	t.Helper()
	got := make(chan grant, 1)
	go func() { // ends with the acquire
		l, err := c.Acquire(context.Background(), key, Timeout(time.Hour))
		if err != nil {
			t.Error(err)
		}
		got <- grant{time.Now(), l}
	}()
	return got
}

func TestARevokedHoldKeepsItsKeyUntilItIsReleased(t *testing.T) {
	for _, where := range []string{"another process", "the same process"} {
		t.Run("waiter in "+where, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				holder, other := pair(t, Config{})
				waits := other
				if where == "the same process" {
					waits = holder
				}
				l := mustAcquire(t, holder, "k", Expires(9*time.Second), Renew())
				waiter := acquireLater(t, waits, "k")
				mustRevoke(t, other, "k", Revocation{Fence: l.Fence()}, Marked)
				<-l.Context().Done()
				if cause := context.Cause(l.Context()); !errors.Is(cause, ErrLost) || !errors.Is(cause, backends.ErrRevoked) {
					t.Errorf("the hold ended by %v, want ErrLost and ErrRevoked", cause)
				}
				if err := l.Extend(time.Second); !errors.Is(err, ErrNotHeld) {
					t.Errorf("extend: %v, want ErrNotHeld", err)
				}
				time.Sleep(2 * time.Second) // virtual: the holder stops, well within its deadline
				select {
				case g := <-waiter:
					t.Fatalf("granted at %v, while the revoked holder was still at work", g.at)
				default:
				}
				released := time.Now()
				if err := l.Release(); !errors.Is(err, ErrNotHeld) {
					t.Errorf("release: %v, want ErrNotHeld, since the hold was revoked", err)
				}
				g := <-waiter
				if waited := g.at.Sub(released); waited > 20*time.Millisecond {
					t.Errorf("granted %v after the release", waited)
				}
				if g.lock.Fence() <= l.Fence() {
					t.Errorf("fence %d after %d", g.lock.Fence(), l.Fence())
				}
				if err := g.lock.Context().Err(); err != nil {
					t.Errorf("the next hold was revoked as well: %v", err)
				}
				if err := g.lock.Release(); err != nil {
					t.Error(err)
				}
				if n := holder.Stats().Losses; n != 1 {
					t.Errorf("%d losses, want 1", n)
				}
			})
		})
	}
}

func TestARevokedHoldThatIsNeverReleasedIsNotRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		holder, other := pair(t, Config{})
		l := mustAcquire(t, holder, "k", Expires(9*time.Second), Renew())
		waiter := acquireLater(t, other, "k")
		mustRevoke(t, other, "k", Revocation{}, Marked)
		<-l.Context().Done()
		deadline := l.Deadline()
		if left := time.Until(deadline); left <= 0 || left > 9*time.Second {
			t.Fatalf("%v left when the holder learns of it", left)
		}
		g := <-waiter
		if !l.Deadline().Equal(deadline) {
			t.Errorf("the deadline moved by %v after the revocation", l.Deadline().Sub(deadline))
		}
		if g.at.Before(deadline.Add(-25 * time.Millisecond)) {
			t.Errorf("granted %v before the revoked hold's deadline", deadline.Sub(g.at))
		}
		if late := g.at.Sub(deadline); late > 100*time.Millisecond {
			t.Errorf("granted %v after the revoked hold's deadline", late)
		}
		if err := l.Release(); !errors.Is(err, ErrNotHeld) {
			t.Errorf("release: %v", err)
		}
		if err := g.lock.Release(); err != nil {
			t.Error(err)
		}
	})
}

func TestARevocationNamesItsHoldByTheFence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		holder, other := pair(t, Config{})
		old := mustAcquire(t, holder, "k")
		if err := old.Release(); err != nil {
			t.Fatal(err)
		}
		mustRevoke(t, other, "k", Revocation{Fence: old.Fence()}, NobodyHolds)
		time.Sleep(time.Millisecond) // virtual
		l := mustAcquire(t, other, "k", Renew())
		mustRevoke(t, holder, "k", Revocation{Fence: old.Fence()}, Superseded)
		time.Sleep(20 * time.Second) // virtual: renewed, under newer bases than the fence's
		if err := l.Context().Err(); err != nil {
			t.Fatalf("the hold that was not meant ended: %v", context.Cause(l.Context()))
		}
		for _, slip := range []uint64{1, 1023, 1024, l.Fence() - 1} { // half a number is nobody's fence
			mustRevoke(t, holder, "k", Revocation{Fence: slip}, Superseded)
			mustRevoke(t, holder, "k", Revocation{Fence: slip, Now: true}, Superseded)
		}
		mustRevoke(t, holder, "k", Revocation{Fence: l.Fence()}, Marked)
		<-l.Context().Done()
		if err := l.Release(); !errors.Is(err, ErrNotHeld) {
			t.Error(err)
		}
	})
}

// wakingFake is a fake that can tell its session, as Redis does.
type wakingFake struct {
	*fakeBackend
	wake func(backends.Wake)
}

func (f *wakingFake) Subscribe(_ backends.Session, wake func(backends.Wake)) error {
	f.wake = wake
	return nil
}

func (f *wakingFake) Capabilities() backends.Capabilities {
	return backends.Capabilities{Name: "fake", Exclusive: true, Wakes: true}
}

func TestAHolderThatIsToldLearnsOfARevocationAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := &wakingFake{fakeBackend: newFake(newStore(), 1, faults{})}
		c, err := New(fake, Config{KeyPrefix: NoPrefix, Linger: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}()
		l := mustAcquire(t, c, "k", Expires(30*time.Second), Renew())
		fake.wake(backends.Wake{Key: "k", Kind: backends.Revoking}) // not true: somebody else's word
		synctest.Wait()
		if l.Context().Err() != nil {
			t.Fatal("a wake alone ended the hold")
		}
		time.Sleep(time.Millisecond) // virtual: a later moment than the renewal's
		told := time.Now()
		mustRevoke(t, c, "k", Revocation{}, Marked)
		fake.wake(backends.Wake{Key: "k", Kind: backends.Revoking})
		<-l.Context().Done()
		if took := time.Since(told); took > 10*time.Millisecond {
			t.Errorf("learned after %v", took)
		}
		if err := l.Release(); !errors.Is(err, ErrNotHeld) {
			t.Error(err)
		}
		if lease, held := fake.store.lease("k"); held {
			t.Errorf("the revoked lease lingers: %+v", lease)
		}
		// One that lingers and is held by nobody goes at once.
		if err := mustAcquire(t, c, "k").Release(); err != nil {
			t.Fatal(err)
		}
		if _, held := fake.store.lease("k"); !held {
			t.Fatal("it does not linger: nothing is tested")
		}
		time.Sleep(time.Millisecond) // virtual
		mustRevoke(t, c, "k", Revocation{}, Marked)
		fake.wake(backends.Wake{Key: "k", Kind: backends.Revoking})
		synctest.Wait()
		if _, held := fake.store.lease("k"); held {
			t.Error("a revoked lease that nobody holds goes on lingering")
		}
	})
}

func TestListTellsOfAllThatIsHeld(t *testing.T) {
	one, err := Open(Config{Backend: "embedded://" + t.Name()})
	if err != nil {
		t.Fatal(err)
	}
	defer one.Close()
	if _, ok := one.backend.(backends.Lister); !ok {
		t.Fatal("embedded:// can't list")
	}
	two, err := Open(Config{Backend: "embedded://" + t.Name(), Owner: "two"})
	if err != nil {
		t.Fatal(err)
	}
	defer two.Close()
	other, err := Open(Config{Backend: "embedded://" + t.Name(), KeyPrefix: "other:"})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	a, b, gone := mustAcquire(t, one, "a"), mustAcquire(t, two, "b*{}"), mustAcquire(t, two, "gone")
	defer mustAcquire(t, other, "hidden").Release()
	if err := gone.Release(); err != nil {
		t.Fatal(err)
	}
	list, err := one.List(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	keys := make([]string, len(list))
	for i, info := range list {
		keys[i] = info.Key
	}
	if want := []string{"a", "b*{}"}; !slices.Equal(keys, want) {
		t.Fatalf("%q, want %q", keys, want)
	}
	if list[0].Fence == nil || *list[0].Fence != a.Fence() {
		t.Errorf("own hold: %+v", list[0])
	}
	if list[1].Holder == nil || *list[1].Holder != "two" || list[1].Fence == nil || *list[1].Fence>>10 != b.Fence()>>10 {
		t.Errorf("another's hold: %+v", list[1])
	}
}
