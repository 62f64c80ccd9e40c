package bench

import (
	"fmt"
	"io"
	"runtime"
	"strconv"
	"strings"
)

// WriteGobench writes the runs in the format of Go's benchmarks, a line each, so
// that benchstat can compare reports: its keys are strategy, and the experiment's
// name for x. ns/op is the time a hold took, over all contenders.
func (r *Report) WriteGobench(w io.Writer) error {
	var text strings.Builder
	goos, goarch, _ := strings.Cut(r.Environment.Platform, "/")
	fmt.Fprintf(&text, "goos: %s\ngoarch: %s\npkg: github.com/turnstile-go/turnstile/bench\n", goos, goarch)
	if r.Environment.CPU != "" {
		fmt.Fprintf(&text, "cpu: %s\n", r.Environment.CPU)
	}
	cpus := r.Environment.CPUs
	if cpus == 0 {
		cpus = runtime.GOMAXPROCS(0)
	}
	for i := range r.Runs {
		r.Runs[i].gobench(&text, cpus)
	}
	if _, err := io.WriteString(w, text.String()); err != nil {
		return fmt.Errorf("bench: gobench: %w", err)
	}
	return nil
}

// gobench leaves out a run without a hold or a recovery: benchstat would take it
// for one that took no time.
func (r *Run) gobench(text *strings.Builder, cpus int) {
	n, each := r.Holds, 0.0
	switch {
	case r.Holds > 0 && r.Rate > 0:
		each = 1e9 / r.Rate
	case len(r.Recovery) > 0:
		n, each = uint64(len(r.Recovery)), SpreadOf(r.Recovery).Median*1e9
	default:
		return
	}
	fmt.Fprintf(text, "BenchmarkHold/strategy=%s/%s=%s", word(r.Strategy), word(r.Experiment), figure(r.X))
	if cpus > 1 { // as Go's own does
		fmt.Fprintf(text, "-%d", cpus)
	}
	fmt.Fprintf(text, "\t%8d\t%s ns/op", n, figure(each))
	for _, c := range columns() {
		v, ok := c.of(r)
		if !ok {
			continue
		}
		if c.time {
			v *= 1e9
		}
		fmt.Fprintf(text, "\t%s %s", figure(v), c.unit)
	}
	text.WriteByte('\n')
}

// figure has no exponent, which not every reader of the format takes.
func figure(v float64) string {
	s := strconv.FormatFloat(v, 'f', 6, 64)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

// word has nothing in it that the format or benchstat's keys are cut at.
func word(s string) string {
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r == '/' || r == '=' {
			return '_'
		}
		return r
	}, s)
}
