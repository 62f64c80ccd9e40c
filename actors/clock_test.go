package actors

import (
	"testing"
	"time"
)

// TestTheClockCountsSuspendsAndNoSteps plays suspends and steps of the wall clock.
func TestTheClockCountsSuspendsAndNoSteps(t *testing.T) {
	const s = time.Second
	type row struct {
		name            string
		monotonic, wall []time.Duration
		slept           []time.Duration // since start; nil: the system does not know
		want            []time.Duration
	}
	for _, c := range []row{
		{"in step", []time.Duration{1 * s, 2 * s}, []time.Duration{1 * s, 2 * s}, []time.Duration{0, 0}, []time.Duration{1 * s, 2 * s}},
		{"suspended for a minute", []time.Duration{1 * s, 2 * s, 3 * s}, []time.Duration{1 * s, 62 * s, 63 * s}, []time.Duration{0, 60 * s, 60 * s}, []time.Duration{1 * s, 62 * s, 63 * s}},
		{"set forward", []time.Duration{1 * s, 2 * s, 3 * s}, []time.Duration{1 * s, 62 * s, 63 * s}, []time.Duration{0, 0, 0}, []time.Duration{1 * s, 2 * s, 3 * s}},
		{"set forward, then suspended", []time.Duration{1 * s, 2 * s, 3 * s}, []time.Duration{61 * s, 62 * s, 73 * s}, []time.Duration{0, 0, 10 * s}, []time.Duration{1 * s, 2 * s, 13 * s}},
		{"set back", []time.Duration{1 * s, 2 * s, 3 * s}, []time.Duration{1 * s, -58 * s, -57 * s}, []time.Duration{0, 0, 0}, []time.Duration{1 * s, 2 * s, 3 * s}},
		{"set back, then suspended for less", []time.Duration{1 * s, 2 * s, 3 * s}, []time.Duration{1 * s, -58 * s, -47 * s}, []time.Duration{0, 0, 10 * s}, []time.Duration{1 * s, 2 * s, 13 * s}},
		{"suspended for a minute, unknown", []time.Duration{1 * s, 2 * s, 3 * s}, []time.Duration{1 * s, 62 * s, 63 * s}, nil, []time.Duration{1 * s, 62 * s, 63 * s}},
		{"set back, unknown", []time.Duration{1 * s, 2 * s, 3 * s}, []time.Duration{1 * s, -58 * s, -57 * s}, nil, []time.Duration{1 * s, 2 * s, 3 * s}},
		{"set forward, then back, unknown", []time.Duration{1 * s, 2 * s, 3 * s}, []time.Duration{11 * s, 2 * s, 3 * s}, nil, []time.Duration{11 * s, 12 * s, 13 * s}},
	} {
		t.Run(c.name, func(t *testing.T) {
			const before = time.Hour // what was slept before start
			i := 0
			clock := clock{sleptStart: before, slept: func() (time.Duration, bool) {
				if c.slept == nil {
					return 0, false
				}
				return before + c.slept[i], true
			}}
			for i = range c.want {
				if got := clock.at(c.monotonic[i], c.wall[i]) - 1; time.Duration(got) != c.want[i] {
					t.Errorf("after %v and %v: %v, want %v", c.monotonic[i], c.wall[i], time.Duration(got), c.want[i])
				}
			}
		})
	}
}

// The clock is read for each message: the system is asked once a step, not for as long
// as the wall clock is away from where it was.
func TestTheSystemIsAskedOnceAStep(t *testing.T) {
	asked := 0
	clock := clock{slept: func() (time.Duration, bool) {
		asked++
		return 0, true
	}}
	for i := range time.Duration(1000) {
		clock.at(i*time.Second, (i+60)*time.Second+i%7*100*time.Microsecond) // and no two readings are of one moment
	}
	if asked != 1 {
		t.Errorf("asked %d times, want once", asked)
	}
}

// Regression: a base that was read before a suspend passed for one from after it, if
// another goroutine noticed the suspend meanwhile. Every deadline that was counted
// from it was late by the suspend.
func TestABaseFromBeforeASuspendIsTakenAgain(t *testing.T) {
	const hour = time.Hour
	start := time.Now()
	var slept time.Duration
	c := clock{start: start, slept: func() (time.Duration, bool) { return slept, true }}
	read := 0
	b := c.newest(func() (time.Time, instant) {
		read++
		if read > 1 {
			return start.Add(2 * time.Second), c.at(2*time.Second, 2*time.Second+hour)
		}
		i := c.at(time.Second, time.Second)
		slept = hour
		c.at(2*time.Second, 2*time.Second+hour) // by another goroutine
		return start.Add(time.Second), i
	})
	// The hold ends 10 s after the second reading, which is 12 s after start by timers.
	deadline := c.at(2*time.Second, 2*time.Second+hour).Add(10 * time.Second)
	if left := b.t.Add(deadline.Sub(b.i)).Sub(start); left != 12*time.Second {
		t.Errorf("the deadline is %v after start, want 12 s", left)
	}
}

// All who ask at the same time count from one base, so that an instant always reads
// the same.
func TestGoroutinesThatNeedABaseTakeTheSame(t *testing.T) {
	c := newClock()
	var quicker *base
	b := c.newest(func() (time.Time, instant) {
		quicker = c.newest(func() (time.Time, instant) { return c.start, 1 }) // by another goroutine
		return c.start.Add(time.Second), 2
	})
	if b != quicker {
		t.Error("there are two")
	}
}

func BenchmarkNow(b *testing.B) {
	c := newClock()
	for b.Loop() {
		c.now()
	}
}
