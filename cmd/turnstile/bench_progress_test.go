package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/bench"
	"github.com/turnstile-go/turnstile/bench/strategies"
)

// While a long run lasts, the estimate counts down; it never falls below the time of
// the later runs.
func TestTheTimeLeftMovesWhileARunLasts(t *testing.T) {
	begin := time.Now()
	m := moment{bench.Step{
		Next: bench.Case{Strategy: strategies.All()[0], Experiment: bench.Custom}, Remaining: time.Minute, After: 40 * time.Second,
	}, begin}
	for after, want := range map[time.Duration]string{
		0: "about 1m0s left", 5 * time.Second: "about 55s left", 20 * time.Second: "about 40s left", time.Minute: "about 40s left",
	} {
		if got := words(m, begin.Add(after)); !strings.HasPrefix(got, want) {
			t.Errorf("after %v: %q, want %q", after, got, want)
		}
	}
}

// planOf is a plan of 10 runs of a second each.
func planOf() bench.Plan {
	w := bench.Workload{Name: bench.Custom, Goroutines: 1, Processes: 1, Keys: 1, Duration: time.Second}
	return bench.Plan{Strategies: strategies.All()[:1], Rounds: 10,
		Experiments: []bench.Experiment{{Name: bench.Custom, Points: []bench.Point{{Workload: w}}}}}
}

func TestABoundThatWontBeKeptIsSaidOnce(t *testing.T) {
	plan := planOf()
	for _, row := range []struct {
		name                    string
		within, passed, remains time.Duration
		want                    string
	}{
		{"none", 0, 0, time.Hour, ""},
		{"kept", time.Minute, 0, 50 * time.Second, ""},
		{"at the begin", 2 * time.Second, 0, 10 * time.Second, "that is more than --within 2s"},
		{"later", 20 * time.Second, 0, 40 * time.Second, "--within 20s won't be kept: it takes about 40s in all"},
		{"by the time that has passed", 20 * time.Minute, 30 * time.Minute, 10 * time.Minute, "--within 20m0s won't be kept: it takes about 40m0s in all"},
		{"after the last run", 20 * time.Minute, 30 * time.Minute, 0, ""},
	} {
		var out bytes.Buffer
		p := startProgress(settings{stdout: &out, stderr: &out}, plan, row.within)
		p.began = p.began.Add(-row.passed)
		step := bench.Step{Total: 10, Remaining: row.remains}
		if row.remains > 0 {
			step.Next = plan.Cases()[0]
		}
		for range 3 {
			p.step(step)
		}
		p.end()
		if n := strings.Count(out.String(), "--within"); !strings.Contains(out.String(), row.want) || n != min(len(row.want), 1) {
			t.Errorf("%s: said %d times, want %q once: %s", row.name, n, row.want, &out)
		}
	}
	for _, within := range []time.Duration{time.Second, time.Minute} { // late at the begin, and later
		var out bytes.Buffer
		p := startProgress(settings{stdout: &out, stderr: &out, quiet: true}, plan, within)
		p.step(bench.Step{Total: 10, Next: plan.Cases()[0], Remaining: time.Hour})
		if p.end(); out.Len() > 0 {
			t.Errorf("with -q and --within %v: %s", within, &out)
		}
	}
}
