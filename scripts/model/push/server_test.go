package push

import (
	"maps"
	"slices"
)

// Times are in µs.
const (
	millisecond = int64(1_000)
	second      = 1_000 * millisecond

	direct  = second           // how long a lease lasts that was given and not confirmed, where the session has few keys
	long    = 3 * second       // and where it has very many
	reserve = 75 * millisecond // how long the key is kept for a poll-only session
)

type token struct{ session, attempt int }

// A waiter is a member of the queue.
type waiter struct {
	token
	number int64 // of its newest ask
	score  int64 // when that ran, ms
	alive  int64 // until when it counts as alive
	length int64 // of the leases that it is given
	hears  bool
}

// A state is a replica's of the key.
type state struct {
	lock    token // zero: free
	end     int64 // of the lock
	last    int64 // the newest base
	first   int64 // the base that the lease began with; negative until it is confirmed
	lease   token // the newest attempt that has or had the lock
	revoked int64 // the first base of the lease that is revoked
	queue   []waiter
	settled map[int]int // the highest attempt of each session that has ended
}

func (s *state) copied() state {
	c := *s
	c.queue, c.settled = slices.Clone(s.queue), maps.Clone(s.settled)
	return c
}

// A server runs the scripts, one at a time.
type server struct {
	state
	p   *play
	now int64 // its clock
}

func (s *server) has(r rule) bool { return s.p.without != r }

// expire ends the lock whose time is over. Each script begins with it.
func (s *server) expire() {
	if s.now >= s.end {
		s.lock = token{}
	}
}

func (s *server) identity() int64 { return max(s.first, -s.first) }

func (s *server) mint() {
	s.last = max(s.now, s.last+1)
	s.p.watch.minted(s.last)
}

// have gives t the lock until the time is over.
func (s *server) have(t token, length int64) {
	s.p.watch.gives(t)
	s.lock, s.end, s.lease = t, s.now+length, t
	s.mint()
	s.first = s.last
}

// head removes the dead heads of the queue.
func (s *server) head() *waiter {
	for len(s.queue) > 0 && s.queue[0].alive < s.now {
		s.queue = s.queue[1:]
	}
	if len(s.queue) == 0 {
		return nil
	}
	return &s.queue[0]
}

// give gives the free lock to the first that waits.
func (s *server) give() {
	w := *s.head()
	s.queue = s.queue[1:]
	length := w.length
	if !w.hears {
		length = reserve
	}
	s.have(w.token, length)
	s.first = -s.first
	s.tell(w, w.hears || !s.has(reservationAsks))
	if w.hears {
		return
	}
	for _, next := range s.queue {
		if next.hears && next.alive >= s.now {
			s.tell(next, !s.has(nextAsks))
			return
		}
	}
}

// tell pushes to a waiter that the lock is its own, or a hint. A session without an inbox may just have begun to hear.
func (s *server) tell(w waiter, grants bool) {
	p := push{
		to: w.token, grants: grants, base: s.last, length: w.length, number: w.number, score: w.score,
		origin: s.p.watch.origin,
	}
	s.p.watch.given[w.token] = max(s.p.watch.given[w.token], s.last)
	s.p.wire = append(s.p.wire, p)
}

// pass ends a lease: the lock goes to the first that waits, or is free.
func (s *server) pass() {
	s.lock = token{}
	if s.head() != nil {
		s.give()
	}
}

func (s *server) index(t token) int {
	return slices.IndexFunc(s.queue, func(w waiter) bool { return w.token == t })
}

func (s *server) leave(t token) {
	s.queue = slices.DeleteFunc(s.queue, func(w waiter) bool { return w.token == t })
}

type outcome int

const (
	granted outcome = iota
	held
	settled
	renewed
	notHeld
	isRevoked
	finished
)

// A reply is a script's.
type reply struct {
	outcome outcome
	base    int64
	length  int64
	score   int64 // held: when the ask ran, ms
	told    int64 // held: the newest base that was given to the attempt before, for the watch
	origin  origin
}

// acquire is an ask.
func (s *server) acquire(w waiter, ttl, aliveFor int64) reply {
	s.expire()
	t := w.token
	if s.settled[t.session] >= t.attempt {
		return s.says(reply{outcome: settled})
	}
	if s.lock == (token{}) && s.head() != nil && s.head().token != t {
		s.give()
	}
	switch {
	case s.lock == t:
		return s.again(t, ttl)
	case s.lock == (token{}):
		s.leave(t)
		s.have(t, ttl)
		return s.says(reply{outcome: granted, base: s.last, length: ttl})
	}
	w.score, w.alive = s.now/millisecond, s.now+aliveFor
	if i := s.index(t); i >= 0 {
		s.queue[i] = w
	} else {
		s.queue = append(s.queue, w)
	}
	return s.says(reply{outcome: held, score: w.score, told: s.p.watch.given[t]})
}

// beat keeps the place of a waiter, and takes the number of its newest ask.
func (s *server) beat(w waiter, aliveFor int64) reply {
	s.expire()
	w.score, w.alive = s.now/millisecond, s.now+aliveFor
	switch i := s.index(w.token); {
	case i >= 0:
		s.queue[i] = w
	case s.has(beatsAddNothing):
		return s.says(reply{outcome: notHeld})
	default:
		s.queue = append(s.queue, w)
	}
	return s.says(reply{outcome: held, score: w.score, told: s.p.watch.given[w.token]})
}

// again answers an ask whose attempt has the lock: it was given it, or the ask is repeated.
func (s *server) again(t token, ttl int64) reply {
	s.leave(t)
	if s.revoked == s.identity() {
		return s.says(reply{outcome: granted, base: s.last, length: s.end - s.now})
	}
	s.end = max(s.end, s.now+ttl)
	s.mint()
	s.stays()
	return s.says(reply{outcome: granted, base: s.last, length: ttl})
}

// stays says that the lease is confirmed.
func (s *server) stays() {
	if s.first = s.identity(); !s.has(firstStays) {
		s.first = s.last
	}
}

// renew lengthens a lease, or confirms it. known is the newest base that the session has of it: a base from first on
// is the lease's own.
func (s *server) renew(t token, ttl, known int64) reply {
	s.expire()
	if s.lock == (token{}) && !s.has(freeStaysFree) {
		s.have(t, ttl)
		return s.says(reply{outcome: renewed, base: s.last, length: ttl})
	}
	if s.lock != t || s.has(namesLease) && known < s.identity() {
		return s.says(reply{outcome: notHeld})
	}
	if s.revoked == s.identity() {
		return s.says(reply{outcome: isRevoked})
	}
	if s.last != known {
		ttl = max(ttl, s.end-s.now)
	}
	s.end = s.now + ttl
	s.mint()
	s.stays()
	return s.says(reply{outcome: renewed, base: s.last, length: ttl})
}

// finish releases or cancels.
func (s *server) finish(t token) reply {
	s.expire()
	s.leave(t)
	s.settled[t.session] = max(s.settled[t.session], t.attempt)
	if s.lock == t {
		s.pass()
	}
	return s.says(reply{outcome: finished})
}

func (s *server) says(r reply) reply {
	r.origin = s.p.watch.origin
	return r
}

// revoke asks for the end of the lease that is there, or ends it.
func (s *server) revoke(now bool) {
	s.expire()
	t := s.lock
	if t == (token{}) || s.first < 0 && !s.has(givenIsRevocable) {
		s.p.watch.notRevoked(t)
		return
	}
	if !now {
		s.revoked = s.identity()
		return
	}
	s.p.watch.endsEarly()
	s.settled[t.session] = max(s.settled[t.session], t.attempt)
	s.pass()
}
