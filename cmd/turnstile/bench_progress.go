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
	now   atomic.Pointer[moment] // read by the goroutine that draws the bar
	point string                 // the last one that was printed

	began  time.Time
	within time.Duration // bound of the plan's duration; 0: none
}

// A moment is a step, and when it was made.
type moment struct {
	bench.Step
	at time.Time
}

func startProgress(s settings, plan bench.Plan, within time.Duration) *progress {
	cases := plan.Cases()
	s.say("%s; %s of %s", roughly(plan.Estimate()), plural(len(cases), "run", "runs"), plural(len(plan.Strategies), "strategy", "strategies"))
	p := &progress{w: s.stderr, quiet: s.quiet, began: time.Now(), within: within}
	p.now.Store(&moment{at: time.Now()})
	if within > 0 && late(plan.Estimate(), within) {
		s.say("that is more than --within %s: with the shortest runs it takes so long; --short, or fewer --strategies or --experiments, take less", readable(within))
		p.within = 0 // said
	}
	if f := terminalOf(s.stderr); f != nil && !s.quiet {
		p.bars = mpb.New(mpb.WithOutput(f), mpb.WithWidth(30), mpb.WithRefreshRate(progressEvery))
		p.bar = p.bars.AddBar(int64(len(cases)),
			mpb.BarRemoveOnComplete(),
			mpb.PrependDecorators(decor.CountersNoUnit("%d/%d runs")),
			mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return words(*p.now.Load(), time.Now()) })))
		p.w = p.bars
	}
	return p
}

// words name the current measurement and the time left. While a run lasts that time
// counts down, but not below the time of the runs after it.
func words(m moment, now time.Time) string {
	if m.Next.Strategy == nil {
		return ""
	}
	left := max(m.After, m.Remaining-now.Sub(m.at))
	return fmt.Sprintf("%s left: %s, %s", roughly(left), pointOf(m.Next), m.Next.Strategy.Name())
}

// late reports whether d is clearly longer than within: an estimate is not exact.
func late(d, within time.Duration) bool { return d > within+within/10+time.Second }

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
	p.now.Store(&moment{s, time.Now()})
	if took := time.Since(p.began); p.within > 0 && s.Next.Strategy != nil && late(took+s.Remaining, p.within) {
		if !p.quiet {
			fmt.Fprintf(p.w, "turnstile: --within %s won't be kept: it takes %s in all, since runs take longer here than planned\n", readable(p.within), roughly(took+s.Remaining))
		}
		p.within = 0 // once
	}
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
