package kinds

import (
	"slices"
)

// Times are ms.
const (
	second = int64(1000)
	keep   = 60 * second
	direct = second // how long a lock lasts that was given and not confirmed
	living = second // how long a waiter counts as alive after it asked
	tenure = int64(20)
	slop   = int64(10)
	most   = 64 // how many one script looks at, tells or skips at most
)

type kind int

const (
	exclusive kind = iota
	shared
	slots
)

func (k kind) String() string { return [...]string{"exclusive", "shared", "slot"}[k] }

// A token proves an attempt of a session. The zero value is nobody's.
type token struct{ session, attempt int }

type state int

const (
	free   state = iota
	ours         // an attempt's token: its lock is exclusive
	marker       // shares are out
	stamp        // a pylock's time
	other        // another library's
)

// A value is what stands under the lock's name.
type value struct {
	is    state
	token token // of ours
	of    kind  // of marker
	time  int64 // of stamp: after which it is in the past
	id    int   // of stamp
	end   int64 // by the server's clock; 0: no ttl
}

// A name is what the companion says has the key: a token, or the marker.
type name struct {
	token  token
	marker bool
	of     kind
}

type companion struct {
	quiet bool
	last  int64
	first int64 // negative while given and not confirmed; 0: unknown
	lease name
	end   int64
}

// A share is an attempt's part in a marker: it carries shared holds, or is a number of permits.
type share struct {
	token   token
	end     int64
	permits int
	first   int64 // the base by which it began
	base    int64 // its newest
	revoked bool
}

// A wish is what an attempt waits for.
type wish struct {
	kind kind
	n    int
	want int // permits, from 1
}

type waiter struct {
	token token
	wish  wish
	score int64
	alive int64
	real  int64 // when it came
}

// An over mark is left by our own take-over of a left-over.
type over struct {
	when  int64
	lease name // granted since
}

// A store is the server's state of one key.
type store struct {
	without rule
	p       *play
	watch   *watch
	now     int64 // the server's clock
	real    int64 // the time that passes

	lock         value
	companion    *companion
	settled      map[int]int // the highest attempt of each session
	until        int64       // the marks are needed
	over         *over
	revoked      token // whose lock is revoked
	revokedFirst int64 // and since when it had that lock; 0: unknown
	moreEnd      int64
	queue        []waiter
	queueEnd     int64
	shares       []share // by end; nil: there are none, or they were evicted
	cursor       int     // the shares before it were told last

	of         token           // the attempt that the script is of which runs; the zero token: none
	cost, told int             // of that script
	heard      map[string]bool // what it told to which session; nil: nobody asks
}

func (s *store) has(r rule) bool { return s.without != r }

func (s *store) pass(ms int64) { s.real += ms; s.now += ms; s.expire() }

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
	if c := s.companion; c != nil && c.end <= s.now {
		s.watch.companionLost(s)
		s.companion = nil
	}
	if s.moreEnd <= s.now {
		s.dropMore()
	}
	if s.queueEnd <= s.now {
		s.queue = nil
	}
	if n := len(s.shares); n > 0 && s.shares[n-1].end <= s.now {
		s.shares = nil // the zset's own ttl
	}
}

func (s *store) dropMore() {
	s.settled, s.until, s.over, s.revoked, s.moreEnd = nil, 0, nil, token{}, 0
}

// The evictions.
func (s *store) evictLock() { s.lock = value{}; s.watch.voidAll() }

func (s *store) evictCompanion() {
	if s.companion != nil {
		s.watch.companionLost(s)
		s.watch.companionEvicted(s)
		s.companion = nil
	}
}

func (s *store) evictMore()   { s.watch.marksLost(); s.dropMore() }
func (s *store) evictQueue()  { s.queue = nil }
func (s *store) evictShares() { s.shares = nil }

func (s *store) index(t token) int {
	return slices.IndexFunc(s.queue, func(w waiter) bool { return w.token == t })
}

func (s *store) leaves(t token) {
	if i := s.index(t); i >= 0 {
		s.queue = slices.Delete(s.queue, i, i+1)
	}
}

func (s *store) share(t token) *share {
	for i := range s.shares {
		if s.shares[i].token == t {
			return &s.shares[i]
		}
	}
	return nil
}

func (s *store) mint() int64 {
	base := s.now
	if s.companion != nil && s.companion.last >= s.now {
		base = s.companion.last + 1
	}
	return base
}

func (s *store) moreStays(ms int64) { s.moreEnd = max(s.moreEnd, s.now+ms) }

// begins starts a script, which is of that attempt, or of none.
func (s *store) begins(of token) {
	s.cost, s.told, s.of = 0, 0, of
	s.expire()
}

// gone reports whether a waiter is dead, or has ended: by its session's mark, or by a later attempt that the script is of.
func (s *store) gone(w *waiter) bool {
	t := w.token
	return w.alive < s.now || t.session == s.of.session && t.attempt < s.of.attempt ||
		s.now <= s.until && s.settled[t.session] >= t.attempt
}

// looks counts one thing that a script looks at.
func (s *store) looks() { s.cost++ }
