package backendtest

import (
	"context"
	"slices"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// The faults of a Sharer alone.
const (
	locksBeside fault = iota + 3000
	mixesKinds
	locksAreShared
	countsNothing
	countsHolders
	overtakes
	ignoresBinds
	hidesOut
	hidesKind
	joinsOnce
	givenStaysLock
	downgradeStarts
	downgradeIsLock
	downgradeHits
	permitsGrow
	endsAll
	cancelsNoShare
	staleShortensShare
	newestShortensNothing
	renewsNoShare
	renewsLaterShare
	grantsEndedShare
	sharesNeverEnd
	longestStays
	ownSequences
	revokesWithin
	revokesFirst
	renewsRevokedShare
	keepsDeletedShare
	deletesAllShares
	hidesHolders
	hidesWishes
	listsNoShares
	triesStay
	forgetsNewWishes
	renewsExpired
	lastPermitTold
	repeatShortens
	revokedShareLonger
	turnsRevoked
	latestReason
	countsOwnWaiter
	forgetsSharers
	saysNobodyWaits
	lastShareFrees
	keepsPlaceAhead
)

// A fakeSharer is a fake that keeps shares.
type fakeSharer struct {
	*fake
	all *sharers
}

// sharers are what those of one shelf share, whose mutex protects it.
type sharers struct {
	keys   map[string]*sharing
	wishes map[backends.Token]backends.Request
	told   map[backends.Session]func(backends.Wake)
}

type sharing struct {
	kind   backends.Kind
	shares []*share
	ends   time.Time // of the longest that there ever was
}

type share struct {
	token       backends.Token
	label       string
	since, ends time.Time
	permits     int
	first, base uint64
	revoked     bool
	reason      string
}

func sharersOf(store *shelf) func() backends.Backend {
	all := &sharers{map[string]*sharing{}, map[backends.Token]backends.Request{}, map[backends.Session]func(backends.Wake){}}
	return func() backends.Backend { return &fakeSharer{&fake{shelf: store}, all} }
}

var _ backends.Sharer = (*fakeSharer)(nil)

func (f *fakeSharer) Capabilities() backends.Capabilities {
	can := f.fake.Capabilities()
	can.Kinds, can.Wakes = true, true
	return can
}

func (f *fakeSharer) Subscribe(s backends.Session, wake func(backends.Wake)) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all.told[s] = wake
	return nil
}

func (f *fakeSharer) tell(key string, kind backends.WakeKind, t backends.Token) {
	if wake := f.all.told[t.Session()]; wake != nil {
		wake(backends.Wake{Key: key, Kind: kind})
	}
}

// of returns a key's shares, without those that are over.
func (f *fakeSharer) of(key string) *sharing {
	sh := f.all.keys[key]
	if sh == nil {
		sh = &sharing{}
		f.all.keys[key] = sh
	}
	now := time.Now()
	sh.shares = slices.DeleteFunc(sh.shares, func(s *share) bool {
		ends := s.ends
		if f.fault == longestStays {
			ends = sh.ends
		}
		return !now.Before(ends) && f.fault != sharesNeverEnd && (f.fault != renewsExpired || len(sh.shares) == 1)
	})
	return sh
}

func (sh *sharing) find(t backends.Token) *share {
	for _, s := range sh.shares {
		if s.token == t {
			return s
		}
	}
	return nil
}

func (sh *sharing) out() (n int) {
	for _, s := range sh.shares {
		n += s.permits
	}
	return n
}

func (f *fakeSharer) Acquire(ctx context.Context, r backends.Request) (backends.Reply, error) {
	rec, leave, err := f.enter(ctx, r.Key)
	if err != nil {
		return backends.Reply{Outcome: backends.NotRun}, err
	}
	defer leave()
	sh := f.of(r.Key)
	if f.fault != grantsEndedShare && f.settled[f.settledUpTo(r.Attempt)] >= r.Token.Attempt() {
		return backends.Reply{Outcome: backends.NotRun}, backends.ErrSettled
	}
	if _, known := f.all.wishes[r.Token]; !known || f.fault != forgetsNewWishes {
		f.all.wishes[r.Token] = r
	}
	if own := sh.find(r.Token); own != nil {
		rec.leave(r.Token)
		return f.lengthen(rec, sh, own, r.TTL, r.Want), nil
	}
	if len(sh.shares) == 0 && f.mayHave(rec, r) || r.Kind == backends.Exclusive && f.fault == locksBeside ||
		r.Kind != backends.Exclusive && rec.holder != (backends.Token{}) && f.fault == locksAreShared {
		given := rec.holder == (backends.Token{}) && rec.place(r.Token) == 0 // as a lock, which its next ask turns
		revoked := rec.holder == r.Token && rec.revoked && f.fault != turnsRevoked
		if r.Kind == backends.Exclusive || given || revoked || f.fault == givenStaysLock {
			return f.grant(rec, r), nil
		}
		return f.make(rec, sh, r, max(1, min(r.Want, r.N))), nil
	}
	if permits := f.fits(rec, sh, r); permits > 0 {
		return f.add(rec, sh, r, permits), nil
	}
	return f.heldBy(rec, sh, r), nil
}

