package model

import (
	"fmt"
	"math"
	"slices"
)

// A hold is one client's, as that client sees it.
type hold struct {
	name     string
	token    token // of ours
	deadline int64 // in real time
	void     bool  // something that is excused may have ended its lease
}

// A watch sees each write of the store, and each turn of the clients, and notes what must not be.
type watch struct {
	broken   []string
	holds    []*hold
	attempts map[token]*attempt
	pylocks  []*pylock
	unseen   map[token]bool // the attempts whose newest lease came from a fast script without a companion to warn it
	extended bool           // a pylock's EXPIRE moved the end of a lease
	floor    int64          // the highest base so far
	epoch    int            // grows with each event that may end a lease early
	lease    int            // the epoch in which the newest lease began
	leapt    int64          // when the clock last leapt forward, in real time
	lost     bool           // the companion went since
}

func newWatch() *watch {
	return &watch{attempts: map[token]*attempt{}, unseen: map[token]bool{}, floor: math.MinInt64}
}

func (w *watch) fail(s *store, format string, args ...any) {
	w.broken = append(w.broken, fmt.Sprintf("at %d ms, clock %d: ", s.real, s.now)+fmt.Sprintf(format, args...))
}

// begins notes a hold that nobody else's may overlap.
func (w *watch) begins(s *store, h *hold) {
	if !h.void {
		w.alone(s, h.name, h.token)
	}
	w.holds = append(w.holds, h)
}

// alone checks that nobody but t has a hold.
func (w *watch) alone(s *store, name string, t token) {
	w.holds = slices.DeleteFunc(w.holds, func(h *hold) bool { return h.deadline <= s.real })
	for _, h := range w.holds {
		if !h.void && (t == (token{}) || h.token != t) {
			w.fail(s, "S1: %s gets the key while %s holds it", name, h.name)
		}
	}
}

func (w *watch) drops(h *hold) {
	w.holds = slices.DeleteFunc(w.holds, func(o *hold) bool { return o == h })
}

// voidAll forgives what becomes of the leases that are there.
func (w *watch) voidAll() {
	w.epoch++
	for _, h := range w.holds {
		h.void = true
	}
	for _, p := range w.pylocks {
		p.fair = false
	}
}

// marksLost forgives what late copies do of the attempts that were marked.
func (w *watch) marksLost(s *store) {
	for t, a := range w.attempts {
		a.excused = a.excused || s.settled[t.session].attempt >= t.attempt
	}
}

func (w *watch) stepped(s *store, ms int64) {
	if ms > 0 {
		w.voidAll()
		w.marksLost(s)
		s.blind, w.leapt = true, s.real
		return
	}
	if w.lost {
		w.floor = math.MinInt64
	}
	if c := s.companion; c == nil || c.end-keep <= s.now-ms {
		w.lease = -1 // it was over, and goes on by the clock as it is now
	}
}

// companionEvicted forgives the loss of a lease that a GETSET has overwritten: nothing tells of it now.
func (w *watch) companionEvicted(s *store) {
	for _, h := range w.holds {
		h.void = h.void || h.token != (token{}) && !(s.lock.kind == ours && s.lock.token == h.token)
	}
}

func (w *watch) companionLost(s *store) {
	w.lost = true
	if s.now <= s.companion.last {
		w.floor = math.MinInt64
	}
}

func (w *watch) minted(s *store, base int64) {
	if base <= w.floor {
		w.fail(s, "S2: base %d after %d", base, w.floor)
	}
	w.floor, w.lost = base, false
}

// A way is how a lease came about.
type way int

const (
	byFast way = iota
	byAcquire
	byGift
)

// grants is called before the lock becomes t's.
func (w *watch) grants(s *store, t token, by way) {
	w.alone(s, t.String(), t)
	if s.lock.kind == hash {
		w.fail(s, "a hash of somebody else's is overwritten")
	}
	w.unseen[t], w.extended, w.lease = by == byFast && s.blind, false, w.epoch
	if a := w.attempts[t]; a != nil && a.superseded && !a.excused && !w.unseen[t] {
		w.fail(s, "S5: %s was given up, and gets the lock after a later one ended", t)
	}
	if by == byGift && s.of.session == t.session && s.of.attempt > t.attempt {
		w.fail(s, "S5: %s was given up, and is given the lock by a later one", t)
	}
}

