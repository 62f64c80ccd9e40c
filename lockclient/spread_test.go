package lockclient

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// A countingBackend notes when it was asked for a renewal.
type countingBackend struct {
	*fakeBackend
	mu       sync.Mutex // protects renewals
	renewals []time.Time
}

func (b *countingBackend) Renew(ctx context.Context, a backends.Attempt, ttl time.Duration, known uint64) (backends.Reply, error) {
	b.mu.Lock()
	b.renewals = append(b.renewals, time.Now())
	b.mu.Unlock()
	return b.fakeBackend.Renew(ctx, a, ttl, known)
}

func (*countingBackend) Capabilities() backends.Capabilities {
	return backends.Capabilities{Name: "fake", Exclusive: true, Wakes: true}
}

// Keys that are taken all at once are not renewed all at once. None is renewed later
// than a third of its time.
func TestRenewalsOfManyKeysAreSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const keys, expires, slices = 10_000, 10 * time.Second, 10
		b := &countingBackend{fakeBackend: newFake(newStore(), 1, faults{})}
		c := newOver(t, b, Config{})
		for i := range keys {
			mustAcquire(t, c, fmt.Sprint(i), Expires(expires), Renew())
		}
		taken := time.Now()
		time.Sleep(2 * expires) // virtual: some rounds, each of which spreads them further
		for round := range 3 {
			b.mu.Lock()
			b.renewals = nil
			b.mu.Unlock()
			began := time.Now()
			time.Sleep(expires / 3) // virtual
			b.mu.Lock()
			seen := b.renewals
			b.mu.Unlock()
			if len(seen) < keys || len(seen) > keys*3/2 {
				t.Errorf("round %d: %d renewals of %d keys in a third of their time", round, len(seen), keys)
			}
			var counts [slices]int
			for _, at := range seen {
				counts[min(int(at.Sub(began)*slices/(expires/3)), slices-1)]++
			}
			for i, n := range counts {
				if even := len(seen) / slices; n > 3*even || n < even/6 {
					t.Errorf("round %d: %d renewals in slice %d of %v, %d of a tenth each would be even", round, n, i, counts, even)
				}
			}
		}
		if n := c.Stats().Losses; n != 0 {
			t.Errorf("%d holds lost within %v", n, time.Since(taken))
		}
	})
}

// The first renewal of a hold leaves a short one alone, and is never late.
func TestARenewalComesInTheSecondHalfOfItsThird(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const keys, expires = 100, 9 * time.Second
		b := &countingBackend{fakeBackend: newFake(newStore(), 1, faults{})}
		c := newOver(t, b, Config{})
		began := time.Now()
		for i := range keys {
			mustAcquire(t, c, fmt.Sprint(i), Expires(expires), Renew())
		}
		time.Sleep(expires/3 + time.Millisecond) // virtual
		b.mu.Lock()
		defer b.mu.Unlock()
		if len(b.renewals) < keys {
			t.Errorf("%d renewals of %d keys within a third of their time", len(b.renewals), keys)
		}
		for _, at := range b.renewals[:min(keys, len(b.renewals))] {
			if early := at.Sub(began); early < expires/6 {
				t.Errorf("renewed after %v", early)
			}
		}
	})
}
