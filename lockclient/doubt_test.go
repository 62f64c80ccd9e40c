package lockclient

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// A replicatedBackend is one whose server can be another from one moment to
// the next: a wake says so.
type replicatedBackend struct {
	*fakeBackend
	wake func(backends.Wake)
}

func (*replicatedBackend) Capabilities() backends.Capabilities {
	return backends.Capabilities{Name: "fake", Exclusive: true, Wakes: true, FailsOver: true}
}

func (b *replicatedBackend) Subscribe(_ backends.Session, wake func(backends.Wake)) error {
	b.wake = wake
	return nil
}

// forget is what a replica has that never heard of a lease.
func (s *store) forget(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.leases, key)
}

// A lease that the new server doesn't have must not be handed on: somebody
// else may have it there already.
func TestADoubtedLeaseIsProvedBeforeItIsHandedOn(t *testing.T) {
	for _, row := range []struct {
		name   string
		forget bool // the new server has never heard of the lease
	}{{"the lease is there", false}, {"the lease is gone", true}} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStore()
				b := &replicatedBackend{fakeBackend: newFake(s, 1, faults{})}
				other := newOver(t, newFake(s, 2, faults{}), Config{})
				c := newOver(t, b, Config{})
				first := acquire(t, c, "k")
				next := make(chan *Lock, 1)
				go func() { next <- acquire(t, c, "k") }() // ends with its acquire
				time.Sleep(time.Millisecond)               // virtual: the grant is from before
				b.kill(true)                               // nothing gets through to the new server yet
				if row.forget {
					s.forget("k")
				}
				b.wake(backends.Wake{Kind: backends.Doubted})
				release(t, acquireIf(t, other, "k", row.forget))
				if err := first.Release(); err != nil && !errors.Is(err, ErrUnavailable) && !errors.Is(err, ErrNotHeld) {
					t.Errorf("release: %v", err)
				}
				synctest.Wait()
				select {
				case <-next:
					t.Fatal("handed on, and nobody has asked the new server")
				default:
				}
				b.kill(false)
				lock := <-next
				if row.forget && lock.Fence()>>10 <= first.Fence()>>10 {
					t.Error("granted under a lease that was lost")
				}
				if !row.forget && c.Stats().Handoffs != 1 {
					t.Error("a lease that was proved is not handed on")
				}
				release(t, lock)
			})
		})
	}
}

// Of a server that was lost in silence nobody tells. A lease that lingers there, or
// that a long hold has kept from being renewed, is asked for before it is granted again.
func TestAnOldProofIsNoneWhereAnotherCanTakeOver(t *testing.T) {
	for name, failsOver := range map[string]bool{"fails over": true, "stands alone": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStore()
				fake := newFake(s, 1, faults{})
				var b backends.Backend = pushingBackend{fake}
				if failsOver {
					b = &replicatedBackend{fakeBackend: fake}
				}
				c := newOver(t, b, Config{Linger: time.Minute})
				first := acquire(t, c, "k")
				release(t, first)
				time.Sleep(400 * time.Millisecond) // virtual
				calls := fake.callsMade()
				release(t, acquire(t, c, "k"))
				if n := fake.callsMade() - calls; n != 0 {
					t.Errorf("%d calls to take up what lingers and was proved just now", n)
				}
				time.Sleep(2 * time.Second) // virtual
				s.forget("k")
				lock := acquire(t, c, "k")
				if renewed := lock.Fence()>>10 > first.Fence()>>10; renewed != failsOver {
					t.Errorf("the server was asked: %v", renewed)
				}
				if err := lock.Release(); err != nil && failsOver {
					t.Errorf("release: %v", err)
				}
			})
		})
	}
}

// acquireIf takes a key that has to be free, or stands for a lock that nobody took.
func acquireIf(t *testing.T, c *Client, key string, free bool) *Lock {
	t.Helper()
	if free {
		return acquire(t, c, key)
	}
	return acquire(t, c, key+" of nobody")
}

// A hold that is under way when the server changes is lost if the new one
// doesn't have it, and not only when its next renewal is due.
func TestAHoldInDoubtIsAskedForAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		b := &replicatedBackend{fakeBackend: newFake(s, 1, faults{})}
		c := newOver(t, b, Config{})
		lock := acquire(t, c, "k", Expires(time.Hour))
		time.Sleep(time.Millisecond) // virtual
		s.forget("k")
		b.wake(backends.Wake{Kind: backends.Doubted})
		synctest.Wait()
		if cause := context.Cause(lock.Context()); !errors.Is(cause, ErrLost) {
			t.Errorf("the hold goes on: %v", cause)
		}
	})
}

// The answer to a question that was asked of the old server proves nothing.
func TestAnAnswerFromBeforeTheDoubtProvesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		b := &replicatedBackend{fakeBackend: newFake(s, 1, faults{latency: 100 * time.Millisecond})}
		c := newOver(t, b, Config{})
		next := make(chan *Lock, 1)
		go func() { next <- acquire(t, c, "k") }() // ends with its acquire
		for {
			synctest.Wait()
			if _, held := s.lease("k"); held {
				break // the old server granted it, and the answer is on its way
			}
			time.Sleep(time.Millisecond) // virtual
		}
		base, _ := s.lease("k")
		b.wake(backends.Wake{Kind: backends.Doubted})
		lock := <-next
		if lock.Fence()>>10 <= base.base {
			t.Error("granted by the old server's word")
		}
		release(t, lock)
	})
}

// Where another server may take over, a renewal that fails is doubt enough;
// where none can, the lease is as good as its deadline.
func TestAnUnprovedLeaseIsHandedOnOnlyWhereNobodyCanTakeOver(t *testing.T) {
	for name, failsOver := range map[string]bool{"fails over": true, "stands alone": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStore()
				fake := newFake(s, 1, faults{})
				var b backends.Backend = pushingBackend{fake}
				if failsOver {
					b = &replicatedBackend{fakeBackend: fake}
				}
				c := newOver(t, b, Config{})
				first := acquire(t, c, "k", Expires(10*time.Second), Renew())
				next := make(chan *Lock, 1)
				go func() { next <- acquire(t, c, "k", Expires(time.Second)) }() // ends with its acquire
				synctest.Wait()
				fake.kill(true)
				time.Sleep(4 * time.Second) // virtual: a renewal was due, and failed
				if err := first.Release(); failsOver != errors.Is(err, ErrUnavailable) {
					t.Errorf("release: %v", err) // it waits for the next holder, if there is to be one
				}
				synctest.Wait()
				select {
				case lock := <-next:
					if failsOver {
						t.Error("handed on although the server may be another's by now")
					}
					fake.kill(false)
					release(t, lock)
				default:
					if !failsOver {
						t.Error("not handed on although the lease is good")
					}
					fake.kill(false)
					release(t, <-next)
				}
			})
		})
	}
}