// ends is called before a release or a fast free of t ends its lease.
func (w *watch) ends(s *store, t token) {
	for _, h := range w.holds {
		if h.token == t && !h.void && h.deadline > s.real {
			w.fail(s, "S4: the lease of %s is ended while it is held", h.name)
		}
	}
}

// won reports whether a pylock has the lock by this value, or is about to.
func (w *watch) won(v value) bool {
	return slices.ContainsFunc(w.pylocks, func(q *pylock) bool { return q.won && q.fair && q.mine.id == v.id })
}

// tookOver reports whether a pylock's winning GETSET was fair. If a lease goes on under what another pylock left by
// its losing GETSET, then all bets are off, and that is pylock's own fault.
func (w *watch) tookOver(s *store, old value) bool {
	w.overwritten(s, old)
	for _, h := range w.holds {
		if !h.void && h.deadline > s.real {
			w.voidAll()
			return false
		}
	}
	return true
}

// overwritten forgives the loss of a pylock's or another library's lock to a GETSET. Ours goes on, if the companion
// was not evicted.
func (w *watch) overwritten(s *store, old value) {
	for _, q := range w.pylocks {
		if old.kind == stamp && q.mine.id == old.id {
			q.fair = false
			if q.hold != nil {
				q.hold.void = true
			}
		}
	}
	for _, h := range w.holds {
		h.void = h.void || old.kind == other && h.token == (token{}) || old.kind == ours && h.token == old.token && s.blind
	}
}

// repairs excuses what the store can't tell from a GETSET: the token was deleted or evicted before the pylock came, or
// the lease ran out and then the clock stepped back, so that its companion says it goes on.
func (w *watch) repairs(s *store, v value) {
	if w.won(v) && w.lease == w.epoch {
		w.fail(s, "a repair puts a token over the lock of a pylock")
	}
}

// takesOver excuses a server's clock that is ahead: to it the pylock's time is past.
func (w *watch) takesOver(s *store, v value) {
	if w.won(v) && v.time > s.real && s.now <= s.real {
		w.fail(s, "the lock of a pylock is taken for a left-over")
	}
}

func (w *watch) fastFreed(s *store) {
	for _, q := range s.queue {
		if q.alive >= s.now && (s.companion == nil || !s.blind) {
			w.fail(s, "a fast free leaves %s waiting", q.token)
		}
	}
}

// served is called before t is given the lock.
func (w *watch) served(s *store, t token) {
	turn := s.queue[s.index(t)]
	for _, q := range s.queue {
		if q.alive >= s.now && q.real < turn.real {
			w.fail(s, "%s is served before %s, which came first", t, q.token)
		}
	}
}

// check is called after each script.
func (w *watch) check(s *store) {
	w.checkCompanion(s)
	w.checkQuiet(s)
	if s.lock.kind == ours {
		t := s.lock.token
		if a := w.attempts[t]; a != nil && a.ended && !a.excused && !w.unseen[t] {
			w.fail(s, "S5: %s has ended, and has the lock", t)
		}
	}
	for _, q := range s.queue {
		if a := w.attempts[q.token]; a != nil && a.ended && !a.excused {
			w.fail(s, "S5: %s has ended, and waits", q.token)
		}
	}
}

func (w *watch) checkCompanion(s *store) {
	c := s.companion
	if c == nil {
		return
	}
	if c.end < c.last+keep {
		w.fail(s, "the companion ends at %d, and last is %d", c.end, c.last)
	}
	if s.lock.kind == ours && s.lock.token == c.lease && !w.extended && c.end < s.lock.end+keep {
		w.fail(s, "the companion ends at %d, and its lease at %d", c.end, s.lock.end)
	}
}

// checkQuiet judges by real time: marks matter for the 60 s in which copies can come.
func (w *watch) checkQuiet(s *store) {
	if s.blind || s.companion != nil && !s.companion.quiet {
		return
	}
	for session, m := range s.settled {
		if s.real-m.real < keep && m.real > w.leapt {
			w.fail(s, "quiet, while attempt %d of session %d has to be remembered as settled", m.attempt, session)
		}
	}
	if s.over != nil && s.real-s.over.real < keep && s.over.real > w.leapt {
		w.fail(s, "quiet, while a take-over has to be remembered")
	}
	if s.revoked != nil && s.revokedNow() {
		w.fail(s, "quiet, while the lease is revoked")
	}
	for _, q := range s.queue {
		if q.alive >= s.now && s.real-q.askedReal <= q.lives {
			w.fail(s, "quiet, while %s waits", q.token)
		}
	}
}
