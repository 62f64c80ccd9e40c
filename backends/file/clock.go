//go:build linux || darwin

package file

import "time"

// A clock tells times that the processes of one machine can compare, in µs.
type clock struct {
	// epoch names the clock's zero: times of another epoch mean nothing until
	// they were carried over by the wall clock. 0 is the wall clock itself.
	epoch uint64
	now   func() int64
}

// wall is the time since 1970 in µs.
func wall() int64 { return time.Now().UnixMicro() }

// ceil rounds a duration up to µs, never down.
func ceil(d time.Duration) int64 {
	return int64((d + time.Microsecond - 1) / time.Microsecond)
}

func span(us int64) time.Duration { return time.Duration(us) * time.Microsecond }
