package machine

import (
	"math"
	"time"
)

// list names where a hold is linked.
type list uint8

const (
	nowhere list = iota
	inQueue
	inHolders
)

// holds is a doubly linked list of holds, oldest first. A hold is in one list at
// most, so the links live in it and leaving costs no search: a hundred thousand
// waiters that give up are gone in linear time.
type holds struct {
	first, last *Hold
	len         int32
	name        list
}

func (q *holds) push(h *Hold) {
	q.check(h)
	h.listed, h.prev, h.next = q.name, q.last, nil
	if q.last == nil {
		q.first = h
	} else {
		q.last.next = h
	}
	q.last = h
	q.len++
}

// pushFirst puts h before all others.
func (q *holds) pushFirst(h *Hold) {
	first := q.first
	if first == nil {
		q.push(h)
		return
	}
	q.check(h)
	h.listed, h.next, first.prev, q.first = q.name, first, h, h
	q.len++
}

func (q *holds) check(h *Hold) {
	if h.listed != nowhere {
		panic("machine: hold is in a list already")
	}
}

func (q *holds) remove(h *Hold) {
	if h.listed != q.name {
		panic("machine: hold is not in this list")
	}
	if h.prev == nil {
		q.first = h.next
	} else {
		h.prev.next = h.next
	}
	if h.next == nil {
		q.last = h.prev
	} else {
		h.next.prev = h.prev
	}
	h.listed, h.prev, h.next = nowhere, nil, nil
	q.len--
}

// A queue has those who wait, by arrival, with their timeouts and places.
type queue struct {
	holds
	tries   int32   // those of them that came for one try
	soonest Instant // nobody times out before
	walked  Instant // when the queue was last searched for timeouts
}

func (q *queue) add(h *Hold, now Instant) {
	q.counts(h, now)
	q.push(h)
}

// addFirst adds h before all others.
func (q *queue) addFirst(h *Hold, now Instant) {
	q.counts(h, now)
	q.pushFirst(h)
}

// addLast puts one that was dropped behind all others.
func (q *queue) addLast(h *Hold) {
	q.soonest = min(q.soonest, h.until)
	if h.Spec.Try {
		q.tries++
	}
	q.push(h)
}

// counts notes how long h waits, which is added.
func (q *queue) counts(h *Hold, now Instant) {
	h.arrived, h.until = now, math.MaxInt64
	if h.Spec.Timeout > 0 {
		h.until = now.Add(h.Spec.Timeout)
	}
	if q.len == 0 || h.until < q.soonest {
		q.soonest = h.until
	}
	if h.Spec.Try {
		q.tries++
	}
}

func (q *queue) drop(h *Hold) {
	if h.Spec.Try {
		q.tries--
	}
	q.remove(h)
}

// nextWalk returns when to search the queue for waiters whose time is over; 0 if
// nobody waits. A waiter that times out alone is answered to the moment. Of many that
// time out one after the other some wait for the next search, at most 220 ms with a
// million in the queue, so that searching takes but a small part of the time.
func (q *queue) nextWalk() Instant {
	const pause, each = 20 * time.Millisecond, 200 * time.Nanosecond
	if q.len == 0 {
		return 0
	}
	return max(q.soonest, q.walked.Add(pause+time.Duration(q.len)*each))
}

// walk calls f for each waiter whose time is over; f drops it.
func (q *queue) walk(now Instant, f func(*Hold)) {
	q.walked, q.soonest = now, math.MaxInt64
	for h := q.first; h != nil; {
		next := h.next
		if now >= h.until {
			f(h)
		} else {
			q.soonest = min(q.soonest, h.until)
		}
		h = next
	}
}

// eachTry calls f for each waiter that came for one try; f may drop it.
func (q *queue) eachTry(f func(*Hold)) {
	for h := q.first; h != nil && q.tries > 0; {
		next := h.next
		if h.Spec.Try {
			f(h)
		}
		h = next
	}
}

// placeSteps bounds what telling a place may cost: when a hundred thousand
// waiters time out, walking the queue for each would take minutes.
const placeSteps = 1024

// place returns how many holds are ahead of h, h included; 0 when h is not in q, or
// is deep in a long queue.
func (q *queue) place(h *Hold) int {
	if h.listed != q.name {
		return 0
	}
	front, back := q.first, q.last
	for n := 1; n <= placeSteps && front != nil && back != nil; n++ {
		if front == h {
			return n
		}
		if back == h {
			return int(q.len) - n + 1
		}
		front, back = front.next, back.prev
	}
	return 0
}
