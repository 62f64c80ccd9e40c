package bench

import (
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"
)

// A record is what the locks protect here: for each key the word of who is in,
// and the highest fence seen. Nothing but the lock under test keeps callers of
// enter and leave apart. Across processes it is a file in shared memory, so
// that looking costs nanoseconds (13 for a hold) and the server nothing.
type record struct {
	strip *strip
	cells []cell
}

// A cell has a cache line of its own: neighbours among the keys are no rivals.
type cell struct {
	inside   atomic.Uint64 // who holds the key now, 0 for nobody
	fence    atomic.Uint64 // the highest that a holder brought
	last     atomic.Uint64 // who set released
	released atomic.Int64  // when that holder began its release, 0: it was not timed
	together atomic.Int64  // how many hold the key that don't hold it alone
	joined   atomic.Uint64 // the highest fence that one of those brought
	_        [2]uint64
}

// A strip is who held key 0, one grant after another. The lock under test keeps
// its writers apart, too; a lock that does not is found out by the cells.
type strip struct {
	state atomic.Int32 // stripOff, stripOn, stripFull: read at each hold, written thrice
	n     atomic.Int32
	slots [stripLength]atomic.Uint32 // contenders' numbers
}

const (
	stripLength = 300
	stripOff    = 0
	stripOn     = 1
	stripFull   = 2
	// headerSize is what lies before the cells: whole pages, for the cells' sake.
	headerSize = 4096
)

func recordSize(keys int) int { return headerSize + keys*int(unsafe.Sizeof(cell{})) }

// openRecord maps the file at path; without a path the record is this process's own.
func openRecord(path string, keys int) (*record, error) {
	if path == "" {
		return &record{new(strip), make([]cell, keys)}, nil
	}
	mem, err := mapShared(path, recordSize(keys))
	if err != nil {
		return nil, err
	}
	base := unsafe.Pointer(unsafe.SliceData(mem))
	return &record{(*strip)(base), unsafe.Slice((*cell)(unsafe.Add(base, headerSize)), keys)}, nil
}

// createRecord makes the file for openRecord, all zeros; a page of it takes
// memory when its first key is held.
func createRecord(path string, keys int) error {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("bench: record: %w", err)
	}
	defer f.Close() // nothing was written that could be lost
	if err := f.Truncate(int64(recordSize(keys))); err != nil {
		return fmt.Errorf("bench: record: %w", err)
	}
	return nil
}

// A breach is what a lock must not do. Kind is a Failure's.
type breach struct{ kind, what string }

// enter is a holder's first step, with its number, counted from 0. It returns nil,
// or what is wrong.
//
// The swap finds any second holder that is between enter and leave, whoever
// came first. The fence needs no such luck: once a newer one was here, an older
// one never passes.
func (r *record) enter(key, me int, fence uint64) *breach {
	c := &r.cells[key]
	if before := c.inside.Swap(uint64(me) + 1); before != 0 {
		return &breach{kindOverlap, fmt.Sprintf("key %d: contender %d got it while contender %d was in", key, me, before-1)}
	}
	if n := c.together.Load(); n != 0 {
		return &breach{kindOverlap, fmt.Sprintf("key %d: contender %d got it alone while %d were in together", key, me, n)}
	}
	if key == 0 && r.strip.state.Load() == stripOn {
		r.strip.add(me)
	}
	if fence == 0 {
		return nil
	}
	if before := max(c.fence.Swap(fence), c.joined.Load()); before >= fence {
		return &breach{kindFence, fmt.Sprintf("key %d: contender %d got fence %d after %d", key, me, fence, before)}
	}
	return nil
}

// leave is a holder's last step before its release. released is the clock's time,
// 0 where nobody looked at it.
//
// Whoever finds another's word here leaves it: that one's enter has told of the
// overlap.
func (r *record) leave(key, me int, released int64) {
	c := &r.cells[key]
	if released != 0 {
		c.last.Store(uint64(me) + 1)
	}
	// A load first: storing 0 over 0 would cost a hold that is not timed 5 ns.
	if released != 0 || c.released.Load() != 0 {
		c.released.Store(released)
	}
	c.inside.CompareAndSwap(uint64(me)+1, 0)
}

// handed says when the key was released that me now holds, if it passed to me
// from somebody else.
func (r *record) handed(key, me int) (released int64, ok bool) {
	c := &r.cells[key]
	released = c.released.Load()
	return released, released != 0 && c.last.Load() != uint64(me)+1
}

// start is called by each process when measuring begins: the grants of a warm-up
// say nothing of the order that follows.
func (s *strip) start() { s.state.CompareAndSwap(stripOff, stripOn) }

func (s *strip) add(me int) {
	n := s.n.Add(1)
	if n <= stripLength {
		s.slots[n-1].Store(uint32(me))
	}
	if n >= stripLength {
		s.state.Store(stripFull)
	}
}

// order is what the strip holds so far.
func (s *strip) order() []int {
	var order []int
	for i := range min(s.n.Load(), stripLength) {
		order = append(order, int(s.slots[i].Load()))
	}
	return order
}
