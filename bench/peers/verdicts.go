package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/turnstile-go/turnstile/bench"
)

// A verdict is a reach as it was measured.
type verdict struct {
	reach
	bench.Spread              // of the figure or the ratio, over the rounds
	best         string       // the peer that was the best most often
	own, rivals  bench.Spread // the figures that a ratio is of
}

// figures are the runs of a row, by round and strategy.
type figures []map[string]*bench.Run

// figuresOf leaves out what is not to be believed.
func figuresOf(report *bench.Report, r row) figures {
	var rounds figures
	for i := range report.Runs {
		run := &report.Runs[i]
		if run.Experiment != r.experiment || run.X != r.x || slices.ContainsFunc(report.Failures, func(f bench.Failure) bool {
			return f.Strategy == run.Strategy && f.Experiment == run.Experiment && f.X == run.X && f.Round == run.Round
		}) {
			continue
		}
		for len(rounds) < run.Round {
			rounds = append(rounds, map[string]*bench.Run{})
		}
		rounds[run.Round-1][run.Strategy] = run
	}
	return rounds
}

func (f figures) spread(strategy string, c column) bench.Spread {
	var values []float64
	for _, round := range f {
		if v, ok := value(round, strategy, c); ok {
			values = append(values, v)
		}
	}
	return bench.SpreadOf(values)
}

func value(round map[string]*bench.Run, strategy string, c column) (float64, bool) {
	run, ok := round[strategy]
	if !ok {
		return 0, false
	}
	return c.of(run)
}

// judge compares within each round, and then takes the median of what it found. A
// round in which either side has no figure is left out.
func (r reach) judge(rounds figures) verdict {
	out := verdict{reach: r}
	var values, own, others []float64
	wins := map[string]int{}
	for _, round := range rounds {
		v, ok := value(round, r.of, r.column)
		if !ok {
			continue
		}
		if r.against != "" {
			rival, other := r.rival(round)
			if other == 0 {
				continue
			}
			own, others = append(own, v), append(others, other)
			v /= other
			wins[rival]++
			if wins[rival] > wins[out.best] {
				out.best = rival
			}
		}
		values = append(values, v)
	}
	out.Spread, out.own, out.rivals = bench.SpreadOf(values), bench.SpreadOf(own), bench.SpreadOf(others)
	return out
}

// rival is who a round's figure is compared with; the best peer is the one whose
// figure is hardest to beat.
func (r reach) rival(round map[string]*bench.Run) (name string, best float64) {
	among := []string{r.against}
	if r.against == bestPeer {
		among = redisPeers
	}
	for _, peer := range among {
		v, ok := value(round, peer, r.column)
		if ok && v > 0 && (name == "" || r.column.lower && v < best || !r.column.lower && v > best) {
			name, best = peer, v
		}
	}
	return name, best
}

func (v verdict) met() bool {
	return v.N > 0 && (v.column.lower && v.Median <= v.bound || !v.column.lower && v.Median >= v.bound)
}

func (v verdict) word() string {
	switch {
	case v.N == 0:
		return "none"
	case v.met():
		return "met"
	default:
		return "short"
	}
}

// what says which figure or ratio it is.
func (v verdict) what() string {
	switch {
	case v.against == "":
		return v.of + ", " + v.column.name
	case v.best == "" || v.best == v.against:
		return fmt.Sprintf("%s, %s ÷ %s", v.of, v.column.name, v.against)
	default:
		return fmt.Sprintf("%s, %s ÷ %s (%s)", v.of, v.column.name, v.against, v.best)
	}
}

// to is the bound as docs/benchmarks.md#goals has it.
func (v verdict) to() string {
	sign := "≥"
	if v.column.lower {
		sign = "≤"
	}
	return sign + " " + v.text(v.bound)
}

func (v verdict) text(x float64) string {
	if v.against != "" {
		return bench.Number(x) + " ×"
	}
	return v.column.text(x)
}

func (v verdict) String() string {
	return fmt.Sprintf("%-5s %s: %s (rounds %s to %s), to reach %s",
		v.word(), v.what(), v.text(v.Median), v.text(v.Min), v.text(v.Max), v.to())
}

// writeVerdicts writes for each measured row the figure, the spread of its rounds,
// and the goal.
func writeVerdicts(w io.Writer, report *bench.Report) error {
	var text strings.Builder
	for _, r := range rows() {
		rounds := figuresOf(report, r)
		if len(rounds) == 0 {
			continue
		}
		fmt.Fprintf(&text, "\n%s: %s\n", r.name, r.title)
		for _, to := range r.reaches {
			fmt.Fprintf(&text, "  %v\n", to.judge(rounds))
		}
	}
	_, err := io.WriteString(w, text.String())
	return err
}

// text is a figure in its column's unit.
func (c column) text(v float64) string {
	if c.time {
		return bench.Seconds(v)
	}
	return bench.Number(v)
}
