//go:build linux || darwin

package file

import (
	"slices"

	"github.com/turnstile-go/turnstile/backends"
)

// version is what a record has to be read as. It is the earliest that has a place for all of it, so that
// earlier programs go on with keys that nobody uses in a newer way.
func (r *record) version() byte {
	switch {
	case len(r.shares) > 0 || slices.ContainsFunc(r.queue, func(w waiter) bool { return w.wish != wish{} }):
		return versionShares
	case r.rest != rest{}:
		return versionRest
	}
	return versionLock
}

// shares is the last part of a record that has shares, or waiters that want one: in the order of the queue,
// each with the number of its place.
func (b *builder) shares(r *record) {
	b.number(uint64(r.kind))
	b.number(uint64(len(r.shares)))
	for _, s := range r.shares {
		b.token(s.token)
		b.text(s.session)
		b.text(s.label)
		for _, n := range []uint64{uint64(s.at), uint64(s.ends), uint64(s.n), uint64(s.permits), s.first, s.base} {
			b.number(n)
		}
		b.flag(s.revoked)
		b.text(s.reason)
	}
	wishes := 0
	for _, w := range r.queue {
		if w.wish != (wish{}) {
			wishes++
		}
	}
	b.number(uint64(wishes))
	for i, w := range r.queue {
		if w.wish != (wish{}) {
			b.number(uint64(i))
			b.number(uint64(w.kind))
			b.number(uint64(w.n))
			b.number(uint64(w.want))
		}
	}
}

func (p *parser) shares(r *record) {
	r.kind = backends.Kind(p.number())
	for range min(p.number(), maxShares) {
		s := share{token: p.token(), session: p.text(), label: p.text(), at: int64(p.number()), ends: int64(p.number()),
			n: int(p.number()), permits: int(p.number()), first: p.number(), base: p.number(), revoked: p.number() == 1, reason: p.text()}
		if p.bad = p.bad || !isSession(s.session); p.bad {
			return
		}
		r.shares = append(r.shares, s)
	}
	for range min(p.number(), maxQueue) {
		i, w := p.number(), wish{backends.Kind(p.number()), int(p.number()), int(p.number())}
		if p.bad = p.bad || i >= uint64(len(r.queue)); p.bad {
			return
		}
		r.queue[i].wish = w
	}
}
