package interop

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/bsm/redislock"
	"github.com/go-redsync/redsync/v4"
	redsyncpool "github.com/go-redsync/redsync/v4/redis/goredis/v9"
	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// A holder is one who takes the key and gives it back, and has it once at a time.
type holder interface {
	// acquire tries until wait is over, and at least once.
	acquire(wait time.Duration) (bool, error)
	// release fails if the lock is no longer the holder's, where that can be told.
	release() error
}

// A peer is one client of another library.
type peer interface {
	holder
	// crash ends the peer while it holds the lock.
	crash()
}

// settings are what a peer is opened with.
type settings struct {
	addr    string
	expires time.Duration // whole seconds, as pylock and retools want it
	pause   time.Duration // between two tries; the most of it where it grows
}

// A library is one way of locking that is not ours.
type library struct {
	name string
	open func(*testing.T, settings) peer
	// compete makes the given holds of a contest, by several workers at once.
	compete func(t *testing.T, s settings, c contest) <-chan outcome[struct{}]
}

// libraries are the five, and the ancestors' loops both as they are written in
// Python and in Go.
func libraries() []library {
	return []library{
		inPython("redis-py"), inPython("pylock"), inPython("retools"),
		inGo("redsync", newRedsync), inGo("redislock", newRedislock),
		inGo("pylock", func(s settings, c *goredis.Client) peer { return newPylock(s, c) }),
		inGo("retools", func(s settings, c *goredis.Client) peer { return &retools{settings: s, client: c} }),
	}
}

// inGo is a library whose clients are goroutines of the test. One that crashes
// is simply never heard of again: none of them renews by itself.
func inGo(name string, create func(settings, *goredis.Client) peer) library {
	l := library{name: name + " (Go)"}
	l.open = func(t *testing.T, s settings) peer {
		return create(s, goClient(t, s.addr))
	}
	l.compete = func(t *testing.T, s settings, c contest) <-chan outcome[struct{}] {
		var workers []holder
		for range peerWorkers {
			workers = append(workers, l.open(t, s))
		}
		return c.run(theirs, theirRest, workers)
	}
	return l
}

// goClient is a driver with its defaults, closed at the test's end.
func goClient(t *testing.T, addr string) *goredis.Client {
	t.Helper()
	client := goredis.NewClient(&goredis.Options{
		Addr:                     addr,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// tries keeps redsync from giving up before its context does.
const tries = 1 << 20

type redsyncPeer struct {
	settings
	mutex *redsync.Mutex
}

func newRedsync(s settings, client *goredis.Client) peer {
	mutex := redsync.New(redsyncpool.NewPool(client)).NewMutex(fullKey,
		redsync.WithExpiry(s.expires), redsync.WithTries(tries), redsync.WithRetryDelay(s.pause))
	return &redsyncPeer{settings: s, mutex: mutex}
}

func (p *redsyncPeer) acquire(wait time.Duration) (bool, error) {
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	var taken *redsync.ErrTaken
	err := p.mutex.LockContext(ctx)
	// Of a context that ends it says ErrFailed; of the last try's reply, ErrTaken.
	if errors.Is(err, redsync.ErrFailed) || errors.As(err, &taken) {
		return false, nil
	}
	return err == nil, err
}

func (p *redsyncPeer) release() error {
	ok, err := p.mutex.Unlock()
	if err == nil && !ok {
		err = errors.New("redsync: unlock: not held")
	}
	return err
}

func (p *redsyncPeer) crash() {}

type redislockPeer struct {
	settings
	locks *redislock.Client
	lock  *redislock.Lock
}

func newRedislock(s settings, client *goredis.Client) peer {
	return &redislockPeer{settings: s, locks: redislock.New(client)}
}

func (p *redislockPeer) acquire(wait time.Duration) (bool, error) {
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	var err error
	p.lock, err = p.locks.Obtain(ctx, fullKey, p.expires, &redislock.Options{RetryStrategy: redislock.LinearBackoff(p.pause)})
	if errors.Is(err, context.DeadlineExceeded) {
		return false, nil
	}
	return err == nil, err
}

func (p *redislockPeer) release() error { return p.lock.Release(context.Background()) }
func (p *redislockPeer) crash()         {}
