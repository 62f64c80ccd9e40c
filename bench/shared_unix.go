//go:build unix

package bench

import (
	"fmt"
	"math"
	"os"

	"golang.org/x/sys/unix"
)

// mapShared maps the file at path, which all processes of a run share. It stays
// mapped until the process, a worker, ends: nobody can touch it too late.
func mapShared(path string, size int) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("bench: record: %w", err)
	}
	defer f.Close() // a mapping outlives its descriptor
	mem, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("bench: record: mmap: %w", err)
	}
	return mem, nil
}

// maxOpenFiles is how many files a process may open if it asks for it.
func maxOpenFiles() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0 // not told
	}
	return int(min(uint64(limit.Max), math.MaxInt32)) //nolint:unconvert // it is an int64 on FreeBSD
}

// systemNow is CLOCK_MONOTONIC in ns.
func systemNow() int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		panic(fmt.Sprintf("bench: no monotonic clock: %v", err)) // every supported system has it
	}
	return t.Nano()
}
