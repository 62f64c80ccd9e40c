package main

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// The phases of a run: what happens before measuring is the warm-up.
const (
	warming int32 = iota
	measuring
	stopped
)

// phases is the clock that everybody in a process looks at. The conductor
// turns it, by hand or through a pipe.
type phases struct {
	phase atomic.Int32

	mu           sync.Mutex // protects began and ended
	began, ended time.Time
}

func (p *phases) now() int32 { return p.phase.Load() }

// measure does nothing once the run was stopped: a fault in the warm-up may
// come first.
func (p *phases) measure() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.phase.CompareAndSwap(warming, measuring) {
		p.began = time.Now()
	}
}

// stop is called again where a fault ended the run early.
func (p *phases) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.phase.Swap(stopped) == measuring {
		p.ended = time.Now()
	}
}

// over says that the run has stopped and that its last waiters' time is up.
func (p *phases) over(ctx context.Context) bool { return p.now() == stopped && ctx.Err() != nil }

// elapsed is this process's own measure of what it measured: workers get the
// word one after another.
func (p *phases) elapsed() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ended.Sub(p.began)
}

// A job is a strategy at work in one process.
type job interface {
	// run works until the phases stop. Only what happens while they measure counts.
	run(context.Context, *phases) outcome
	close() error
}

// An outcome is what a job saw. It travels from worker processes.
type outcome struct {
	Elapsed  time.Duration
	Holds    []int64                // by goroutine
	Waits    *hdrhistogram.Snapshot // ns, of a load
	Samples  []time.Duration        // of turns
	Stranded int                    // goroutines that never got the hold they waited for at the end
	Err      string                 // "" for none
}

// A performer runs one job, here or in another process.
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
	job    job
	phases phases
	ctx    context.Context
	cancel context.CancelFunc
	done   chan outcome // the one outcome, from the job's goroutine
	last   *time.Timer  // ends the waits that outlast the run; nil before stop
	hung   *time.Timer  // fires when the job did not even mind its ctx
}

// patience is what a job gets beyond its budget, to notice that it is over.
const patience = 10 * time.Second

func newSoloist(sp spec) (*soloist, error) {
	j, err := newJob(sp)
	if err != nil {
		return nil, err
	}
	s := &soloist{job: j, done: make(chan outcome, 1)}
	s.ctx, s.cancel = context.WithTimeout(context.Background(), sp.Budget)
	s.hung = time.NewTimer(sp.Budget + patience)
	return s, nil
}

func (s *soloist) begin() error {
	go func() { s.done <- s.job.run(s.ctx, &s.phases) }() // ended by stop, at the latest by the budget
	return nil
}

func (s *soloist) measure() error { s.phases.measure(); return nil }

// stop leaves those who wait the grace to come to their last hold.
func (s *soloist) stop() error {
	s.phases.stop()
	s.last = time.AfterFunc(grace, s.cancel)
	return nil
}

func (s *soloist) result() (outcome, error) {
	select {
	case o := <-s.done:
		o.Elapsed = s.phases.elapsed()
		return o, nil
	case <-s.hung.C:
		return outcome{}, errors.New("hung: neither a hold nor an error")
	}
}

func (s *soloist) dismiss() error {
	s.cancel()
	s.hung.Stop()
	if s.last != nil {
		s.last.Stop()
	}
	return s.job.close()
}

// timing is how long a run's phases are.
type timing struct{ Warmup, Duration time.Duration }

const (
	// grace is what a waiter may take to get its last hold after the end, while
	// fewer and fewer others ask: several times the longest pause of any
	// library between its tries.
	grace = 3 * time.Second
	// slack is what a loaded machine may need beside that.
	slack = 30 * time.Second
)

func (t timing) budget() time.Duration { return t.Warmup + t.Duration + grace + slack }

// conduct takes performers through the phases together. before and after look
// at the server at both ends of what is measured.
func conduct(all []performer, t timing, before, after func() error) ([]outcome, error) {
	steps := []func() error{
		func() error { return each(all, performer.begin) },
		func() error { time.Sleep(t.Warmup); return nil },
		before,
		func() error { return each(all, performer.measure) },
		func() error { time.Sleep(t.Duration); return nil },
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

func each(all []performer, f func(performer) error) error {
	for _, p := range all {
		if err := f(p); err != nil {
			return err
		}
	}
	return nil
}
