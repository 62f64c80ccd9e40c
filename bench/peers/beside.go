package main

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/turnstile-go/turnstile/bench"
	"github.com/turnstile-go/turnstile/bench/strategies"
)

// crowd is how many goroutines fight over one key of the same client.
const crowd = 64

// beside is ours on Redis, in a client that has one more key that a crowd fights over for
// as long as it is open. The workload's keys are quiet: they share the crowd's batches,
// connections and processors, and must not wait for it.
type beside struct{ pool int }

func (beside) Name() string { return ours + "-beside" }

func (beside) Describe() bench.Description {
	return bench.Description{
		Settings: fmt.Sprintf("%s, and %d goroutines more in the same client that fight over one key, with empty sections", ours, crowd),
		Place:    bench.PlaceRedis,
	}
}

func (beside) Inner() []string { return ourInner() }

func (b beside) Open(ctx context.Context, at bench.Place) (bench.Locker, error) {
	list, err := strategies.Named([]string{ours})
	if err != nil {
		return nil, err
	}
	s := list[0]
	if p, ok := s.(strategies.Pooled); ok && b.pool > 0 {
		s = p.WithPool(b.pool)
	}
	locker, err := s.Open(ctx, at)
	if err != nil {
		return nil, err
	}
	l := &crowded{Locker: locker, failed: make([]error, crowd)}
	l.ctx, l.stop = context.WithCancel(context.Background())
	for i := range l.failed {
		l.running.Go(func() { l.failed[i] = l.fight() }) // ends with Close
	}
	return l, nil
}

// crowded is a client that is busy with another key.
type crowded struct {
	bench.Locker
	ctx     context.Context
	stop    context.CancelFunc
	running sync.WaitGroup
	failed  []error
}

func (l *crowded) fight() error {
	for {
		held, err := l.Lock(l.ctx, "crowded")
		if err != nil && l.ctx.Err() != nil {
			return nil
		}
		if err == nil {
			err = held.Unlock()
		}
		if err != nil {
			return err
		}
	}
}

func (l *crowded) Close() error {
	l.stop()
	l.running.Wait()
	return errors.Join(append(l.failed, l.Locker.Close())...)
}
