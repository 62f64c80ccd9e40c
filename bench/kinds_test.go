package bench

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// What is in together, and what is not, is told by the record, whatever came first.
func TestARecordKnowsWhoMayBeInTogether(t *testing.T) {
	fresh := func() *record { return &record{new(strip), make([]cell, 1)} }
	for name, row := range map[string]struct {
		wrong string // what the last step says; "": nothing
		steps func(r *record) *breach
	}{
		"readers together":     {"", func(r *record) *breach { r.join(0, 1, 0, 0); r.join(0, 2, 0, 0); return r.join(0, 3, 0, 0) }},
		"a writer after them":  {"", func(r *record) *breach { r.join(0, 1, 0, 0); r.part(0); return r.enter(0, 2, 0) }},
		"a writer among them":  {"alone while 2 were in together", func(r *record) *breach { r.join(0, 1, 0, 0); r.join(0, 2, 0, 0); return r.enter(0, 3, 0) }},
		"a reader at a writer": {"with others while contender 1 was in alone", func(r *record) *breach { r.enter(0, 1, 0); return r.join(0, 2, 0, 0) }},
		"as many as slots":     {"", func(r *record) *breach { r.join(0, 1, 2, 0); return r.join(0, 2, 2, 0) }},
		"one more than slots":  {"as one of 2, and 3 were in", func(r *record) *breach { r.join(0, 1, 2, 0); r.join(0, 2, 2, 0); return r.join(0, 3, 2, 0) }},
		"fences": {"", func(r *record) *breach {
			r.enter(0, 1, 5)
			r.leave(0, 1, 0)
			r.join(0, 2, 0, 7)
			return r.join(0, 3, 0, 6)
		}},
		"an old reader's": {"fence 5 with others, after 5", func(r *record) *breach { r.enter(0, 1, 5); r.leave(0, 1, 0); return r.join(0, 2, 0, 5) }},
		"an old writer's": {"fence 6 after 7", func(r *record) *breach {
			r.join(0, 1, 0, 7)
			r.part(0)
			r.join(0, 1, 0, 6)
			r.part(0)
			return r.enter(0, 2, 6)
		}},
	} {
		b := row.steps(fresh())
		switch {
		case row.wrong == "" && b != nil:
			t.Errorf("%s: %v", name, b.what)
		case row.wrong != "" && (b == nil || !strings.Contains(b.what, row.wrong)):
			t.Errorf("%s: %+v, want %q", name, b, row.wrong)
		}
	}
}

// rwLocks are right: one sync.RWMutex, and one channel of slots. broken lets everybody share and everybody have
// a slot.
type rwLocks struct {
	mu     sync.RWMutex
	slots  sync.Map
	broken bool
}

func (l *rwLocks) Lock(context.Context, string) (Held, error) {
	l.mu.Lock()
	return hold{unlock: func() error { l.mu.Unlock(); return nil }}, nil
}

func (l *rwLocks) Share(context.Context, string) (Held, error) {
	if l.broken {
		return hold{unlock: func() error { return nil }}, nil
	}
	l.mu.RLock()
	return hold{unlock: func() error { l.mu.RUnlock(); return nil }}, nil
}

func (l *rwLocks) Slot(ctx context.Context, key string, n int) (Held, error) {
	if l.broken {
		n *= 2
	}
	v, _ := l.slots.LoadOrStore(key, make(chan struct{}, n))
	slots := v.(chan struct{})
	select {
	case slots <- struct{}{}:
		return hold{unlock: func() error { <-slots; return nil }}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *rwLocks) Close() error { return nil }

func TestHoldsThatAreNotAloneAreMeasuredAndChecked(t *testing.T) {
	for _, w := range []Workload{{Shared: 0.9}, {Shared: 1}, {Slots: 4}} {
		w.Goroutines, w.Keys, w.Duration = 16, 1, 50*time.Millisecond
		w.Hold = 20 * time.Microsecond
		if err := w.Check(); err != nil {
			t.Fatal(err)
		}
		enough := func(m Measured) bool { return m.Run.Holds > 0 && m.Run.Wait.Count > 0 }
		if m := measureUntil(t, "rw", w, enough); len(m.Failures) > 0 || !enough(m) {
			t.Errorf("%+v: %v, %d holds", w, m.Failures, m.Run.Holds)
		}
		if w.Shared == 1 {
			continue // nobody is there to be met
		}
		overlaps := func(m Measured) bool { return slices.Contains(kinds(m), kindOverlap) }
		if m := measureUntil(t, "rw, broken", w, overlaps); !overlaps(m) {
			t.Errorf("%+v: a lock that does not exclude passes: %v", w, m.Failures)
		}
	}
	for _, w := range []Workload{{Shared: -0.1}, {Shared: 1.1}, {Slots: -1}, {Slots: 2, Shared: 0.5}} {
		w.Goroutines, w.Keys, w.Duration = 1, 1, time.Second
		if w.Check() == nil {
			t.Errorf("%+v is valid", w)
		}
	}
}

// withKinds is a strategy that says so.
type withKinds struct {
	Strategy
	kinds []string
}

func (s withKinds) Describe() Description {
	d := s.Strategy.Describe()
	d.Kinds = s.kinds
	return d
}

// Who has no shared holds is no rival among readers, unless it is named: its exclusive holds are what others are
// compared with.
func TestWhoHasNotTheKindTakesPartOnlyWhereItIsNamed(t *testing.T) {
	point := Point{X: 1, Workload: Workload{Goroutines: 1, Keys: 1, Shared: 0.9, Duration: time.Second}}
	named := point
	named.X, named.Only = 2, []string{"channel"}
	p := Plan{
		Strategies:  []Strategy{strategyNamed("channel"), withKinds{strategyNamed("rw"), []string{KindShared}}, withKinds{strategyNamed("file"), []string{KindSlots}}},
		Experiments: []Experiment{{Readers, []Point{point, named}}}, Rounds: 1,
	}
	var got []string
	for _, c := range p.Cases() {
		got = append(got, c.Strategy.Name())
	}
	if !slices.Equal(got, []string{"rw", "channel"}) {
		t.Errorf("measured: %q", got)
	}
	l := newLoad(newChannels(), nil, spec{Workload: named.Workload})
	if k := l.kind(l.contenders[0]); k != exclusive {
		t.Errorf("a locker without shared holds is asked for kind %d", k)
	}
}
