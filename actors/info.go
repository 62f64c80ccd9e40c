package actors

import (
	"time"
)

// Info is what a key actor knows of its key.
type Info struct {
	Key       string
	Held      bool   // by a caller in this process
	Leased    bool   // by this process, held or lingering
	Revoked   bool   // what is leased was revoked
	Holder    string // the label of the hold that is held
	Fence     uint64
	HeldFor   time.Duration
	ExpiresIn time.Duration
	Waiters   int
	Place     int // of this process among those that wait at the backend; 0: it doesn't, or unknown
}

func (a *keyActor) info(now instant) Info {
	i := Info{Key: a.entry.key, Waiters: a.queue.len, Leased: a.lease.own, Revoked: a.lease.revoked}
	if !a.lease.own && a.queue.len > 0 {
		i.Place = a.heldBy.place
	}
	if h := a.holders.first; h != nil {
		i.Held, i.Fence, i.Holder = true, h.fence, a.c.label(h)
		i.HeldFor, i.ExpiresIn = now.sub(h.granted), max(h.deadline.sub(now), 0)
	}
	return i
}

// waitError says what an acquire waits for. It is asked before the acquire
// leaves the queue, or instead of queueing it.
func (a *keyActor) waitError(h *Hold, now instant) WaitError {
	e := WaitError{
		Key:    a.entry.key,
		Waited: now.sub(h.arrived),
		Try:    h.spec.Try,
		Err:    a.lastErr,
		Silent: a.silent(h, now),
	}
	if h.listed == inQueue && !h.spec.Try {
		e.Place, e.Queue = a.queue.place(h), a.queue.len
		if !a.lease.own {
			e.Process = a.heldBy.place
		}
	}
	if e.Silent {
		return e
	}
	e.Held = true
	switch held := a.holders.first; {
	case held != nil:
		e.Holder, e.Local, e.HeldFor = a.c.label(held), true, now.sub(held.granted)
	case !a.lease.own && a.heldBy.label != "":
		e.Holder = a.heldBy.label
		if a.heldBy.known {
			e.HeldFor = now.sub(a.heldBy.since)
		}
	}
	return e
}

// silent reports whether the backend was asked for the key since h came, and has
// not answered. A backend that was not asked is not silent: no poll was due, or
// somebody here has the key.
func (a *keyActor) silent(h *Hold, now instant) bool {
	const hung = 100 * time.Millisecond
	switch {
	case a.busy(), a.answered >= h.arrived:
		return false
	case a.failures > 0:
		return true
	}
	return a.call != nil && (!a.heldBy.held || now.sub(a.call.began) > hung)
}

// Lookup asks the key's actor what it knows; ok is false if the key has none.
func (c *Coordinator) Lookup(key string) (Info, bool) {
	e := c.directory.find(key)
	if e == nil {
		return Info{}, false
	}
	return e.lookup()
}

func (e *entry) lookup() (Info, bool) {
	reply := make(chan Info, 1)
	if !e.post(snapshot{reply}) {
		return Info{}, false
	}
	return <-reply, true
}

// Keys calls yield for each key that is held here or waited for, in no order,
// until it returns false. It is no snapshot: keys come and go meanwhile.
func (c *Coordinator) Keys(yield func(Info) bool) {
	c.directory.each(func(e *entry) bool {
		i, ok := e.lookup()
		if !ok || !i.Leased && i.Waiters == 0 {
			return true
		}
		return yield(i)
	})
}
