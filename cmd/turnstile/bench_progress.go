package main

import (
	"fmt"
	"io"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/turnstile-go/turnstile/bench"
)

// progressEvery is how often the bar is drawn. It is drawn while something is
// measured beside it, so it is not drawn more often than a person needs.
const progressEvery = 500 * time.Millisecond

// A progress tells on stderr how far a plan has come: a bar on a terminal, a line a
// point of an experiment elsewhere, nothing with -q.
type progress struct {
	w     io.Writer // where lines go, above the bar if there is one
	quiet bool
	bars  *mpb.Progress // nil without a terminal
	bar   *mpb.Bar
	now   atomic.Pointer[bench.Step] // read by what draws the bar
	point string                     // that was told last
}

func startProgress(s settings, plan bench.Plan) *progress {
	cases := plan.Cases()
	s.say("%s; %s of %s", roughly(plan.Estimate()), plural(len(cases), "run", "runs"), plural(len(plan.Strategies), "strategy", "strategies"))
	p := &progress{w: s.stderr, quiet: s.quiet}
	p.now.Store(&bench.Step{})
	if f := terminalOf(s.stderr); f != nil && !s.quiet {
		p.bars = mpb.New(mpb.WithOutput(f), mpb.WithWidth(30), mpb.WithRefreshRate(progressEvery))
		p.bar = p.bars.AddBar(int64(len(cases)),
			mpb.BarRemoveOnComplete(),
			mpb.PrependDecorators(decor.CountersNoUnit("%d/%d runs")),
			mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return words(*p.now.Load()) })))
		p.w = p.bars
	}
	return p
}

// words are what is being measured, and how long the rest takes.
func words(s bench.Step) string {
	if s.Next.Strategy == nil {
		return ""
	}
	return fmt.Sprintf("%s left: %s, %s", roughly(s.Remaining), pointOf(s.Next), s.Next.Strategy.Name())
}

// pointOf names a point of an experiment; of one workload there is nothing to name.
func pointOf(c bench.Case) string {
	if c.Experiment == bench.Custom {
		return c.Experiment
	}
	return c.Experiment + " " + strconv.FormatFloat(c.X, 'g', -1, 64)
}

// step is called between runs, by the goroutine that measures.
func (p *progress) step(s bench.Step) {
	if s.Last != nil {
		for _, f := range s.Last.Failures {
			// At once: who sees it need not wait for the rest.
			fmt.Fprintf(p.w, "turnstile: FAILED: %s, %s, round %d: %s: %s\n", f.Strategy, f.Experiment, f.Round, f.Kind, mask(f.What))
		}
	}
	p.now.Store(&s)
	switch {
	case p.quiet:
	case p.bar != nil:
		p.bar.SetCurrent(int64(s.Done))
	case s.Next.Strategy != nil:
		point := fmt.Sprintf("%s, round %d", pointOf(s.Next), s.Next.Round)
		if point != p.point {
			fmt.Fprintf(p.w, "turnstile: %d/%d: %s (%s left)\n", s.Done, s.Total, point, roughly(s.Remaining))
		}
		p.point = point
	}
}

// end takes the bar away, so that the table stands alone.
func (p *progress) end() {
	if p.bar == nil {
		return
	}
	p.bar.Abort(true)
	p.bars.Wait()
}

// roughly is an estimate, to the precision that it has.
func roughly(d time.Duration) string {
	to := time.Second
	if d >= 10*time.Minute {
		to = time.Minute
	}
	return "about " + readable(d.Round(to))
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}
