package kinds

import (
	"fmt"
	"math"
	"slices"
)

// A hold is one caller's, as that caller sees it.
type hold struct {
	name     string
	token    token
	kind     kind
	n        int
	deadline int64 // in real time
	void     bool  // something that is excused may have ended its lease
}

// A watch sees each write of the store, and each turn of the clients, and notes what must not be.
type watch struct {
	broken   []string
	holds    []*hold
	attempts map[token]*attempt
	pylocks  []*pylock
	floor    int64 // the highest base so far
	turn     int   // how often the key has come to an exclusive holder
	epoch    int   // grows with each event that may end a lease early
	lease    int   // the epoch in which the newest lock or marker began
	lost     bool  // the companion went since the newest base
}

func newWatch() *watch { return &watch{attempts: map[token]*attempt{}, floor: math.MinInt64} }

func (w *watch) fail(s *store, format string, args ...any) {
	w.broken = append(w.broken, fmt.Sprintf("at %d ms, clock %d: ", s.real, s.now)+fmt.Sprintf(format, args...))
}

// begins notes a hold.
func (w *watch) begins(s *store, h *hold) {
	if !h.void {
		w.beside(s, h, h.name)
	}
	w.holds = append(w.holds, h)
}

// beside is K1: it checks that h goes with all holds that are there.
func (w *watch) beside(s *store, h *hold, who string) {
	w.holds = slices.DeleteFunc(w.holds, func(o *hold) bool { return o.deadline <= s.real })
	said := []int{h.n}
	for _, o := range w.holds {
		switch {
		case o.void || o == h:
		case o.kind != h.kind || h.kind == exclusive:
			w.fail(s, "K1: %s gets the key (%s) while %s holds it (%s)", who, h.kind, o.name, o.kind)
		case h.kind == slots:
			said = append(said, o.n)
		}
	}
	if h.kind == slots {
		w.count(s, said)
	}
}

// count checks that of those who say so many, or less, there are never more.
func (w *watch) count(s *store, said []int) {
	for _, n := range said {
		at := 0
		for _, m := range said {
			if m <= n {
				at++
			}
		}
		if at > n {
			w.fail(s, "K1: %d slot holds that say %d or less: %v", at, n, said)
			return
		}
	}
}

// gives is called before an attempt gets the lock, or the first or another share.
func (w *watch) gives(s *store, t token, k kind) {
	for _, o := range w.holds {
		if o.deadline > s.real && !o.void && o.token != t && (o.kind != k || k == exclusive) {
			w.fail(s, "K1: %s gets the key (%s) while %s holds it (%s)", t, k, o.name, o.kind)
		}
	}
	if a := w.attempts[t]; a != nil && a.ended && !a.excused {
		w.fail(s, "S5: %s has ended, and gets the key", t)
	}
	if t != (token{}) {
		w.lease = w.epoch
	}
}

// ends is called before a share is dropped, or a lock, by its attempt's end.
func (w *watch) ends(s *store, t token) {
	for _, h := range w.holds {
		if h.token == t && !h.void && h.deadline > s.real {
			w.fail(s, "S4: what %s has is ended while it is held", h.name)
		}
	}
}

func (w *watch) drops(h *hold) {
	w.holds = slices.DeleteFunc(w.holds, func(o *hold) bool { return o == h })
}

// goesOn checks that nobody had the key alone since the attempt got it.
func (w *watch) goesOn(a *attempt, r reply) {
	if a.phase == leased && !a.lock && r.turn != a.turn && !a.repeats {
		w.broken = append(w.broken, fmt.Sprintf("S2: the share of %v goes on, past an exclusive hold", a.token))
	}
}

// voidAll forgives what becomes of the leases that are there.
func (w *watch) voidAll() {
	w.epoch++
	for _, a := range w.attempts {
		a.void = true
	}
	for _, h := range w.holds {
		h.void = true
	}
	for _, p := range w.pylocks {
		p.fair = false
	}
}

// void forgives what becomes of one attempt's holds.
func (w *watch) void(t token) {
	for _, h := range w.holds {
		h.void = h.void || h.token == t
	}
	if a := w.attempts[t]; a != nil {
		a.void = true
	}
	w.epoch++ // an answer may be on its way
}

func (w *watch) marksLost() {
	for _, a := range w.attempts {
		a.excused = true
	}
}

func (w *watch) stepped(s *store, ms int64) {
	if ms > 0 {
		w.voidAll()
		w.marksLost()
		return
	}
	if w.lost {
		w.repeats()
	}
	w.voidAll() // by the clock as it is now, a lease may go on that was over
	w.lease = -1
}

// companionEvicted forgives the loss of what a GETSET has overwritten: nothing tells of it now.
func (w *watch) companionEvicted(s *store) {
	w.marksLost() // a fast take does not see them
	if s.lock.is == stamp || s.lock.is == free {
		w.voidAll()
	}
}

func (w *watch) companionLost(s *store) {
	w.lost = true
	if s.now <= s.companion.last {
		w.repeats()
	}
}

