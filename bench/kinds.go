package bench

import (
	"context"
	"fmt"
)

// Kinds of hold in a Description, beside exclusive ones.
const (
	KindShared = "shared"
	KindSlots  = "slots"
)

// A Sharer is a Locker whose keys can be held by many together: readers, beside writers that Lock.
type Sharer interface {
	Locker
	// Share blocks until the key is the caller's, beside others that share it, or ctx ends.
	Share(ctx context.Context, key string) (Held, error)
}

// A Slotter is a Locker whose keys can be held by so many at a time.
type Slotter interface {
	Locker
	// Slot blocks until fewer than n hold the key, all of whom said the same n, or ctx ends.
	Slot(ctx context.Context, key string, n int) (Held, error)
}

// A holdKind is that of one hold.
type holdKind uint8

const (
	exclusive holdKind = iota
	shared
	slotted
)

// others has how the workload's holds are taken that are not exclusive; nil where there are
// none, or the strategy has none.
type others struct {
	share func(context.Context, string) (Held, error)
	slot  func(context.Context, string, int) (Held, error)
}

func othersOf(l Locker, w Workload) (k others) {
	if s, ok := l.(Sharer); ok && w.Shared > 0 {
		k.share = s.Share
	}
	if s, ok := l.(Slotter); ok && w.Slots > 0 {
		k.slot = s.Slot
	}
	return k
}

// kind is that of a contender's next hold.
func (l *load) kind(c *contender) holdKind {
	switch {
	case l.others.slot != nil:
		return slotted
	case l.others.share != nil && c.rng.Float64() < l.spec.Workload.Shared:
		return shared
	}
	return exclusive
}

// take takes a key.
func (l *load) take(ctx context.Context, of holdKind, key string) (Held, error) {
	switch of {
	case shared:
		return l.others.share(ctx, key)
	case slotted:
		return l.others.slot(ctx, key, l.spec.Workload.Slots)
	}
	return l.locker.Lock(ctx, key)
}

// join is enter of a hold that is not exclusive. Of a reader and a writer that are in together
// one sees the other: each first says that it is in. slots is how many may be in together; 0: any
// number.
func (r *record) join(key, me, slots int, fence uint64) *breach {
	c := &r.cells[key]
	in := c.together.Add(1)
	if before := c.inside.Load(); before != 0 {
		return &breach{kindOverlap, fmt.Sprintf("key %d: contender %d got it with others while contender %d was in alone", key, me, before-1)}
	}
	if slots > 0 && in > int64(slots) {
		return &breach{kindOverlap, fmt.Sprintf("key %d: contender %d got it as one of %d, and %d were in", key, me, slots, in)}
	}
	if fence == 0 {
		return nil
	}
	if before := c.fence.Load(); before >= fence {
		return &breach{kindFence, fmt.Sprintf("key %d: contender %d got fence %d with others, after %d", key, me, fence, before)}
	}
	for before := c.joined.Load(); before < fence && !c.joined.CompareAndSwap(before, fence); before = c.joined.Load() {
	}
	return nil
}

// part is leave of a hold that is not exclusive.
func (r *record) part(key int) { r.cells[key].together.Add(-1) }
