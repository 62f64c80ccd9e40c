package interop

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"time"

	goredis "github.com/redis/go-redis/v9"

	steps "github.com/turnstile-go/turnstile/internal/pylock"
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

// A pylock does what pylock does: see the package of its steps. Its release is sound as long as
// a hold is much shorter than its expires, whole seconds of it.
type pylock struct {
	steps.Lock
	pause time.Duration
}

func newPylock(s settings, client *goredis.Client) *pylock {
	return &pylock{steps.Lock{Client: client, Key: fullKey, Expires: s.expires}, s.pause}
}

func (p *pylock) acquire(wait time.Duration) (bool, error) {
	return tryFor(wait, func() (bool, error) { return p.Attempt(context.Background()) }, func(int) time.Duration { return p.pause })
}

func (p *pylock) release() error { return p.Release(context.Background()) }

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
