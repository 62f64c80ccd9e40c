package strategies

import (
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/bench"
)

// measure has the driver run a strategy for a moment on one key, with two
// contenders: of many, each would wait for its second on a seed that was locked when
// it looked last. A moment without a hold, which a machine with other things to do
// can have, is followed by a longer one.
func measure(t *testing.T, s bench.Strategy, processes int, stay time.Duration) (m bench.Measured) {
	t.Helper()
	for d := 40 * time.Millisecond; m.Run.Holds == 0 && len(m.Failures) == 0 && d < 2*time.Second; d *= 2 {
		m = measureFor(t, s, processes, stay, d)
	}
	return m
}

func measureFor(t *testing.T, s bench.Strategy, processes int, stay, d time.Duration) bench.Measured {
	t.Helper()
	m := bench.New(bench.Setup{}).Measure(t.Context(), bench.Case{
		Strategy: s, Experiment: bench.Custom, Round: 1,
		Workload: bench.Workload{
			Name: "a moment", Goroutines: 2 / processes, Processes: processes, Keys: 1, Hold: stay,
			Warmup: 10 * time.Millisecond, Duration: d,
		},
	})
	r := m.Run
	t.Logf("%d processes: %.0f holds a second, Jain %.3f, wait p50 %.6f", processes, r.Rate, r.Jain, r.Wait.At(0.5))
	return m
}

// TestTheDriverRunsEach as it is, its pauses included, within a process and over two.
func TestTheDriverRunsEach(t *testing.T) {
	list := Default()
	for _, dir := range []string{"testdata/setnx", "testdata/queue"} {
		list = append(list, fromScripts(t, dir)...)
	}
	for _, s := range list {
		t.Run(s.Name(), func(t *testing.T) {
			t.Parallel()
			processes := []int{1, 2}
			if place := s.Describe().Place; place == bench.PlaceProcess || place == bench.PlaceEmbedded {
				processes = processes[:1]
			}
			for _, n := range processes {
				if m := measure(t, s, n, 0); len(m.Failures) > 0 || m.Run.Holds == 0 {
					t.Errorf("%d processes: %d holds, %v", n, m.Run.Holds, m.Failures)
				}
			}
		})
	}
}

// TestTheDriverFindsWhatDoesNotExclude.
func TestTheDriverFindsWhatDoesNotExclude(t *testing.T) {
	open, err := Named([]string{"turnstile-open"})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range append(open, fromScripts(t, "testdata/broken")...) {
		t.Run(s.Name(), func(t *testing.T) {
			t.Parallel()
			// Whoever stays for a while is met by the other one, on any machine.
			m := measure(t, s, 1, 5*time.Millisecond)
			if m.Run.Overlaps == 0 || len(m.Failures) == 0 || m.Failures[0].Kind != "overlap" {
				t.Errorf("%d overlaps, %v", m.Run.Overlaps, m.Failures)
			}
		})
	}
}
