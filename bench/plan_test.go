package bench

import (
	"bytes"
	"context"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func twoPoints() Plan {
	w := Workload{Goroutines: 4, Keys: 1, Warmup: 5 * time.Millisecond, Duration: 20 * time.Millisecond}
	apart := w
	apart.Goroutines, apart.Processes = 2, 2
	return Plan{
		Strategies:  []Strategy{strategyNamed("channel"), strategyNamed("file"), strategyNamed("fences")},
		Experiments: []Experiment{{Contenders, []Point{{X: 4, Workload: w}}}, {Processes, []Point{{X: 2, Workload: apart}}}},
		Rounds:      2,
	}
}

func TestRoundsBeginWithAnotherStrategyAndLeaveOutWhoCantTakePart(t *testing.T) {
	var got []string
	for _, c := range twoPoints().Cases() {
		got = append(got, c.Experiment+" "+c.Strategy.Name())
	}
	want := []string{
		"contenders channel", "contenders file", "contenders fences", "processes file",
		"contenders file", "contenders fences", "contenders channel", "processes file",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestAPointCanNameItsStrategies(t *testing.T) {
	p := twoPoints()
	p.Experiments[0].Points[0].Only = []string{"fences", "none of the plan's"}
	p.Experiments[1].Points[0].Only = []string{}
	var got []string
	for _, c := range p.Cases() {
		got = append(got, c.Experiment+" "+c.Strategy.Name())
	}
	if !slices.Equal(got, []string{"contenders fences", "contenders fences"}) {
		t.Errorf("got %q", got)
	}
}

// What it could do of the experiment, one process, is not its subject.
func TestWhoCantFollowAnExperimentIsNotInItsFirstPoint(t *testing.T) {
	p := twoPoints()
	one := p.Experiments[0].Points[0]
	p.Experiments[1].Points = append([]Point{{X: 1, Workload: one.Workload}}, p.Experiments[1].Points...)
	p.Rounds = 1
	var got []string
	for _, c := range p.Cases() {
		if c.Experiment == Processes {
			got = append(got, c.Strategy.Name())
		}
	}
	if !slices.Equal(got, []string{"file", "file"}) {
		t.Errorf("got %q", got)
	}
}

type atMostFour struct{ Strategy }

func (s atMostFour) Describe() Description {
	d := s.Strategy.Describe()
	d.MaxContenders = 4
	return d
}

// Its curve ends there, and does not vanish.
func TestWhoTakesOnlySoManyContendersIsNotMeasuredWithMore(t *testing.T) {
	p := twoPoints()
	p.Strategies, p.Rounds = []Strategy{atMostFour{p.Strategies[1]}}, 1
	more := p.Experiments[0].Points[0]
	more.Workload.Goroutines = 5
	more.X = 5
	p.Experiments[0].Points = append(p.Experiments[0].Points, more)
	p.Experiments[1].Points[0].Workload.Goroutines = 3 // of each of two processes
	var got []float64
	for _, c := range p.Cases() {
		got = append(got, c.X)
	}
	if !slices.Equal(got, []float64{4}) {
		t.Errorf("measured at %v", got)
	}
}

func TestAPlanIsCutToItsTime(t *testing.T) {
	p := Plan{Strategies: testStrategies()[:3], Experiments: Experiments(Scale{Warmup: time.Second, Duration: 4 * time.Second, Few: true}), Rounds: 3}
	whole := p.Estimate()
	half := p.Within(whole / 2)
	if got := half.Estimate(); got > whole/2+time.Second || got < whole/2-time.Second { // but for the floor of a warm-up
		t.Errorf("%v of %v", got, whole)
	}
	if got := p.Estimate(); got != whole {
		t.Errorf("the plan itself was cut: %v of %v", got, whole)
	}
	if got := p.Within(2 * whole).Estimate(); got != whole {
		t.Errorf("a plan that has the time takes %v instead of %v", got, whole)
	}
}

func TestExperimentsAreAllValid(t *testing.T) {
	seen := map[string]bool{}
	for _, few := range []bool{true, false} {
		for _, e := range Experiments(Scale{Duration: time.Second, Few: few}) {
			seen[e.Name] = true
			for _, p := range e.Points {
				if err := p.Workload.Check(); err != nil {
					t.Errorf("%s %v: %v", e.Name, p.X, err)
				}
			}
		}
	}
	for _, name := range []string{Contenders, Keys, Processes, RoundTrips, Readers, Slots, Recovery, OpenLoop} {
		if !seen[name] {
			t.Errorf("no %s", name)
		}
	}
}

func TestAPlanIsMeasuredAndItsReportReadAgain(t *testing.T) {
	var steps []Step
	r := New(Setup{}).MeasurePlan(t.Context(), twoPoints(), func(s Step) { steps = append(steps, s) })
	if err := r.Err(); err != nil || len(r.Runs) != 8 {
		t.Fatalf("%d runs, %v", len(r.Runs), err)
	}
	for i, s := range steps {
		if s.Done != i || s.Total != 8 || (s.Next.Strategy == nil) != (i == 8) || (s.Last == nil) != (i == 0) {
			t.Errorf("step %d: %+v", i, s)
		}
	}
	if len(steps) != 9 {
		t.Errorf("%d steps", len(steps))
	}
	if r.Environment.CPUs == 0 || r.Environment.Go == "" || r.Took <= 0 || len(r.Strategies) != 3 {
		t.Errorf("%+v", r.Environment)
	}
	var text bytes.Buffer
	if err := r.Write(&text); err != nil {
		t.Fatal(err)
	}
	again, err := ReadReport(&text)
	if err != nil {
		t.Fatal(err)
	}
	again.Started, r.Started = again.Started.Local(), r.Started.Round(0) // JSON has no monotonic part
	if !reflect.DeepEqual(again.Runs, r.Runs) || !reflect.DeepEqual(again.Environment, r.Environment) || !again.Started.Equal(r.Started) {
		t.Errorf("read again: %+v\nwas: %+v", again, r)
	}
	if _, err := ReadReport(strings.NewReader(`{"version": 99}`)); err == nil {
		t.Error("another version was taken")
	}
}

func TestABrokenOffPlanReportsWhatItHas(t *testing.T) {
	p := twoPoints()
	p.Rounds = 1000
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r := New(Setup{}).MeasurePlan(ctx, p, func(s Step) {
		if s.Done == 3 {
			cancel()
		}
	})
	if !r.Cut || len(r.Runs) < 3 || len(r.Runs) > 4 || len(r.Failures) > 0 {
		t.Errorf("cut %v, %d runs, failures %v", r.Cut, len(r.Runs), r.Failures)
	}
	if err := r.Err(); err != errCut {
		t.Errorf("err %v", err)
	}
}

func TestARunIsBrokenOffInItsMidst(t *testing.T) {
	var m Measured
	// The length of the start depends on the machine: the break may come before the
	// midst.
	for after := 200 * time.Millisecond; after < time.Minute/2 && m.Run.Holds == 0; after *= 2 {
		ctx, cancel := context.WithTimeout(t.Context(), after)
		w := oneKey()
		w.Duration = time.Minute
		m = New(Setup{}).Measure(ctx, Case{Strategy: strategyNamed("channel"), Workload: w})
		cancel()
	}
	if !m.Run.Cut || m.Run.Holds == 0 || m.Run.Elapsed > 59 || len(m.Failures) > 0 {
		t.Errorf("cut %v, %d holds in %v s, failures %v", m.Run.Cut, m.Run.Holds, m.Run.Elapsed, m.Failures)
	}
}
