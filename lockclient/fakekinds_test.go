package lockclient

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

var _ backends.Sharer = (*fakeBackend)(nil)

// A storedShare is one attempt's part in a key that others have parts in. It follows scripts/model/kinds.
type storedShare struct {
	token       backends.Token
	ends        time.Time
	permits     int
	first, base uint64
	revoked     bool
}

// mostScanned is how many waiters one call looks at.
const mostScanned = 64

// sweep drops the shares that are over, and makes the key's end that of the longest.
func (l *storedLease) sweep() {
	now := time.Now()
	l.shares = slices.DeleteFunc(l.shares, func(h *storedShare) bool { return !now.Before(h.ends) })
	l.ends = time.Time{}
	for _, h := range l.shares {
		if h.ends.After(l.ends) {
			l.ends = h.ends
		}
	}
}

func (l *storedLease) share(t backends.Token) *storedShare {
	for _, h := range l.shares {
		if h.token == t {
			return h
		}
	}
	return nil
}

func (l *storedLease) out() (n int) {
	for _, h := range l.shares {
		n += h.permits
	}
	return n
}

func (l *storedLease) info() backends.Info {
	i := backends.Info{Held: true, Kind: l.kind, Out: l.out(), Revoked: true}
	for _, h := range l.shares {
		i.Base, i.Revoked = &h.base, i.Revoked && h.revoked
		if len(i.Holders) < backends.MostHolders {
			i.Holders = append(i.Holders, backends.Holder{Permits: h.permits, First: h.first, Base: h.base, Revoked: h.revoked})
		}
	}
	return i
}

// heldLocked queues the attempt, if it waits, and tells who has the key.
func (s *store) heldLocked(l *storedLease, r backends.Request) backends.Reply {
	retry, at := 10*time.Millisecond, 0
	if s.queueLocked(r) {
		retry = 300 * time.Millisecond
		at = 1 + slices.IndexFunc(s.waiting[r.Key], func(p place) bool { return p.token == r.Token })
		s.tellWantedLocked(l, r)
	}
	return backends.Reply{Place: at, Outcome: backends.Held, Kind: l.kind, Out: l.out(), Holder: "someone", FreeIn: time.Until(l.ends), Retry: retry}
}

// contendedLocked reports whether another session waits.
func (s *store) contendedLocked(a backends.Attempt) bool {
	return slices.ContainsFunc(s.waiting[a.Key], func(p place) bool { return p.token.Session() != a.Token.Session() })
}

// makeLocked makes shares of a free key, or of the attempt's lock: the first.
func (s *store) makeLocked(r backends.Request, lock *storedLease) backends.Reply {
	h := &storedShare{token: r.Token, permits: 1}
	if r.Kind == backends.Slots {
		h.permits = min(r.Want, r.N)
	}
	if lock != nil {
		h.first = lock.first
	}
	l := &storedLease{kind: r.Kind}
	s.leases[r.Key] = l
	return s.addLocked(l, h, r)
}

// addLocked adds a share, and tells those that it has left room for.
func (s *store) addLocked(l *storedLease, h *storedShare, r backends.Request) backends.Reply {
	s.leaveLocked(r.Attempt)
	l.shares = append(l.shares, h)
	s.extendLocked(l, h, r.Key, time.Now().Add(r.TTL), true)
	s.tellFittingLocked(r.Key, l)
	return s.sharedLocked(l, h, r.Attempt)
}

// extendLocked makes a share last until then; shorter, only if that is allowed.
func (s *store) extendLocked(l *storedLease, h *storedShare, key string, until time.Time, shorter bool) {
	if shorter || until.After(h.ends) {
		h.ends = until
	}
	h.base = s.mintLocked(key)
	if h.first == 0 {
		h.first = h.base
	}
	l.sweep()
}

func (s *store) sharedLocked(l *storedLease, h *storedShare, a backends.Attempt) backends.Reply {
	return backends.Reply{
		Outcome: backends.Granted, Kind: l.kind, Permits: h.permits, Base: h.base, TTL: time.Until(h.ends), Contended: s.contendedLocked(a),
	}
}

func (s *store) joinLocked(l *storedLease, r backends.Request) (backends.Reply, error) {
	if h := l.share(r.Token); h != nil {
		s.leaveLocked(r.Attempt)
		until := time.Now().Add(r.TTL)
		if h.revoked {
			until = h.ends
		}
		s.extendLocked(l, h, r.Key, until, false)
		return s.sharedLocked(l, h, r.Attempt), nil
	}
	permits := s.fitsLocked(l, r)
	if permits == 0 {
		return s.heldLocked(l, r), nil
	}
	return s.addLocked(l, &storedShare{token: r.Token, permits: permits}, r), nil
}

// fitsLocked returns how many permits the attempt can have, 1 for a shared hold. Those that came before and are alive
// come first.
func (s *store) fitsLocked(l *storedLease, r backends.Request) int {
	if r.Kind != l.kind {
		return 0
	}
	out, n := l.out(), r.N
	for i, p := range s.waiting[r.Key] {
		switch {
		case p.token == r.Token:
			return fits(r, out, n)
		case i >= mostScanned:
			return 0
		case time.Now().After(p.until):
			continue
		case p.kind != l.kind || p.kind == backends.Slots && out >= p.n:
			return 0
		}
		if p.kind == backends.Slots {
			out += min(p.want, p.n-out)
			n = min(n, p.n)
		}
	}
	return fits(r, out, n)
}

