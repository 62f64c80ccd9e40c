package bench

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// A Bench measures one run at a time.
type Bench struct {
	setup Setup
	names *namer
}

// New returns a Bench that measures on what setup says.
func New(setup Setup) *Bench { return &Bench{setup: setup, names: newNamer()} }

// A Case is one run to make.
type Case struct {
	Strategy   Strategy
	Experiment string
	X          float64
	Round      int // from 1
	Workload   Workload
	// Lease makes the run a recovery: not throughput is measured but the time from
	// a holder's SIGKILL to the next grant, with holds of this length.
	Lease time.Duration
}

// Measured is what came of a Case.
type Measured struct {
	Run      Run
	Failures []Failure
	Server   string // its version, if there was one
}

// Measure makes one run, on a place of its own. What goes wrong is among the
// Failures; the Run has what was seen in spite of it. When ctx ends, the run ends
// early and says so (Run.Cut); what it had measured by then is in it.
func (b *Bench) Measure(ctx context.Context, c Case) (m Measured) {
	m.Run = Run{
		Strategy: c.Strategy.Name(), Experiment: c.Experiment, X: c.X, Round: c.Round, Workload: c.Workload,
	}
	if err := b.measure(ctx, c, &m); err != nil {
		m.fail(kindError, err.Error())
	}
	m.Run.Cut = ctx.Err() != nil
	return m
}

func (m *Measured) fail(kind, what string) {
	r := m.Run
	m.Failures = append(m.Failures, Failure{
		Strategy: r.Strategy, Experiment: r.Experiment, X: r.X, Round: r.Round, Kind: kind, What: what,
	})
}

func (b *Bench) measure(ctx context.Context, c Case, m *Measured) (err error) {
	if err := c.Workload.Check(); err != nil {
		return err
	}
	place := c.Strategy.Describe().Place
	processes := max(c.Workload.Processes, 1)
	if local(place) && (processes > 1 || c.Lease > 0) {
		return fmt.Errorf("bench: %s: its locks are in one process's memory", c.Strategy.Name())
	}
	at, err := openSite(ctx, place, b.names.next(), c.Workload, b.setup)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, at.close()) }()
	m.Server, m.Run.Delay = at.version, at.delay.Seconds()
	if y, ok := c.Strategy.(Yardstick); ok {
		return m.yardstick(ctx, y, at.place)
	}
	sp := spec{
		Strategy: c.Strategy.Name(), Place: at.place, Workload: c.Workload, Lease: c.Lease, Budget: c.Workload.budget(),
	}
	if c.Lease > 0 {
		return m.recovery(ctx, sp)
	}
	performers, clean, err := hire(c.Strategy, sp, filepath.Join(at.dir, "record"))
	defer func() { err = errors.Join(err, clean()) }()
	if err != nil {
		return err
	}
	var before, after reading
	outcomes, err := conduct(ctx, performers, c.Workload,
		func() (err error) { before, err = read(context.WithoutCancel(ctx), at.meter); return err },
		func() (err error) { after, err = read(context.WithoutCancel(ctx), at.meter); return err })
	m.evaluate(outcomes, c.Strategy.Describe().Peer)
	if err != nil {
		return err
	}
	m.costs(before.cost, after.cost)
	if after.counts != nil {
		m.commands(before.counts, after.counts, c.Strategy)
	}
	return nil
}

// A reading holds the counters at one end of a measurement.
type reading struct {
	counts map[string]int64 // of the server's commands
	cost   cost
}

func read(ctx context.Context, m commandMeter) (r reading, err error) {
	if r.counts, err = m.read(ctx); err != nil {
		return r, err
	}
	r.cost, err = readCost(ctx, m)
	return r, err
}

// yardstick has no waits and no contenders to tell of.
func (m *Measured) yardstick(ctx context.Context, y Yardstick, at Place) error {
	holds, elapsed, err := y.Work(ctx, at, m.Run.Workload)
	m.Run.Holds, m.Run.Elapsed = holds, elapsed.Seconds()
	if elapsed > 0 {
		m.Run.Rate = float64(holds) / elapsed.Seconds()
	}
	return err
}

