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
			name: "semaphore", place: bench.PlaceProcess, kinds: []string{bench.KindSlots},
			settings: func(rival) string {
				return "golang.org/x/sync: a semaphore.NewWeighted(1) a key in a sync.Map, of slots NewWeighted(n); entries stay"
			},
			open: func(context.Context, rival, bench.Place) (bench.Locker, error) { return new(semaphores), nil },
		},
		{
			name: "rwmutex", place: bench.PlaceProcess, kinds: []string{bench.KindShared},
			settings: func(rival) string {
				return "a sync.RWMutex a key in a sync.Map; entries stay; a wait can't be broken off: ctx is looked at before it and after it"
			},
			open: func(context.Context, rival, bench.Place) (bench.Locker, error) { return new(rwMutexes), nil },
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

// semaphores are one semaphore a key. All that take a key say the same n.
type semaphores struct{ byKey sync.Map }

func (s *semaphores) Lock(ctx context.Context, key string) (bench.Held, error) {
	return s.Slot(ctx, key, 1)
}

func (s *semaphores) Slot(ctx context.Context, key string, n int) (bench.Held, error) {
	v, ok := s.byKey.Load(key)
	if !ok {
		v, _ = s.byKey.LoadOrStore(key, semaphore.NewWeighted(int64(n)))
	}
	sem := v.(*semaphore.Weighted)
	if err := sem.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	return unlock(func() error { sem.Release(1); return nil }), nil
}

func (*semaphores) Close() error { return nil }

// rwMutexes are one sync.RWMutex a key.
type rwMutexes struct{ byKey sync.Map }

func (m *rwMutexes) of(key string) *sync.RWMutex {
	v, ok := m.byKey.Load(key)
	if !ok {
		v, _ = m.byKey.LoadOrStore(key, new(sync.RWMutex))
	}
	return v.(*sync.RWMutex)
}

func (m *rwMutexes) Lock(ctx context.Context, key string) (bench.Held, error) {
	l := m.of(key)
	return waited(ctx, l.Lock, l.Unlock)
}

func (m *rwMutexes) Share(ctx context.Context, key string) (bench.Held, error) {
	l := m.of(key)
	return waited(ctx, l.RLock, l.RUnlock)
}

// waited takes a lock whose wait can't be broken off: a caller whose ctx has ended finds
// out when its turn comes, and passes it on.
func waited(ctx context.Context, lock, release func()) (bench.Held, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	lock()
	if err := ctx.Err(); err != nil {
		release()
		return nil, err
	}
	return unlock(func() error { release(); return nil }), nil
}

func (*rwMutexes) Close() error { return nil }
