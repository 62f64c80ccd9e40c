package bench

import (
	"context"
	"slices"
	"time"
)

// A Plan is what a report measures: every strategy in every point of every
// experiment that it can take part in, in rounds.
type Plan struct {
	Strategies  []Strategy
	Experiments []Experiment
	Rounds      int
}

// An Experiment varies one thing.
type Experiment struct {
	Name   string // Contenders, Keys, …
	Points []Point
}

// A Point is a place on an experiment's x axis.
type Point struct {
	X        float64
	Workload Workload
	Lease    time.Duration // see Case
	// Only are the names of the strategies that are measured here; nil: all of the
	// plan's that can take part.
	Only []string
}

// Cases are the plan's runs in their order. Within a round the strategies of one
// point follow each other, so that what disturbs the machine meets them alike,
// and each round begins with another one: who runs first meets a machine that has
// just been idle. All rounds of all points come before the next round, so that a
// plan that is broken off has something of everything.
func (p Plan) Cases() []Case {
	var cases []Case
	for round := range p.Rounds {
		for _, e := range p.Experiments {
			for _, at := range e.Points {
				able := slices.DeleteFunc(slices.Clone(p.Strategies), func(s Strategy) bool { return !takesPart(s, at) || !follows(s, e) })
				for i := range able {
					cases = append(cases, Case{
						Strategy: able[(i+round)%len(able)], Experiment: e.Name, X: at.X, Round: round + 1,
						Workload: at.Workload, Lease: at.Lease,
					})
				}
			}
		}
	}
	return cases
}

// takesPart says whether the point means anything to the strategy.
func takesPart(s Strategy, at Point) bool {
	most := s.Describe().MaxContenders
	named := slices.Contains(at.Only, s.Name())
	return (at.Only == nil && hasKind(s, at) || named) && fits(s, at) && (most == 0 || at.Workload.Contenders() <= most)
}

// hasKind says whether the strategy has holds of the kind that the point is about. Another one
// takes part where it is named: to be compared with, by its exclusive holds.
func hasKind(s Strategy, at Point) bool {
	kinds := s.Describe().Kinds
	return (at.Workload.Shared == 0 || slices.Contains(kinds, KindShared)) && (at.Workload.Slots == 0 || slices.Contains(kinds, KindSlots))
}

// follows says whether the strategy fits all points of an experiment. One that
// fits the first alone, a lock of one process among those of many, has been
// measured there before, by another name, and would be a curve of one point.
func follows(s Strategy, e Experiment) bool {
	return !slices.ContainsFunc(e.Points, func(at Point) bool { return !fits(s, at) })
}

// fits says whether the strategy can do what the point asks for.
func fits(s Strategy, at Point) bool {
	place := s.Describe().Place
	_, leased := s.(Leased)
	switch {
	case local(place) && (at.Workload.Processes > 1 || at.Lease > 0):
		return false
	case at.Lease > 0 && !leased:
		return false
	case at.Workload.RoundTrip > 0 && !served(place):
		return false
	}
	return true
}

// shortest is what Within cuts a measurement to at most.
const shortest = 100 * time.Millisecond

// Within is the plan with its durations and warm-ups cut, all by the same factor,
// so that its Estimate is about d. The Estimate stays longer than d if the servers'
// starts, the recoveries and the shortest runs alone take longer. A warm-up stays
// long enough for all contenders to come.
func (p Plan) Within(d time.Duration) Plan {
	cases := p.Cases()
	total, phases := estimate(cases), time.Duration(0)
	for _, c := range cases {
		if c.Lease == 0 {
			phases += c.Workload.Warmup + c.Workload.Duration
		}
	}
	if total <= d || phases == 0 {
		return p
	}
	factor := max(0, float64(d-(total-phases))/float64(phases))
	cut := Plan{Strategies: p.Strategies, Rounds: p.Rounds}
	for _, e := range p.Experiments {
		points := slices.Clone(e.Points)
		for i := range points {
			if w := &points[i].Workload; points[i].Lease == 0 {
				w.Warmup = max(min(w.arrival(), w.Warmup), time.Duration(factor*float64(w.Warmup)))
				w.Duration = max(min(shortest, w.Duration), time.Duration(factor*float64(w.Duration)))
			}
		}
		cut.Experiments = append(cut.Experiments, Experiment{e.Name, points})
	}
	return cut
}

// A Step is how far a plan has come. It is told before each run, and once at the end.
type Step struct {
	Done, Total int
	Next        Case          // the run that begins; the zero Case at the end
	Last        *Measured     // the run that has ended; nil at the beginning
	Remaining   time.Duration // from now on, about
	After       time.Duration // what will remain when Next has ended, about
}

// MeasurePlan makes the plan's runs and reports what came of them; step, if it is not
// nil, is called in between by the same goroutine. When ctx ends, the report has
// what was measured until then and says that it was cut.
func (b *Bench) MeasurePlan(ctx context.Context, p Plan, step func(Step)) *Report {
	if step == nil {
		step = func(Step) {}
	}
	r := newReport(p)
	cases := p.Cases()
	ahead := newSchedule(cases)
	var last *Measured
	for i, c := range cases {
		step(Step{Done: i, Total: len(cases), Next: c, Last: last, Remaining: ahead.remaining(), After: ahead.remaining() - ahead.expects(c)})
		began := time.Now()
		m := b.Measure(ctx, c)
		if ctx.Err() != nil && m.Run.Holds == 0 && len(m.Run.Recovery) == 0 {
			// It had hardly begun: its failures are those of being broken off.
			r.Cut = true
			break
		}
		r.add(m)
		last = &m
		ahead.ran(c, time.Since(began))
		if r.Cut = ctx.Err() != nil; r.Cut {
			break
		}
	}
	r.end()
	step(Step{Done: len(r.Runs), Total: len(cases), Last: last})
	return r
}
