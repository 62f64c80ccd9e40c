package file

import (
	"bytes"
	"hash/fnv"
	"os"

	"golang.org/x/sys/unix"
)

// newClock counts since boot, through suspends and past steps of the wall
// clock. Its epoch is the boot, and the time namespace: a container can have
// a boot time of its own. Where /proc can't say which, the wall clock serves.
func newClock() clock {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil || len(bytes.TrimSpace(boot)) == 0 {
		return clock{now: wall}
	}
	// Sandboxes filter system calls; better a clock that can step than none.
	if _, err := sinceBoot(); err != nil {
		return clock{now: wall}
	}
	// Kernels before 5.6 have no time namespaces: then there is no such link.
	namespace, _ := os.Readlink("/proc/self/ns/time")
	h := fnv.New64a()
	h.Write(bytes.TrimSpace(boot))
	h.Write([]byte(namespace))
	return clock{epoch: h.Sum64() | 1, now: func() int64 {
		us, _ := sinceBoot() // it worked once, and there is nothing it could fail of
		return us
	}}
}

// sinceBoot is CLOCK_BOOTTIME, which all processes of a boot share and which, as
// opposed to CLOCK_MONOTONIC, goes on while the machine sleeps.
func sinceBoot() (int64, error) {
	var ts unix.Timespec
	err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts)
	return ts.Nano() / 1000, err
}
