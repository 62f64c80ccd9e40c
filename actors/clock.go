package actors

import (
	"sync/atomic"
	"time"

	"github.com/turnstile-go/turnstile/actors/machine"
)

// An instant is a point in time on a coordinator's clock.
type instant = machine.Instant

// A clock is the monotonic one, plus the time of suspends: they stop the monotonic
// clock while a lease at its backend goes on to end. A suspend shows as a gain of
// the wall clock on the monotonic one, and so does a step of the wall clock. Where
// the system knows how long it has slept, it is asked which of the two it was, and
// steps change nothing. Elsewhere every gain of the wall clock is taken for a
// suspend and added for good, so that deadlines come early rather than late; a step
// back changes nothing there.
type clock struct {
	start time.Time
	// slept is how long the machine was suspended since some moment before start; ok is
	// false where that is not known.
	slept      func() (d time.Duration, ok bool)
	sleptStart time.Duration // at start

	ahead atomic.Int64 // ns of suspend since start
	seen  atomic.Int64 // ns that the wall clock had gained since start when it was last looked into
	base  atomic.Pointer[base]
	// jumped is called after a suspend longer than jump: timers run on the monotonic
	// clock, so they are late by more than anybody should wait.
	jumped func()
}

const (
	// jump is the longest suspend after which timers are left alone.
	jump = 10 * time.Millisecond
	// astray is how far the two clocks may move apart before it is looked into. Their
	// readings are not of the same moment.
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

// at returns the instant at which so much time has passed on the two clocks. It
// runs for each message, so it asks the system only when they went astray.
func (c *clock) at(monotonic, wall time.Duration) instant {
	gained := wall - monotonic
	if moved := gained - time.Duration(c.seen.Load()); moved > astray || moved < -astray {
		c.lookInto(gained)
	}
	return 1 + instant(monotonic) + instant(c.ahead.Load())
}

// lookInto counts the time of suspends, after the wall clock has gained so much
// since start. Other callers see the gain as looked into only when it is counted.
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

// A base is one reading of both clocks. Instants are turned into times from it.
type base struct {
	t           time.Time
	i           instant
	ahead, seen int64
}

// time returns the time of an instant, for people. It counts from one base, so that
// the same instant always reads the same: two readings of the clocks are some ns
// apart. A new base is taken after a suspend, or when the wall clock was set.
func (c *clock) time(i instant) time.Time {
	b := c.newest(func() (time.Time, instant) {
		t := time.Now()
		return t, c.read(t)
	})
	return b.t.Add(i.Sub(b.i))
}

// newest returns the base to count from, and takes one by reading if there is none
// yet of the clock as it is. What a base is of is loaded before it is read: a suspend
// or a step that is noticed after that, by anybody, makes the base an old one. The
// other way round, a reading from before a suspend would pass for one from after it
// for as long as there is no other, and each deadline would be late by it.
func (c *clock) newest(reading func() (time.Time, instant)) *base {
	for {
		ahead, seen := c.ahead.Load(), c.seen.Load()
		b := c.base.Load()
		if b != nil && b.ahead == ahead && b.seen == seen {
			return b
		}
		t, i := reading()
		c.base.CompareAndSwap(b, &base{t, i, ahead, seen}) // or another was quicker: all use the same
	}
}
