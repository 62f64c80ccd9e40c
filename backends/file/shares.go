//go:build linux || darwin

package file

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/turnstile-go/turnstile/backends"
)

const (
	// maxShares bounds a record.
	maxShares = 1000
	// window is how far back in the queue a waiter can join those that share a key. Who is
	// farther back waits until those before it have come.
	window = 64
	// probes is how many sessions one call looks for at most, of those that share a key.
	probes = 64
)

// A share is what one attempt has of a key that others have as well. A key has a lease, or shares of one
// kind, or neither.
type share struct {
	token       backends.Token
	session     string // its session file
	label       string // shortened to maxWaiterLabel
	at, ends    int64
	n           int // of slots: what its first request said there are
	permits     int // of slots; 1 of a shared one
	first, base uint64
	revoked     bool
	reason      string
}

// A wish is what a waiter asks for. The zero value is a lock.
type wish struct {
	kind    backends.Kind
	n, want int // of slots
}

func wishOf(r backends.Request) wish {
	if r.Kind != backends.Slots {
		return wish{kind: r.Kind}
	}
	return wish{r.Kind, r.N, max(1, min(r.Want, r.N))}
}

var errFull = backends.Unavailable(name, fmt.Errorf("%w: %d hold the key together", backends.ErrOverloaded, maxShares))

// shareOf is the index of a token's share, or -1.
func (r *record) shareOf(t backends.Token) int {
	return slices.IndexFunc(r.shares, func(s share) bool { return s.token == t })
}

// out is how many permits there are, or shares.
func (r *record) out() (n int) {
	for _, s := range r.shares {
		n += s.permits
	}
	return n
}

// expire drops the shares that are over, and reports whether there were any.
func (r *record) expire(now int64) bool {
	n := len(r.shares)
	r.shares = slices.DeleteFunc(r.shares, func(s share) bool { return now >= s.ends })
	return len(r.shares) < n
}

// bury drops the shares of dead sessions, and reports whether it found any. Of many sessions it looks at
// some, from anywhere on.
func (b *Backend) bury(r *record) bool {
	n, alive := len(r.shares), make(map[string]bool)
	for i, from := 0, rand.N(max(1, n)); i < n && len(alive) < probes; i++ {
		session := r.shares[(from+i)%n].session
		if _, seen := alive[session]; !seen {
			alive[session] = b.alive(session)
		}
	}
	r.shares = slices.DeleteFunc(r.shares, func(s share) bool { lives, seen := alive[s.session]; return seen && !lives })
	return len(r.shares) < n
}

// contended reports whether another session waits for what this token has.
func (r *record) contended(t backends.Token) bool {
	// A session waits at one place at most.
	for _, w := range r.queue[:min(len(r.queue), 2)] {
		if w.token.Session() != t.Session() {
			return true
		}
	}
	return false
}

// A room is what is left for a waiter by those who have the key and those ahead of it.
type room struct {
	out int // permits, once all ahead have theirs
	n   int // no more of them may be out, by the waiters ahead
}

// past goes on behind a waiter. ok is false if that can't join now: then nobody behind it can.
func (m *room) past(kind backends.Kind, w wish) (ok bool) {
	if w.kind != kind || kind == backends.Slots && m.out >= w.n {
		return false
	}
	m.out, m.n = m.out+min(w.want, w.n-m.out), min(m.n, w.n)
	return true
}

// fits returns how many permits an attempt can have beside the shares that are out; 1 if it asks for a
// shared lease. Those ahead of it in the queue come first: what they may get is left for them, and none
// that says a larger number gets what would be too much for one ahead that says a smaller.
func (b *Backend) fits(r *record, t backends.Token, w wish, now int64) int {
	if len(r.shares) == 0 || w.kind != r.kind {
		return 0
	}
	m := room{r.out(), w.n}
	for i, q := range r.queue {
		if i >= window {
			return 0
		}
		if q.token == t {
			break
		}
		if q.alive >= now && b.alive(q.session) && !m.past(r.kind, q.wish) {
			return 0
		}
	}
	if r.kind == backends.Shared {
		return 1
	}
	return max(0, min(w.want, m.n-m.out))
}

// fitting are those at the head of the queue that can join now.
func (r *record) fitting(now int64) []waiter {
	if len(r.shares) == 0 {
		return nil
	}
	m := room{r.out(), backends.MaxSlots}
	for i, q := range r.queue {
		if i >= window || q.alive >= now && !m.past(r.kind, q.wish) {
			return r.queue[:i]
		}
	}
	return r.queue
}

