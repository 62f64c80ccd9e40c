//go:build unix

package faults

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/turnstile-go/turnstile/internal/pylock"
	"github.com/turnstile-go/turnstile/internal/servers/servertest"
	"github.com/turnstile-go/turnstile/lockclient"
)

// Pylocks race over what a crashed one left, and one of them comes too late with its GETSET: it
// takes the value of a lock away that was taken on the fast path, or in full, and the ttl with
// it. Others stand between their SETNX and their EXPIRE, as a left-over looks. Nobody's lock is taken for
// another's: no two of ours have the key, none of ours gets or touches a lock of a pylock, and
// no pylock gets one of ours.
func TestALosingGETSETBesideTheFastPath(t *testing.T) {
	beside(t)
	want := int64(400)
	if *long {
		want = 10_000
	}
	server, inside := redisServer(t)
	var clients [3]*lockclient.Client
	for i := range clients {
		clients[i] = open(t, server.URL(), fmt.Sprint("ours ", i))
	}
	kinds := []func(*race) error{(*race).overwritten, (*race).overwrittenInFull, (*race).freedBefore, (*race).evictedBetween}
	var begun atomic.Int64
	var workers sync.WaitGroup
	for range 16 {
		workers.Go(func() { // ends with the races
			for n := begun.Add(1); n <= want && !t.Failed(); n = begun.Add(1) {
				key := fmt.Sprint("race.", n)
				their := pylock.Lock{Client: inside, Key: lockclient.DefaultKeyPrefix + key, Expires: 10 * time.Second}
				r := &race{ctx: t.Context(), key: key, redis: inside, pylock: their, first: clients[n%3], second: clients[(n+1)%3], third: clients[(n+2)%3]}
				if err := kinds[int(n/3)%len(kinds)](r); err != nil {
					t.Errorf("race %d: %v", n, err)
				}
			}
		})
	}
	workers.Wait()
	fast := int64(servertest.Calls(t, inside, "mget"))
	if fast < want/10 { // callers share calls
		t.Errorf("there were %d fast calls in %d races: the test proves little", fast, want)
	}
	t.Logf("%d races, %d fast calls", want, fast)
}

// A race is about one key, that nobody used before.
type race struct {
	ctx                  context.Context
	key                  string
	redis                *goredis.Client
	pylock               pylock.Lock // any of them: it is stopped between its steps
	first, second, third *lockclient.Client
}

// value returns the key's value, "" if there is none.
func (r *race) value() string { return r.redis.Get(r.ctx, r.pylock.Key).Val() }

// loses is the GETSET of a pylock that has seen found, when ours have the key. It may have stalled
// until its own time was over, too.
func (r *race) loses(found string) error {
	mine := pylock.Stamp(10 * time.Second)
	if rand.N(2) == 0 {
		mine = pylock.Stamp(-2 * time.Second)
	}
	old, err := r.pylock.GetSet(r.ctx, mine)
	if err == nil && (old == found || !strings.HasPrefix(old, "4102444800.1")) {
		return fmt.Errorf("the late pylock found %q: the race proves nothing", old)
	}
	return err
}

// overwritten: a pylock takes the left-over, and leaves; ours comes on the fast path; then the
// other pylock comes with its GETSET.
func (r *race) overwritten() error {
	found, err := r.pylock.LeaveOver(r.ctx)
	if err != nil {
		return err
	}
	if old, err := r.pylock.GetSet(r.ctx, pylock.Stamp(10*time.Second)); err != nil || old != found {
		return fmt.Errorf("the winning pylock found %q, %w", old, err)
	}
	if err := r.pylock.Delete(r.ctx); err != nil {
		return err
	}
	return r.contested(found)
}

// overwrittenInFull: ours takes the left-over, between the pylock's look and its GETSET.
func (r *race) overwrittenInFull() error {
	found, err := r.pylock.LeaveOver(r.ctx)
	if err != nil {
		return err
	}
	return r.contested(found)
}

