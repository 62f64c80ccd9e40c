package bench

import (
	"strings"
	"testing"
	"time"
)

// threeRounds is a small report that was thought up.
func threeRounds() *Report {
	one, two := 1.0, 2.5
	r := &Report{
		Version: FormatVersion, Environment: Environment{Platform: "linux/amd64", CPU: "A CPU", CPUs: 2},
		Strategies: []Listed{{Name: "ours"}, {Name: "their lock"}},
	}
	wait := Distribution{Count: 10, Max: 0.003, Quantiles: []Quantile{{0, 1e-6}, {0.5, 2e-6}, {0.9, 1e-3}, {1, 0.003}}}
	for round, rate := range []float64{1000, 4000, 2000} {
		w := Workload{Goroutines: 64, Keys: 1}
		r.Runs = append(r.Runs,
			Run{Strategy: "their lock", Experiment: Contenders, X: 64, Round: round + 1, Workload: w, Holds: 100, Rate: rate / 10, Jain: 0.5, Wait: wait, Stranded: 3},
			Run{Strategy: "ours", Experiment: Contenders, X: 64, Round: round + 1, Workload: w, Holds: 1000, Rate: rate, Jain: 1, Wait: wait, Sent: &one, Executed: &two})
	}
	r.Runs = append(r.Runs,
		Run{Strategy: "ours", Experiment: Recovery, X: 2, Round: 1, Workload: Workload{Goroutines: 16, Processes: 2, Keys: 1}, Recovery: []float64{1, 3}},
		Run{Strategy: "their lock", Experiment: Recovery, X: 2, Round: 1, Workload: Workload{Goroutines: 16, Processes: 2, Keys: 1}})
	r.Failures = []Failure{{"their lock", Contenders, 64, 2, kindOverlap, "it happened"}}
	return r
}

func lines(text string) map[string]bool {
	all := map[string]bool{}
	for line := range strings.Lines(text) {
		all[strings.Join(strings.Fields(line), " ")] = true
	}
	return all
}

func TestTheTableHasMediansAndSpans(t *testing.T) {
	var text strings.Builder
	if err := threeRounds().WriteTable(&text); err != nil {
		t.Fatal(err)
	}
	got := lines(text.String())
	for _, want := range []string{
		"FAILED: their lock, contenders 64, round 2: overlap: it happened",
		"contenders 64: 64 goroutines, 1 key, 3 rounds",
		"holds/s p50 wait p99 wait max wait stranded Jain sent/hold run/hold",
		// p99 lies nine tenths of the way from 1 ms to 3 ms.
		"ours 2000 (1000–4000) 2µs 2.8ms (2.8ms–2.8ms) 3ms - 1 1 2.50",
		"their lock 200 (100–400) 2µs 2.8ms (2.8ms–2.8ms) 3ms 3 0.500 - -",
		"recovery 2: 2 processes of 16 goroutines, 1 key, 1 round",
		"ours 2s", "their lock -",
	} {
		if !got[want] {
			t.Errorf("no line %q in\n%s", want, text.String())
		}
	}
	if strings.Index(text.String(), "FAILED") != 0 {
		t.Error("failures do not stand first")
	}
}

func TestBenchstatCanReadTheRuns(t *testing.T) {
	var text strings.Builder
	if err := threeRounds().WriteGobench(&text); err != nil {
		t.Fatal(err)
	}
	got := lines(text.String())
	for _, want := range []string{
		"goos: linux", "goarch: amd64", "cpu: A CPU",
		"BenchmarkHold/strategy=ours/contenders=64-2 1000 250000 ns/op 4000 holds/s 2000 p50-wait-ns 2800000 p99-wait-ns 3000000 max-wait-ns 1 jain 1 requests/hold 2.5 commands/hold",
		"BenchmarkHold/strategy=their_lock/contenders=64-2 100 10000000 ns/op 100 holds/s 2000 p50-wait-ns 2800000 p99-wait-ns 3000000 max-wait-ns 3 stranded 0.5 jain",
		"BenchmarkHold/strategy=ours/recovery=2-2 2 2000000000 ns/op 2000000000 recovery-ns",
	} {
		if !got[want] {
			t.Errorf("no line %q in\n%s", want, text.String())
		}
	}
	if n := strings.Count(text.String(), "Benchmark"); n != 7 {
		t.Errorf("%d lines: 6 runs and one recovery have figures", n)
	}
}

func TestQuantilesGoAsFarAsTheCountsDo(t *testing.T) {
	h := newTimes()
	for i := range 1000 {
		keep(h, int64(i+1)*int64(time.Microsecond))
	}
	d := distribution(h)
	last := d.Quantiles[len(d.Quantiles)-2]
	if last.Q != 0.999 || d.Quantiles[len(d.Quantiles)-1].Q != 1 {
		t.Errorf("of 1000 values the last quantiles are %v", d.Quantiles[len(d.Quantiles)-2:])
	}
	for _, q := range []float64{0.1, 0.5, 0.9, 0.99} {
		if got, want := d.At(q), q*1e-3; got < want*0.98 || got > want*1.02 {
			t.Errorf("quantile %v is %v, want %v", q, got, want)
		}
	}
	if got := distribution(newTimes()); got.Count != 0 || got.At(0.5) != 0 {
		t.Errorf("of nothing: %+v", got)
	}
}

func TestJain(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{{[]float64{3, 3, 3}, 1}, {[]float64{5, 0, 0, 0}, 0.25}, {[]float64{1, 2}, 0.9}, {nil, 0}, {[]float64{0}, 0}} {
		if got := jain(c.values); got != c.want {
			t.Errorf("%v: %v, want %v", c.values, got, c.want)
		}
	}
}

func TestSpread(t *testing.T) {
	if got := SpreadOf([]float64{4, 1, 2}); got != (Spread{2, 1, 4, 3}) {
		t.Error(got)
	}
	if got := SpreadOf([]float64{4, 1, 2, 10}); got != (Spread{3, 1, 10, 4}) {
		t.Error(got)
	}
}
