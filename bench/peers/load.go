package main

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

const (
	// Waits are kept from 100 ns to 2 min in 1 % steps.
	shortestWait, longestWait, waitDigits = 100, int64(2 * time.Minute), 2
	// Every so many holds the holder yields inside its section, so that a second
	// holder has time to show up there. An empty section alone would hide it.
	yieldEvery = 64
)

// A load is goroutines that take keys and give them back at once.
type load struct {
	locker     locker
	record     *record
	process    int
	names      []string // of the keys, by their number in the record
	goroutines []*loadGoroutine
}

// A loadGoroutine is owned by its goroutine until that has ended.
type loadGoroutine struct {
	id       int
	holds    int64
	waits    *hdrhistogram.Histogram
	stranded bool // it still waited when even the grace was over
	err      error
}

func newLoad(l locker, rec *record, sp spec) *load {
	// All is allocated before the run: 512 histograms in its midst would be
	// measured as well.
	load := &load{locker: l, record: rec, process: sp.Process, names: keyNames(sp.Keys)}
	for g := range sp.Goroutines {
		load.goroutines = append(load.goroutines, &loadGoroutine{id: g, waits: newWaits()})
	}
	return load
}

// keyNames are made once: formatting a name would cost more than a handoff.
func keyNames(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = "key" + strconv.Itoa(i)
	}
	return names
}

func newWaits() *hdrhistogram.Histogram {
	return hdrhistogram.New(shortestWait, longestWait, waitDigits)
}

// run drives all goroutines to the end of the phases.
func (l *load) run(ctx context.Context, p *phases) outcome {
	var wg sync.WaitGroup
	for _, g := range l.goroutines {
		wg.Go(func() { // ends with the phases, or with ctx, or at a fault
			if g.err = l.drive(ctx, p, g); g.err != nil {
				p.stop() // the others need not go on
			}
		})
	}
	wg.Wait()
	// Each goroutine has a histogram of its own, merged now: a shared one would
	// be a lock beside the locks.
	waits := newWaits()
	var o outcome
	for _, g := range l.goroutines {
		o.Holds = append(o.Holds, g.holds)
		waits.Merge(g.waits)
		if g.stranded {
			o.Stranded++
		}
		if g.err != nil && o.Err == "" {
			o.Err = g.err.Error()
		}
	}
	o.Waits = waits.Export()
	return o
}

// drive is one goroutine. A wait under way at the end is seen through and
// counts among the waits, or the longest would be left out; its hold does not
// count, as it came too late. Who waits even then, long after all the others
// stopped asking, was forgotten: its wait counts as long as it was.
func (l *load) drive(ctx context.Context, p *phases, g *loadGoroutine) error {
	me := callerID(l.process, g.id)
	for i := 0; p.now() != stopped; i++ {
		// Each goroutine walks the keys in an order of its own.
		k := (g.id*7919 + i*104_729) % len(l.names)
		began := time.Now()
		release, fence, err := l.locker.acquire(ctx, l.names[k])
		waited := time.Since(began)
		if err != nil && p.over(ctx) {
			g.stranded = true
			return g.waits.RecordValue(min(int64(waited), longestWait))
		}
		if err != nil {
			return fmt.Errorf("acquire after %v: %w", waited, err)
		}
		if err := l.record.enter(k, me, fence); err != nil {
			return err
		}
		if i%yieldEvery == 0 {
			runtime.Gosched()
		}
		if err := l.record.leave(k, me); err != nil {
			return err
		}
		// The phase is read before the release: a hold belongs to the phase in
		// which it was had.
		switch p.now() {
		case measuring:
			g.holds++
			fallthrough
		case stopped:
			if err := g.waits.RecordValue(min(int64(waited), longestWait)); err != nil {
				return err
			}
		}
		if err := release(); err != nil {
			return fmt.Errorf("release: %w", err)
		}
	}
	return nil
}

func (l *load) close() error { return l.locker.close() }
