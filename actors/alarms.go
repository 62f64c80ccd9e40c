package actors

import (
	"container/heap"
	"sync"
	"sync/atomic"
	"time"
)

// Alarms tell actors when to look again: those of many keys on one timer. A timer for
// each would be a twelfth of what a live key costs (170 bytes).
type alarms struct {
	clock *clock

	// gained is clock.ahead when the timer was set: it fires late if that has grown.
	gained atomic.Int64

	armed sync.WaitGroup // 1 from when the timer is set until its ring has ended, or it was stopped

	mu    sync.Mutex // protects what follows, and entry.place
	due   dueHeap
	timer *time.Timer // nil before the first alarm
	at    instant     // when it fires; 0 when it is not running
}

// alarmShards is how many timers a coordinator has at most: with one, keys of two
// processors would wait for each other.
const alarmShards = 16

// A dueHeap is a heap of container/heap by time. An entry knows its place in it, from 1;
// 0 is none.
type dueHeap []alarm

type alarm struct {
	at    instant
	entry *entry
}

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].at < h[j].at }
func (h dueHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].entry.place, h[j].entry.place = int32(i+1), int32(j+1)
}

// Push and Pop make it a heap.Interface. To box what they take and return would
// allocate: add and remove do their work.
func (h *dueHeap) Push(any) { panic("actors: see dueHeap.add") }
func (h *dueHeap) Pop() any { panic("actors: see dueHeap.remove") }

func (h *dueHeap) add(e *entry, at instant) {
	*h = append(*h, alarm{at, e})
	e.place = int32(len(*h))
	heap.Fix(h, len(*h)-1)
}

func (h *dueHeap) remove(e *entry) {
	i, last := int(e.place)-1, len(*h)-1
	if i != last {
		h.Swap(i, last)
	}
	(*h)[last] = alarm{}
	*h = (*h)[:last]
	if i != last {
		heap.Fix(h, i)
	}
	e.place = 0
	if len(*h) == 0 {
		*h = nil // lets go of the array of a million keys
	}
}

// set has the actor get a tick at an instant, and not at the one that was set before.
func (s *alarms) set(e *entry, at, now instant) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.place == 0 {
		s.due.add(e, at)
	} else {
		s.due[e.place-1].at = at
		heap.Fix(&s.due, int(e.place)-1)
	}
	s.armLocked(now)
}

// drop takes the actor's alarm back. A tick may be on its way.
func (s *alarms) drop(e *entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.place != 0 {
		s.due.remove(e)
	}
	if len(s.due) == 0 && s.at != 0 && s.timer.Stop() { // nobody is left whom it would wake
		s.at = 0
		s.armed.Done()
	}
}

// armLocked sets the timer for the first of the alarms. It is left alone where it fires
// sooner.
func (s *alarms) armLocked(now instant) {
	gained := s.clock.ahead.Load()
	if len(s.due) == 0 || s.at != 0 && s.due[0].at >= s.at && gained == s.gained.Load() {
		return
	}
	s.at = s.due[0].at
	s.gained.Store(gained)
	d := max(s.at.Sub(now), 0)
	switch {
	case s.timer == nil:
		s.armed.Add(1)
		s.timer = time.AfterFunc(d, s.ring)
	case !s.timer.Reset(d): // it was not running; a ring under way counts by itself
		s.armed.Add(1)
	}
}

// ring posts a tick to each actor whose time has come. The timer runs it on a goroutine
// that ends with it.
func (s *alarms) ring() {
	defer s.armed.Done()
	now := s.clock.now()
	var due []*entry
	s.mu.Lock()
	s.at = 0
	for len(s.due) > 0 && s.due[0].at <= now {
		due = append(due, s.due[0].entry)
		s.due.remove(s.due[0].entry)
	}
	s.armLocked(now)
	s.mu.Unlock()
	for _, e := range due {
		e.post(tick{})
	}
}
