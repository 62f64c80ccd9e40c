package report

import (
	"fmt"
	"slices"
	"time"

	"github.com/turnstile-go/turnstile/bench"
)

// mostCurves is how many lines a chart shows before the reader asks for more: more
// of them would lie on one another.
const mostCurves = 8

// setAside picks the strategies that the curves show first. For each place these are
// ours with its defaults and the fastest rival, then the next fastest ones. The
// others are a tap away, and are in every table.
func (p *page) setAside() {
	if len(p.Looks) <= mostCurves {
		return
	}
	var first, rivals []*look
	seen := map[string]bool{}
	for _, l := range p.Looks {
		switch {
		case l.Group != 0:
			rivals = append(rivals, l)
		case !seen[l.Place] && !l.Unsafe:
			seen[l.Place] = true
			first = append(first, l)
		}
	}
	speed := func(l *look) float64 {
		s, _ := over(p.hot(l.Name), rate)
		return s.Mid
	}
	slices.SortStableFunc(rivals, func(a, b *look) int {
		switch fast, slow := speed(a), speed(b); {
		case fast > slow:
			return -1
		case fast < slow:
			return 1
		}
		return 0
	})
	met := map[string]bool{}
	var next []*look
	for _, l := range rivals {
		if met[l.Place] {
			next = append(next, l)
			continue
		}
		met[l.Place] = true
		first = append(first, l)
	}
	shown := append(first, next...)
	for _, l := range p.Looks {
		l.Aside = !slices.Contains(shown[:min(mostCurves, len(shown))], l)
	}
}

// Aside is how many strategies the curves leave out at first.
func (p *page) Aside() (n int) {
	for _, l := range p.Looks {
		if l.Aside {
			n++
		}
	}
	return n
}

// Checked lists the checks made on all holds, if they found nothing: a page without
// failures must not look like one on which nobody searched for any.
func (p *page) Checked() string {
	if len(p.Failures) > 0 || len(p.Runs) == 0 {
		return ""
	}
	var holds uint64
	for i := range p.Runs {
		holds += p.Runs[i].Holds
	}
	return fmt.Sprintf("%s holds were checked: no two of one key overlapped where the strategy excludes, no fence went back, and no waiter was forgotten.", count(float64(holds)))
}

// A figure may be quoted if it has enough rounds for their spread to show the noise,
// and if each round is too long for one pause of the machine to decide it.
const (
	fewestRounds = 3
	shortestRun  = 400 * time.Millisecond
)

// Cautions say why the figures are rough.
func (p *page) Cautions() (out []string) {
	if len(p.Runs) == 0 {
		return nil
	}
	rounds, shortest := 0, time.Duration(1<<62)
	for i := range p.Runs {
		if run := &p.Runs[i]; run.Experiment != bench.Recovery { // Recovery has a given number of kills, not a duration
			rounds, shortest = max(rounds, run.Round), min(shortest, run.Workload.Duration)
		}
	}
	if rounds > 0 && rounds < fewestRounds {
		out = append(out, fmt.Sprintf("%s: nothing shows how far two rounds would differ. Measure with --repeat 3 or more before you quote a figure.", plural(rounds, "round")))
	}
	if rounds > 0 && shortest < shortestRun {
		out = append(out, fmt.Sprintf("The shortest runs took %s: one pause of the machine can decide them. Measure with --duration 1s or more before you quote a figure.", tickSeconds(shortest.Seconds())))
	}
	return out
}