// hire makes the performers of a run; clean ends them, and has to be called
// whatever err says. Without processes the record needs no file, and no pipe lies
// between the conductor and the contenders.
func hire(s Strategy, sp spec, record string) (all []performer, clean func() error, err error) {
	clean = func() error {
		var errs []error
		for _, p := range all {
			errs = append(errs, p.dismiss())
		}
		return errors.Join(errs...)
	}
	if sp.Workload.Processes <= 1 {
		so, err := newSoloist(s, sp)
		if err == nil {
			all = append(all, so)
		}
		return all, clean, err
	}
	if err := createRecord(record, sp.Workload.Keys); err != nil {
		return nil, clean, err
	}
	sp.Record = record
	// All start before the first is waited for: each makes its million keys' names.
	var workers []*worker
	for sp.Process = range sp.Workload.Processes {
		w, err := startWorker(sp)
		if err != nil {
			return all, clean, err
		}
		all, workers = append(all, w), append(workers, w)
	}
	for _, w := range workers {
		if err := w.ready(); err != nil {
			return all, clean, err
		}
	}
	return all, clean, nil
}

// evaluate makes the figures of what the processes saw.
func (m *Measured) evaluate(outcomes []outcome, peer bool) {
	r := &m.Run
	var byContender, byProcess []float64
	waits, grants := newTimes(), newTimes()
	unfenced := 0
	for _, o := range outcomes {
		sum := uint64(0)
		for _, n := range o.Holds {
			byContender = append(byContender, float64(n))
			r.PerContender = append(r.PerContender, n)
			sum += n
		}
		byProcess = append(byProcess, float64(sum))
		r.Holds += sum
		// Workers get the word one after another, and each tells its own time.
		if o.Elapsed > 0 {
			r.Rate += float64(sum) / o.Elapsed.Seconds()
			r.Elapsed += o.Elapsed.Seconds() / float64(len(outcomes))
		}
		merge(waits, o.Waits)
		merge(grants, o.Grants)
		r.Order = longer(r.Order, o.Order)
		r.NoneFree += o.NoneFree
		r.Stranded += o.Stranded
		r.Overlaps += o.Overlaps
		unfenced += o.Unfenced
	}
	m.judge(outcomes, unfenced, peer)
	// Over all contenders of all processes, and over the processes' sums: a fair
	// share for each process hides who starves inside one.
	r.Jain = jain(byContender)
	if len(byProcess) > 1 {
		r.JainProcesses = jain(byProcess)
	}
	if len(r.PerContender) > maxPerContender {
		r.PerContender = nil
	}
	r.Wait = distribution(waits)
	if d := distribution(grants); d.Count > 0 {
		r.Grant = &d
	}
}

// maxPerContender is how many contenders are told one by one.
const maxPerContender = 1024

func merge(into *hdrhistogram.Histogram, s *hdrhistogram.Snapshot) {
	if s != nil {
		into.Merge(hdrhistogram.Import(s))
	}
}

// longer is the later look at one strip, which all processes share.
func longer(a, b []int) []int {
	if len(b) > len(a) {
		return b
	}
	return a
}

// judge tells of each kind of breach once, with the first case in words. A peer
// that forgets a waiter has a number for it; ours may not.
func (m *Measured) judge(outcomes []outcome, unfenced int, peer bool) {
	first := func(kind string) string {
		for _, o := range outcomes {
			if what := o.Breaches[kind]; what != "" {
				return what
			}
		}
		return ""
	}
	if n := m.Run.Overlaps; n > 0 {
		m.fail(kindOverlap, fmt.Sprintf("%d holds met another one; the first: %s", n, first(kindOverlap)))
	}
	if unfenced > 0 {
		m.fail(kindFence, fmt.Sprintf("%d fences were not above the last one; the first: %s", unfenced, first(kindFence)))
	}
	if n := m.Run.Stranded; n > 0 && !peer {
		m.fail(kindStranded, fmt.Sprintf("%d contenders waited on while nobody was served for %v", n, quiet))
	}
}

// commands relates what the server ran between the two readings to the holds
// between them: the rate times the time, as the workers' own counts end a moment
// later.
func (m *Measured) commands(before, after map[string]int64, s Strategy) {
	if m.Run.Holds == 0 {
		return
	}
	var inner []string
	if scripted, ok := s.(Scripted); ok {
		inner = scripted.Inner()
	}
	sent, executed := counted(before, after, inner)
	perSent, perExecuted := float64(sent)/float64(m.Run.Holds), float64(executed)/float64(m.Run.Holds)
	m.Run.Sent, m.Run.Executed = &perSent, &perExecuted
}

// jain is Jain's index, (Σx)² / (n·Σx²): 1 when all got the same, 1/n when one
// got all; 0 if nobody got anything. Source: Jain, Chiu, Hawe, DEC-TR-301, 1984.
func jain(values []float64) float64 {
	sum, squares := 0.0, 0.0
	for _, v := range values {
		sum += v
		squares += v * v
	}
	if squares == 0 {
		return 0
	}
	return sum * sum / (float64(len(values)) * squares)
}
