package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/turnstile-go/turnstile/internal/servers"
)

// The figures of a strategy in one round, by column; times in seconds.
type figures map[string]float64

// The columns.
const (
	holdsRate  = "holds/s"
	jain       = "Jain"
	jainProcs  = "Jain procs"
	requests   = "sent/hold"     // commands that travelled
	commands   = "executed/hold" // and those that scripts called
	waitP50    = "p50 wait"
	waitP99    = "p99 wait"
	waitMax    = "max wait"
	grantP50   = "p50 grant"
	grantP99   = "p99 grant"
	stranded   = "stranded"    // goroutines forgotten at the end, in one run
	handedOver = "handed over" // the part of the holds that went to the other process
	acquireP50 = "p50 acquire"
	acquireP99 = "p99 acquire"
	pairP50    = "p50 with release"
)

// A workload is what every strategy does in turn.
type workload struct {
	name, title string
	processes   int // 0: in the bench's own process
	goroutines  int // of each process
	keys        int
	turns       bool
	strategies  []string
	columns     []string
	reaches     []reach
	// round measures all strategies once, starting with the first'th.
	round func(b *bench, first int) (map[string]figures, error)
}

var freeStrategies = []string{turnstile, peerRedsync, peerBSM, peerRueidis, peerNoLoop, bareAcquire, bareTrivial}

// loadColumns are what a load is told by. Throughput alone would praise a lock
// that gives the key to one goroutine for ever.
var loadColumns = []string{holdsRate, jain, requests, commands, waitP50, waitP99, waitMax, stranded}

// workloads are made by a function and not kept in a variable: their rounds
// refer to them.
func workloads() []*workload {
	// Ours runs first in the first round, and in another place in each later one.
	locks := []string{turnstile, peerRedsync, peerBSM, peerRueidis, peerNoLoop}
	all := []*workload{
		{
			name: "hot", title: "64 goroutines, one key, empty section, one process",
			goroutines: 64, keys: 1, strategies: locks, columns: loadColumns,
			reaches: []reach{
				{of: turnstile, column: holdsRate, atLeast: 100, against: bestPeer},
				{of: turnstile, column: requests, atMost: 0.01},
				{of: turnstile, column: jain, atLeast: 0.99},
			},
		},
		{
			name: "processes", title: "4 processes of 16 goroutines, one key",
			processes: 4, goroutines: 16, keys: 1, strategies: locks,
			columns: []string{holdsRate, jainProcs, jain, requests, commands, waitP50, waitP99, waitMax, stranded},
			reaches: []reach{
				{of: turnstile, column: holdsRate, atLeast: 50, against: bestPeer},
				{of: turnstile, column: jainProcs, atLeast: 0.95},
				{of: turnstile, column: waitP99, atMost: 0.1, against: bestPeer},
				{of: turnstile, column: requests, atMost: 0.05},
				{of: turnstile, column: waitMax, atMost: 1},
			},
		},
		{
			name: "keys64", title: "10 000 keys, 64 goroutines",
			goroutines: 64, keys: 10_000, strategies: append([]string{lingering}, locks...), columns: loadColumns,
			reaches: []reach{
				{of: turnstile, column: holdsRate, atLeast: 1.2, against: bestPeer},
				{of: lingering, column: holdsRate, atLeast: 10, against: bestPeer},
			},
		},
		{
			name: "keys512", title: "10 000 keys, 512 goroutines",
			goroutines: 512, keys: 10_000, strategies: append([]string{rawCeiling}, locks...), columns: loadColumns,
			reaches: []reach{
				{of: turnstile, column: holdsRate, atLeast: 1.5, against: bestPeer},
				{of: turnstile, column: holdsRate, atLeast: 0.8, against: rawCeiling},
			},
		},
		{
			name: "turns", title: "two processes in turn on one key, from release to grant",
			processes: 2, goroutines: 1, keys: 1, turns: true,
			strategies: append([]string{plainWake}, locks...), columns: []string{grantP50, grantP99, holdsRate, handedOver, stranded},
			reaches: []reach{{of: turnstile, column: grantP50, atMost: 1.3, against: plainWake}},
		},
		{
			name: "free", title: "one goroutine, a free key",
			strategies: freeStrategies, columns: []string{acquireP50, acquireP99, pairP50, stranded},
			round:   runFree,
			reaches: []reach{{of: turnstile, column: acquireP50, atMost: 1.2, against: bareAcquire}},
		},
	}
	for _, w := range all {
		if w.round == nil {
			w.round = w.interleave
		}
	}
	return all
}

