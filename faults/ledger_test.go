//go:build unix

package faults

import (
	"fmt"
	"os"
	"slices"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/turnstile-go/turnstile/backends"
)

// A claim is one hold as its process saw it, in ns of the one clock: it asked,
// had the key from granted to ended, and never outside what the lock gave it.
// Claims that overlap are holds that overlapped.
type claim struct {
	asked, granted atomic.Int64
	ended          atomic.Int64 // 0: the process did not live to see the end
	fence          atomic.Uint64
	kind           atomic.Uint64 // backends.Kind, and n of slots above it
}

// ledgerMost is how many claims a process can make: 10 s at 400 000 a second.
// The file is sparse, so what isn't written costs nothing.
const ledgerMost = 4 << 20

// A ledger is a process's claims, in a file that is mapped and shared: what was
// written is there for the parent, though the process was killed a moment later.
type ledger struct {
	used   *atomic.Int64
	claims []claim
}

// createLedger makes the file at path; openLedger maps it for as long as the
// process lives, or until its close.
func createLedger(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close() // nothing was written that could be lost
	return f.Truncate((ledgerMost + 1) * int64(unsafe.Sizeof(claim{})))
}

func openLedger(path string) (l *ledger, unmap func(), err error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close() // a mapping outlives its descriptor
	mem, err := unix.Mmap(int(f.Fd()), 0, (ledgerMost+1)*int(unsafe.Sizeof(claim{})), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, nil, fmt.Errorf("ledger: %w", err)
	}
	cells := unsafe.Slice((*claim)(unsafe.Pointer(unsafe.SliceData(mem))), ledgerMost+1)
	// The first cell counts; how many are used is known without searching.
	l = &ledger{used: &cells[0].granted, claims: cells[1:]}
	return l, func() { _ = unix.Munmap(mem) }, nil
}

// open begins a claim; its end is the holder's to write.
func (l *ledger) open(asked int64, fence uint64) (*claim, error) {
	return l.openOf(asked, fence, kindOf{})
}

// openOf is open of a hold of any kind.
func (l *ledger) openOf(asked int64, fence uint64, kind kindOf) (*claim, error) {
	n := l.used.Add(1)
	if n > ledgerMost {
		return nil, fmt.Errorf("ledger: more than %d claims", ledgerMost)
	}
	c := &l.claims[n-1]
	c.asked.Store(asked)
	c.fence.Store(fence)
	c.kind.Store(uint64(kind.kind) | uint64(kind.n)<<8)
	c.granted.Store(stamp())
	return c, nil
}

func (l *ledger) len() int { return int(min(l.used.Load(), ledgerMost)) }

// An entry is a claim as the parent merges it.
type entry struct {
	process               int
	asked, granted, ended int64
	fence                 uint64
	kindOf
}

func (e entry) String() string {
	return fmt.Sprintf("process %d had fence %d from %v for %v", e.process, e.fence, time.Duration(e.granted), time.Duration(e.ended-e.granted))
}

// entries reads a ledger. A claim that has no end lasts until the process was
// killed, and no longer than its hold may: that is the least it can have been.
func (l *ledger) entries(process int, killed int64, expires time.Duration) []entry {
	list := make([]entry, 0, l.len())
	for i := range l.len() {
		c := &l.claims[i]
		kind := c.kind.Load()
		e := entry{process, c.asked.Load(), c.granted.Load(), c.ended.Load(), c.fence.Load(), kindOf{backends.Kind(kind), int(kind >> 8)}}
		if e.granted == 0 {
			continue // killed between the grant and its note
		}
		if e.ended == 0 {
			e.ended = max(e.granted, min(killed, e.granted+int64(expires)))
		}
		list = append(list, e)
	}
	return list
}

// merge sorts all claims by their grants and checks what must hold of any run:
// no overlap, and fences that grow in the order of the grants.
func merge(lists ...[]entry) ([]entry, error) { return mergeBut(nil, lists...) }

// mergeBut excuses some overlaps: where a server was replaced by one that had
// missed a lease. There is no excuse for fences.
func mergeBut(excused func(before, e entry) bool, lists ...[]entry) ([]entry, error) {
	all := slices.Concat(lists...)
	slices.SortFunc(all, func(a, b entry) int { return int(a.granted - b.granted) })
	var longest entry // of those before, the one that ends last
	for i, e := range all {
		if e.granted < longest.ended && (excused == nil || !excused(longest, e)) {
			return all, fmt.Errorf("OVERLAP: %v; %v", longest, e)
		}
		if i > 0 && e.fence <= all[i-1].fence {
			return all, fmt.Errorf("FENCE: %v; %v", all[i-1], e)
		}
		if e.ended > longest.ended {
			longest = e
		}
	}
	return all, nil
}

// longestGap is the longest time between two of these grants that follow one
// another, and when it began.
func longestGap(list []entry, from, to int64) (gap time.Duration, at int64) {
	last := from
	look := func(next int64) {
		if d := time.Duration(next - last); d > gap {
			gap, at = d, last
		}
		last = next
	}
	for _, e := range list {
		if e.granted > from && e.granted <= to {
			look(e.granted)
		}
	}
	look(to)
	return gap, at
}

// jain is Jain's fairness index: 1 when all are equal, 1/n when one has
// everything (Jain, Chiu, Hawe 1984).
func jain(counts []int) float64 {
	sum, squares := 0.0, 0.0
	for _, n := range counts {
		sum += float64(n)
		squares += float64(n) * float64(n)
	}
	return sum * sum / (float64(len(counts)) * squares)
}

// stamp is the system's monotonic clock in ns, the same in every process; Go's
// own monotonic time starts with the process.
func stamp() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic(fmt.Sprintf("ledger: no monotonic clock: %v", err)) // every supported system has it
	}
	return ts.Nano()
}
