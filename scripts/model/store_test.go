package model

import "slices"

// Times are ms.
const (
	second = int64(1000)
	keep   = 60 * second
	slop   = int64(10)
)

// A token proves an attempt of a session. The zero value is nobody's.
type token struct{ session, attempt int }

type kind int

const (
	free kind = iota
	ours
	stamp // a pylock's time
	other // another library's
	hash  // no string at all
)

// A value stands under the lock's name.
type value struct {
	kind  kind
	token token // of ours
	time  int64 // of stamp: after which it is in the past
	id    int   // of stamp and other: the client
	end   int64 // by the server's clock; 0: no ttl
}

// A companion is the string beside the lock.
type companion struct {
	quiet bool
	last  int64
	first int64 // negative while given and not confirmed; 0: unknown
	lease token
	end   int64
}

// A mark says that the session's attempts up to this one are settled.
type mark struct {
	attempt int
	real    int64 // when it was made
}

// An over mark is left by our own take-over of a left-over: a token that a stalled pylock overwrites may be put back.
type over struct {
	when, real int64
	lease      token // granted in full since; the zero token: none
}

// A revocation is of one lease.
type revocation struct {
	lease token
	first int64
}

type waiter struct {
	token     token
	score     int64
	alive     int64
	lives     int64 // how long an ask keeps it alive, and a lease lasts that is given to it
	ask       int64 // the newest ask's number
	real      int64 // when it came
	askedReal int64
}

// A store is the server's state of one key.
type store struct {
	without rule
	watch   *watch
	now     int64 // the server's clock
	real    int64 // the time that passes

	lock      value
	companion *companion
	foreign   bool // under the companion's name stands another's hash
	settled   map[int]mark
	until     int64 // the marks are needed
	over      *over
	revoked   *revocation
	moreEnd   int64
	queue     []waiter
	queueEnd  int64
	blind     bool // the companion was evicted, and no full script ran since

	of token // the attempt that the full script that runs is of; the zero token: none

	memoryFull bool
	told       *told // what the last script told of a lease that it gave
}

// A told lease is a push's.
type told struct {
	token     token
	ask, ttl  int64
	contended bool
}

func (s *store) has(r rule) bool { return s.without != r }

// pass lets time go by.
func (s *store) pass(ms int64) {
	s.real += ms
	s.now += ms
	s.expire()
}

// step moves the server's clock alone.
func (s *store) step(ms int64) {
	s.now += ms
	s.watch.stepped(s, ms)
	s.expire()
}

func (s *store) expire() {
	if s.lock.end != 0 && s.lock.end <= s.now {
		s.lock = value{}
	}
	if s.companion != nil && s.companion.end <= s.now {
		s.watch.companionLost(s)
		s.companion = nil
	}
	if s.moreEnd <= s.now {
		s.dropMore()
	}
	if s.queueEnd <= s.now {
		s.queue = nil
	}
}

// begin begins a full script.
func (s *store) begin(t token) {
	s.expire()
	s.of, s.told = t, nil
}

func (s *store) dropMore() { s.settled, s.until, s.over, s.revoked, s.moreEnd = nil, 0, nil, nil, 0 }

// The evictions.
func (s *store) evictLock() { s.lock = value{}; s.watch.voidAll() }

func (s *store) evictCompanion() {
	if s.companion != nil {
		s.watch.companionLost(s)
		s.watch.companionEvicted(s)
		s.companion, s.blind = nil, true
	}
}

func (s *store) evictMore() { s.watch.marksLost(s); s.dropMore() }

func (s *store) evictAll() {
	s.evictLock()
	s.evictCompanion()
	s.evictMore()
	s.queue = nil
}

// remembers reports whether more has something that a fast script must not pass by.
func (s *store) remembers() bool {
	if s.over != nil && s.now-s.over.when <= keep {
		return true
	}
	if s.revoked != nil {
		return true
	}
	return len(s.settled) > 0 && s.now <= s.until && s.has(marksRemembered)
}

func (s *store) index(t token) int {
	return slices.IndexFunc(s.queue, func(w waiter) bool { return w.token == t })
}

func (s *store) leaves(t token) {
	if i := s.index(t); i >= 0 {
		s.queue = slices.Delete(s.queue, i, i+1)
	}
}

// head returns the first live waiter. Before it, the dead are dropped, and those that have ended.
func (s *store) head() (token, bool) {
	for len(s.queue) > 0 {
		if w := s.queue[0]; w.alive >= s.now && !s.ended(w.token) {
			return w.token, true
		}
		s.queue = s.queue[1:]
	}
	return token{}, false
}

// ended reports whether an attempt that waits is over, by its session's mark or by the attempt that the script is of.
func (s *store) ended(t token) bool {
	earlier := t.session == s.of.session && t.attempt < s.of.attempt
	marked := s.now <= s.until && s.settled[t.session].attempt >= t.attempt
	return earlier && s.has(laterEnds) || marked && s.has(headIsRead)
}

func (s *store) mint() int64 {
	if s.companion != nil && s.companion.last >= s.now {
		return s.companion.last + 1
	}
	return s.now
}
