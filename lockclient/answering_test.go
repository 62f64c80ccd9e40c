package lockclient

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// TestAfterAnOutageNobodyWaitsForAPause: a backend that answers again says so, and
// then whatever failed is tried at once: an acquire, a renewal, a release.
func TestAfterAnOutageNobodyWaitsForAPause(t *testing.T) {
	for _, outage := range []time.Duration{3 * time.Second, 3*time.Second + 100*time.Millisecond, 3*time.Second + 200*time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			s := newStore()
			b := &wakingFake{fakeBackend: newFake(s, 1, faults{})}
			c, err := New(b, Config{KeyPrefix: NoPrefix})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			held := acquire(t, c, "held", Expires(9*time.Second), Renew()) // at least every 3 s
			released := acquire(t, c, "released", Expires(time.Minute))
			time.Sleep(5 * time.Second) // virtual
			b.kill(true)
			go released.Release()
			granted := make(chan *Lock, 1)
			go func() { // ends with the acquire
				lock, err := c.Acquire(t.Context(), "k", Timeout(time.Minute))
				if err != nil {
					t.Error(err)
				}
				granted <- lock
			}()
			time.Sleep(outage)
			before := held.Deadline()
			b.kill(false)
			b.wake(backends.Wake{Kind: backends.Answering})
			synctest.Wait()
			select {
			case lock := <-granted:
				defer lock.Release()
			default:
				t.Error("the acquire still waits")
			}
			if !held.Deadline().After(before) {
				t.Error("the hold was not renewed")
			}
			if _, taken := s.lease("released"); taken {
				t.Error("the lease was not given back")
			}
			if err := held.Release(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestPushesForAllKeysLeaveIdleOnesInPeace: each outage brings several, and keys that
// nobody uses any more must retire all the same.
func TestPushesForAllKeysLeaveIdleOnesInPeace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &wakingFake{fakeBackend: newFake(newStore(), 1, faults{})}
		c, err := New(b, Config{KeyPrefix: NoPrefix})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for _, key := range []string{"a", "b", "c"} {
			if err := acquire(t, c, key).Release(); err != nil {
				t.Fatal(err)
			}
		}
		for range 600 {
			time.Sleep(100 * time.Millisecond) // virtual: a minute in all
			b.wake(backends.Wake{Kind: backends.Answering})
			b.wake(backends.Wake{Kind: backends.Given})
		}
		if n := c.Stats().LiveKeys; n != 0 {
			t.Errorf("%d keys are still live", n)
		}
	})
}