// join grants a share beside those that are out, if there is room for it.
func (b *Backend) join(r *record, req backends.Request, now int64) (reply backends.Reply, joined bool, err error) {
	if i := r.shareOf(req.Token); i >= 0 {
		return b.rejoin(r, i, req, now), true, nil
	}
	permits := b.fits(r, req.Token, wishOf(req), now)
	switch {
	case permits == 0:
		return reply, false, nil
	case len(r.shares) >= maxShares:
		return reply, false, errFull
	}
	if err := b.claim(r, req.Attempt); err != nil {
		return reply, false, err
	}
	r.shares = append(r.shares, b.newShare(r, req, permits, now))
	return b.shared(r, len(r.shares)-1, ceil(req.TTL), now), true, nil
}

func (b *Backend) newShare(r *record, req backends.Request, permits int, now int64) share {
	base := r.mint()
	return share{token: req.Token, session: b.session.name, label: cut(req.Label, maxWaiterLabel), at: now, ends: now + ceil(req.TTL),
		n: wishOf(req).n, permits: permits, first: base, base: base}
}

// rejoin answers an attempt that has its share: this may be a copy of an older request, so it only ever
// lengthens it; and a revoked one not even that.
func (b *Backend) rejoin(r *record, i int, req backends.Request, now int64) backends.Reply {
	s, us := &r.shares[i], ceil(req.TTL)
	if s.revoked {
		us = s.ends - now
	}
	s.ends, s.base = max(s.ends, now+us), r.mint()
	return b.shared(r, i, us, now)
}

// turn makes a key shared, by a first share. That goes on where a lock of its attempt was: a caller that knows
// that lock's base alone renews it.
func (b *Backend) turn(r *record, req backends.Request, shortens bool, now int64) backends.Reply {
	w := wishOf(req)
	s := b.newShare(r, req, max(1, w.want), now)
	if old := r.lease; !old.none() && !old.promised {
		s.at, s.first, s.label = old.at, old.first, cut(old.label, maxWaiterLabel)
		if !shortens {
			s.ends = max(s.ends, old.ends)
		}
	}
	r.lease, r.rest, r.kind, r.shares = lease{}, rest{}, w.kind, []share{s}
	return b.shared(r, 0, ceil(req.TTL), now)
}

// shared is the answer to the attempt that has this share.
func (b *Backend) shared(r *record, i int, us, now int64) backends.Reply {
	s := r.shares[i]
	r.leave(s.token)
	b.prune(r, now)
	b.hold(r.key, r)
	reply := backends.Reply{Outcome: backends.Granted, Kind: r.kind, Base: s.base, TTL: span(us), Contended: r.contended(s.token)}
	if r.kind == backends.Slots {
		reply.Permits = s.permits
	}
	return reply
}

// prolongShare renews a share. It keeps no more permits than its holder says, and never gets more.
func (b *Backend) prolongShare(r *record, i int, req backends.Request, known uint64, now int64) (backends.Reply, error) {
	s := &r.shares[i]
	switch {
	case now >= s.ends, known != 0 && known < s.first:
		return backends.Reply{}, backends.ErrNotHeld
	case s.revoked:
		return backends.Reply{}, backends.RevokedFor(s.reason)
	}
	us := ceil(req.TTL)
	ends := now + us
	if known != s.base {
		ends = max(ends, s.ends) // it may be a late copy of an older renewal
	}
	if r.kind == backends.Slots && req.Want > 0 {
		s.permits = min(s.permits, req.Want)
	}
	s.ends, s.base = ends, r.mint()
	return b.shared(r, i, us, now), nil
}

// endShare ends a share. The key goes to the next with the last of them.
func (b *Backend) endShare(r *record, i int, now int64) {
	r.shares = slices.Delete(r.shares, i, i+1)
	if r.expire(now); len(r.shares) == 0 {
		b.pass(r, now)
	}
}

// heldBy says what stands in the way of one that waits.
func (r *record) heldBy(reply *backends.Reply, kind backends.Kind, now int64) {
	first, longest := r.shares[0].ends, int64(0)
	for _, s := range r.shares {
		first, longest = min(first, s.ends), max(longest, s.ends)
	}
	if kind == backends.Slots && r.kind == backends.Slots {
		longest = first
	}
	oldest := r.shares[0]
	reply.Kind, reply.Out, reply.Holder, reply.HeldFor, reply.FreeIn = r.kind, r.out(), oldest.label, span(max(0, now-oldest.at)), span(max(0, longest-now))
}

// sharing are the shares that count: they are not over, and their sessions live.
func (b *Backend) sharing(r *record, now int64) (all []share) {
	for _, s := range r.shares {
		if now < s.ends && b.alive(s.session) {
			all = append(all, s)
		}
	}
	return all
}
