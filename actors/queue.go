package actors

// list names where a hold is linked.
type list uint8

const (
	nowhere list = iota
	inQueue
	inHolders
)

// A queue is a doubly linked list of holds, oldest first; a hold is in one
// queue at most, so that the links live in it and leaving costs no search: a
// hundred thousand waiters that give up are gone in linear time.
type queue struct {
	name        list
	first, last *Hold
	len         int
}

func (q *queue) push(h *Hold) {
	if h.listed != nowhere {
		panic("actors: hold is in a list already")
	}
	h.listed, h.prev, h.next = q.name, q.last, nil
	if q.last == nil {
		q.first = h
	} else {
		q.last.next = h
	}
	q.last = h
	q.len++
}

func (q *queue) remove(h *Hold) {
	if h.listed != q.name {
		panic("actors: hold is not in this list")
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

// placeSteps bounds what telling a place may cost: when a hundred thousand
// waiters time out, walking the queue for each would take minutes.
const placeSteps = 1024

// place is how many holds are ahead of h, h included; 0 when h is not in q, or
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
			return q.len - n + 1
		}
		front, back = front.next, back.prev
	}
	return 0
}
