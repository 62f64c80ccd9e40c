package strategies

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/turnstile-go/turnstile/bench"
)

var (
	_ bench.Strategy = mutex{}
	_ bench.Strategy = channel{}
)

// A table has one L a key. A key's stays when nobody uses it any more: what a
// program would do about that costs more than the lock, and is not measured.
type table[L any] struct {
	mu    sync.Mutex // protects locks
	locks map[string]*L
	make  func() *L
}

func newTable[L any](build func() *L) *table[L] {
	return &table[L]{locks: make(map[string]*L), make: build}
}

// of finds a key's, or makes it. The one mutex over all keys is what most programs
// have there; a sharded map would be another strategy.
func (t *table[L]) of(key string) *L {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.locks[key]
	if l == nil {
		l = t.make()
		t.locks[key] = l
	}
	return l
}

// A mutex is what Go offers in process: no wait limit, no order, no expiry.
type mutex struct{}

func (mutex) Name() string { return "mutex" }

func (mutex) Describe() bench.Description {
	return bench.Description{
		Settings: "a sync.Mutex a key in a map under another one; entries stay; a wait can't be broken off: ctx is looked at before it and after it",
		Place:    bench.PlaceProcess,
	}
}

func (mutex) Open(ctx context.Context, _ bench.Place) (bench.Locker, error) {
	return mutexes{newTable(func() *sync.Mutex { return new(sync.Mutex) })}, ctx.Err()
}

type mutexes struct{ *table[sync.Mutex] }

// Lock can't leave the queue of a sync.Mutex. A caller whose ctx has ended finds
// out when its turn comes, and passes it on. What could be done about that, a
// goroutine for every wait, would measure something else.
func (m mutexes) Lock(ctx context.Context, key string) (bench.Held, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l := m.of(key)
	l.Lock()
	if err := ctx.Err(); err != nil {
		l.Unlock()
		return nil, err
	}
	return &mutexHold{lock: l}, nil
}

func (mutexes) Close() error { return nil }

// A mutexHold costs an allocation, which a bare sync.Mutex would not: as much as the
// method value that stands for an unlock in the Go benchmarks.
type mutexHold struct {
	once
	lock *sync.Mutex
}

func (*mutexHold) Fence() uint64 { return 0 }

// Unlock of a hold that ended would be a fatal error of the runtime, or free
// what another one holds.
func (h *mutexHold) Unlock() error {
	if err := h.end(); err != nil {
		return err
	}
	h.lock.Unlock()
	return nil
}

// A channel is the plain keyed lock that a wait can be broken off from: a channel
// of one slot a key, full while the key is held. Receivers and senders of a
// channel queue by arrival.
type channel struct{}

func (channel) Name() string { return "channel" }

func (channel) Describe() bench.Description {
	return bench.Description{
		Settings: "a channel of one slot a key in a map under a sync.Mutex; entries stay; waits up to " + channelTimeout.String(),
		Place:    bench.PlaceProcess,
	}
}

func (channel) Open(ctx context.Context, _ bench.Place) (bench.Locker, error) {
	return channels{newTable(func() *chan struct{} {
		c := make(chan struct{}, 1)
		return &c
	})}, ctx.Err()
}

// channelTimeout is there because a lock in use has one: ours, too, pays for the
// timer of every wait.
const channelTimeout = time.Hour

var errChannelTimeout = errors.New("channel: not had within " + channelTimeout.String())

type channels struct{ *table[chan struct{}] }

func (c channels) Lock(ctx context.Context, key string) (bench.Held, error) {
	// Of a free key and a ctx that has ended, select would take either.
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l := *c.of(key)
	timer := time.NewTimer(channelTimeout)
	defer timer.Stop()
	select {
	case l <- struct{}{}:
		return &channelHold{lock: l}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-timer.C:
		return nil, errChannelTimeout
	}
}

func (channels) Close() error { return nil }

type channelHold struct {
	once
	lock chan struct{}
}

func (*channelHold) Fence() uint64 { return 0 }

// Unlock of a hold that ended would wait for the next one, and free that.
func (h *channelHold) Unlock() error {
	if err := h.end(); err != nil {
		return err
	}
	<-h.lock
	return nil
}
