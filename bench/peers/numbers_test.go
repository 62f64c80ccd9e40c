package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/turnstile-go/turnstile/bench"
)

func TestNumbersMeasureWhatHasAGoal(t *testing.T) {
	for _, r := range judged(rows(), false) {
		if len(r.strategies) == 0 {
			t.Errorf("%s: nobody is left", r.name)
		}
		for _, s := range r.strategies {
			if s == "etcd" || s == "mutex" || s == "semaphore" {
				t.Errorf("%s measures %s, which no goal is about", r.name, s)
			}
		}
		for _, to := range r.reaches {
			if !slices.Contains(r.strategies, to.of) || to.against != "" && to.against != bestPeer && !slices.Contains(r.strategies, to.against) {
				t.Errorf("%s: a goal without its strategies: %+v", r.name, to)
			}
		}
	}
	for _, r := range judged(rows(), true) {
		if slices.ContainsFunc(r.strategies, func(s string) bool { return !strings.HasPrefix(s, "turnstile-") }) {
			t.Errorf("%s: %q with -own", r.name, r.strategies)
		}
	}
}

func TestNumbersStandBesideTheirRivalAndGoal(t *testing.T) {
	v := reach{ours, rate, 100, bestPeer}.judge(figuresOf(made(), rows()[0]))
	want := []string{"  turnstile-redis, holds/s", "400", "rueidislock", "30", "", "10 ×", "4.04 × to 25 ×", "≥ 100 ×", "short"}
	if got := v.line(); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	v = reach{ours, rate, 400, ""}.judge(figuresOf(made(), rows()[0]))
	want = []string{"  turnstile-redis, holds/s", "400", "", "", "", "", "300 to 500", "≥ 400", "met"}
	if got := v.line(); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// at is a report of one round with a rate and a processor time.
func at(rate, cpu float64) *bench.Report {
	return &bench.Report{Version: bench.FormatVersion, Runs: []bench.Run{{
		Experiment: bench.Contenders, X: 64, Round: 1, Strategy: ours, Holds: 1, Rate: rate, ClientCPU: &cpu,
	}}}
}

func TestAChangeIsOneOnWhichAllRoundsAgree(t *testing.T) {
	for name, c := range map[string]struct {
		before, now [3]float64
		rate, cpu   string
	}{
		"twice as fast":      {[3]float64{100, 110, 90}, [3]float64{200, 220, 180}, "better", "worse"},
		"half as fast":       {[3]float64{100, 110, 90}, [3]float64{50, 60, 40}, "worse", "better"},
		"rounds disagree":    {[3]float64{100, 100, 100}, [3]float64{200, 90, 180}, "–", "–"},
		"all, but by little": {[3]float64{100, 100, 100}, [3]float64{103, 104, 102}, "–", "–"},
	} {
		var measured [2][]*bench.Report
		for i := range c.before {
			measured[0] = append(measured[0], at(c.before[i], c.before[i]))
			measured[1] = append(measured[1], at(c.now[i], c.now[i]))
		}
		got := map[string]string{}
		for _, one := range changes(measured) {
			got[one.column.name] = one.verdict()
		}
		if len(got) != 2 || got[rate.name] != c.rate || got[clientCPU.name] != c.cpu {
			t.Errorf("%s: %q, want %q for the rate and %q for the time", name, got, c.rate, c.cpu)
		}
	}
}

// This revision's bench has to drive the base's product, or we would compare two
// benches.
func TestTheBaseIsLaidUnderThisBench(t *testing.T) {
	tree := filepath.Join(t.TempDir(), "tree")
	if err := lay(t.Context(), "no-such-revision", tree, os.Stderr); err == nil {
		t.Error("a revision that is not there was laid out")
	}
	tree += "2"
	if err := lay(t.Context(), "HEAD", tree, os.Stderr); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"bench/peers/base.go", "bench/cost.go", "lockclient/client.go"} {
		mine, err := os.ReadFile(filepath.Join("..", "..", file))
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := os.ReadFile(filepath.Join(tree, file))
		if err != nil || strings.HasPrefix(file, "bench/") && string(theirs) != string(mine) {
			t.Errorf("%s is not this tree's: %v", file, err)
		}
	}
}

func TestMemoryIsMeasured(t *testing.T) {
	for name, f := range footprints {
		before := inUse()
		release, err := f.fill(500)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if taken := int64(inUse()) - int64(before); taken < 500*256 {
			t.Errorf("%s: 500 of them take %d bytes: something was not kept", name, taken)
		}
		release()
	}
	if err := printMemory("nonsense", os.Stdout); err == nil {
		t.Error("nonsense was measured")
	}
}

func TestNumbersHaveFlagsOfTheirOwn(t *testing.T) {
	o, err := parse([]string{"-numbers", "-rounds", "2"}, os.Stderr)
	if err != nil || o.rounds != 2 || o.duration != numbersDuration || o.warmup != numbersWarmup || o.experiments != "" {
		t.Errorf("%+v, %v", o, err)
	}
	if _, err := parse([]string{"-base", "HEAD"}, os.Stderr); err == nil {
		t.Error("-base was taken without -numbers")
	}
}
