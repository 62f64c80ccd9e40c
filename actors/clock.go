package actors

import (
	"sync/atomic"
	"time"
)

// An instant is a point in time on a coordinator's clock, in ns; 0 is never.
type instant int64

func (i instant) add(d time.Duration) instant { return i + instant(d) }
func (i instant) sub(j instant) time.Duration { return time.Duration(i - j) }

// A clock is the monotonic one, except that it never falls behind the wall
// clock: suspend stops the monotonic clock while a lease at its backend goes on
// to end. Whatever the wall clock gains, by suspend or by a step forward, is added
// for good, so deadlines come early rather than late; a step back changes
// nothing.
type clock struct {
	start time.Time
	ahead atomic.Int64 // ns that the wall clock has gained since start, at most so far
}

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
			return 1 + instant(wall)
		}
	}
}

// time is when an instant comes, for people.
func (c *clock) time(i instant) time.Time {
	t := time.Now()
	return t.Add(i.sub(c.read(t)))
}
