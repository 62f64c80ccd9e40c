package main

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/turnstile-go/turnstile/bench"
)

// made is a report of three rounds on one hot key. The best peer is each round's own:
// 300/30, 500/20, 400/99; in waits 1/4, 1/2, 1/4.
func made() *bench.Report {
	r := &bench.Report{Version: bench.FormatVersion}
	for _, name := range []string{channel, ours, "redislock", "rueidislock", ceiling{}.Name()} {
		r.Strategies = append(r.Strategies, bench.Listed{Name: name})
	}
	add := func(round int, strategy string, rate, p99 float64) {
		run := bench.Run{Experiment: bench.Contenders, X: 64, Round: round, Strategy: strategy, Holds: 1, Rate: rate}
		if p99 > 0 {
			run.Wait = bench.Distribution{Count: 1, Quantiles: []bench.Quantile{{Q: 1, V: p99}}}
		}
		r.Runs = append(r.Runs, run)
	}
	add(1, ours, 300, 1)
	add(1, "redislock", 10, 5)
	add(1, "rueidislock", 30, 4)
	add(1, channel, 600, 0)
	add(1, "etcd", 10_000, 0.001) // no rival on Redis
	add(2, ours, 500, 1)
	add(2, "redislock", 10, 8)
	add(2, "rueidislock", 20, 2)
	add(3, ours, 400, 1)
	add(3, "redislock", 99, 0)
	add(3, "rueidislock", 20, 4)
	r.Runs = append(r.Runs, bench.Run{Experiment: bench.Contenders, X: 8, Round: 1, Strategy: ours, Holds: 1, Rate: 1})
	return r
}

func TestJudge(t *testing.T) {
	rounds := figuresOf(made(), rows()[0])
	if len(rounds) != 3 {
		t.Fatalf("%d rounds", len(rounds))
	}
	for name, c := range map[string]struct {
		r      reach
		median float64
		best   string
		met    bool
	}{
		"fast enough":          {reach{ours, rate, 10, bestPeer}, 10, "rueidislock", true},
		"not fast enough":      {reach{ours, rate, 10.1, bestPeer}, 10, "rueidislock", false},
		"short enough":         {reach{ours, waitP99, 0.25, bestPeer}, 0.25, "rueidislock", true},
		"too long":             {reach{ours, waitP99, 0.2, bestPeer}, 0.25, "rueidislock", false},
		"without a rival":      {reach{ours, rate, 400, ""}, 400, "", true},
		"against one by name":  {reach{ours, rate, 20, "rueidislock"}, 20, "rueidislock", true},
		"nothing was measured": {reach{lingering, waitP99, 1, ""}, 0, "", false},
		"nobody to compare":    {reach{ours, waitP99, 1, ceiling{}.Name()}, 0, "", false},
		"a round lacks a peer": {reach{ours, waitP99, 1, "redislock"}, (0.2 + 0.125) / 2, "redislock", true},
		"one round of three":   {reach{ours, rate, 0.5, channel}, 0.5, channel, true},
	} {
		got := c.r.judge(rounds)
		if math.Abs(got.Median-c.median) > 1e-9 || got.best != c.best || got.met() != c.met {
			t.Errorf("%s: %+v, want median %v, best %q, met %v", name, got, c.median, c.best, c.met)
		}
	}
}

func TestARunThatFailedIsNotJudged(t *testing.T) {
	r := made()
	r.Failures = []bench.Failure{{Strategy: "rueidislock", Experiment: bench.Contenders, X: 64, Round: 2, Kind: "overlap"}}
	rounds := figuresOf(r, rows()[0])
	if rounds[1]["rueidislock"] != nil || rounds[0]["rueidislock"] == nil || rounds[1][ours] == nil {
		t.Errorf("rounds %v", rounds)
	}
	// 300/30, 500/10, 400/99.
	if got := (reach{ours, rate, 10, bestPeer}).judge(rounds); got.Median != 10 || got.Max != 50 {
		t.Errorf("%+v", got)
	}
}

func TestVerdictsAreWritten(t *testing.T) {
	var out strings.Builder
	if err := writeVerdicts(&out, made()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"hot: 64 goroutines",
		"short turnstile-redis, holds/s ÷ best peer (rueidislock): 10 × (rounds 4.04 × to 25 ×), to reach ≥ 100 ×\n",
		"met   turnstile-redis, holds/s ÷ channel: 0.500 × (rounds 0.500 × to 0.500 ×), to reach ≥ 0.500 ×\n",
		"none  turnstile-redis, requests/hold: 0 (rounds 0 to 0), to reach ≤ 0.0100\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
	if strings.Contains(out.String(), "keys64") {
		t.Errorf("a row that was not measured:\n%s", &out)
	}
}

func TestTheReadmesTablesComeFromTheJSON(t *testing.T) {
	path := filepath.Join(t.TempDir(), "report.json")
	write := func(r *bench.Report) {
		var text bytes.Buffer
		if err := r.Write(&text); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, text.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(made())
	var out, errs strings.Builder
	if err := run(t.Context(), []string{"-markdown", path}, &out, &errs); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"|  |  | channel | turnstile-redis | redislock | rueidislock |\n| --- | --- | --: | --: | --: | --: |\n",
		"| 64 goroutines, one key, one process | holds/s | 600 | 400 | 10 | 20 |\n|  | p99 wait |  | 1s | 6.5s | 4s |\n",
		"| 64 goroutines, one key, one process | turnstile-redis, holds/s ÷ best peer (rueidislock) | 10 × | 4.04 × – 25 × | ≥ 100 × | short |\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
	spoilt := made()
	spoilt.Failures = []bench.Failure{{Strategy: "redislock", Kind: "overlap"}}
	write(spoilt)
	if err := run(t.Context(), []string{"-markdown", path}, &out, &errs); err == nil {
		t.Error("a report with an overlap was shown")
	}
}

func TestFiguresAreWritten(t *testing.T) {
	for _, c := range []struct {
		column column
		value  float64
		want   string
	}{
		{rate, 123456.7, "123 457"}, {rate, 1234567, "1 234 567"}, {rate, 12.345, "12.3"}, {rate, 999, "999"}, {jain, 0.98765, "0.988"},
		{requests, 0.001234, "0.00123"}, {requests, 0, "0"}, {waitP99, 0.0123456, "12.3ms"}, {waitP50, 45.678e-6, "45.7µs"}, {waitMax, 2, "2s"},
	} {
		if got := thousands(c.column.text(c.value)); got != c.want {
			t.Errorf("%s %v: %q, want %q", c.column.name, c.value, got, c.want)
		}
	}
}