func fits(r backends.Request, out, n int) int {
	if r.Kind == backends.Shared {
		return 1
	}
	return max(0, min(r.Want, n-out))
}

// tellFittingLocked tells the first in line that can come in now.
func (s *store) tellFittingLocked(key string, l *storedLease) {
	out := l.out()
	for _, p := range s.waiting[key][:min(mostScanned, len(s.waiting[key]))] {
		switch {
		case time.Now().After(p.until):
			continue
		case p.kind != l.kind || p.kind == backends.Slots && out >= p.n:
			return
		}
		out += p.want
		s.inboxes[p.token.Session()](backends.Wake{Key: key, Kind: backends.Given})
	}
}

// tellWantedLocked tells who has the key that the attempt waits: if it is the first.
func (s *store) tellWantedLocked(l *storedLease, r backends.Request) {
	tell := func(t backends.Token) {
		if t.Session() != r.Token.Session() {
			if push := s.inboxes[t.Session()]; push != nil {
				push(backends.Wake{Key: r.Key, Kind: backends.Wanted})
			}
		}
	}
	if l.kind == backends.Exclusive {
		if l.token != (backends.Token{}) {
			tell(l.token)
		}
		return
	}
	if s.waiting[r.Key][0].token == r.Token {
		for _, h := range l.shares {
			tell(h.token)
		}
	}
}

func (s *store) renewShare(r backends.Request, known uint64) (backends.Reply, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.leaseLocked(r.Key)
	if l == nil {
		return backends.Reply{}, backends.ErrNotHeld
	}
	until := time.Now().Add(r.TTL)
	if l.kind == backends.Exclusive {
		switch {
		case l.token != r.Token || known < l.first:
			return backends.Reply{}, backends.ErrNotHeld
		case l.revoked:
			return backends.Reply{}, backends.ErrRevoked
		}
		return s.makeLocked(r, l), nil
	}
	h := l.share(r.Token)
	switch {
	case h == nil || known < h.first:
		return backends.Reply{}, backends.ErrNotHeld
	case h.revoked:
		return backends.Reply{}, backends.ErrRevoked
	}
	fewer := l.kind == backends.Slots && r.Want < h.permits
	if fewer {
		h.permits = r.Want
	}
	s.extendLocked(l, h, r.Key, until, known == h.base)
	if fewer {
		s.tellFittingLocked(r.Key, l)
	}
	return s.sharedLocked(l, h, r.Attempt), nil
}

// leaveShareLocked ends what the attempt has, or its wait.
func (s *store) leaveShareLocked(l *storedLease, a backends.Attempt) error {
	h := l.share(a.Token)
	if h == nil {
		s.tellFittingLocked(a.Key, l) // it may have stood in the way
		return backends.ErrNotHeld
	}
	s.dropLocked(a.Key, l, h)
	return nil
}

func (s *store) dropLocked(key string, l *storedLease, h *storedShare) {
	l.shares = slices.DeleteFunc(l.shares, func(o *storedShare) bool { return o == h })
	l.sweep()
	if s.leaseLocked(key) != nil {
		s.tellFittingLocked(key, l)
		return
	}
	s.serveLocked(key)
}

func (s *store) revokeSharesLocked(key string, l *storedLease, r backends.Revocation) backends.Revoked {
	found := backends.Superseded
	for _, h := range slices.Clone(l.shares) {
		if r.Base != 0 && r.Base != h.first && r.Base != h.base {
			continue
		}
		if push := s.inboxes[h.token.Session()]; push != nil {
			push(backends.Wake{Key: key, Kind: backends.Revoking})
		}
		if found = backends.Marked; !r.Now {
			h.revoked = true
			continue
		}
		found = backends.Deleted
		s.deleted[key] = append(s.deleted[key], time.Now())
		s.gone[key] = append(s.gone[key], storedLease{kind: l.kind, token: h.token, first: h.first, base: h.base})
		s.dropLocked(key, l, h)
	}
	return found
}

// covers reports whether the lease by which the fence was granted lasts until then.
func (l *storedLease) covers(fence uint64, until time.Time) bool {
	if l.kind == backends.Exclusive {
		return !l.ends.Before(until)
	}
	return slices.ContainsFunc(l.shares, func(h *storedShare) bool {
		return fence>>10 >= h.first && fence>>10 <= h.base && !h.ends.Before(until)
	})
}

func (f *fakeBackend) RenewShare(ctx context.Context, r backends.Request, known uint64) (backends.Reply, error) {
	var mu sync.Mutex
	var reply backends.Reply
	var err error
	_, fault := f.through(ctx, func() {
		p, e := f.store.renewShare(r, known)
		mu.Lock()
		defer mu.Unlock()
		reply, err = p, e
	})
	mu.Lock()
	defer mu.Unlock()
	if fault != nil {
		return backends.Reply{}, fault
	}
	return reply, err
}
