package bench

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

// distinct is how many contenders have a part in a strip.
func distinct(order []int) int {
	seen := map[int]bool{}
	for _, n := range order {
		seen[n] = true
	}
	return len(slices.Collect(maps.Keys(seen)))
}

// A verdict lists the faults that one look at a measurement finds.
type verdict struct{ wrong []string }

func (v *verdict) Error(what ...any) { v.wrong = append(v.wrong, fmt.Sprint(what...)) }

func (v *verdict) Errorf(format string, what ...any) {
	v.wrong = append(v.wrong, fmt.Sprintf(format, what...))
}

// shows looks a few times, until nothing is wrong: the figures depend on the machine
// too, and one faultless look of several shows that they can be right.
func shows(t *testing.T, look func(v *verdict)) {
	t.Helper()
	const looks = 8
	for n := 1; ; n++ {
		v := new(verdict)
		look(v)
		if len(v.wrong) == 0 || t.Failed() {
			return
		}
		if n == looks {
			t.Fatal(strings.Join(v.wrong, "\n"))
		}
		t.Logf("look %d: %q", n, v.wrong)
	}
}

func TestAnUnfairLockShows(t *testing.T) {
	shows(t, func(v *verdict) {
		fair, unfair := measure(t, "channel", oneKey()), measure(t, "lifo", oneKey())
		if fair.Run.Jain < 0.9 || unfair.Run.Jain > 0.5 {
			v.Errorf("Jain: a fair lock has %.3f, an unfair one %.3f", fair.Run.Jain, unfair.Run.Jain)
		}
		if len(fair.Run.Order) != stripLength || len(unfair.Run.Order) != stripLength {
			t.Fatalf("strips of %d and %d grants", len(fair.Run.Order), len(unfair.Run.Order))
		}
		if f, u := distinct(fair.Run.Order), distinct(unfair.Run.Order); f < 12 || u > 8 {
			v.Errorf("of 16 contenders, %d are in a fair lock's strip, %d in an unfair one's", f, u)
		}
		if len(unfair.Failures) > 0 {
			v.Errorf("unfair is not unsafe: %v", unfair.Failures)
		}
	})
}

// A stall of 200 ms meets one wait of each contender in a closed loop, among
// thousands; in an open loop it meets all that was planned meanwhile.
func TestAStallShowsInTheOpenLoop(t *testing.T) {
	t.Parallel() // it mostly sleeps
	shows(t, func(v *verdict) {
		closed := Workload{Goroutines: 16, Keys: 1, Duration: 1500 * time.Millisecond}
		open := closed
		// So few that a wait counted from the call would not change p99.
		open.Goroutines, open.Rate = 4, 400
		hidden, shown, calm := measure(t, "stalling", closed), measure(t, "stalling", open), measure(t, "channel", open)
		if p99 := hidden.Run.Wait.At(0.99); p99 > 0.1 {
			v.Errorf("the closed loop's p99 is %v", p99)
		}
		if p99, longest := shown.Run.Wait.At(0.99), shown.Run.Wait.Max; p99 < 0.150 || longest < 0.150 {
			v.Errorf("the open loop's p99 is %v, its longest wait %v", p99, longest)
		}
		if shown.Run.NoneFree == 0 {
			v.Error("80 starts were planned during the stall for 4 goroutines, and none found all of them busy")
		}
		if p99 := calm.Run.Wait.At(0.99); p99 > 0.1 {
			v.Errorf("without a stall the open loop's p99 is %v", p99)
		}
		planned := 400 * calm.Run.Elapsed
		if math.Abs(float64(calm.Run.Holds)-planned) > planned/20 {
			v.Errorf("%d holds in %v s, 400 a second were planned", calm.Run.Holds, calm.Run.Elapsed)
		}
	})
}

// Who plans more than can be had sees the backlog grow, and all of it counts.
func TestAnOverloadedOpenLoopCountsItsBacklog(t *testing.T) {
	t.Parallel() // it mostly sleeps
	shows(t, func(v *verdict) {
		w := Workload{Goroutines: 4, Keys: 1, Hold: 2 * time.Millisecond, Duration: 500 * time.Millisecond, Rate: 2000}
		m := measure(t, "channel", w)
		// At most 500 of 1000 can be had; the last ones to be planned wait for the rest.
		if m.Run.Wait.Count < 900 || m.Run.NoneFree < 400 || m.Run.Wait.Max < 0.2 {
			v.Errorf("%d waits, %d found nobody free, the longest %v", m.Run.Wait.Count, m.Run.NoneFree, m.Run.Wait.Max)
		}
	})
}

func TestForgottenWaitersAreStranded(t *testing.T) {
	t.Parallel() // it mostly sleeps
	w := oneKey()
	w.Goroutines = 4
	m := measure(t, "forgetful", w)
	if m.Run.Stranded != 4 || !slices.Equal(kinds(m), []string{kindStranded}) {
		t.Errorf("%d stranded, failures %v", m.Run.Stranded, m.Failures)
	}
	if m.Run.Wait.Max < quiet.Seconds() {
		t.Errorf("the longest wait is %v: those that never ended are left out", m.Run.Wait.Max)
	}
}

