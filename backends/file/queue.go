//go:build linux || darwin

package file

import (
	"github.com/turnstile-go/turnstile/backends"
)

const (
	// patience is how long a waiter counts as alive after it asked, and how
	// long a lease promised to it waits to be fetched: 1 s, in µs.
	patience = 1_000_000
	// refresh: a waiter that polls 40 times a second need not be written down
	// each time. It has 700 ms left at least when it is.
	refresh = 300_000
	// heads is how many dead waiters one call looks at, at most.
	heads = 64
)

// position is a token's index in the queue, or -1.
func (r *record) position(t backends.Token) int {
	for i, w := range r.queue {
		if w.token == t {
			return i
		}
	}
	return -1
}

// leave takes a token out of the queue and reports whether it was there.
func (r *record) leave(t backends.Token) bool {
	i := r.position(t)
	if i < 0 {
		return false
	}
	r.queue = append(r.queue[:i], r.queue[i+1:]...)
	return true
}

// wait puts a waiter at the end of the queue, or marks it as alive where it
// is. Beyond maxQueue it waits without a place.
func (r *record) wait(w waiter) (place int, changed bool) {
	if i := r.position(w.token); i >= 0 {
		changed = r.queue[i].alive < w.alive-refresh
		if changed {
			r.queue[i].alive = w.alive
		}
		return i + 1, changed
	}
	if len(r.queue) >= maxQueue {
		return 0, false
	}
	r.queue = append(r.queue, w)
	return len(r.queue), true
}

// prune drops dead waiters from the front, so that who is first is alive:
// silent ones, and those whose session is free.
func (b *Backend) prune(r *record, now int64) {
	n := 0
	for n < len(r.queue) && n < heads && (r.queue[n].alive < now || !b.alive(r.queue[n].session)) {
		n++
	}
	r.queue = r.queue[n:]
}

// held reports whether the key has a holder: its lease has not reached its
// end, and its session lives.
func (b *Backend) held(r *record, now int64) bool {
	return !r.lease.none() && now < r.lease.ends && b.alive(r.lease.session)
}

// pass ends whatever lease there is: the first live waiter is promised the
// next one, or the key is free.
func (b *Backend) pass(r *record, now int64) {
	r.lease = lease{}
	b.prune(r, now)
	if len(r.queue) == 0 {
		return
	}
	w := r.queue[0]
	r.queue = r.queue[1:]
	r.lease = lease{token: w.token, session: w.session, at: now, ends: now + patience, promised: true}
}

// mint makes the next base: the time, or one more than the last where the
// clock stood still or stepped back.
func (r *record) mint() uint64 {
	r.last = max(uint64(wall()), r.last+1)
	return r.last
}
