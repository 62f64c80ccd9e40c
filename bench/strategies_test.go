package bench

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// The strategies that the harness is checked with: one that is right, and some
// that are each wrong in one way.

// A testStrategy is described by its fields.
type testStrategy struct {
	name, place string
	open        func(Place) Locker
}

func (s testStrategy) Name() string                                    { return s.name }
func (s testStrategy) Describe() Description                           { return Description{Place: s.place} }
func (s testStrategy) Open(_ context.Context, p Place) (Locker, error) { return s.open(p), nil }

func testStrategies() []Strategy {
	return append(serverStrategies(), []Strategy{
		testStrategy{"channel", PlaceProcess, func(Place) Locker { return newChannels() }},
		testStrategy{"file", PlaceFile, func(p Place) Locker { return files{p.Dir} }},
		testStrategy{"nothing", PlaceProcess, func(Place) Locker { return nothing{} }},
		testStrategy{"nothing, processes", PlaceFile, func(Place) Locker { return nothing{} }},
		testStrategy{"lifo", PlaceProcess, func(Place) Locker { return new(stack) }},
		testStrategy{"stalling", PlaceProcess, func(Place) Locker { return &stalling{channels: newChannels()} }},
		testStrategy{"fences", PlaceProcess, func(Place) Locker { return &fences{channels: newChannels()} }},
		testStrategy{"backwards", PlaceProcess, func(Place) Locker { return &fences{channels: newChannels(), backwards: true} }},
		testStrategy{"forgetful", PlaceProcess, func(Place) Locker { return new(forgetful) }},
		testStrategy{"rw", PlaceProcess, func(Place) Locker { return new(rwLocks) }},
		testStrategy{"rw, broken", PlaceProcess, func(Place) Locker { return &rwLocks{broken: true} }},
		testStrategy{"failing", PlaceProcess, func(Place) Locker { return new(failing) }},
	}...)
}

func strategyNamed(name string) Strategy {
	s, err := Among(testStrategies())(name)
	if err != nil {
		panic(err)
	}
	return s
}

// A hold is its unlock function and its fence.
type hold struct {
	unlock func() error
	fence  uint64
}

func (h hold) Unlock() error { return h.unlock() }
func (h hold) Fence() uint64 { return h.fence }

// channels are the right one: a one-slot channel a key.
type channels struct{ byKey sync.Map }

func newChannels() *channels { return new(channels) }

func (c *channels) Lock(ctx context.Context, key string) (Held, error) {
	v, ok := c.byKey.Load(key)
	if !ok {
		v, _ = c.byKey.LoadOrStore(key, make(chan struct{}, 1))
	}
	slot := v.(chan struct{})
	select {
	case slot <- struct{}{}:
		return hold{unlock: func() error { <-slot; return nil }}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (*channels) Close() error { return nil }

// files are right across processes: who makes the file has the key.
type files struct{ dir string }

func (f files) Lock(ctx context.Context, key string) (Held, error) {
	path := filepath.Join(f.dir, strings.ReplaceAll(key, ":", "-"))
	for {
		file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL, 0o600)
		if err == nil {
			return hold{unlock: func() error { return errors.Join(file.Close(), os.Remove(path)) }}, nil
		}
		if !errors.Is(err, os.ErrExist) {
			return nil, err
		}
		select {
		case <-time.After(100 * time.Microsecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (files) Close() error { return nil }

// nothing lets everybody in.
type nothing struct{}

func (nothing) Lock(context.Context, string) (Held, error) {
	return hold{unlock: func() error { return nil }}, nil
}
func (nothing) Close() error { return nil }

// A stack serves who came last: one key for all, which is enough here.
type stack struct {
	mu      sync.Mutex // protects what follows
	held    bool
	waiting []chan struct{}
}

func (s *stack) Lock(context.Context, string) (Held, error) {
	s.mu.Lock()
	if !s.held {
		s.held = true
		s.mu.Unlock()
		return hold{unlock: s.unlock}, nil
	}
	turn := make(chan struct{})
	s.waiting = append(s.waiting, turn)
	s.mu.Unlock()
	<-turn
	return hold{unlock: s.unlock}, nil
}

func (s *stack) unlock() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.waiting); n > 0 {
		close(s.waiting[n-1])
		s.waiting = s.waiting[:n-1]
	} else {
		s.held = false
	}
	return nil
}

func (*stack) Close() error { return nil }

// stalling is right, and sleeps 200 ms once a second.
type stalling struct {
	*channels
	next atomic.Int64 // when it stalls next, UnixNano
}

const stall = 200 * time.Millisecond

func (s *stalling) Lock(ctx context.Context, key string) (Held, error) {
	h, err := s.channels.Lock(ctx, key)
	if now := time.Now().UnixNano(); now >= s.next.Load() {
		first := s.next.Swap(now+int64(time.Second)) == 0
		if !first {
			time.Sleep(stall)
		}
	}
	return h, err
}

// fences number the holds, upwards or not.
type fences struct {
	*channels
	backwards bool
	n         atomic.Uint64
}

func (f *fences) Lock(ctx context.Context, key string) (Held, error) {
	h, err := f.channels.Lock(ctx, key)
	if err != nil {
		return nil, err
	}
	n := f.n.Add(1)
	if f.backwards {
		n = 1<<40 - n
	}
	return hold{h.Unlock, n}, nil
}

// forgetful grants a few holds and forgets the others.
type forgetful struct{ n atomic.Int64 }

func (f *forgetful) Lock(ctx context.Context, _ string) (Held, error) {
	if f.n.Add(1) > 1 {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return hold{unlock: func() error { return nil }}, nil
}
func (*forgetful) Close() error { return nil }

// failing can't give back what it took.
type failing struct{ channels }

func (f *failing) Lock(ctx context.Context, key string) (Held, error) {
	h, err := f.channels.Lock(ctx, key)
	if err != nil {
		return nil, err
	}
	return hold{unlock: func() error { return errors.Join(h.Unlock(), errors.New("it broke")) }}, nil
}
