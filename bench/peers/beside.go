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

// beside is ours on Redis, beside a crowd that fights over one more key for as long as it
// is open. The workload's keys are quiet: in one client they share the crowd's batches,
// connections and processors, and must not wait for it. With apart the crowd's key is one of
// the keyed channel's, and only the processors are shared: what is left is the machine's.
type beside struct {
	pool  int
	apart bool
}

func (b beside) Name() string {
	if b.apart {
		return ours + "-beside-" + channel
	}
	return ours + "-beside"
}

func (b beside) Describe() bench.Description {
	where := "in the same client"
	if b.apart {
		where = "with a keyed channel"
	}
	return bench.Description{
		Settings: fmt.Sprintf("%s, and %d goroutines more that fight over one key %s, with empty sections", ours, crowd, where),
		Place:    bench.PlaceRedis,
	}
}

func (beside) Inner() []string { return ourInner() }

func (b beside) Open(ctx context.Context, at bench.Place) (bench.Locker, error) {
	list, err := strategies.Named([]string{ours, channel})
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
	l := &crowded{Locker: locker, theirs: locker, failed: make([]error, crowd)}
	if b.apart {
		if l.theirs, err = list[1].Open(ctx, at); err != nil {
			return nil, errors.Join(err, locker.Close())
		}
	}
	l.ctx, l.stop = context.WithCancel(context.Background())
	for i := range l.failed {
		l.running.Go(func() { l.failed[i] = l.fight() }) // ends with Close
	}
	return l, nil
}

// crowded is a client with a crowd beside it.
type crowded struct {
	bench.Locker
	theirs  bench.Locker // the crowd's; the same or another
	ctx     context.Context
	stop    context.CancelFunc
	running sync.WaitGroup
	failed  []error
}

func (l *crowded) fight() error {
	for {
		held, err := l.theirs.Lock(l.ctx, "crowded")
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
	errs := append(l.failed, l.Locker.Close())
	if l.theirs != l.Locker {
		errs = append(errs, l.theirs.Close())
	}
	return errors.Join(errs...)
}
