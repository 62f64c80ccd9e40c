package lockclient

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// refusingReleases refuses releases for a reason, while there is one.
type refusingReleases struct {
	*fakeBackend
	reason atomic.Pointer[backends.Reason]
}

func (b *refusingReleases) Release(ctx context.Context, a backends.Attempt) error {
	if r := b.reason.Load(); r != nil {
		return backends.Refused("fake", "ask the administrator", *r)
	}
	return b.fakeBackend.Release(ctx, a)
}

// TestARefusalThatCanPassEndsNoRelease: credentials or permissions that are changed
// for 3 s must not leave the key held for the rest of the lease.
func TestARefusalThatCanPassEndsNoRelease(t *testing.T) {
	for _, reason := range []backends.Reason{backends.WrongLogin, backends.NoPermission, backends.ReadOnly} {
		synctest.Test(t, func(t *testing.T) {
			s := newStore()
			b := &refusingReleases{fakeBackend: newFake(s, 1, faults{})}
			c, err := New(b, Config{KeyPrefix: NoPrefix})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			lock := acquire(t, c, "k", Expires(5*time.Minute))
			b.reason.Store(&reason)
			start := time.Now()
			if err := lock.Release(); !errors.Is(err, ErrUnavailable) || !errors.Is(err, reason) {
				t.Errorf("%v: the release says %v, want ErrUnavailable and the reason", reason, err)
			}
			if d := time.Since(start); d != 2*time.Second {
				t.Errorf("%v: the release took %v, want 2 s", reason, d)
			}
			if _, err := c.Acquire(t.Context(), "k", Timeout(time.Minute)); !errors.Is(err, ErrRefused) {
				t.Errorf("%v: an acquire meanwhile: %v, want ErrRefused at once", reason, err)
			}
			time.Sleep(time.Second) // virtual
			b.reason.Store(nil)
			time.Sleep(time.Second) // longer than any pause
			if _, held := s.lease("k"); held {
				t.Errorf("%v: the lease was not given back", reason)
			}
		})
	}
}

// TestARefusalThatLastsEndsARelease: nothing is gained by asking again.
func TestARefusalThatLastsEndsARelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &refusingReleases{fakeBackend: newFake(newStore(), 1, faults{})}
		c, err := New(b, Config{KeyPrefix: NoPrefix})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		lock := acquire(t, c, "k", Expires(5*time.Minute))
		reason := backends.WrongType
		b.reason.Store(&reason)
		start := time.Now()
		if err := lock.Release(); !errors.Is(err, reason) {
			t.Errorf("%v, want the reason", err)
		}
		if d := time.Since(start); d != 0 {
			t.Errorf("the release took %v", d)
		}
	})
}