// A drain is over when nobody is served, when it lasts too long, or when it is
// clear that it will.
func TestADrainEnds(t *testing.T) {
	for _, c := range []struct {
		name            string
		rate, waiting   int64 // served a second; at the beginning
		after           time.Duration
		stuck, finished bool
	}{
		{"nobody is served", 0, 3, 3 * time.Second, true, false},
		{"it will take 100 s", 10, 1000, time.Second, false, false},
		{"it takes 3 s", 100, 300, 3 * time.Second, false, true},
	} {
		var d drain
		begin, after, waiting := time.Now(), time.Duration(0), c.waiting
		for ; !d.over && waiting > 0; after += 100 * time.Millisecond {
			served := c.rate * int64(after/time.Millisecond) / 1000
			waiting = c.waiting - served
			d.look(begin.Add(after), served, waiting)
		}
		if after -= 100 * time.Millisecond; after != c.after || d.stuck != c.stuck || (waiting == 0) != c.finished {
			t.Errorf("%s: over after %v, stuck %v, %d wait", c.name, after, d.stuck, waiting)
		}
	}
}

// With a hold of 1 ms and two contenders each wait is about a hold, and the way
// from release to grant far below.
func TestTimesAreWhatTheyAre(t *testing.T) {
	shows(t, func(v *verdict) {
		w := oneKey()
		w.Goroutines, w.Hold, w.Duration = 2, time.Millisecond, 400*time.Millisecond
		m := measure(t, "channel", w)
		if p50 := m.Run.Wait.At(0.5); p50 < 0.0008 || p50 > 0.005 {
			v.Errorf("p50 wait %v s, want a hold of 1 ms", p50)
		}
		if m.Run.Grant == nil || m.Run.Grant.At(0.5) > 0.0005 {
			v.Errorf("from release to grant: %+v", m.Run.Grant)
		}
		if r := m.Run.Rate; r < 200 || r > 1050 {
			v.Errorf("%v holds a second of 1 ms each", r)
		}
	})
}

func TestPausesTakeTheirTime(t *testing.T) {
	stop, err := startTick()
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	c := newClock()
	for _, d := range []time.Duration{5 * time.Microsecond, 50 * time.Microsecond, 200 * time.Microsecond, 2 * time.Millisecond} {
		var took []float64
		for range 51 {
			began := c.now()
			pause(c, d)
			took = append(took, float64(c.now()-began))
		}
		s := SpreadOf(took)
		t.Logf("%v: %v to %v, median %v", d, time.Duration(s.Min), time.Duration(s.Max), time.Duration(s.Median))
		// The lower bound is the contract; the upper one depends on who else runs.
		if s.Min < float64(d-tickEvery/2) {
			t.Errorf("%v took %v in the median", d, time.Duration(s.Median))
		}
	}
}

func TestKeysAreChosenAsTheWorkloadSays(t *testing.T) {
	const n, draws = 100, 100_000
	count := func(zipf float64) []float64 {
		c := newChooser(Workload{Keys: n, Zipf: zipf}, 3)
		counts := make([]float64, n)
		for range draws {
			counts[c.key()]++
		}
		return counts
	}
	uniform, zipf := count(0), count(1.5)
	for k, got := range uniform {
		if got < 800 || got > 1200 { // 1000 ± 6 standard deviations
			t.Errorf("key %d: %v of %d uniform draws", k, got, draws)
		}
	}
	// P(k) ∝ (1+k)^-1.5.
	if ratio := zipf[0] / zipf[3]; ratio < 7 || ratio > 9 {
		t.Errorf("key 0 is %.2f times as frequent as key 3, want 8", ratio)
	}
	if names := keyNames("run", 3); !slices.Equal(names, []string{"run:0", "run:1", "run:2"}) {
		t.Errorf("names %q", names)
	}
}

func TestAsManyHoldsAreTimedAsTheShiftSays(t *testing.T) {
	c := newChooser(Workload{Keys: 1}, 0)
	timed := 0
	for range 100_000 {
		if c.one(4) {
			timed++
		}
	}
	if timed < 5500 || timed > 7000 {
		t.Errorf("%d of 100 000, want one in 16", timed)
	}
	if s := shiftFor(time.Second, 19_000); s != 0 {
		t.Errorf("19 000 holds a second: shift %d, all can be timed", s)
	}
	if s := shiftFor(time.Second, 5_000_000); s != 8 { // 19 531 a second
		t.Errorf("5 000 000 holds a second: shift %d", s)
	}
}

func TestBadWorkloadsAreErrors(t *testing.T) {
	good := Workload{Goroutines: 1, Keys: 1, Duration: 1}
	for _, change := range []func(*Workload){
		func(w *Workload) { w.Goroutines = 0 }, func(w *Workload) { w.Keys = 0 }, func(w *Workload) { w.Processes = -1 },
		func(w *Workload) { w.Zipf = 1 }, func(w *Workload) { w.Zipf = math.NaN() }, func(w *Workload) { w.Hold = -1 },
		func(w *Workload) { w.Duration = 0 }, func(w *Workload) { w.Rate = math.NaN() }, func(w *Workload) { w.Rate, w.Think = 1, 1 },
		func(w *Workload) { w.RoundTrip = time.Microsecond },
	} {
		w := good
		change(&w)
		if w.Check() == nil {
			t.Errorf("%+v was taken", w)
		}
	}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
}
