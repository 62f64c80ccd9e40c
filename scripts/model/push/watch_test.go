package push

import (
	"fmt"
	"slices"
)

// An origin says which server ran a script, and how many events before it may have ended a lease early.
type origin struct{ server, epoch int }

// A hold is one caller's, as its session sees it.
type hold struct {
	s        *session
	token    token
	base     int64
	deadline int64 // by the session's clock
	origin   origin
}

// A watch sees each giving, grant and end, and notes what must not be.
type watch struct {
	p       *play
	broken  []string
	origin  origin
	holds   []*hold
	minting int64           // the highest base that was minted
	newest  int64           // the highest base under which a hold was granted that is not excused
	top     int64           // the same, with those that are
	fences  map[int64]token // the bases of all grants
	given   map[token]int64 // the newest base that was given to a waiter
}

func newWatch(p *play) *watch {
	return &watch{p: p, fences: map[int64]token{}, given: map[token]int64{}}
}

func (w *watch) fail(format string, args ...any) {
	w.broken = append(w.broken, fmt.Sprintf("at %d ms: ", w.p.real/millisecond)+fmt.Sprintf(format, args...))
}

// endsEarly excuses what becomes of the leases that are there.
func (w *watch) endsEarly() { w.origin.epoch++ }

func (w *watch) replaced() {
	w.endsEarly()
	w.origin.server++
	w.top = 0
	for base := range w.fences {
		if base <= w.p.server.last { // of later ones the replica knows nothing
			w.top = max(w.top, base)
		}
	}
	w.clockMoved()
}

// clockMoved forgives the bases of a server whose clock is behind, and which has lost the newest base.
func (w *watch) clockMoved() {
	if w.p.server.now <= w.minting && w.p.server.last < w.minting {
		w.minting, w.newest, w.top = 0, 0, 0
		clear(w.fences)
	}
}

func (w *watch) excused(h *hold) bool { return h.origin.epoch != w.origin.epoch }

func (w *watch) minted(base int64) {
	if base <= w.minting {
		w.fail("S2: base %d is minted after %d", base, w.minting)
	}
	w.minting = base
}

// alone checks that nobody but t has a hold.
func (w *watch) alone(t token) {
	w.holds = slices.DeleteFunc(w.holds, func(h *hold) bool { return h.s.clock() >= h.deadline })
	for _, h := range w.holds {
		if h.token != t && !w.excused(h) {
			w.fail("S1: %v gets the key while %v holds it", t, h.token)
		}
	}
}

// gives is called before the lock becomes t's.
func (w *watch) gives(t token) {
	w.alone(t)
	if t.attempt <= w.p.sessions[t.session-1].ended && w.origin.server == 0 {
		w.fail("S5: %v has ended, and gets the lock", t)
	}
}

func (w *watch) drops(h *hold) {
	w.holds = slices.DeleteFunc(w.holds, func(o *hold) bool { return o == h })
}

// begins is called at each grant.
func (w *watch) begins(h *hold) {
	a := h.s.attempt
	if a.granted++; a.granted > 1 {
		w.fail("S6: %v is granted again", h.token)
	}
	if by, ok := w.fences[h.base]; ok {
		w.fail("S2: base %d is granted to %v and to %v", h.base, by, h.token)
	}
	w.fences[h.base] = h.token
	if h.s.clock() >= h.deadline {
		w.fail("S7: %v is granted after its deadline", h.token)
	}
	if h.origin.server != w.origin.server {
		w.fail("S7: %v is granted by a server that was replaced", h.token)
	}
	w.top = max(w.top, h.base)
	if !w.excused(h) {
		w.alone(h.token)
		w.under(h)
		if h.base <= w.newest {
			w.fail("S2: base %d is granted after %d", h.base, w.newest)
		}
		w.newest = h.base
	}
	w.holds = append(w.holds, h)
}

// under checks that the lease of a hold is under the key until its deadline at least.
func (w *watch) under(h *hold) {
	s, until := &w.p.server, h.s.real(h.deadline)
	if end := w.p.real + s.end - s.now; s.lock != h.token || s.identity() > h.base || until > end {
		w.fail("S7: the hold of %v by base %d ends at %d, its lease is of %v and ends at %d", h.token, h.base, until, s.lock, end)
	}
}

// byPush is called before each grant by a push.
func (w *watch) byPush(a *attempt, m push) {
	if a.phase == settling {
		w.fail("S5: %v is granted as it is being cancelled", a.token)
	}
	if m.to != a.token {
		w.fail("S5: %v is granted what %v was given", a.token, m.to)
	}
	if m.base <= a.told {
		w.fail("S7: %v is granted a lease that is over, as it was told", a.token)
	}
	if !a.plain {
		w.fail("%v shows a deadline that is not confirmed", a.token)
	}
}

// prolongs is called when a hold has been confirmed.
func (w *watch) prolongs(h *hold, r reply) {
	h.origin = r.origin
	if w.excused(h) {
		return
	}
	w.under(h)
	if h.base < w.top {
		w.fail("S2: the hold of %v by base %d is confirmed, and a newer one was granted", h.token, h.base)
	}
}

// told is called when a session goes on though it was told that the lease is not there.
func (w *watch) told(h *hold) {
	if h != nil && h.s.clock() < h.deadline {
		w.fail("L5: the hold of %v goes on though its session knows that the lease is gone", h.token)
	}
}

// spared is called when a session ends a hold for no reason.
func (w *watch) spared(h *hold) {
	if h != nil && h.s.clock() < h.deadline && w.p.server.lock == h.token {
		w.fail("the hold of %v ends though its lease is there", h.token)
	}
}

func (w *watch) notRevoked(t token) {
	for _, h := range w.holds {
		if h.token == t && h.s.clock() < h.deadline {
			w.fail("L5: the hold of %v can't be revoked", t)
		}
	}
}
