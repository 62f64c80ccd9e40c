package bench

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// A load is one process's part of a run: contenders that take keys and give
// them back.
type load struct {
	spec   spec
	locker Locker
	others others // than exclusive holds, as the workload wants them
	record *record
	clock  clock
	names  []string // of the keys, by their number in the record
	phases *phases

	contenders []*contender
	meters     []*meter
	// shift is how many holds are timed: one in 2^shift. See measure.
	shift atomic.Uint32
	pace  pace // of the warm-up
	// late counts the holds that came after the end, and gone the contenders that
	// have ended: so one sees whether those who still wait are being served.
	late, gone atomic.Int64
	yieldDue   atomic.Int64 // on the clock; see yieldEvery
	tickets    tickets      // of the open loop

	cancel context.CancelFunc // ends the waits that outlast the run
}

// An outcome is what a load saw. It travels from worker processes.
type outcome struct {
	Elapsed  time.Duration
	Holds    []uint64               // by contender
	Waits    *hdrhistogram.Snapshot // ns
	Grants   *hdrhistogram.Snapshot // ns
	Order    []int
	Stranded int // contenders that never got the hold they waited for at the end, while nobody did
	NoneFree uint64
	Overlaps int
	Unfenced int               // fences that were not above the last one
	Breaches map[string]string // by kind: the first one, in words
	Err      string            // "" for none
}

func newLoad(l Locker, rec *record, sp spec) *load {
	n := sp.Workload.Goroutines
	load := &load{
		spec: sp, locker: l, others: othersOf(l, sp.Workload), record: rec, clock: newClock(),
		phases: newPhases(), names: keyNames(sp.Place.Run, sp.Workload.Keys), meters: newMeters(n),
	}
	load.shift.Store(warmupShift)
	for i := range n {
		me := sp.Process*n + i
		load.contenders = append(load.contenders, &contender{
			chooser: newChooser(sp.Workload, me), me: me, meter: load.meters[i%len(load.meters)],
		})
	}
	return load
}

const (
	warmupShift = 4
	// maxTimed is how many holds a second a process times. Each costs up to 0.85 µs
	// (measured): looks at the clock, and a place in a histogram that is in no cache.
	maxTimed = 20_000
)

// measure begins the measured part. How many holds are timed is decided by the
// rate that the warm-up came to: to time each of a sync.Mutex's would halve it.
// Below 20 000 holds a second, as most locks on a server are, each is.
func (l *load) measure() {
	warm := l.phases.measure()
	earlier, holds := l.pace.earlier(), l.warmHolds()
	l.shift.Store(shiftFor(warm-earlier.after, holds-earlier.holds))
	l.record.strip.start()
}

func (l *load) warmHolds() (holds uint64) {
	for _, c := range l.contenders {
		holds += c.warm.Load()
	}
	return holds
}

// run drives all contenders to the end of the phases.
func (l *load) run(ctx context.Context) outcome {
	ctx, l.cancel = context.WithCancel(ctx)
	defer l.cancel()
	drive := l.closed
	if l.spec.Workload.Rate > 0 {
		l.tickets.issue(l.spec, l.clock.now())
		drive = l.open
	}
	stopWatch := l.watch()
	var wg sync.WaitGroup
	for _, c := range l.contenders {
		wg.Go(func() { // ends with the phases, or with ctx, or at a fault
			if c.err = drive(ctx, c); c.err != nil {
				l.phases.stop() // the others need not go on
			}
			l.gone.Add(1)
		})
	}
	wg.Wait()
	stuck := stopWatch()
	return l.outcome(stuck)
}

// outcome sums up, when all contenders have ended.
func (l *load) outcome(stuck bool) outcome {
	o := outcome{Breaches: map[string]string{}, Order: l.record.strip.order(), Elapsed: l.phases.elapsed()}
	if l.spec.Workload.Rate > 0 && o.Elapsed > 0 {
		o.NoneFree = l.tickets.settle(l.meters[0], l.clock.of(l.phases.end()))
	}
	for _, c := range l.contenders {
		o.Holds = append(o.Holds, c.holds)
		o.Overlaps += c.overlaps
		o.Unfenced += c.unfenced
		if c.unserved && stuck {
			o.Stranded++
		}
		for _, b := range c.breaches {
			if o.Breaches[b.kind] == "" {
				o.Breaches[b.kind] = b.what
			}
		}
		if c.err != nil && o.Err == "" {
			o.Err = c.err.Error()
		}
	}
	waits, grants := merged(l.meters)
	o.Waits, o.Grants = waits.Export(), grants.Export()
	return o
}

func (l *load) close() error {
	if err := l.locker.Close(); err != nil {
		return fmt.Errorf("close: %w", err)
	}
	return nil
}
