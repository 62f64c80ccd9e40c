package strategies

import (
	"context"
	"errors"
	"fmt"
	"time"

	gomemcache "github.com/bradfitz/gomemcache/memcache"

	"github.com/turnstile-go/turnstile/bench"
)

var (
	_ bench.Strategy = distributedLock{}
	_ bench.Leased   = distributedLock{}
)

// A distributedLock is the loop of DistributedLock (snbuback/DistributedLock, its
// MemcachedLock): add of a value of its own until that is stored; get, compare and
// delete, between which the lock may pass on.
type distributedLock struct {
	expires, retry time.Duration
}

func newDistributedLock() distributedLock { return distributedLock{expires, time.Second} }

const (
	// memcacheIdle is how many connections are kept: more than so many callers at
	// once make one an operation.
	memcacheIdle = 256
	// memcacheTimeout bounds one operation. The driver's half a second is less than
	// a loaded machine takes at times, and the add may then have been done.
	memcacheTimeout = 5 * time.Second
)

func (distributedLock) Name() string { return "distributedlock" }

func (d distributedLock) Describe() bench.Description {
	return bench.Description{
		Settings: fmt.Sprintf("its loop in Go: add, retry every %v; get, compare, delete; expires %v; gomemcache, %d idle connections, Timeout %v", d.retry, d.expires, memcacheIdle, memcacheTimeout),
		Place:    bench.PlaceMemcached, Peer: true,
	}
}

// WithExpires rounds up: memcached takes whole seconds.
func (d distributedLock) WithExpires(expires time.Duration) bench.Strategy {
	d.expires = wholeSeconds(expires)
	return d
}

func (d distributedLock) Open(ctx context.Context, at bench.Place) (bench.Locker, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	client := gomemcache.New(at.Addr)
	client.MaxIdleConns, client.Timeout = memcacheIdle, memcacheTimeout
	return distributedLocks{d, client}, nil
}

// distributedLocks are the locks of one process, over one client.
type distributedLocks struct {
	distributedLock
	client *gomemcache.Client
}

// Lock asks with no ctx, as the driver knows none: an add that was sent is waited
// for, and a caller that leaves leaves nothing behind.
func (d distributedLocks) Lock(ctx context.Context, key string) (bench.Held, error) {
	h := &distributedHold{client: d.client, key: "lock:" + key, id: randomValue()}
	item := &gomemcache.Item{Key: h.key, Value: []byte(h.id), Expiration: int32(d.expires / time.Second)}
	err := poll(ctx, func(context.Context) (bool, error) {
		err := d.client.Add(item)
		if errors.Is(err, gomemcache.ErrNotStored) {
			return false, nil
		}
		return err == nil, err
	}, func(int) time.Duration { return d.retry })
	if err != nil {
		return nil, err
	}
	return h, nil
}

func (d distributedLocks) Close() error { return d.client.Close() }

type distributedHold struct {
	plain
	client  *gomemcache.Client
	key, id string
}

// Unlock says that the lock was lost, for which DistributedLock writes a warning.
func (h *distributedHold) Unlock() error {
	if err := h.end(); err != nil {
		return err
	}
	// Between this and the delete the lock may expire, and be another's when it is
	// deleted. The original says so, and has no way around it.
	item, err := h.client.Get(h.key)
	switch {
	case errors.Is(err, gomemcache.ErrCacheMiss):
		return errors.New("distributedlock: unlock: the lock is gone")
	case err != nil:
		return err
	case string(item.Value) != h.id:
		return errors.New("distributedlock: unlock: the lock is another's")
	}
	return h.client.Delete(h.key)
}
