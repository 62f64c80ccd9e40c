package strategies

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/turnstile-go/turnstile/bench"
)

var (
	_ bench.Strategy = pylock{}
	_ bench.Leased   = pylock{}
)

// A pylock is the loop of Turnstile's ancestor (waveaccounting/pylock, its Redis
// backend), step by step: each is a command of its own, and whoever comes in
// between changes what the next one means. The key's value is the time at which
// the lock is over by its client's clock; whose it is, it doesn't say.
type pylock struct {
	expires, retry time.Duration
}

func newPylock() pylock { return pylock{expires, time.Second} }

func (pylock) Name() string { return "pylock" }

func (p pylock) Describe() bench.Description {
	return bench.Description{
		Settings: fmt.Sprintf("its loop in Go: SETNX, EXPIRE, or GET and GETSET, retry every %v; expires %v; %s", p.retry, p.expires, seedDriver),
		Place:    bench.PlaceRedis, Peer: true,
	}
}

// WithExpires rounds up: EXPIRE takes whole seconds, and pylock cuts the rest off,
// down to none.
func (p pylock) WithExpires(d time.Duration) bench.Strategy {
	p.expires = wholeSeconds(d)
	return p
}

func (p pylock) Open(ctx context.Context, at bench.Place) (bench.Locker, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return pylocks{p, seedClient(at.Addr)}, nil
}

// pylocks are the locks of one process, over one client.
type pylocks struct {
	pylock
	client *goredis.Client
}

func (p pylocks) Lock(ctx context.Context, key string) (bench.Held, error) {
	h := &pylockHold{locks: p, key: prefix + key}
	err := poll(ctx, h.attempt, func(int) time.Duration { return p.retry })
	if err != nil {
		return nil, err
	}
	return h, nil
}

func (p pylocks) Close() error { return p.client.Close() }

// A pylockHold has a client's memory of its lock: when it was taken, and no more.
type pylockHold struct {
	plain
	locks pylocks
	key   string
	start time.Time
}

// attempt is one turn of the loop. Whoever waits for the key's ttl to run out
// comes through SETNX; GET and GETSET are for a key that has none, because its
// holder ended before EXPIRE.
func (h *pylockHold) attempt(ctx context.Context) (bool, error) {
	client, mine := h.locks.client, pylockStamp(h.locks.expires)
	// The driver's own SetNX is a SET by now.
	won, err := client.Do(ctx, "SETNX", h.key, mine).Bool()
	if err != nil {
		return false, err
	}
	if !won {
		if won, err = h.takeOver(ctx, mine); !won || err != nil {
			return false, err
		}
	}
	h.start = time.Now()
	// It is ours by now, and ctx must not part the key from its ttl.
	whole := h.locks.expires.Truncate(time.Second)
	if err := client.Expire(context.WithoutCancel(ctx), h.key, whole).Err(); err != nil {
		return false, fmt.Errorf("pylock: a lock without a ttl is left: %w", err)
	}
	return true, nil
}

// takeOver takes a lock whose time is over and whose key is not. Of two that try,
// the second has spoilt the first one's value; it stays out, but that stands.
func (h *pylockHold) takeOver(ctx context.Context, mine string) (bool, error) {
	client := h.locks.client
	found, err := client.Get(ctx, h.key).Result()
	if errors.Is(err, goredis.Nil) {
		return false, nil // freed in between: it comes back after the pause
	}
	if err != nil {
		return false, err
	}
	end, err := strconv.ParseFloat(found, 64)
	if err != nil {
		return false, fmt.Errorf("pylock: the key's value is no time: %w", err) // which ends a pylock
	}
	if end >= float64(time.Now().UnixMicro())/1e6 {
		return false, nil
	}
	// Whoever finds another value than the one that was over has come second.
	old, err := client.Do(ctx, "GETSET", h.key, mine).Text()
	if errors.Is(err, goredis.Nil) {
		return false, nil
	}
	return old == found, err
}

// Unlock deletes whatever is under the key, unless the own time is over.
func (h *pylockHold) Unlock() error {
	if err := h.end(); err != nil {
		return err
	}
	if time.Since(h.start) >= h.locks.expires {
		return nil
	}
	return h.locks.client.Del(context.Background(), h.key).Err()
}

// pylockStamp is when a lock that is taken now is over, as Python prints it.
func pylockStamp(expires time.Duration) string {
	at := time.Now().Add(expires + time.Second)
	return strconv.FormatFloat(float64(at.UnixMicro())/1e6, 'f', -1, 64)
}
