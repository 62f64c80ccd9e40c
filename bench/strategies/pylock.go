package strategies

import (
	"context"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/turnstile-go/turnstile/bench"
	steps "github.com/turnstile-go/turnstile/internal/pylock"
)

var (
	_ bench.Strategy = pylock{}
	_ bench.Leased   = pylock{}
)

// A pylock is the loop of Turnstile's ancestor: see the package of its steps.
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
	h := &pylockHold{lock: steps.Lock{Client: p.client, Key: prefix + key, Expires: p.expires}}
	err := poll(ctx, h.lock.Attempt, func(int) time.Duration { return p.retry })
	if err != nil {
		return nil, err
	}
	return h, nil
}

func (p pylocks) Close() error { return p.client.Close() }

// A pylockHold is one turn's lock.
type pylockHold struct {
	plain
	lock steps.Lock
}

// Unlock deletes whatever is under the key, unless the own time is over.
func (h *pylockHold) Unlock() error {
	if err := h.end(); err != nil {
		return err
	}
	return h.lock.Release(context.Background())
}
