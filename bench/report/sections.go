package report

import (
	"fmt"
	"strings"

	"github.com/turnstile-go/turnstile/bench"
)

// A section of the page has blocks; one without any is left out.
type section struct {
	ID, Title string
	Note      string
	Blocks    []block
}

// A block is one of these.
type block struct {
	Chart *chart
	Rows  *rows
	Table *table
	Words []string
}

func (p *page) sections() []section {
	at := ""
	if p.hotWhat != "" {
		at = "Measured with " + p.hotWhat + "."
	}
	all := []section{
		{ID: "findings", Title: "At a glance", Note: at + " Median over the rounds, lowest – highest below it. Bold: the best among those whose locks live in the same place.", Blocks: blocks(p.verdicts(), p.findings())},
		{ID: "throughput", Title: "Throughput", Blocks: blocks(p.throughput()...)},
		{ID: "wait", Title: "Waiting", Note: at, Blocks: blocks(p.waits())},
		{ID: "grants", Title: "Passing the key on", Note: at, Blocks: blocks(p.grants())},
		{ID: "fairness", Title: "Fairness", Note: at, Blocks: blocks(p.jains(), p.shares(), p.strips(), p.processes())},
		{ID: "crash", Title: "When a holder dies", Blocks: blocks(p.recovery())},
		{ID: "commands", Title: "Work for the backend", Note: at, Blocks: blocks(p.commands())},
		{ID: "scaling", Title: "Scaling", Note: "Cost per hold is the time that passes for each hold, all contenders together: one over the throughput.", Blocks: blocks(p.scaling()...)},
		{ID: "open", Title: "Under a planned load", Note: "Holds are planned at a fixed rate whether or not the last came in time, and a wait counts from its plan: what can't keep up shows as a wait that climbs.", Blocks: blocks(p.planned()...)},
	}
	var kept []section
	for _, s := range all {
		s.Note = strings.TrimSpace(s.Note)
		if len(s.Blocks) > 0 {
			kept = append(kept, s)
		}
	}
	return kept
}

// blocks leaves out what has nothing to show: nil pointers.
func blocks(parts ...any) (out []block) {
	for _, part := range parts {
		switch b := part.(type) {
		case *chart:
			if b != nil {
				out = append(out, block{Chart: b})
			}
		case *rows:
			if b != nil {
				out = append(out, block{Rows: b})
			}
		case []string:
			if len(b) > 0 {
				out = append(out, block{Words: b})
			}
		case *table:
			if b != nil {
				out = append(out, block{Table: b})
			}
		}
	}
	return out
}

const bands = "Line: the median over the rounds; band: from the lowest round to the highest."

// throughput is a curve where the contenders were varied, and else a mark a strategy.
func (p *page) throughput() []any {
	if c := p.throughputCurve(); c != nil {
		return []any{c}
	}
	return []any{p.pairs(rows{
		ID: "throughput", Title: "Throughput: higher is better",
		Note:   "With " + p.hotWhat + ". Bar behind the mark: lowest to highest round.",
		Values: "median",
	}, p.hot, func(v []float64) axis { return logAxis("holds per second (log)", roundCount, v, across) }, count, rate)}
}

func (p *page) throughputCurve() *chart {
	c := p.curves("throughput", bench.Contenders, "Throughput against contenders on one key: higher is better", rate,
		"contenders (log)", "holds per second (log)", count, roundCount)
	if c != nil {
		c.Note = bands + " A line that stays level loses nothing as more wait."
	}
	return c
}

func (p *page) grants() *rows {
	return p.pairs(rows{
		ID: "grant", Title: "From a release to the next grant: lower is better",
		Note:   "Filled mark: p50; hollow: p99; bar behind a mark: lowest to highest round.",
		Values: "p50 · p99",
	}, p.hot, func(v []float64) axis {
		return logAxis("release → next grant (log)", tickSeconds, v, across)
	}, seconds, grant(0.5), grant(0.99))
}

func (p *page) jains() *rows {
	return p.pairs(rows{
		ID: "jain", Title: "Jain's index over the contenders: higher is better",
		Note:   "1: all got as many holds; 1/n: one of n got them all. Bar behind the mark: lowest to highest round.",
		Values: "median",
	}, p.hot, func([]float64) axis { return linearAxis("Jain's index, 0 to 1", plain, []float64{1}) }, index, jain)
}

