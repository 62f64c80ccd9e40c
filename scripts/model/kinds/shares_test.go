package kinds

import "slices"

// This file is the scripts of shares, but for their ends. They know all kinds: a session sends them once it wants a
// share, or was answered that shares are out.

// ask is their acquire.
func (s *store) ask(t token, w wish, ttl int64, wait bool) reply {
	s.begins(t)
	if s.settled[t.session] >= t.attempt {
		return s.says(t, reply{outcome: settledBefore})
	}
	defer s.watch.check(s)
	s.setRight(t)
	s.sweep()
	switch {
	case s.lock.is == ours && s.lock.token == t:
		return s.askAgain(t, w, ttl)
	case s.lock.is == free:
		return s.askFree(t, w, ttl, wait)
	case s.lock.is == marker:
		return s.join(t, w, ttl, wait)
	}
	return s.heldBy(t, w, wait)
}

func (s *store) askFree(t token, w wish, ttl int64, wait bool) reply {
	front, rest := s.head()
	if front != nil && front.token != t {
		s.give(front.token)
	}
	if rest || s.lock.is != free {
		return s.heldBy(t, w, wait)
	}
	s.leaves(t)
	if w.kind != exclusive {
		return s.make(t, w, ttl)
	}
	s.setLock(t, ttl)
	return s.leased(t, ttl, newlyMinted)
}

// began is the first base of the lease, 0 if it is unknown.
func (s *store) began(t token) int64 {
	c := s.companion
	if c == nil || c.lease != (name{token: t}) {
		return 0
	}
	return max(c.first, -c.first)
}

const newlyMinted = int64(-1)

// leased writes the companion of an exclusive grant. first is when the lease began.
func (s *store) leased(t token, ttl, first int64) reply {
	base := s.mint()
	if first == newlyMinted {
		first = base
	}
	s.names(name{token: t}, base, first, s.lock.end)
	s.seal()
	return s.says(t, reply{outcome: granted, base: base, ttl: ttl, contended: s.contended(t)})
}

// askAgain answers an ask whose attempt has the lock: it was given it, or the ask is repeated.
func (s *store) askAgain(t token, w wish, ttl int64) reply {
	s.leaves(t)
	if s.revokedNow() {
		return s.leased(t, s.lock.end-s.now, s.began(t))
	}
	if w.kind != exclusive && s.has(askTurns) {
		return s.make(t, w, ttl)
	}
	s.lock.end = max(s.lock.end, s.now+ttl)
	first := s.began(t)
	if first == 0 {
		first = newlyMinted
	}
	return s.leased(t, ttl, first)
}

// make puts a marker under the lock, with the first share.
func (s *store) make(t token, w wish, ttl int64) reply {
	s.watch.gives(s, t, w.kind)
	if s.has(makingClears) {
		s.shares = nil
	}
	s.cursor = 0
	// A share that was a lock keeps the lock's first: its holder may not have heard of it, and asks again by a base
	// that it knows.
	first := int64(0)
	if s.lock.is == ours && s.has(turnKeepsFirst) {
		first = s.began(t)
	}
	s.lock = value{is: marker, of: w.kind, end: s.now + ttl}
	if c := s.companion; c != nil && c.lease == s.named() {
		c.lease = name{} // an earlier marker
	}
	permits := 1
	if w.kind == slots {
		permits = min(w.want, w.n)
	}
	r := s.add(t, permits, first, ttl)
	s.wakeFitting(most)
	return r
}

// add gives t a share, which it has not. first is that of the lock which it was, or 0.
func (s *store) add(t token, permits int, first, ttl int64) reply {
	if old := s.share(t); old != nil {
		s.drop(old)
	}
	base := s.mint()
	if first == 0 {
		first = base
	}
	s.put(share{token: t, end: s.now + ttl, permits: permits, first: first, base: base})
	s.follows(base)
	s.leaves(t)
	if n := len(s.queue); n >= most {
		s.tell(s.queue[most-1].token, woken) // which is in the window now
	}
	if s.lock.of == slots {
		s.wakeFitting(1) // it may have taken less than was left for it
	}
	s.seal()
	r := reply{outcome: granted, kind: s.lock.of, permits: permits, base: base, ttl: ttl, contended: s.contended(t)}
	return s.says(t, r)
}

func (s *store) contended(t token) bool {
	return slices.ContainsFunc(s.queue[:min(len(s.queue), 2)], func(w waiter) bool { return w.token.session != t.session })
}

