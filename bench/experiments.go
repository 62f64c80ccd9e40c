package bench

import (
	"fmt"
	"time"
)

// A Scale says how far the experiments go and how long their runs are.
type Scale struct {
	Warmup, Duration time.Duration
	// Few leaves points out of the middle of each axis; the ends stay.
	Few bool
}

// The axes. What is first is in the middle of what most people have; the ends show
// where a strategy breaks.
var (
	contenderAxis = axis{all: []int{1, 2, 4, 16, 64, 256, 1000, 4000, 10_000}, few: []int{1, 8, 64, 1000, 10_000}}
	keyAxis       = axis{all: []int{1, 10, 100, 1000, 10_000, 100_000, 1_000_000}, few: []int{1, 100, 10_000, 1_000_000}}
	processAxis   = axis{all: []int{1, 2, 4, 8}, few: []int{1, 2, 4, 8}}
	roundTripAxis = axis{all: []int{0, 1, 2, 5, 10, 20}, few: []int{0, 2, 20}} // ms
	readerAxis    = axis{all: []int{1, 4, 16, 64, 256, 1000}, few: []int{1, 64, 1000}}
	slotAxis      = axis{all: []int{1, 2, 4, 8, 16, 32, 64}, few: []int{1, 8, 64}}
	rateAxis      = axis{all: []int{200, 1000, 5000}, few: []int{1000}} // holds a second
)

type axis struct{ all, few []int }

func (a axis) of(s Scale) []int {
	if s.Few {
		return a.few
	}
	return a.all
}

// Experiments are all that a report has figures for, by name in their order.
func Experiments(s Scale) []Experiment {
	base := Workload{Warmup: s.Warmup, Duration: s.Duration, Keys: 1}
	var all []Experiment
	add := func(name string, a axis, point func(x int, w Workload) Point) {
		e := Experiment{Name: name}
		for _, x := range a.of(s) {
			p := point(x, base)
			if p.Workload.Name == "" {
				p.Workload.Name = fmt.Sprintf("%s %d", name, x)
			}
			e.Points = append(e.Points, p)
		}
		all = append(all, e)
	}
	add(Contenders, contenderAxis, func(x int, w Workload) Point {
		w.Goroutines = x
		w.Warmup = max(w.Warmup, w.arrival())
		return Point{X: float64(x), Workload: w}
	})
	add(Keys, keyAxis, func(x int, w Workload) Point {
		w.Goroutines, w.Keys = 64, x
		return Point{X: float64(x), Workload: w}
	})
	// As many contenders in all, so that what differs is between whom a key passes.
	add(Processes, processAxis, func(x int, w Workload) Point {
		w.Goroutines, w.Processes = 64/x, x
		return Point{X: float64(x), Workload: w}
	})
	add(RoundTrips, roundTripAxis, func(x int, w Workload) Point {
		w.Goroutines, w.RoundTrip = 64, time.Duration(x)*time.Millisecond
		return Point{X: w.RoundTrip.Seconds(), Workload: w}
	})
	add(Readers, readerAxis, func(x int, w Workload) Point {
		w.Goroutines, w.Shared = x, 0.9
		return Point{X: float64(x), Workload: w}
	})
	add(Slots, slotAxis, func(x int, w Workload) Point {
		w.Goroutines, w.Slots = 64, x
		return Point{X: float64(x), Workload: w}
	})
	// A section of 100 µs, so that the key is free most of the time at the rates
	// that are planned; the waits are the lock's then, and not the plan's.
	add(OpenLoop, rateAxis, func(x int, w Workload) Point {
		w.Goroutines, w.Rate, w.Hold = 64, float64(x), 100*time.Microsecond
		return Point{X: w.Rate, Workload: w}
	})
	add(Recovery, axis{[]int{2}, []int{2}}, func(x int, w Workload) Point {
		// The warm-up is when the waiters queue.
		w.Goroutines, w.Processes, w.Warmup = 16, 2, recoveryQueue
		return Point{X: float64(x), Workload: w, Lease: time.Duration(x) * time.Second}
	})
	return all
}

// arrival is how long it may take until all contenders have come: that is none of
// what is measured. On a loaded machine 10 000 that started took 0.3 s to queue, in
// which hardly anybody was served.
func (w Workload) arrival() time.Duration { return 50 * time.Microsecond * time.Duration(w.Goroutines) }

// recoveryQueue is how long waiters have to queue before the holder is killed.
const recoveryQueue = 200 * time.Millisecond
