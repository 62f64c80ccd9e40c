//go:build unix

package bench

import (
	"time"

	"golang.org/x/sys/unix"
)

// processorTime is what this process has used of processors.
func processorTime() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0 // which costs takes for unknown
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
