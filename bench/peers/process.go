package main

import (
	"context"
	"sync"

	mobylocker "github.com/moby/locker"
	"golang.org/x/sync/semaphore"

	"github.com/turnstile-go/turnstile/bench"
)

// processRivals lock within one process: no server, no expiry, no other process.
func processRivals() []rival {
	return []rival{
		{
			name: "moby-locker", place: bench.PlaceProcess,
			settings: func(rival) string {
				return "moby/locker: New(), Lock(key), Unlock(key); a wait can't be broken off: ctx is looked at before it and after it"
			},
			open: func(context.Context, rival, bench.Place) (bench.Locker, error) {
				return mobyLocks{mobylocker.New()}, nil
			},
		},
		{
			name: "semaphore", place: bench.PlaceProcess,
			settings: func(rival) string {
				return "golang.org/x/sync: a semaphore.NewWeighted(1) a key in a sync.Map; entries stay"
			},
			open: func(context.Context, rival, bench.Place) (bench.Locker, error) { return new(semaphores), nil },
		},
	}
}

// mobyLocks drop a key that nobody waits for.
type mobyLocks struct{ locks *mobylocker.Locker }

// Lock can't leave the queue: a caller whose ctx has ended finds out when its turn
// comes, and passes it on.
func (m mobyLocks) Lock(ctx context.Context, key string) (bench.Held, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.locks.Lock(key)
	if err := ctx.Err(); err != nil {
		_ = m.locks.Unlock(key) // it is locked: no error
		return nil, err
	}
	return unlock(func() error { return m.locks.Unlock(key) }), nil
}

func (mobyLocks) Close() error { return nil }

// semaphores are one semaphore of weight one a key.
type semaphores struct{ byKey sync.Map }

func (s *semaphores) Lock(ctx context.Context, key string) (bench.Held, error) {
	v, ok := s.byKey.Load(key)
	if !ok {
		v, _ = s.byKey.LoadOrStore(key, semaphore.NewWeighted(1))
	}
	sem := v.(*semaphore.Weighted)
	if err := sem.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	return unlock(func() error { sem.Release(1); return nil }), nil
}

func (*semaphores) Close() error { return nil }