// put adds a share in the order of their ends.
func (s *store) put(h share) {
	i := len(s.shares)
	for i > 0 && s.shares[i-1].end > h.end {
		i--
	}
	s.shares = slices.Insert(s.shares, i, h)
}

func (s *store) drop(h *share) share {
	i := slices.IndexFunc(s.shares, func(o share) bool { return o.token == h.token })
	old := s.shares[i]
	s.shares = slices.Delete(s.shares, i, i+1)
	return old
}

// follows makes the marker and the companion last as long as the longest share. base: a share has it now, or 0.
func (s *store) follows(base int64) {
	end := s.lock.end
	if n := len(s.shares); n > 0 {
		end = s.shares[n-1].end
	}
	if !s.has(ttlFollows) {
		end = max(end, s.lock.end)
	}
	s.lock.end = end
	c := s.companion
	if base == 0 {
		if c != nil {
			c.end = max(end, c.last, s.now) + keep
		}
		return
	}
	first, last := base, int64(0)
	if c != nil {
		last = c.last
		if c.lease == s.named() {
			first = c.first
		}
	}
	s.names(s.named(), base, first, end)
	if !s.has(mintsLast) {
		s.companion.last = last
	}
}

// sweep drops the shares that are over.
func (s *store) sweep() {
	for n := 0; n < most && len(s.shares) > 0 && s.shares[0].end <= s.now && s.has(deadMakeWay); n++ {
		s.looks()
		s.shares = s.shares[1:]
	}
}

func (s *store) orphan() bool { return len(s.shares) == 0 && s.has(orphanWaits) }

// join answers an ask while shares are out.
func (s *store) join(t token, w wish, ttl int64, wait bool) reply {
	if own := s.share(t); own != nil {
		return s.joinAgain(own, ttl)
	}
	permits := s.fits(t, w)
	if permits == 0 {
		return s.heldBy(t, w, wait)
	}
	s.watch.gives(s, t, w.kind)
	s.watch.served(s, t, w, permits)
	return s.add(t, permits, 0, ttl)
}

// joinAgain answers an ask of an attempt that has its share: the answer was lost, or the ask is late.
func (s *store) joinAgain(own *share, ttl int64) reply {
	t := own.token
	s.leaves(t)
	if own.revoked && s.has(revokedStays) {
		ttl = own.end - s.now
	}
	h := s.drop(own)
	h.end, h.base = max(h.end, s.now+ttl), s.mint()
	s.put(h)
	s.follows(h.base)
	s.seal()
	r := reply{outcome: granted, kind: s.lock.of, permits: h.permits, base: h.base, ttl: ttl, contended: s.contended(t)}
	return s.says(t, r)
}

// out is how many permits there are. (The scripts keep the sum.)
func (s *store) out() (n int) {
	for _, h := range s.shares {
		n += h.permits
	}
	return n
}

// fits returns how many permits the attempt can have beside the shares that are out, 1 if it wants to share. Those
// before it in the queue come first: their part is left for them.
func (s *store) fits(t token, w wish) int {
	if w.kind == exclusive || w.kind != s.lock.of && s.has(kindApart) || s.orphan() {
		return 0
	}
	out, n := s.out(), w.n // with those ahead; the smallest n
	for i := range s.queue {
		q := &s.queue[i]
		if q.token == t || !s.has(aheadFirst) {
			break
		}
		if s.looks(); i >= most && s.has(window) {
			return 0
		}
		if s.gone(q) {
			continue
		}
		if q.wish.kind != s.lock.of || q.wish.kind == slots && out >= q.wish.n {
			return 0
		}
		out += min(q.wish.want, q.wish.n-out)
		if s.has(aheadBinds) {
			n = min(n, q.wish.n)
		}
	}
	if w.kind == shared {
		return 1
	}
	if !s.has(limitCounts) {
		out = 0
	}
	return max(0, min(w.want, n-out))
}

// wakeFitting tells the first in the queue, no more than so many, that can come in now.
func (s *store) wakeFitting(so int) {
	if s.lock.is != marker || s.orphan() {
		return
	}
	out := s.out()
	for i := range s.queue[:min(so, len(s.queue))] {
		q := &s.queue[i]
		if s.looks(); s.gone(q) {
			continue
		}
		if q.wish.kind != s.lock.of || q.wish.kind == slots && out >= q.wish.n {
			return
		}
		out += q.wish.want
		s.tell(q.token, woken)
	}
}
