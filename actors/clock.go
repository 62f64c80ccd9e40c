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

// A clock is the monotonic one, except that it never falls behind the wall
// clock: suspend stops the monotonic clock while a lease at its backend goes on
// to end. Whatever the wall clock gains, by suspend or by a step forward, is added
// for good, so deadlines come early rather than late; a step back changes
// nothing.
type clock struct {
	start time.Time
	ahead atomic.Int64 // ns that the wall clock has gained since start, at most so far
	// jumped is called when it has gained so much at once that timers, which run
	// on the monotonic clock, are late by more than anybody should wait.
	jumped func()
}

// jump is what the wall clock may gain before timers are looked at again.
const jump = 10 * time.Millisecond

func newClock() *clock { return &clock{start: time.Now()} }

func (c *clock) now() instant { return c.read(time.Now()) }

// read is the instant of a time.Time that has both readings.
func (c *clock) read(t time.Time) instant {
	return c.at(t.Sub(c.start), time.Duration(t.UnixNano()-c.start.UnixNano()))
}

// at is the instant at which so much time has passed on either clock.
func (c *clock) at(monotonic, wall time.Duration) instant {
	gained := int64(wall - monotonic)
	for {
		ahead := c.ahead.Load()
		if gained <= ahead {
			return 1 + instant(monotonic) + instant(ahead)
		}
		if c.ahead.CompareAndSwap(ahead, gained) {
			if c.jumped != nil && time.Duration(gained-ahead) > jump {
				c.jumped()
			}
			return 1 + instant(wall)
		}
	}
}

// time is when an instant comes, for people.
func (c *clock) time(i instant) time.Time {
	t := time.Now()
	return t.Add(i.sub(c.read(t)))
}
