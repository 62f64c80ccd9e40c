package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/bsm/redislock"
	"github.com/go-redsync/redsync/v4"
	redsyncpool "github.com/go-redsync/redsync/v4/redis/goredis/v9"
	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"github.com/redis/rueidis"
	"github.com/redis/rueidis/rueidislock"

	"github.com/turnstile-go/turnstile/bench"
)

const (
	// redsyncTries keeps redsync from giving up: its own 32 tries are about five
	// seconds, which a waiter on a hot key can well use up. ctx ends it instead.
	redsyncTries = 1 << 20
	// redislockBackoff is how often a waiter of redislock tries again.
	redislockBackoff = time.Millisecond
	// keyValidity is rueidislock's own default.
	keyValidity = 5 * time.Second
	// poolWait is how long a caller waits for a connection. With thousands of them
	// the driver's own 4 s run out before a release has its turn, and a lock that
	// can't be given back is all that such a run would show.
	poolWait = time.Minute
)

func redisRivals() []rival {
	return []rival{
		{
			name: "redsync", place: bench.PlaceRedis, inner: []string{"get", "del"}, expires: expires,
			settings: func(r rival) string {
				return fmt.Sprintf("one go-redis pool (%s), WithExpiry(%v), WithTries(%d), retry delay: its default, random 50 to 250 ms", r.client(), r.expires, redsyncTries)
			},
			open: openRedsync,
		},
		{
			name: "redislock", place: bench.PlaceRedis, inner: []string{"set", "get", "getrange", "del"}, expires: expires,
			settings: func(r rival) string {
				return fmt.Sprintf("bsm/redislock: one go-redis client (%s), ttl %v, LinearBackoff(%v)", r.client(), r.expires, redislockBackoff)
			},
			open: openRedislock,
		},
		rueidisRival("rueidislock", false),
		rueidisRival("rueidislock-noloop", true),
	}
}

// rueidisRival has KeyMajority 1, as there is one server; its other settings are
// its defaults. It has one connection: client-side caching needs that.
//
// noLoop is what its README advises beside for Redis 7.0.5 and later. It is
// measured apart, since on a loaded machine it has been seen to leave every
// waiter behind: a try that takes longer than TryNextAfter (20 ms) is undone by
// a delete, of which NOLOOP tells the own process nothing.
func rueidisRival(name string, noLoop bool) rival {
	return rival{
		name: name, place: bench.PlaceRedis, inner: []string{"set", "get", "del", "pexpireat"}, expires: keyValidity,
		settings: func(r rival) string {
			s := fmt.Sprintf("KeyMajority 1, KeyValidity %v, otherwise its defaults (TryNextAfter 20ms, one connection)", r.expires)
			if noLoop {
				s = "NoLoopTracking, " + s
			}
			return s
		},
		open: func(_ context.Context, r rival, at bench.Place) (bench.Locker, error) {
			locks, err := rueidislock.NewLocker(rueidislock.LockerOption{
				ClientOption: rueidis.ClientOption{InitAddress: []string{at.Addr}},
				KeyMajority:  1, KeyValidity: r.expires, NoLoopTracking: noLoop,
			})
			if err != nil {
				return nil, err
			}
			return rueidisLocks{locks}, nil
		},
	}
}

// client says in words how goredis below is set up.
func (r rival) client() string {
	size := "10 connections a CPU"
	if r.pool > 0 {
		size = fmt.Sprintf("%d connections", r.pool)
	}
	return fmt.Sprintf("%s, PoolTimeout %v, otherwise the driver's defaults", size, poolWait)
}

// goredis is the go-redis client of a peer: the driver's defaults, as both
// peers' documentation has it. Maintenance notifications are off, as in ours;
// a server of our own has none to send.
func (r rival) goredis(at bench.Place) *goredis.Client {
	return goredis.NewClient(&goredis.Options{
		Addr: at.Addr, PoolSize: r.pool, PoolTimeout: poolWait,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
}

// redsyncLocks are redsync over one pool, which makes its quorum one.
type redsyncLocks struct {
	client  *goredis.Client
	sync    *redsync.Redsync
	expires time.Duration
}

func openRedsync(_ context.Context, r rival, at bench.Place) (bench.Locker, error) {
	client := r.goredis(at)
	return redsyncLocks{client, redsync.New(redsyncpool.NewPool(client)), r.expires}, nil
}

// Lock makes a Mutex of its own: a redsync.Mutex is one holder's, not one key's,
// as its documentation has it.
func (r redsyncLocks) Lock(ctx context.Context, key string) (bench.Held, error) {
	mutex := r.sync.NewMutex(key, redsync.WithExpiry(r.expires), redsync.WithTries(redsyncTries))
	if err := mutex.LockContext(ctx); err != nil {
		return nil, err
	}
	return unlock(func() error {
		if ok, err := mutex.Unlock(); err != nil {
			return err
		} else if !ok {
			return errors.New("redsync: unlock: no longer held")
		}
		return nil
	}), nil
}

func (r redsyncLocks) Close() error { return r.client.Close() }

// redislockLocks are bsm/redislock.
type redislockLocks struct {
	client  *goredis.Client
	locks   *redislock.Client
	expires time.Duration
}

func openRedislock(_ context.Context, r rival, at bench.Place) (bench.Locker, error) {
	client := r.goredis(at)
	return redislockLocks{client, redislock.New(client), r.expires}, nil
}

// Lock has a ctx with the run's deadline. Without one, Obtain gives up after the
// ttl, however long the caller would wait.
func (r redislockLocks) Lock(ctx context.Context, key string) (bench.Held, error) {
	lock, err := r.locks.Obtain(ctx, key, r.expires, &redislock.Options{
		RetryStrategy: redislock.LinearBackoff(redislockBackoff),
	})
	if err != nil {
		return nil, err
	}
	return unlock(func() error { return lock.Release(context.Background()) }), nil
}

func (r redislockLocks) Close() error { return r.client.Close() }

// rueidisLocks are rueidislock's, whose waiters the server wakes through
// client-side caching.
type rueidisLocks struct{ locks rueidislock.Locker }

// Lock gets a context with the lock that ends when the lock is lost. Nothing here
// would look at it: the section is empty, and the record sees an overlap.
func (r rueidisLocks) Lock(ctx context.Context, key string) (bench.Held, error) {
	_, cancel, err := r.locks.WithContext(ctx, key)
	if err != nil {
		return nil, err
	}
	return unlock(func() error {
		cancel() // returns when the key was deleted, and says nothing
		return nil
	}), nil
}

func (r rueidisLocks) Close() error {
	r.locks.Close()
	return nil
}
