package bench

import (
	"context"
	"errors"
	"runtime"
	"time"
)

// A performer runs one process's part of a run, here or in another process.
type performer interface {
	begin() error
	measure() error
	stop() error
	result() (outcome, error)
	// dismiss ends it, in whichever state it is.
	dismiss() error
}

// soloist is a performer in this process.
type soloist struct {
	load   *load
	ctx    context.Context
	cancel context.CancelFunc
	done   chan outcome // the one outcome, from the load's goroutine
	began  bool
	hung   *time.Timer // fires when the load did not even mind its ctx
	untick func()
}

func newSoloist(s Strategy, sp spec) (*soloist, error) {
	rec, err := openRecord(sp.Record, sp.Workload.Keys)
	if err != nil {
		return nil, err
	}
	so := &soloist{done: make(chan outcome, 1), untick: func() {}}
	so.ctx, so.cancel = context.WithTimeout(context.Background(), sp.Budget)
	locker, err := sp.open(so.ctx, s)
	if err != nil {
		so.cancel()
		return nil, err
	}
	so.load = newLoad(locker, rec, sp)
	so.hung = time.NewTimer(sp.Budget + patience)
	if sp.Workload.paused() {
		if so.untick, err = startTick(); err != nil {
			so.untick = func() {}
			return nil, errors.Join(err, so.dismiss())
		}
	}
	return so, nil
}

func (s *soloist) begin() error {
	// As Go's benchmarks do: what an earlier run left is not for this one to clear
	// away. The closed clients of 16 runs had halved the rate of the 17th.
	runtime.GC()
	s.began = true
	s.load.phases.begin()
	go func() { s.done <- s.load.run(s.ctx) }() // ended by stop and the drain, at the latest by the budget
	return nil
}

func (s *soloist) measure() error { s.load.measure(); return nil }

func (s *soloist) stop() error { s.load.phases.stop(); return nil }

var errHung = errors.New("hung: neither a hold nor an error")

func (s *soloist) result() (outcome, error) {
	select {
	case o := <-s.done:
		s.began = false
		return o, nil
	case <-s.hung.C:
		return outcome{}, errHung
	}
}

// dismiss waits for a load that was not asked for its result: its locker must
// not be closed under it.
func (s *soloist) dismiss() error {
	s.load.phases.stop()
	s.cancel()
	var err error
	if s.began {
		_, err = s.result()
	}
	s.hung.Stop()
	s.untick()
	if err != nil {
		return err // what hangs still uses the locker
	}
	return s.load.close()
}

// conduct takes performers through the phases together. before and after look
// at the server at both ends of what is measured. When ctx ends, so does the
// phase: what was measured until then is returned.
func conduct(ctx context.Context, all []performer, w Workload, before, after func() error) ([]outcome, error) {
	steps := []func() error{
		func() error { return each(all, performer.begin) },
		func() error { return wait(ctx, all, w.Warmup) },
		before,
		func() error { return each(all, performer.measure) },
		func() error { return wait(ctx, all, w.Duration) },
		after,
		func() error { return each(all, performer.stop) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return nil, err
		}
	}
	// The first fault is told: the others' are often its consequences. Whoever
	// is not asked is dismissed all the same.
	var outcomes []outcome
	err := each(all, func(p performer) error {
		o, err := p.result()
		if err == nil && o.Err != "" {
			err = errors.New(o.Err)
		}
		outcomes = append(outcomes, o)
		return err
	})
	return outcomes, err
}

// wait is no error when ctx ends it: the phases that follow are short then. So
// they are when a performer in this process has stopped at a fault; a worker's
// waits for the end.
func wait(ctx context.Context, all []performer, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	var over chan struct{}
	if len(all) == 1 {
		if s, ok := all[0].(*soloist); ok {
			over = s.load.phases.over
		}
	}
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-over:
	}
	return nil
}

func each(all []performer, f func(performer) error) error {
	for _, p := range all {
		if err := f(p); err != nil {
			return err
		}
	}
	return nil
}
