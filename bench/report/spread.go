package report

import (
	"cmp"
	"math"
	"slices"

	"github.com/turnstile-go/turnstile/bench"
)

// A spread sums rounds up: a median, because one round that something else on
// the machine disturbed would spoil a mean; and the lowest and highest, because
// a median alone hides that it happened.
type spread struct {
	Mid, Min, Max float64
}

// spreadOf sums up what was measured. Values that are no numbers are left out;
// the result is false if nothing remains.
func spreadOf(values []float64) (spread, bool) {
	kept := slices.DeleteFunc(slices.Clone(values), func(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) })
	if len(kept) == 0 {
		return spread{}, false
	}
	slices.Sort(kept)
	return spread{Mid: at(kept, 0.5), Min: kept[0], Max: kept[len(kept)-1]}, true
}

// at is the value at the part q of sorted values, interpolated.
func at(sorted []float64, q float64) float64 {
	place := q * float64(len(sorted)-1)
	low := int(place)
	if low+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[low] + (place-float64(low))*(sorted[low+1]-sorted[low])
}

// over is the spread of one figure over rounds. The figure says false where a
// round has none.
func over(rounds []*bench.Run, figure func(*bench.Run) (float64, bool)) (spread, bool) {
	var values []float64
	for _, r := range rounds {
		if v, ok := figure(r); ok {
			values = append(values, v)
		}
	}
	return spreadOf(values)
}

// quantile reads a distribution at q: between two recorded quantiles the line that
// is straight on the charts, whose axes are log(1/(1-q)) and the log of the time.
// The result is false for an empty distribution.
func quantile(d *bench.Distribution, q float64) (float64, bool) {
	if d == nil || d.Count == 0 || len(d.Quantiles) == 0 {
		return 0, false
	}
	i, found := slices.BinarySearchFunc(d.Quantiles, q, func(p bench.Quantile, q float64) int {
		return cmp.Compare(p.Q, q)
	})
	switch {
	case found:
		return d.Quantiles[i].V, true
	case i == 0: // below the first that was recorded
		return d.Quantiles[0].V, true
	case i == len(d.Quantiles):
		return d.Max, true
	}
	a, b := d.Quantiles[i-1], d.Quantiles[i]
	if b.Q >= 1 { // 1/(1-1) is nowhere: stay on the safe side
		return b.V, true
	}
	part := (tail(q) - tail(a.Q)) / (tail(b.Q) - tail(a.Q))
	if a.V <= 0 { // less than the clock's step
		return a.V + part*(b.V-a.V), true
	}
	return a.V * math.Pow(b.V/a.V, part), true
}

// tail is log10 of 1/(1-q): 1 at 90 %, 2 at 99 %, 3 at 99.9 %.
func tail(q float64) float64 { return -math.Log10(1 - q) }

// The figures that several charts and the first table show.

func rate(r *bench.Run) (float64, bool) { return r.Rate, r.Holds > 0 }

// cost is the time that passes for each hold, all contenders together.
func cost(r *bench.Run) (float64, bool) { return 1 / r.Rate, r.Rate > 0 }

func jain(r *bench.Run) (float64, bool) { return r.Jain, r.Jain > 0 }

func longest(r *bench.Run) (float64, bool) { return r.Wait.Max, r.Wait.Count > 0 }

func wait(q float64) func(*bench.Run) (float64, bool) {
	return func(r *bench.Run) (float64, bool) { return quantile(&r.Wait, q) }
}

func grant(q float64) func(*bench.Run) (float64, bool) {
	return func(r *bench.Run) (float64, bool) { return quantile(r.Grant, q) }
}

func optional(figure func(*bench.Run) *float64) func(*bench.Run) (float64, bool) {
	return func(r *bench.Run) (float64, bool) {
		if v := figure(r); v != nil {
			return *v, true
		}
		return 0, false
	}
}

var (
	sent     = optional(func(r *bench.Run) *float64 { return r.Sent })
	executed = optional(func(r *bench.Run) *float64 { return r.Executed })
)
