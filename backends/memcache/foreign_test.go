package memcache

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	gomemcache "github.com/bradfitz/gomemcache/memcache"

	"github.com/turnstile-go/turnstile/backends"
)

// A foreign is another library's lock, step by step: add of a value of its own
// until that is stored; get, compare, delete. sherlock's MCLock and
// DistributedLock's MemcachedLock differ by the key and the pause alone.
type foreign struct {
	client *gomemcache.Client
	key    string
	pause  time.Duration
	expire int32
}

func sherlock(c *gomemcache.Client, namespace, lock string) foreign {
	return foreign{c, namespace + "_" + lock, time.Millisecond, 60} // 100 ms unless configured
}

func distributedLock(c *gomemcache.Client, key string) foreign {
	return foreign{c, "lock:" + key, 2 * time.Millisecond, 60} // 1 s
}

func (f foreign) acquire(ctx context.Context, id string) error {
	for {
		err := f.client.Add(&gomemcache.Item{Key: f.key, Value: []byte(id), Expiration: f.expire})
		if !errors.Is(err, gomemcache.ErrNotStored) {
			return err
		}
		select {
		case <-time.After(f.pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (f foreign) release(id string) error {
	item, err := f.client.Get(f.key)
	if err != nil {
		return fmt.Errorf("release: %w", err)
	}
	if string(item.Value) != id {
		return errors.New("release: the lock is another's")
	}
	return f.client.Delete(f.key)
}

// TestForeignClientsAndOursExcludeEachOther on one key, two processes of each.
func TestForeignClientsAndOursExcludeEachOther(t *testing.T) {
	t.Parallel()
	const rounds = 100
	for name, theirs := range map[string]foreign{
		"sherlock":        sherlock(driver(t, shared.Addr), "app", newKey(t)),
		"DistributedLock": distributedLock(driver(t, shared.Addr), newKey(t)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			var inside, holds atomic.Int64
			enter := func() error {
				defer inside.Add(-1)
				if n := inside.Add(1); n != 1 {
					return fmt.Errorf("%d are inside", n)
				}
				holds.Add(1)
				runtime.Gosched()
				return nil
			}
			errs := make(chan error, 4)
			var wg sync.WaitGroup
			for i := range 2 {
				wg.Go(func() {
					for n := range rounds {
						id := fmt.Sprintf("client-%d-%d", i, n)
						if err := errors.Join(theirs.acquire(ctx, id), enter(), theirs.release(id)); err != nil {
							errs <- err
							return
						}
					}
				})
				b, r := open(t, shared.URL()), newRequest(theirs.key)
				wg.Go(func() {
					for range rounds {
						r = next(r)
						if err := errors.Join(awaitGrant(ctx, b, r), enter(), b.Release(ctx, r.Attempt)); err != nil {
							errs <- err
							return
						}
					}
				})
			}
			wg.Wait()
			close(errs)
			for err := range errs {
				t.Error(err)
			}
			if n := holds.Load(); n != 4*rounds {
				t.Errorf("%d holds, want %d", n, 4*rounds)
			}
		})
	}
}

// awaitGrant repeats an attempt at the backend's own pace.
func awaitGrant(ctx context.Context, b *Backend, r backends.Request) error {
	for {
		reply, err := b.Acquire(ctx, r)
		if err != nil || reply.Outcome == backends.Granted {
			return err
		}
		r.Probe++
		select {
		case <-time.After(reply.Retry):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// TestAForeignLockIsNeverTouched, whatever it looks like.
func TestAForeignLockIsNeverTouched(t *testing.T) {
	t.Parallel()
	b, inside := open(t, shared.URL()), driver(t, shared.Addr)
	for _, value := range []string{"", "1", "0c2f1f0e-3ef4-4a76-9a0a-7a2a5f8c6a11", backends.Stamp, string(lease{token: newRequest("").Token}.encode()) + " 1 2"} {
		r := newRequest(newKey(t))
		if err := inside.Set(&gomemcache.Item{Key: r.Key, Value: []byte(value), Flags: 7}); err != nil {
			t.Fatal(err)
		}
		item, err := inside.Get(r.Key)
		if err != nil {
			t.Fatal(err)
		}
		number := item.CasID
		if reply := wantOutcome(t, b, r, backends.Held); reply.Holder != "" {
			t.Errorf("%q: held by %q", value, reply.Holder)
		}
		if _, err := b.Renew(bounded(t), r.Attempt, r.TTL, 0); !backends.IsNotHeld(err) {
			t.Errorf("%q: renew: %v", value, err)
		}
		if err := b.Cancel(bounded(t), r.Attempt); err != nil {
			t.Errorf("%q: cancel: %v", value, err)
		}
		if err := b.Release(bounded(t), r.Attempt); !backends.IsNotHeld(err) {
			t.Errorf("%q: release: %v", value, err)
		}
		info, err := b.Inspect(bounded(t), r.Key)
		if err != nil || !info.Held || !info.Foreign || info.Holder != nil || info.HeldFor != nil || info.ExpiresIn != nil || info.Waiting != nil {
			t.Errorf("%q: %+v, %v; want a foreign holder, and nothing known of it", value, info, err)
		}
		if item, err = inside.Get(r.Key); err != nil || item.CasID != number {
			t.Errorf("%q was touched: %v", value, err)
		}
		if _, err := inside.Get(itemsOf(r.Key).wait); !errors.Is(err, gomemcache.ErrCacheMiss) {
			t.Errorf("%q: a wait item, which a foreign holder never reads: %v", value, err)
		}
	}
}