// processes is fairness of another kind: handoffs favour the process that has the
// lease, and must not starve the others.
func (p *page) processes() *chart {
	c := p.curves("jain-processes", bench.Processes, "Jain's index over the processes: higher is better",
		func(r *bench.Run) (float64, bool) { return r.JainProcesses, r.JainProcesses > 0 },
		"processes on one key", "Jain's index, 0 to 1", index, plain)
	if c != nil {
		c.Y = linearAxis(c.Y.Label, plain, []float64{1})
		c.Note = "1: every process got as many holds as the others."
	}
	return c
}

func (p *page) commands() *rows {
	return p.pairs(rows{
		ID: "commands-rows", Title: "Requests and commands per hold: lower is better",
		Note:   "Filled mark: requests that travelled to the server; hollow: commands that it ran, those inside scripts too. Below 1: several holds under one lease.",
		Values: "requests · commands",
	}, p.hot, func(v []float64) axis { return logAxis("per hold (log)", roundCount, v, across) }, count, sent, executed)
}

func (p *page) scaling() (out []any) {
	for _, e := range []struct{ experiment, against, x string }{
		{bench.Contenders, "contenders", "contenders on one key (log)"},
		{bench.Keys, "keys", "keys (log)"},
		{bench.Processes, "processes", "processes on one key"},
		{bench.Readers, "goroutines, 90 % of the holds shared", "goroutines on one key (log)"},
		{bench.Slots, "slots for 64 goroutines", "slots of one key (log)"},
		{bench.RoundTrips, "round trip", "round trip added by a proxy"},
	} {
		c := p.curves("cost-"+e.experiment, e.experiment, "Cost per hold against "+e.against+": lower is better", cost, e.x, "time for each one (log)", seconds, tickSeconds)
		if c != nil {
			c.Small = true
			out = append(out, c)
		}
	}
	return out
}

func (p *page) planned() (out []any) {
	if xs := p.xs(bench.OpenLoop); len(xs) == 1 { // no curve
		return []any{p.pairs(rows{
			ID: "planned", Title: "Wait at " + count(xs[0]) + " planned holds per second: lower is better",
			Note:   "Filled mark: p50; hollow: p99; bar behind a mark: lowest to highest round.",
			Values: "p50 · p99",
		}, func(name string) []*bench.Run { return p.rounds(bench.OpenLoop, name, xs[0]) },
			func(v []float64) axis { return logAxis("wait (log)", tickSeconds, v, across) }, seconds, wait(0.5), wait(0.99))}
	}
	for _, q := range []struct {
		name string
		at   float64
	}{{"p50", 0.5}, {"p99", 0.99}} {
		c := p.curves("planned-"+q.name, bench.OpenLoop, "Wait ("+q.name+") against planned rate: lower is better", wait(q.at), "planned holds per second (log)", "wait (log)", seconds, tickSeconds)
		if c != nil {
			c.Small = true
			out = append(out, c)
		}
	}
	return out
}

// describe says a workload in words.
func describe(w *bench.Workload) string {
	parts := []string{plural(w.Goroutines, "goroutine")}
	if w.Processes > 1 {
		parts[0] = fmt.Sprintf("%s in each of %d processes", parts[0], w.Processes)
	}
	parts = append(parts, "on "+plural(w.Keys, "key"))
	if w.Shared > 0 {
		parts = append(parts, count(100*w.Shared)+" % of the holds shared")
	}
	if w.Slots > 0 {
		parts = append(parts, count(float64(w.Slots))+" at a time")
	}
	if w.Zipf > 0 {
		parts = append(parts, fmt.Sprintf("(Zipf, s = %g)", w.Zipf))
	}
	words := strings.Join(parts, " ")
	more := []string{"an empty section"}
	if w.Hold > 0 {
		more[0] = "held for " + tickSeconds(w.Hold.Seconds())
	}
	if w.Think > 0 {
		more = append(more, tickSeconds(w.Think.Seconds())+" between holds")
	}
	if w.Rate > 0 {
		more = append(more, fmt.Sprintf("%s holds/s planned (open loop)", count(w.Rate)))
	} else {
		more = append(more, "closed loop")
	}
	if w.RoundTrip > 0 {
		more = append(more, tickSeconds(w.RoundTrip.Seconds())+" added to the round trip")
	}
	return words + ", " + strings.Join(more, ", ") + ", " + tickSeconds(w.Duration.Seconds()) + " a run"
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return count(float64(n)) + " " + what + "s"
}
