package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/bsm/redislock"
	"github.com/go-redsync/redsync/v4"
	redsyncpool "github.com/go-redsync/redsync/v4/redis/goredis/v9"
	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"github.com/redis/rueidis"
	"github.com/redis/rueidis/rueidislock"

	"github.com/turnstile-go/turnstile/lockclient"
)

// expires is how long a lock lasts in every library that lets us say so: long
// beside any pause of a loaded machine, so that no lock ends by itself.
const expires = 10 * time.Second

// A locker is what every library is measured as.
type locker interface {
	// acquire waits for the key until it is had, or ctx ends. fence is 0 from a
	// library that has none. release is called once, outside of ctx: a hold has
	// to be given back after the end of a run as well.
	acquire(ctx context.Context, key string) (release func() error, fence uint64, err error)
	close() error
}

// ours is Turnstile.
type ours struct{ client *lockclient.Client }

// openOurs lets Turnstile open its own driver: what tunes it is part of what is
// measured.
func openOurs(addr string, pool int, linger time.Duration) (locker, error) {
	u := url.URL{Scheme: "redis", Host: addr}
	if pool > 0 {
		u.RawQuery = "pool_size=" + strconv.Itoa(pool)
	}
	client, err := lockclient.Open(lockclient.Config{
		Backend: u.String(), Expires: expires, Owner: owner, Linger: linger,
	})
	if err != nil {
		return nil, err
	}
	return ours{client}, nil
}

func (o ours) acquire(ctx context.Context, key string) (func() error, uint64, error) {
	lock, err := o.client.Acquire(ctx, key)
	if err != nil {
		return nil, 0, err
	}
	return lock.Release, lock.Fence(), nil
}

func (o ours) close() error { return o.client.Close() }

// peerClient is the go-redis client of a peer: the driver's defaults, as both
// peers' documentation has it. Maintenance notifications are off, as in ours;
// a server of our own has none to send.
func peerClient(addr string, pool int) *goredis.Client {
	return goredis.NewClient(&goredis.Options{
		Addr: addr, PoolSize: pool,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
}

// redsyncTries keeps redsync from giving up: its own 32 tries are about five
// seconds, which a waiter on a hot key can well use up. ctx ends it instead.
const redsyncTries = 1 << 20

// A redsyncLocker is redsync over one pool, which makes its quorum one.
type redsyncLocker struct {
	client *goredis.Client
	sync   *redsync.Redsync
}

func openRedsync(addr string, pool int) (locker, error) {
	client := peerClient(addr, pool)
	return redsyncLocker{client, redsync.New(redsyncpool.NewPool(client))}, nil
}

// A redsync.Mutex is one holder's, not one key's: each acquire makes its own, as
// its documentation has it.
func (r redsyncLocker) acquire(ctx context.Context, key string) (func() error, uint64, error) {
	mutex := r.sync.NewMutex(key, redsync.WithExpiry(expires), redsync.WithTries(redsyncTries))
	if err := mutex.LockContext(ctx); err != nil {
		return nil, 0, err
	}
	return func() error {
		if ok, err := mutex.Unlock(); err != nil {
			return err
		} else if !ok {
			return errors.New("redsync: unlock: no longer held")
		}
		return nil
	}, 0, nil
}

func (r redsyncLocker) close() error { return r.client.Close() }

// redislockBackoff is how often a waiter of redislock tries again.
const redislockBackoff = time.Millisecond

// A redislockLocker is bsm/redislock.
type redislockLocker struct {
	client *goredis.Client
	locks  *redislock.Client
}

func openRedislock(addr string, pool int) (locker, error) {
	client := peerClient(addr, pool)
	return redislockLocker{client, redislock.New(client)}, nil
}

// The ctx carries the run's deadline. Without one, Obtain gives up after the
// ttl, however long the caller would wait.
func (r redislockLocker) acquire(ctx context.Context, key string) (func() error, uint64, error) {
	lock, err := r.locks.Obtain(ctx, key, expires, &redislock.Options{
		RetryStrategy: redislock.LinearBackoff(redislockBackoff),
	})
	if err != nil {
		return nil, 0, err
	}
	return func() error { return lock.Release(context.Background()) }, 0, nil
}

func (r redislockLocker) close() error { return r.client.Close() }

// A rueidisLocker is rueidislock, whose waiters the server wakes through
// client-side caching.
type rueidisLocker struct{ locks rueidislock.Locker }

// openRueidislock sets KeyMajority 1, as there is one server; its other settings
// are its defaults. It has one connection: client-side caching needs that.
//
// noLoop is what its README advises beside for Redis 7.0.5 and later. It is
// measured apart, since on a loaded machine it has been seen to leave every
// waiter behind: a try that takes longer than TryNextAfter (20 ms) is undone by
// a delete, of which NOLOOP tells the own process nothing.
func openRueidislock(addr string, noLoop bool) (locker, error) {
	locks, err := rueidislock.NewLocker(rueidislock.LockerOption{
		ClientOption:   rueidis.ClientOption{InitAddress: []string{addr}},
		KeyMajority:    1,
		NoLoopTracking: noLoop,
	})
	if err != nil {
		return nil, fmt.Errorf("rueidislock: %w", err)
	}
	return rueidisLocker{locks}, nil
}

// The context that comes with the lock ends when the lock is lost. Nothing here
// would look at it: the section is empty, and the record sees an overlap.
func (r rueidisLocker) acquire(ctx context.Context, key string) (func() error, uint64, error) {
	_, cancel, err := r.locks.WithContext(ctx, key)
	if err != nil {
		return nil, 0, err
	}
	return func() error {
		cancel() // returns when the key was deleted, and says nothing
		return nil
	}, 0, nil
}

func (r rueidisLocker) close() error {
	r.locks.Close()
	return nil
}
