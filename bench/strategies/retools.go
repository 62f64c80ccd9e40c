package strategies

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/turnstile-go/turnstile/bench"
)

var (
	_ bench.Strategy = retools{}
	_ bench.Leased   = retools{}
	_ bench.Scripted = retools{}

	retoolsAcquire = goredis.NewScript(`
		local won = redis.call('SETNX', KEYS[1], ARGV[1])
		if won == 1 then redis.call('EXPIRE', KEYS[1], ARGV[2]) end
		return won`)
	retoolsRelease = goredis.NewScript(`
		if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
		return redis.call('DEL', KEYS[1])`)
)

// A retools is the loop of retools, from which pylock was made: one script each
// way, a value of its own, and pauses that are drawn from 0 up to a bound that
// doubles. The bound goes back to the first with every acquire, so a caller that
// comes late tries more often than one that has waited long.
type retools struct {
	expires, first, most time.Duration
}

func newRetools() retools { return retools{expires, 5 * time.Millisecond, time.Second} }

func (retools) Name() string { return "retools" }

func (r retools) Describe() bench.Description {
	return bench.Description{
		Settings: fmt.Sprintf("its loop in Go: one script each way, retry after a random time up to %v, which doubles to %v; expires %v; %s", r.first, r.most, r.expires, seedDriver),
		Place:    bench.PlaceRedis, Peer: true,
	}
}

// WithExpires rounds up: the script's EXPIRE takes whole seconds.
func (r retools) WithExpires(d time.Duration) bench.Strategy {
	r.expires = wholeSeconds(d)
	return r
}

// Inner are the commands of its two scripts.
func (retools) Inner() []string { return []string{"setnx", "expire", "get", "del"} }

func (r retools) Open(ctx context.Context, at bench.Place) (bench.Locker, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return retoolsLocks{r, seedClient(at.Addr)}, nil
}

// retoolsLocks are the locks of one process, over one client.
type retoolsLocks struct {
	retools
	client *goredis.Client
}

func (r retoolsLocks) Lock(ctx context.Context, key string) (bench.Held, error) {
	h := &retoolsHold{client: r.client, keys: []string{prefix + key}, value: randomValue()}
	// One value for all attempts of an acquire: the last one's is the lock's.
	seconds := int(r.expires.Seconds())
	err := poll(ctx, func(ctx context.Context) (bool, error) {
		return retoolsAcquire.Run(ctx, r.client, h.keys, h.value, seconds).Bool()
	}, r.pause)
	if err != nil {
		return nil, err
	}
	return h, nil
}

// pause is how long to wait after the nth attempt, from 0.
func (r retools) pause(n int) time.Duration {
	bound := r.most
	if n < 32 && r.first<<n < r.most {
		bound = r.first << n
	}
	return rand.N(bound)
}

func (r retoolsLocks) Close() error { return r.client.Close() }

type retoolsHold struct {
	plain
	client *goredis.Client
	keys   []string
	value  string
}

// Unlock says that the lock was lost, which retools doesn't: here it would hide
// why two were inside.
func (h *retoolsHold) Unlock() error {
	if err := h.end(); err != nil {
		return err
	}
	freed, err := retoolsRelease.Run(context.Background(), h.client, h.keys, h.value).Bool()
	if err == nil && !freed {
		err = errors.New("retools: unlock: the lock is another's, or gone")
	}
	return err
}

// randomValue stands for a uuid: 32 hex digits, 126 bits of them random.
func randomValue() string {
	return strconv.FormatUint(rand.Uint64()|1<<63, 16) + strconv.FormatUint(rand.Uint64()|1<<63, 16)
}
