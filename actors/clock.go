package actors

import (
	"math"
	"sync/atomic"
	"time"
)

// An instant is a point in time on a coordinator's clock, in ns; 0 is never.
type instant int64

// add is i + d; what would be too late to count is the latest instant instead.
func (i instant) add(d time.Duration) instant {
	if sum := i + instant(d); d <= 0 || sum > i {
		return sum
	}
	return math.MaxInt64
}

func (i instant) sub(j instant) time.Duration { return time.Duration(i - j) }

// A clock is the monotonic one, and counts suspends as well: they stop the monotonic
// clock while a lease at its backend goes on to end. That the wall clock and the
// monotonic one have moved against each other shows a suspend, or a step of the wall
// clock; where the system knows how long it has slept, it is asked which, and steps
// change nothing. Elsewhere whatever the wall clock gains is taken for a suspend and
// added for good, so that deadlines come early rather than late; a step back changes
// nothing there.
type clock struct {
	start time.Time
	// slept is how long the machine was suspended since some moment before start; ok is
	// false where that is not known.
	slept      func() (d time.Duration, ok bool)
	sleptStart time.Duration // at start

	ahead atomic.Int64 // ns of suspend since start
	seen  atomic.Int64 // ns that the wall clock had gained since start when it was last looked into
	base  atomic.Pointer[base]
	// jumped is called when so much was slept at once that timers, which run on the
	// monotonic clock, are late by more than anybody should wait.
	jumped func()
}

const (
	// jump is what may be slept before timers are looked at again.
	jump = 10 * time.Millisecond
	// astray is what the two clocks may move against each other before it is looked
	// into. Their readings are not of the same moment.
	astray = time.Millisecond
)

func newClock() *clock {
	c := &clock{start: time.Now(), slept: slept}
	c.sleptStart, _ = c.slept()
	return c
}

func (c *clock) now() instant { return c.read(time.Now()) }

// read is the instant of a time.Time that has both readings.
func (c *clock) read(t time.Time) instant {
	return c.at(t.Sub(c.start), time.Duration(t.UnixNano()-c.start.UnixNano()))
}

// at is the instant at which so much time has passed on the two clocks. It is read
// for each message, so that the system is only asked when they went astray.
func (c *clock) at(monotonic, wall time.Duration) instant {
	gained := wall - monotonic
	if moved := gained - time.Duration(c.seen.Load()); moved > astray || moved < -astray {
		c.lookInto(gained)
	}
	return 1 + instant(monotonic) + instant(c.ahead.Load())
}

// lookInto counts what was slept, when the wall clock has gained so much since start.
// Others see the gain as looked into only when it is counted.
func (c *clock) lookInto(gained time.Duration) {
	defer c.seen.Store(int64(gained))
	suspended := gained
	if d, ok := c.slept(); ok {
		suspended = d - c.sleptStart
	}
	for {
		ahead := c.ahead.Load()
		if int64(suspended) <= ahead {
			return
		}
		if c.ahead.CompareAndSwap(ahead, int64(suspended)) {
			if c.jumped != nil && suspended-time.Duration(ahead) > jump {
				c.jumped()
			}
			return
		}
	}
}

// A base is one reading of both clocks, from which instants are told.
type base struct {
	t           time.Time
	i           instant
	ahead, seen int64
}

// time is when an instant comes, for people. It is counted from one base, so that
// the same instant reads the same: two readings of the clocks are some ns apart.
// There is a new base when the machine has slept, or its wall clock was set.
func (c *clock) time(i instant) time.Time {
	b := c.base.Load()
	if b == nil || b.ahead != c.ahead.Load() || b.seen != c.seen.Load() {
		t := time.Now()
		b = &base{t, c.read(t), c.ahead.Load(), c.seen.Load()}
		c.base.Store(b)
	}
	return b.t.Add(i.sub(b.i))
}
