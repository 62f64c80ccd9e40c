//go:build linux || darwin

package file

import (
	"slices"

	"github.com/turnstile-go/turnstile/backends"
)

const (
	// patience is how long a lease promised to a waiter waits to be fetched, and
	// the least time that a waiter counts as alive after it asked: 1 s, in µs.
	patience = 1_000_000
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

// wait puts a waiter at the end of the queue, or marks it as alive where it is, with what it wants by now: for
// longer the farther it is behind, since it asks less often. A waiter that asks all
// the time need not be written down each time. Beyond maxQueue it waits without a
// place.
func (r *record) wait(w waiter, now int64) (place int, changed bool) {
	i := r.position(w.token)
	if i < 0 && len(r.queue) >= maxQueue {
		return 0, false
	}
	if i < 0 {
		i, changed = len(r.queue), true
		r.queue = append(r.queue, w)
	}
	lasts := patience + 3*ceil(slowest(i+1))
	if changed = changed || r.queue[i].alive < now+lasts*2/3 || r.queue[i].wish != w.wish; changed {
		r.queue[i].alive, r.queue[i].wish = now+lasts, w.wish
	}
	return i + 1, changed
}

// A next is a waiter whose turn it is.
type next struct {
	token   backends.Token
	session string
	given   bool // it is promised the key, or can join; else it is only the first in the queue
}

// turns are those whose turn it is.
func (r *record) turns(now int64) (all []next) {
	if r.lease.promised {
		all = append(all, next{r.lease.token, r.lease.session, true})
	}
	for _, w := range r.fitting(now) {
		all = append(all, next{w.token, w.session, true})
	}
	if len(r.queue) > 0 {
		all = append(all, next{r.queue[0].token, r.queue[0].session, false})
	}
	return all
}

// newcomers are the sessions whose turn has come. A waiter that was far behind polls
// seldom. When it is told, it asks at once, and often from then on.
func (b *Backend) newcomers(before, after []next) (sessions []string) {
	for _, n := range after {
		// A waiter that became first by its own call knows it.
		own := !n.given && n.session == b.session.name
		told := slices.ContainsFunc(before, func(m next) bool { return m.token == n.token && (m.given || !n.given) })
		if !own && !told && !slices.Contains(sessions, n.session) {
			sessions = append(sessions, n.session)
		}
	}
	return sessions
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
