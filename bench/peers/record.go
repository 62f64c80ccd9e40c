package main

import (
	"fmt"
	"os"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A record is what the locks protect here: for each key the word of who is in,
// and the highest fence seen. Nothing but the lock under test keeps callers of
// enter and leave apart. Across processes it is a file in shared memory, so
// that looking costs nanoseconds and the server nothing.
type record struct{ cells []cell }

// A cell has a cache line of its own: neighbours among the keys are no rivals.
type cell struct {
	inside   atomic.Uint64 // who holds the key now, 0 for nobody
	fence    atomic.Uint64 // the highest that a holder brought
	last     atomic.Uint64 // who was inside before
	released atomic.Int64  // when that holder began its release: see stamp
	_        [4]uint64
}

// openRecord maps the file at path, which all processes of a run share; without
// a path the record is this process's own. It stays mapped until the process
// ends: a page or two a run, and nobody can touch it too late.
func openRecord(path string, keys int) (*record, error) {
	if path == "" {
		return &record{cells: make([]cell, keys)}, nil
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	defer f.Close() //nolint:errcheck // a mapping outlives its descriptor
	mem, err := unix.Mmap(int(f.Fd()), 0, keys*int(unsafe.Sizeof(cell{})), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("record: mmap: %w", err)
	}
	return &record{cells: unsafe.Slice((*cell)(unsafe.Pointer(unsafe.SliceData(mem))), keys)}, nil
}

// createRecord makes the file for openRecord, all zeros.
func createRecord(keys int) (path string, err error) {
	f, err := os.CreateTemp("", "turnstile-peers-record-")
	if err != nil {
		return "", fmt.Errorf("record: %w", err)
	}
	defer f.Close() //nolint:errcheck // nothing was written that could be lost
	if err := f.Truncate(int64(keys) * int64(unsafe.Sizeof(cell{}))); err != nil {
		return "", fmt.Errorf("record: %w", err)
	}
	return f.Name(), nil
}

// enter is a holder's first step, with a name of its own that is not 0.
//
// The swap finds any second holder that is between enter and leave, whoever
// came first. The fence needs no such luck: once a newer one was here, an older
// one never passes.
func (r *record) enter(key int, me, fence uint64) error {
	c := &r.cells[key]
	if !c.inside.CompareAndSwap(0, me) {
		return fmt.Errorf("OVERLAP: key %d: %s got it while %s was in", key, caller(me), caller(c.inside.Load()))
	}
	if fence == 0 {
		return nil
	}
	if before := c.fence.Swap(fence); before >= fence {
		return fmt.Errorf("FENCE: key %d: %s got fence %d after %d", key, caller(me), fence, before)
	}
	return nil
}

// leave is a holder's last step before its release.
func (r *record) leave(key int, me uint64) error {
	c := &r.cells[key]
	if !c.inside.CompareAndSwap(me, 0) {
		return fmt.Errorf("OVERLAP: key %d: %s came in while %s was in", key, caller(c.inside.Load()), caller(me))
	}
	c.last.Store(me)
	return nil
}

// callerID names a goroutine of a process; it is never 0.
func callerID(process, goroutine int) uint64 { return uint64(process)<<32 | uint64(goroutine+1) }

func caller(id uint64) string {
	if id == 0 {
		return "somebody who has left"
	}
	return fmt.Sprintf("process %d goroutine %d", id>>32, uint32(id)-1)
}

// stamp is the system's monotonic clock in ns, the same in every process;
// Go's own monotonic time starts with the process.
func stamp() int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		panic(fmt.Sprintf("record: no monotonic clock: %v", err)) // every supported system has it
	}
	return t.Nano()
}

// since is the time from a stamp until now.
func since(then int64) time.Duration { return time.Duration(stamp() - then) }
