package interop

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// tryFor tries until wait is over. next is how long to pause after the nth
// failure, from 0.
func tryFor(wait time.Duration, try func() (bool, error), next func(n int) time.Duration) (bool, error) {
	until := time.Now().Add(wait)
	for n := 0; ; n++ {
		if won, err := try(); won || err != nil {
			return won, err
		}
		pause := next(n)
		if time.Now().Add(pause).After(until) {
			return false, nil
		}
		time.Sleep(pause)
	}
}

// A pylock does what pylock does, in its order: each step is a command of its own,
// and whoever comes in between changes what the next one means. The value is the
// time at which the lock is over by its client's clock; whose it is, it doesn't say.
type pylock struct {
	settings
	client *goredis.Client
	start  time.Time

	// raced is called between its look at a leftover and its GETSET; nil: at once.
	raced func()
}

func newPylock(s settings, client *goredis.Client) *pylock {
	return &pylock{settings: s, client: client}
}

// stamp is the time at which a pylock's lock is over, as Python prints it.
func stamp(expires time.Duration) string {
	at := time.Now().Add(expires + time.Second)
	return strconv.FormatFloat(float64(at.UnixMicro())/1e6, 'f', -1, 64)
}

func (p *pylock) acquire(wait time.Duration) (bool, error) {
	won, err := tryFor(wait, p.attempt, func(int) time.Duration { return p.pause })
	if !won || err != nil {
		return false, err
	}
	p.start = time.Now()
	return true, p.client.Expire(context.Background(), fullKey, p.expires.Truncate(time.Second)).Err()
}

func (p *pylock) attempt() (bool, error) {
	ctx := context.Background()
	mine := stamp(p.expires)
	// It has no ttl until EXPIRE: a pylock that dies in between leaves it for ever,
	// and the time in it is for those who find it.
	if won, err := p.client.SetNX(ctx, fullKey, mine, 0).Result(); won || err != nil {
		return won, err
	}
	found, err := p.client.Get(ctx, fullKey).Result()
	if errors.Is(err, goredis.Nil) {
		return false, nil // freed in between: it comes back after the pause
	}
	if err != nil {
		return false, err
	}
	end, err := strconv.ParseFloat(found, 64)
	if err != nil || end >= float64(time.Now().UnixMicro())/1e6 {
		return false, err // what is no number kills a pylock
	}
	if p.raced != nil {
		p.raced()
	}
	// Somebody may have been faster; then this is too late, and its harm is done.
	old, err := p.client.Do(ctx, "GETSET", fullKey, mine).Text()
	if errors.Is(err, goredis.Nil) {
		return false, nil
	}
	return old == found, err
}

// release deletes whatever is there, unless the own time is over. That is sound as
// long as a hold is much shorter than its expires, whole seconds of it.
func (p *pylock) release() error {
	if time.Since(p.start) >= p.expires {
		return nil
	}
	return p.client.Del(context.Background(), fullKey).Err()
}

func (p *pylock) crash() {}

var (
	retoolsAcquire = goredis.NewScript(`
		local won = redis.call('SETNX', KEYS[1], ARGV[1])
		if won == 1 then redis.call('EXPIRE', KEYS[1], ARGV[2]) end
		return won`)
	retoolsRelease = goredis.NewScript(`
		if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
		return redis.call('DEL', KEYS[1])`)
)

// A retools does what retools does: one script each way, a value of its own.
type retools struct {
	settings
	client *goredis.Client
	value  string
}

func (p *retools) acquire(wait time.Duration) (bool, error) {
	const first = 5 * time.Millisecond
	value := strconv.FormatUint(rand.Uint64(), 16) + strconv.FormatUint(rand.Uint64(), 16)
	won, err := tryFor(wait, func() (bool, error) {
		return retoolsAcquire.Run(context.Background(), p.client, []string{fullKey}, value, int(p.expires.Seconds())).Bool()
	}, func(n int) time.Duration {
		d := min(first<<min(n, 8), p.pause)
		return d/2 + rand.N(d/2)
	})
	if won {
		p.value = value
	}
	return won, err
}

// release says that a lock was lost, which retools doesn't: that would hide a failure.
func (p *retools) release() error {
	ours, err := retoolsRelease.Run(context.Background(), p.client, []string{fullKey}, p.value).Bool()
	if err == nil && !ours {
		err = errors.New("retools: released a lock that was not held")
	}
	return err
}

func (p *retools) crash() {}
