package bench

import "time"

// A clock tells the system's monotonic time in ns, which means the same in every
// process of the machine. Go's own monotonic time starts with the process, and the
// system's by itself costs a system call; this costs what time.Since does (34 ns
// where a hold of a sync.Mutex is 200).
type clock struct {
	base   time.Time
	offset int64 // the system's time at base
}

func newClock() clock { return clock{time.Now(), systemNow()} }

func (c clock) now() int64 { return c.offset + int64(time.Since(c.base)) }

// of is a time of Go's on the clock.
func (c clock) of(t time.Time) int64 { return c.offset + int64(t.Sub(c.base)) }