// repeats forgives bases that come again: the companion went, and the clock is behind it.
func (w *watch) repeats() {
	w.floor = math.MinInt64
	for _, a := range w.attempts {
		a.repeats = true
	}
}

func (w *watch) minted(s *store, base int64) {
	if base <= w.floor {
		w.fail(s, "S2: base %d after %d", base, w.floor)
	}
	w.floor, w.lost = base, false
}

// served is called before t is given so many permits while others wait: those that came before it may still get what
// they could get before.
func (w *watch) served(s *store, t token, by wish, permits int) {
	out := s.out()
	for _, q := range s.queue {
		if q.token == t {
			return
		}
		if q.alive < s.now {
			continue
		}
		may := min(q.wish.want, q.wish.n-out)
		switch {
		case by.kind == exclusive || q.wish.kind != by.kind:
			w.fail(s, "%s is served before %s, which came first", t, q.token)
		case by.kind == slots && may > 0 && q.wish.n-out-permits < may:
			w.fail(s, "%s gets a permit that %s waits for, which came first", t, q.token)
		}
		out += max(0, may)
	}
}

// revokes is called for each share that is revoked.
func (w *watch) revokes(s *store, t token, base int64) {
	if h := s.share(t); base != 0 && h.first != base && h.base != base {
		w.fail(s, "the share of %s is revoked, and another was meant", t)
	}
}

// check is called after each script.
func (w *watch) check(s *store) {
	if s.cost > 6*most || s.told > 2*most+2 {
		w.fail(s, "a script looks at %d things and tells %d", s.cost, s.told)
	}
	w.checkMarker(s)
	w.checkEnded(s)
	if c := s.companion; c != nil && (s.lock.is == ours || s.lock.is == marker) && c.lease == s.named() && !w.extended(s) &&
		c.end < s.lock.end+keep {
		w.fail(s, "the companion ends at %d, and its lease at %d", c.end, s.lock.end)
	}
}

func (w *watch) extended(s *store) bool {
	return slices.ContainsFunc(w.pylocks, func(q *pylock) bool { return q.stretched })
}

// checkMarker checks that the marker ends with the longest share, and that a share which ended makes way.
func (w *watch) checkMarker(s *store) {
	if s.lock.is != marker || len(s.shares) == 0 || w.extended(s) {
		return
	}
	if end := s.shares[len(s.shares)-1].end; s.lock.end > end {
		w.fail(s, "the marker ends at %d, and the longest share at %d", s.lock.end, end)
	} else if s.lock.end < end {
		w.fail(s, "the marker ends at %d, before a share that ends at %d", s.lock.end, end)
	}
}

func (w *watch) checkEnded(s *store) {
	bad := func(t token) bool {
		a := w.attempts[t]
		return a != nil && a.ended && !a.excused
	}
	if s.lock.is == ours && bad(s.lock.token) {
		w.fail(s, "S5: %s has ended, and has the lock", s.lock.token)
	}
	for _, h := range s.shares {
		if s.lock.is == marker && bad(h.token) {
			w.fail(s, "S5: %s has ended, and has a share", h.token)
		}
	}
	for _, q := range s.queue {
		if bad(q.token) {
			w.fail(s, "S5: %s has ended, and waits", q.token)
		}
	}
}

// won reports whether a pylock has the lock by this value, or is about to.
func (w *watch) won(v value) bool {
	return slices.ContainsFunc(w.pylocks, func(q *pylock) bool { return q.won && q.fair && q.mine.id == v.id })
}

// repairs excuses what the store can't tell from a GETSET: the token was deleted or evicted before the pylock came, or
// the lease ran out and then the clock stepped back.
func (w *watch) repairs(s *store, v value) {
	if w.lease == w.epoch && w.won(v) {
		w.fail(s, "a repair puts a token over the lock of a pylock")
	}
	if w.lease != w.epoch {
		for _, a := range w.attempts {
			a.repeats = true
		}
	}
}

func (w *watch) takesOver(s *store, v value) {
	if w.won(v) && v.time > s.real && s.now <= s.real {
		w.fail(s, "the lock of a pylock is taken for a left-over")
	}
}

// tookOver reports whether a pylock's winning GETSET was fair. If a lease goes on under what another pylock left by
// its losing GETSET, then all bets are off, and that is pylock's own fault.
func (w *watch) tookOver(s *store) bool {
	for _, h := range w.holds {
		if !h.void && h.deadline > s.real {
			w.voidAll()
			return false
		}
	}
	return true
}

// overwritten forgives the loss of a pylock's or another library's lock to a GETSET. Ours goes on.
func (w *watch) overwritten(s *store, old value) {
	for _, q := range w.pylocks {
		if old.is == stamp && q.mine.id == old.id {
			q.fair = false
			if q.hold != nil {
				q.hold.void = true
			}
		}
	}
	for _, h := range w.holds {
		h.void = h.void || old.is == other && h.token == (token{})
	}
	if (old.is == ours || old.is == marker) && s.companion == nil {
		w.voidAll()
	}
}