// contested has ours hold the key, while a pylock overwrites it and others of ours want it.
func (r *race) contested(found string) error {
	lock, err := r.first.TryAcquire(r.ctx, r.key)
	if err != nil {
		return fmt.Errorf("the first: %w", err)
	}
	if err := r.loses(found); err != nil {
		return err
	}
	var over atomic.Bool // the first gives its hold back
	results := make(chan error, 3)
	try := func(c *lockclient.Client, wait time.Duration) error {
		time.Sleep(rand.N(time.Millisecond))
		theirs, err := c.Acquire(r.ctx, r.key, lockclient.Timeout(wait))
		if err != nil {
			return unlessHeld(err)
		}
		if !over.Load() && lock.Context().Err() == nil {
			return errors.New("two of ours have the key")
		}
		return unlessLost(theirs.Release())
	}
	go func() { results <- try(r.second, 0) }() // all end by their timeouts
	go func() { results <- try(r.third, rand.N(4*time.Millisecond)) }()
	go func() {
		time.Sleep(rand.N(3 * time.Millisecond))
		if rand.N(2) == 0 {
			_ = lock.Check(r.ctx) // it may be lost, and then others get the key once its holder is told
			time.Sleep(rand.N(3 * time.Millisecond))
		}
		over.Store(true)
		results <- unlessLost(lock.Release())
	}()
	err = errors.Join(<-results, <-results, <-results)
	return errors.Join(err, r.pylock.Delete(r.ctx))
}

// freedBefore: ours had the key on the fast path; a pylock comes, and has not sent its EXPIRE
// when others of ours ask, of which one had requests in full.
func (r *race) freedBefore() error {
	lock, err := r.first.TryAcquire(r.ctx, r.key)
	if err != nil {
		return fmt.Errorf("the first: %w", err)
	}
	if err := lock.Release(); err != nil {
		return err
	}
	return r.standing()
}

// evictedBetween is the same, after ours has taken a left-over, so that it may put an overwritten
// token right, and the companion was evicted, so that the fast path is open again.
func (r *race) evictedBetween() error {
	if _, err := r.pylock.LeaveOver(r.ctx); err != nil {
		return err
	}
	lock, err := r.second.TryAcquire(r.ctx, r.key)
	if err != nil {
		return fmt.Errorf("of a left-over: %w", err)
	}
	if err := errors.Join(lock.Release(), r.redis.Del(r.ctx, "{"+r.pylock.Key+"}:turnstile").Err()); err != nil {
		return err
	}
	return r.freedBefore()
}

// standing has a pylock between its SETNX and its EXPIRE.
func (r *race) standing() error {
	mine := pylock.Stamp(10 * time.Second)
	if won, err := r.pylock.SetNX(r.ctx, mine); err != nil || !won {
		return fmt.Errorf("the pylock has the key: %v, %w", won, err)
	}
	var wg sync.WaitGroup
	results := make(chan error, 3)
	for _, c := range []*lockclient.Client{r.first, r.second, r.third} {
		wg.Go(func() {
			lock, err := c.Acquire(r.ctx, r.key, lockclient.Timeout(rand.N(3*time.Millisecond)))
			if err == nil {
				err = errors.Join(errors.New("ours has the lock of a pylock"), lock.Release())
			} else {
				err = unlessHeld(err)
			}
			results <- err
		})
	}
	wg.Wait()
	err := errors.Join(<-results, <-results, <-results)
	if now := r.value(); now != mine {
		err = errors.Join(err, fmt.Errorf("the value of a pylock is %q by now", now))
	}
	return errors.Join(err, r.pylock.Expire(r.ctx), r.pylock.Delete(r.ctx))
}

func unlessHeld(err error) error {
	if errors.Is(err, lockclient.ErrTimeout) {
		return nil
	}
	return err
}

func unlessLost(err error) error {
	if errors.Is(err, lockclient.ErrNotHeld) {
		return nil
	}
	return err
}
