package bench

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"
)

// A contender is owned by its goroutine until that has ended; warm alone is read
// before.
type contender struct {
	chooser
	me    int // its number, over all processes
	meter *meter

	warm     atomic.Uint64 // holds of the warm-up
	holds    uint64        // while measuring
	overlaps int
	unfenced int
	breaches []*breach // the first of each kind
	unserved bool      // it still waited when waiting was ended
	err      error

	_ [128]byte // neighbours count on other CPUs: their lines must not meet
}

// yieldEvery is how often a holder yields inside its section while measuring, so
// that a second holder has time to show up there: an empty section alone would
// hide it. In the warm-up all that are timed do; each time costs a lock like
// sync.Mutex the parking of all its waiters, 60 µs for 64.
const yieldEvery = 10 * time.Millisecond

// closed is one contender's loop: the next acquire follows the last release.
func (l *load) closed(ctx context.Context, c *contender) error {
	for l.phases.now() != stopped {
		began := int64(0)
		if c.one(l.shift.Load()) {
			began = l.clock.now()
		}
		if done, err := l.hold(ctx, c, began); done || err != nil {
			return err
		}
		pause(l.clock, l.spec.Workload.Think)
	}
	return nil
}

// hold takes a key and gives it back. began is when its wait began, 0 for one
// that is not timed. done says that the run is over for this contender.
//
// A wait under way at the end is seen through and counts among the waits; its
// hold does not count, as it came too late.
func (l *load) hold(ctx context.Context, c *contender, began int64) (done bool, err error) {
	k, of := c.key(), l.kind(c)
	held, err := l.take(ctx, of, l.names[k])
	if err != nil {
		if l.phases.now() != stopped || ctx.Err() == nil {
			return true, fmt.Errorf("acquire: %w", err)
		}
		c.unserved = true
		if began != 0 {
			c.meter.record(l.clock.now()-began, -1)
		}
		return true, nil
	}
	wait, handed := l.granted(c, k, of, began)
	l.section(c, k, of, held.Fence(), began != 0)
	// The phase is read before the release: a hold belongs to the phase in which
	// it was had.
	phase := l.phases.now()
	if err := held.Unlock(); err != nil {
		return true, fmt.Errorf("release: %w", err)
	}
	switch phase {
	case warming:
		c.warm.Store(c.warm.Load() + 1)
		return false, nil
	case measuring:
		c.holds++
	default:
		l.late.Add(1)
	}
	if began != 0 {
		c.meter.record(wait, handed)
	}
	return false, nil
}

// granted tells the times of a grant, -1 for none. Only who was waiting when the
// key was released, and got it alone, tells of the way from release to grant.
func (l *load) granted(c *contender, k int, of holdKind, began int64) (wait, handed int64) {
	if began == 0 {
		return -1, -1
	}
	now := l.clock.now()
	if released, ok := l.record.handed(k, c.me); ok && released > began && of == exclusive {
		return now - began, now - released
	}
	return now - began, -1
}

// section is what the lock protects.
func (l *load) section(c *contender, k int, of holdKind, fence uint64, timed bool) {
	if b := l.enter(c, k, of, fence); b != nil {
		c.broken(b)
	}
	pause(l.clock, l.spec.Workload.Hold)
	released := int64(0)
	if timed {
		l.yield()
		// Before the call, so that the way to the server is part of the time.
		released = l.clock.now()
	}
	if of == exclusive {
		l.record.leave(k, c.me, released)
	} else {
		l.record.part(k)
	}
}

func (l *load) enter(c *contender, k int, of holdKind, fence uint64) *breach {
	switch of {
	case shared:
		return l.record.join(k, c.me, 0, fence)
	case slotted:
		return l.record.join(k, c.me, l.spec.Workload.Slots, fence)
	}
	return l.record.enter(k, c.me, fence)
}

func (l *load) yield() {
	if l.phases.now() != warming {
		now, due := l.clock.now(), l.yieldDue.Load()
		if now < due || !l.yieldDue.CompareAndSwap(due, now+int64(yieldEvery)) {
			return
		}
	}
	runtime.Gosched()
}

// broken counts breaches and keeps the first of each kind. The run goes on: how
// often it happens is worth knowing.
func (c *contender) broken(b *breach) {
	count := &c.overlaps
	if b.kind == kindFence {
		count = &c.unfenced
	}
	if *count == 0 {
		c.breaches = append(c.breaches, b)
	}
	*count++
}
