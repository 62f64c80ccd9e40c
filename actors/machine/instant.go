package machine

import (
	"math"
	"time"
)

// An Instant is a point in time on a coordinator's clock, in ns; 0 is never.
type Instant int64

// Add returns i + d; if that is too late to count, it returns the latest instant.
func (i Instant) Add(d time.Duration) Instant {
	if sum := i + Instant(d); d <= 0 || sum > i {
		return sum
	}
	return math.MaxInt64
}

// Sub returns the time from j to i.
func (i Instant) Sub(j Instant) time.Duration { return time.Duration(i - j) }

// earliest is the first of some instants; zero is none.
type earliest Instant

func (e *earliest) of(t Instant) {
	if t != 0 && (*e == 0 || t < Instant(*e)) {
		*e = earliest(t)
	}
}