func (f *fakeSharer) heldBy(rec *record, sh *sharing, r backends.Request) backends.Reply {
	reply := backends.Reply{Outcome: backends.Held, Retry: time.Millisecond, Kind: sh.kind, Out: sh.out()}
	for _, s := range sh.shares {
		left := time.Until(s.ends)
		if sooner := r.Kind == backends.Slots && f.fault != lastPermitTold; reply.FreeIn == 0 || left < reply.FreeIn == sooner {
			reply.FreeIn = max(left, 1)
		}
	}
	switch f.fault {
	case hidesOut:
		reply.Out = 1
	case hidesKind:
		reply.Kind = backends.Exclusive
	}
	if !r.Queue && f.fault != triesStay {
		return reply
	}
	if i := rec.place(r.Token); i < 0 {
		rec.waiting = append(rec.waiting, waiter{r.Token, r.Label, time.Now(), time.Now().Add(alive)})
	} else {
		rec.waiting[i].alive = time.Now().Add(alive)
	}
	if r.Queue {
		reply.Place = rec.place(r.Token) + 1
	}
	f.tell(r.Key, backends.Wanted, rec.holder)
	for i, s := range sh.shares {
		if i == 0 || f.fault != forgetsSharers {
			f.tell(r.Key, backends.Wanted, s.token)
		}
	}
	return reply
}

// fits is how many permits a request can have, 1 if it wants to share.
func (f *fakeSharer) fits(rec *record, sh *sharing, r backends.Request) int {
	if r.Kind == backends.Exclusive || len(sh.shares) == 0 || r.Kind != sh.kind && f.fault != mixesKinds || f.fault == joinsOnce {
		return 0
	}
	out, n := sh.out(), r.N
	for _, w := range rec.waiting {
		q := f.all.wishes[w.token]
		if w.token == r.Token || f.fault == overtakes {
			break
		}
		if w.alive.Before(time.Now()) && f.fault != keepsSilent {
			continue
		}
		if q.Kind != sh.kind || q.Kind == backends.Slots && out >= q.N {
			return 0
		}
		out += min(q.Want, q.N-out)
		if f.fault != ignoresBinds {
			n = min(n, q.N)
		}
	}
	switch {
	case r.Kind == backends.Shared:
		return 1
	case f.fault == countsNothing:
		return r.Want
	case f.fault == countsHolders:
		out = len(sh.shares)
	}
	return max(0, min(r.Want, n-out))
}

// make begins anew; a lock of the attempt becomes its share.
func (f *fakeSharer) make(rec *record, sh *sharing, r backends.Request, permits int) backends.Reply {
	was, first, ends := rec.holder == r.Token, rec.first, rec.ends
	rec.holder = backends.Token{}
	sh.kind, sh.shares, sh.ends = r.Kind, nil, time.Time{}
	reply := f.add(rec, sh, r, permits)
	if s := sh.shares[0]; was && f.fault != downgradeStarts {
		s.first = first
		if ends.After(s.ends) {
			s.ends = ends
		}
	}
	return reply
}

func (f *fakeSharer) add(rec *record, sh *sharing, r backends.Request, permits int) backends.Reply {
	if r.Kind == backends.Shared {
		permits = 1
	}
	s := &share{token: r.Token, label: r.Label, since: time.Now(), permits: permits}
	sh.shares = append(sh.shares, s)
	rec.leave(r.Token)
	reply := f.lengthen(rec, sh, s, r.TTL, permits)
	s.first = s.base
	f.wakeFitting(r.Key, rec, sh)
	return reply
}

// lengthen makes a share last as long at least.
func (f *fakeSharer) lengthen(rec *record, sh *sharing, s *share, ttl time.Duration, want int) backends.Reply {
	ends := time.Now().Add(ttl)
	switch {
	case s.revoked && f.fault != revokedShareLonger:
		ttl = time.Until(s.ends)
	case ends.After(s.ends), f.fault == repeatShortens:
		s.ends = ends
	}
	if f.fault == permitsGrow && sh.kind == backends.Slots {
		s.permits = max(s.permits, want)
	}
	return f.says(rec, sh, s, ttl)
}

func (f *fakeSharer) says(rec *record, sh *sharing, s *share, ttl time.Duration) backends.Reply {
	if s.ends.After(sh.ends) {
		sh.ends = s.ends
	}
	if s.base++; f.fault != ownSequences || s.base == 1 {
		s.base = f.mint(rec)
	}
	contended := slices.ContainsFunc(rec.waiting, func(w waiter) bool { return w.token.Session() != s.token.Session() || f.fault == countsOwnWaiter })
	reply := backends.Reply{Outcome: backends.Granted, Kind: sh.kind, Base: s.base, TTL: ttl, Contended: contended && f.fault != saysNobodyWaits}
	if sh.kind == backends.Slots {
		reply.Permits = s.permits
	}
	return reply
}

func (f *fakeSharer) wakeFitting(key string, rec *record, sh *sharing) {
	for _, w := range rec.waiting {
		if r := f.all.wishes[w.token]; f.fits(rec, sh, r) > 0 {
			f.tell(key, backends.Given, w.token)
		}
	}
}
