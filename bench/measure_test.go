package bench

import (
	"context"
	"errors"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// oneKey is 16 contenders on one key, for a short while.
func oneKey() Workload {
	return Workload{Name: "one key", Goroutines: 16, Keys: 1, Warmup: 20 * time.Millisecond, Duration: 150 * time.Millisecond}
}

func measure(t *testing.T, strategy string, w Workload) Measured {
	t.Helper()
	m := New(Setup{}).Measure(t.Context(), Case{Strategy: strategyNamed(strategy), Experiment: Custom, Workload: w})
	t.Logf("%s: %d holds in %.3f s, wait p50 %.9f max %.6f, Jain %.3f, %d overlaps, failures %v",
		strategy, m.Run.Holds, m.Run.Elapsed, m.Run.Wait.At(0.5), m.Run.Wait.Max, m.Run.Jain, m.Run.Overlaps, m.Failures)
	return m
}

// measureUntil measures longer and longer, until enough accepts the run: on a busy
// machine a short one may have had hardly a hold. The longest takes a minute, and
// the test judges it in any case.
func measureUntil(t *testing.T, strategy string, w Workload, enough func(Measured) bool) Measured {
	t.Helper()
	for {
		m := measure(t, strategy, w)
		if enough(m) || w.Duration >= time.Minute {
			return m
		}
		w.Duration *= 4
	}
}

func kinds(m Measured) []string {
	var kinds []string
	for _, f := range m.Failures {
		kinds = append(kinds, f.Kind)
	}
	return kinds
}

func TestARightStrategyPasses(t *testing.T) {
	for _, name := range []string{"channel", "file", "fences"} {
		m := measure(t, name, oneKey())
		if len(m.Failures) > 0 {
			t.Errorf("%s: %v", name, m.Failures)
		}
		if m.Run.Holds == 0 || m.Run.Rate == 0 || m.Run.Wait.Count == 0 || len(m.Run.PerContender) != 16 {
			t.Errorf("%s: nothing was measured: %+v", name, m.Run)
		}
	}
}

func TestALockThatDoesNotExcludeIsFoundOut(t *testing.T) {
	m := measure(t, "nothing", oneKey())
	if m.Run.Overlaps == 0 || !slices.Contains(kinds(m), kindOverlap) {
		t.Errorf("%d overlaps, failures %v", m.Run.Overlaps, m.Failures)
	}
	w := oneKey()
	w.Goroutines, w.Processes = 1, 2
	m = measureUntil(t, "nothing, processes", w, func(m Measured) bool { return m.Run.Overlaps > 0 })
	if m.Run.Overlaps == 0 || !slices.Contains(kinds(m), kindOverlap) {
		t.Errorf("across processes: %d overlaps, failures %v", m.Run.Overlaps, m.Failures)
	}
	m = measureUntil(t, "file", w, func(m Measured) bool { return m.Run.JainProcesses >= 0.5 })
	if len(m.Failures) > 0 || m.Run.JainProcesses < 0.5 {
		t.Errorf("file across processes: Jain %v, failures %v", m.Run.JainProcesses, m.Failures)
	}
}

func TestFencesOutOfOrderAreFoundOut(t *testing.T) {
	m := measure(t, "backwards", oneKey())
	if !slices.Equal(kinds(m), []string{kindFence}) {
		t.Errorf("failures %v", m.Failures)
	}
}

func TestAnErrorEndsTheRunAndIsTold(t *testing.T) {
	w := oneKey()
	w.Duration = time.Minute // which it doesn't take
	m := measure(t, "failing", w)
	if !slices.Equal(kinds(m), []string{kindError}) || !strings.Contains(m.Failures[0].What, "it broke") {
		t.Errorf("failures %v", m.Failures)
	}
}

// A yard is three holds in two seconds, and no lock.
type yard struct{ testStrategy }

func (yard) Work(_ context.Context, at Place, w Workload) (uint64, time.Duration, error) {
	if at.Run == "" || w.Goroutines != 16 {
		return 0, 0, errors.New("it has no place, or no workload")
	}
	return 3, 2 * time.Second, nil
}

func TestAYardstickRunsByItself(t *testing.T) {
	m := New(Setup{}).Measure(t.Context(), Case{Strategy: yard{testStrategy{name: "yard", place: PlaceFile}}, Workload: oneKey()})
	if m.Run.Holds != 3 || m.Run.Rate != 1.5 || m.Run.Elapsed != 2 || len(m.Failures) > 0 {
		t.Errorf("%+v, failures %v", m.Run, m.Failures)
	}
}

// heapSeen notes the heap that its first caller meets.
type heapSeen struct {
	nothing
	once  sync.Once
	bytes uint64
}

func (h *heapSeen) Lock(ctx context.Context, key string) (Held, error) {
	h.once.Do(func() {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		h.bytes = m.HeapAlloc
	})
	return h.nothing.Lock(ctx, key)
}

// What an earlier run has left would be collected in the midst of the next one.
func TestARunBeginsWithoutTheGarbageOfTheOneBefore(t *testing.T) {
	const garbage = 64 << 20
	before := debug.SetGCPercent(-1) // it is there until somebody asks
	defer debug.SetGCPercent(before)
	for range garbage >> 20 {
		sink = make([]byte, 1<<20)
	}
	seen := new(heapSeen)
	s := testStrategy{"heap", PlaceProcess, func(Place) Locker { return seen }}
	w := Workload{Goroutines: 1, Keys: 1, Duration: 5 * time.Millisecond}
	if m := New(Setup{}).Measure(t.Context(), Case{Strategy: s, Workload: w}); len(m.Failures) > 0 {
		t.Fatal(m.Failures)
	}
	if seen.bytes >= garbage {
		t.Errorf("the run began with a heap of %d bytes", seen.bytes)
	}
}

// sink keeps the compiler from sparing what is made for nothing.
var sink []byte
