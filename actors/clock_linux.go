package actors

import (
	"math"
	"time"

	"golang.org/x/sys/unix"
)

// slept is how long the machine was suspended since its boot: CLOCK_BOOTTIME goes
// on then, and CLOCK_MONOTONIC does not. It takes six system calls, some 1 µs. ok
// is false where a sandbox filters these calls.
func slept() (d time.Duration, ok bool) {
	d = math.MaxInt64
	// A thread that is held up between the two readings finds too much; three times
	// in a row it is not by much.
	for range 3 {
		var monotonic, boot unix.Timespec
		if unix.ClockGettime(unix.CLOCK_MONOTONIC, &monotonic) != nil || unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot) != nil {
			return 0, false
		}
		d = min(d, time.Duration(boot.Nano()-monotonic.Nano()))
	}
	return d, true
}
