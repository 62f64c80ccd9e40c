package keyspace

// dueHeap orders keys by when they may have to be freed. It is a heap of four
// children a node, which halves the depth of the usual one and keeps siblings
// on one cache line.
//
// A node's time is never later than its key's expiry, but may be earlier:
// a lock that is renewed, or a companion that outlives one more lease, costs
// no move in the heap. The node is put right when it reaches the top.
type dueHeap []due

type due struct {
	at int64 // ms since the epoch
	e  *entry
}

const fanout = 4

// set brings the heap in line with e.expires.
func (h *dueHeap) set(e *entry) {
	if e.expires == 0 {
		h.remove(e)
		return
	}
	if e.slot == 0 {
		*h = append(*h, due{at: e.expires, e: e})
		e.slot = int32(len(*h))
		h.up(len(*h) - 1)
		return
	}
	if i := int(e.slot) - 1; e.expires < (*h)[i].at {
		(*h)[i].at = e.expires
		h.up(i)
	}
}

// remove takes e out, if it is in.
func (h *dueHeap) remove(e *entry) {
	if e.slot == 0 {
		return
	}
	i, last := int(e.slot)-1, len(*h)-1
	e.slot = 0
	moved := (*h)[last]
	(*h)[last] = due{}
	*h = (*h)[:last]
	if i < last {
		h.place(i, moved)
		h.up(i)
		h.down(int(moved.e.slot) - 1)
	}
	if cap(*h) >= shrinkFrom && last < cap(*h)/8 {
		*h = append(make(dueHeap, 0, 2*last), *h...)
	}
}

func (h *dueHeap) place(i int, d due) {
	(*h)[i] = d
	d.e.slot = int32(i + 1)
}

func (h *dueHeap) up(i int) {
	d := (*h)[i]
	for i > 0 {
		parent := (i - 1) / fanout
		if (*h)[parent].at <= d.at {
			break
		}
		h.place(i, (*h)[parent])
		i = parent
	}
	h.place(i, d)
}

func (h *dueHeap) down(i int) {
	d := (*h)[i]
	for {
		least := i*fanout + 1
		if least >= len(*h) {
			break
		}
		for c := least + 1; c < min(least+fanout, len(*h)); c++ {
			if (*h)[c].at < (*h)[least].at {
				least = c
			}
		}
		if d.at <= (*h)[least].at {
			break
		}
		h.place(i, (*h)[least])
		i = least
	}
	h.place(i, d)
}

// Sweep looks at up to limit keys whose time may have come, frees those that
// expired, and reports whether it left any for another call. It is cheap
// when none is due, so that an owner can call it with every script.
func (k *Keyspace) Sweep(limit int) (more bool) {
	now := k.millis()
	for ; len(k.due) > 0 && k.due[0].at < now; limit-- {
		if limit == 0 {
			return true
		}
		e := k.due[0].e
		if k.expired(e) {
			k.remove(e)
			continue
		}
		k.due[0].at = e.expires
		k.due.down(0)
	}
	return false
}

// NextSweep tells when the next key may have to be freed, in µs from the last
// Tick; ok is false when no key will ever expire.
func (k *Keyspace) NextSweep() (in int64, ok bool) {
	if len(k.due) == 0 {
		return 0, false
	}
	return max(0, (k.due[0].at+1)*1000-k.now), true
}
