package lockclient

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// TestRevokeNowEndsAllShares, our own, those of others, and those of one that does not answer. Somebody who comes
// meanwhile keeps the key.
func TestRevokeNowEndsAllShares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		var clients [3]*Client
		var fakes [3]*pusher
		var locks [3]*Lock
		for i := range clients {
			fakes[i] = newPusher(s, uint64(i), faults{}, pushFaults{})
			clients[i] = newOver(t, fakes[i], Config{KeyPrefix: NoPrefix})
			lock, err := op{key: "k", kind: backends.Shared}.acquire(t.Context(), clients[i], []Option{Expires(time.Hour)})
			if err != nil {
				t.Fatal(err)
			}
			locks[i] = lock
		}
		fakes[2].kill(true) // a silent holder
		next := make(chan *Lock)
		go func() {
			lock, err := clients[1].Acquire(context.Background(), "k", Expires(time.Hour), Timeout(time.Minute))
			if err != nil {
				t.Error(err)
			}
			next <- lock
		}()
		synctest.Wait()
		began := time.Now()
		if found, err := clients[0].Revoke(t.Context(), "k", Revocation{Now: true}); found != backends.Deleted || err != nil {
			t.Errorf("%v, %v", found, err)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("it takes %v", took)
		}
		for i, lock := range locks[:2] {
			if cause := context.Cause(lock.Context()); !errors.Is(cause, ErrRevoked) {
				t.Errorf("holder %d goes on: %v", i, cause)
			}
			_ = lock.Release() // it has ended
		}
		release(t, <-next)
		fakes[2].kill(false)
		_ = locks[2].Release() // it has ended
	})
}

// TestRevokeNowEndsAShareThatIsNotNamed: of very many a backend names the first alone.
func TestRevokeNowEndsAShareThatIsNotNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		var clients [backends.MostHolders + 1]*Client
		var locks [len(clients)]*Lock
		var fake *pusher
		for i := range clients {
			fake = newPusher(s, uint64(i), faults{}, pushFaults{})
			clients[i] = newOver(t, fake, Config{KeyPrefix: NoPrefix})
			lock, err := op{key: "k", kind: backends.Shared}.acquire(t.Context(), clients[i], []Option{Expires(time.Hour)})
			if err != nil {
				t.Fatal(err)
			}
			locks[i] = lock
		}
		last := locks[len(locks)-1]
		fake.kill(true) // a silent holder
		if found, err := clients[0].Revoke(t.Context(), "k", Revocation{Fence: last.Fence(), Now: true}); found != backends.Deleted || err != nil {
			t.Errorf("%v, %v", found, err)
		}
		if l, _ := s.lease("k"); len(l.shares) != backends.MostHolders {
			t.Errorf("%d shares are left", len(l.shares))
		}
		fake.kill(false)
		for _, lock := range locks[:len(locks)-1] {
			release(t, lock)
		}
		_ = last.Release() // it has ended
	})
}
