package lockclient

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// A silentBackend takes requests and answers none once it is away: what a caller of
// it sees is the end of its own ctx.
type silentBackend struct {
	*fakeBackend
	away chan struct{} // closed: it is
}

func (b *silentBackend) hung(ctx context.Context) error {
	select {
	case <-b.away:
		<-ctx.Done()
		return backends.Interrupted(ctx, "fake")
	default:
		return nil
	}
}

func (b *silentBackend) Acquire(ctx context.Context, r backends.Request) (backends.Reply, error) {
	if err := b.hung(ctx); err != nil {
		return backends.Reply{}, err
	}
	return b.fakeBackend.Acquire(ctx, r)
}

func (b *silentBackend) Release(ctx context.Context, a backends.Attempt) error {
	if err := b.hung(ctx); err != nil {
		return err
	}
	return b.fakeBackend.Release(ctx, a)
}

// A backend that is away at the end is waited for once: by Release, or by Close.
func TestReleaseAndCloseWaitTwoSecondsTogether(t *testing.T) {
	for name, b := range map[string]func() (backends.Backend, func()){
		"silent": func() (backends.Backend, func()) {
			s := &silentBackend{newFake(newStore(), 1, faults{}), make(chan struct{})}
			return s, func() { close(s.away) }
		},
		"refuses": func() (backends.Backend, func()) {
			f := newFake(newStore(), 1, faults{})
			return f, func() { f.kill(true) }
		},
	} {
		for _, row := range []struct {
			name string
			end  func(c *Client, l *Lock) error
			most time.Duration
		}{
			{"release, then close", func(_ *Client, l *Lock) error { return l.Release() }, 2100 * time.Millisecond},
			{"close alone", func(*Client, *Lock) error { return ErrUnavailable }, 2 * time.Second},
			{"a waiter that timed out, then close", func(c *Client, l *Lock) error {
				_, err := c.Acquire(context.Background(), "other", Timeout(3*time.Second))
				return errors.Join(err, l.Release())
			}, 5100 * time.Millisecond},
		} {
			t.Run(name+"/"+row.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					backend, leave := b()
					c, err := New(backend, Config{KeyPrefix: NoPrefix})
					if err != nil {
						t.Fatal(err)
					}
					lock := mustAcquire(t, c, "k", Expires(time.Minute))
					leave()
					began := time.Now()
					if err := row.end(c, lock); !errors.Is(err, ErrUnavailable) {
						t.Errorf("without a backend: %v", err)
					}
					if err := c.Close(); err == nil {
						t.Error("close: nil, with a lease that was not given back")
					}
					if took := time.Since(began); took > row.most {
						t.Errorf("it took %v, want at most %v", took, row.most)
					}
				})
			})
		}
	}
}

// Close still gives back what Release could not, if the backend has returned.
func TestCloseTriesOnceMoreWhatReleaseCouldNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		f := newFake(s, 1, faults{})
		c, err := New(f, Config{KeyPrefix: NoPrefix})
		if err != nil {
			t.Fatal(err)
		}
		lock := mustAcquire(t, c, "k", Expires(time.Minute))
		f.kill(true)
		if err := lock.Release(); !errors.Is(err, ErrUnavailable) {
			t.Errorf("without a backend: %v", err)
		}
		f.kill(false)
		if err := c.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if l, held := s.lease("k"); held {
			t.Errorf("the lease stays for another %v", time.Until(l.ends))
		}
	})
}
