package bench

import (
	"cmp"
	"slices"
)

// A Spread is a figure over the rounds. The median, because one round that a
// neighbour on the machine disturbed would spoil a mean.
type Spread struct {
	Median, Min, Max float64
	N                int // rounds that have the figure
}

// SpreadOf sums values up; without any it is zero.
func SpreadOf(values []float64) Spread {
	if len(values) == 0 {
		return Spread{}
	}
	s := slices.Sorted(slices.Values(values))
	n := len(s)
	median := s[n/2]
	if n%2 == 0 {
		median = (s[n/2-1] + s[n/2]) / 2
	}
	return Spread{Median: median, Min: s[0], Max: s[n-1], N: n}
}

// A Row is all rounds of one strategy at one point of an experiment.
type Row struct {
	Experiment string
	X          float64
	Strategy   string
	Runs       []*Run
}

// Rows groups runs: experiments and points in the order in which they were first
// measured, strategies in the report's.
func (r *Report) Rows() []*Row {
	var rows []*Row
	type point struct {
		experiment string
		x          float64
	}
	rank := map[point]int{}
	for i := range r.Runs {
		run := &r.Runs[i]
		p := point{run.Experiment, run.X}
		if _, ok := rank[p]; !ok {
			rank[p] = len(rank)
		}
		at := slices.IndexFunc(rows, func(o *Row) bool {
			return o.Experiment == run.Experiment && o.X == run.X && o.Strategy == run.Strategy
		})
		if at < 0 {
			at = len(rows)
			rows = append(rows, &Row{Experiment: run.Experiment, X: run.X, Strategy: run.Strategy})
		}
		rows[at].Runs = append(rows[at].Runs, run)
	}
	listed := map[string]int{}
	for i, s := range r.Strategies {
		listed[s.Name] = i
	}
	slices.SortStableFunc(rows, func(a, b *Row) int {
		return cmp.Or(
			cmp.Compare(rank[point{a.Experiment, a.X}], rank[point{b.Experiment, b.X}]),
			cmp.Compare(listed[a.Strategy], listed[b.Strategy]))
	})
	return rows
}

// Over sums a figure up over the rounds; runs of which it returns false have none.
func (r *Row) Over(figure func(*Run) (float64, bool)) Spread {
	var values []float64
	for _, run := range r.Runs {
		if v, ok := figure(run); ok {
			values = append(values, v)
		}
	}
	return SpreadOf(values)
}

// A column is a figure with its name and unit. In a table times stand with their
// unit, in gobench output in ns.
type column struct {
	title, unit string
	time        bool
	spread      bool // the table shows min and max as well
	of          func(*Run) (float64, bool)
}

func columns() []column {
	always := func(f func(*Run) float64) func(*Run) (float64, bool) {
		return func(r *Run) (float64, bool) { return f(r), r.Holds > 0 }
	}
	wait := func(q float64) func(*Run) (float64, bool) {
		return func(r *Run) (float64, bool) { return r.Wait.At(q), r.Wait.Count > 0 }
	}
	grant := func(q float64) func(*Run) (float64, bool) {
		return func(r *Run) (float64, bool) {
			if r.Grant == nil {
				return 0, false
			}
			return r.Grant.At(q), true
		}
	}
	known := func(f func(*Run) *float64) func(*Run) (float64, bool) {
		return func(r *Run) (float64, bool) {
			if v := f(r); v != nil {
				return *v, true
			}
			return 0, false
		}
	}
	return []column{
		{title: "holds/s", unit: "holds/s", spread: true, of: always(func(r *Run) float64 { return r.Rate })},
		{title: "p50 wait", unit: "p50-wait-ns", time: true, of: wait(0.5)},
		{title: "p99 wait", unit: "p99-wait-ns", time: true, spread: true, of: wait(0.99)},
		{title: "max wait", unit: "max-wait-ns", time: true, of: wait(1)},
		{title: "p50 grant", unit: "p50-grant-ns", time: true, of: grant(0.5)},
		{title: "p99 grant", unit: "p99-grant-ns", time: true, of: grant(0.99)},
		{title: "stranded", unit: "stranded", of: func(r *Run) (float64, bool) { return float64(r.Stranded), r.Stranded > 0 }},
		{title: "Jain", unit: "jain", of: func(r *Run) (float64, bool) { return r.Jain, r.Jain > 0 }},
		{title: "Jain procs", unit: "jain-processes", of: func(r *Run) (float64, bool) { return r.JainProcesses, r.JainProcesses > 0 }},
		{title: "sent/hold", unit: "requests/hold", of: known(func(r *Run) *float64 { return r.Sent })},
		{title: "run/hold", unit: "commands/hold", of: known(func(r *Run) *float64 { return r.Executed })},
		{title: "client CPU", unit: "client-cpu-ns/hold", time: true, of: known(func(r *Run) *float64 { return r.ClientCPU })},
		{title: "server CPU", unit: "server-cpu-ns/hold", time: true, of: known(func(r *Run) *float64 { return r.ServerCPU })},
		{title: "allocs", unit: "allocs/hold", of: known(func(r *Run) *float64 { return r.Allocs })},
		{title: "late starts", unit: "late-starts", of: func(r *Run) (float64, bool) { return float64(r.NoneFree), r.Workload.Rate > 0 }},
		{title: "recovery", unit: "recovery-ns", time: true, spread: true, of: func(r *Run) (float64, bool) {
			return SpreadOf(r.Recovery).Median, len(r.Recovery) > 0
		}},
	}
}