// interleave runs one strategy after another. A strategy that fails does not
// keep the others from being measured; the failures are returned joined.
func (w *workload) interleave(b *bench, first int) (map[string]figures, error) {
	rows := map[string]figures{}
	var failures []error
	for i := range w.strategies {
		name := w.strategies[(first+i)%len(w.strategies)]
		row, err := w.measure(b, name)
		if err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", name, err))
			continue
		}
		rows[name] = row
	}
	return rows, errors.Join(failures...)
}

// measure is one run of one strategy, on a server of its own.
func (w *workload) measure(b *bench, name string) (row figures, err error) {
	s, err := strategyNamed(name)
	if err != nil {
		return nil, err
	}
	server, err := servers.StartRedis()
	if err != nil {
		return nil, err
	}
	defer server.Close()
	m := newMeter(server.Addr)
	defer func() { err = errors.Join(err, m.close()) }()

	sp := spec{
		Strategy: name, Addr: server.Addr, Pool: b.pool, Goroutines: w.goroutines, Keys: w.keys,
		Turns: w.turns, Budget: b.timing.budget(),
	}
	performers, clean, err := w.hire(sp)
	defer func() { err = errors.Join(err, clean()) }()
	if err != nil {
		return nil, err
	}
	outcomes, err := conduct(performers, b.timing, m.atBegin, m.atEnd)
	if err != nil {
		return nil, err
	}
	row = evaluate(outcomes)
	// A peer that forgets a waiter has its row and a number in it; ours may not.
	if n := row[stranded]; n > 0 && !s.peer {
		return nil, fmt.Errorf("%v waiters were forgotten", n)
	}
	// The holds between the readings are the rate over the time between them: the
	// workers' own counts end a moment later.
	if n := row[holdsRate] * b.timing.Duration.Seconds(); n > 0 {
		sent, executed := m.counts(s.inner)
		row[requests], row[commands] = float64(sent)/n, float64(executed)/n
	}
	return row, nil
}

// hire makes the performers of a run; clean ends them, and has to be called
// whatever err says.
func (w *workload) hire(sp spec) (all []performer, clean func() error, err error) {
	path := ""
	clean = func() error {
		var errs []error
		for _, p := range all {
			errs = append(errs, p.dismiss())
		}
		if path != "" {
			errs = append(errs, os.Remove(path))
		}
		return errors.Join(errs...)
	}
	// Without processes the record needs no file, and no pipe lies between the
	// conductor and the goroutines.
	if w.processes == 0 {
		s, err := newSoloist(sp)
		if err == nil {
			all = append(all, s)
		}
		return all, clean, err
	}
	if path, err = createRecord(sp.Keys); err != nil {
		return nil, clean, err
	}
	sp.Record = path
	for sp.Process = range w.processes {
		p, err := newWorker(sp)
		if err != nil {
			return all, clean, err
		}
		all = append(all, p)
	}
	return all, clean, nil
}

// evaluate makes one row of what the processes saw.
func evaluate(outcomes []outcome) figures {
	row := figures{}
	var byGoroutine, byProcess []float64
	var turns []time.Duration
	waits := newWaits()
	for _, o := range outcomes {
		first := len(byGoroutine)
		for _, n := range o.Holds {
			byGoroutine = append(byGoroutine, float64(n))
		}
		sum := sumOf(byGoroutine[first:])
		byProcess = append(byProcess, sum)
		turns = append(turns, o.Samples...)
		row[stranded] += float64(o.Stranded)
		if o.Elapsed > 0 {
			row[holdsRate] += sum / o.Elapsed.Seconds()
		}
		if o.Waits != nil {
			waits.Merge(hdrhistogram.Import(o.Waits))
		}
	}
	// Over all goroutines of all processes, and over the processes' sums: a fair
	// share for each process hides who starves inside one.
	row[jain], row[jainProcs] = jainIndex(byGoroutine), jainIndex(byProcess)
	if waits.TotalCount() > 0 {
		row[waitP50] = float64(waits.ValueAtQuantile(50)) / 1e9
		row[waitP99] = float64(waits.ValueAtQuantile(99)) / 1e9
		row[waitMax] = float64(waits.Max()) / 1e9
	}
	if total := sumOf(byProcess); len(turns) > 0 && total > 0 {
		row[handedOver] = float64(len(turns)) / total
		row[grantP50], row[grantP99] = seconds(quantile(turns, 0.50)), seconds(quantile(turns, 0.99))
	}
	return row
}

func sumOf(values []float64) (sum float64) {
	for _, v := range values {
		sum += v
	}
	return sum
}
