package backendtest

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// A fault is one way in which the fake is broken on purpose.
type fault int

const (
	sound fault = iota
	grantsAll
	releasesBlindly
	renewsBlindly
	repeatsFences
	forgetsSettled
	refusesAmbiguous
	settlesAllKeys
	foldsCase
	expiresEarly
	neverExpires
	roundsDown
	shortensOnStale
	neverShortens
	reentrant
	queuesOneTry
	cancelKeepsPlace
	cancelKeepsLease
	barges
	lastFirst
	keepsSilent
	hidesWaiters
	namesLastFirst
	namesTheHolder
	movesFirst
	tellsToken
	losesContext
	worksAfterClose
	closesAll
	failsSecondClose
	secondAcquireFails
	releaseTwiceIsNil
	revokesAtOnce
	revokesForGood
	renewsRevoked
	lengthensRevoked
	repeatsRevoked
	hidesRevoked
	hidesReason
	keepsReason
	ignoresBase
	knowsNewestBase
	marksAnything
	marksLate
	keepsDeleted
	listsFree
	listsUnsorted
	listsTwice
	listsByPattern
	listsFirst
)

// A shelf is the store that fakes share: one mutex, a record a key.
type shelf struct {
	fault fault

	mu      sync.Mutex // protects what follows
	records map[string]*record
	settled map[string]uint64 // by key and session
	closed  bool              // closesAll
}

type record struct {
	holder  backends.Token // zero: free
	label   string
	since   time.Time
	ends    time.Time
	base    uint64
	first   uint64 // the base of the lease's grant
	revoked bool
	reason  string
	waiting []waiter
}

type waiter struct {
	token backends.Token
	label string
	since time.Time
	alive time.Time
}

// A fake is a session on a shelf; it keeps the contract but for its fault.
type fake struct {
	*shelf
	closed bool
}

func newShelf(f fault) *shelf {
	return &shelf{fault: f, records: map[string]*record{}, settled: map[string]uint64{}}
}

func (f *fake) Capabilities() backends.Capabilities {
	return backends.Capabilities{Name: "fake", Exclusive: true, Fair: true, Fences: true, Inspects: true, Reasons: true, Immediate: true}
}

// enter locks the shelf and finds a key's record with its expiry and its
// queue brought up to date.
func (f *fake) enter(ctx context.Context, key string) (*record, func(), error) {
	if f.fault == losesContext && ctx.Err() != nil {
		return nil, nil, backends.ErrUnavailable
	}
	if ctx.Err() != nil {
		return nil, nil, backends.Interrupted(ctx, "fake")
	}
	f.mu.Lock()
	if (f.closed || f.shelf.closed) && f.fault != worksAfterClose {
		f.mu.Unlock()
		return nil, nil, backends.ErrClosed
	}
	if f.fault == foldsCase {
		key = strings.ToLower(key)
	}
	rec, ok := f.records[key]
	if !ok {
		rec = &record{}
		f.records[key] = rec
	}
	now := time.Now()
	if !now.Before(rec.ends) && f.fault != neverExpires {
		rec.holder = backends.Token{}
	}
	for len(rec.waiting) > 0 && rec.waiting[0].alive.Before(now) && f.fault != keepsSilent {
		rec.waiting = rec.waiting[1:]
	}
	return rec, f.mu.Unlock, nil
}

func (f *fake) settledUpTo(a backends.Attempt) string {
	name := a.Key + "\x00" + string(a.Token.Session())
	if f.fault == settlesAllKeys {
		name = string(a.Token.Session())
	}
	return name
}

func (rec *record) place(t backends.Token) int {
	for i, w := range rec.waiting {
		if w.token == t {
			return i
		}
	}
	return -1
}

func (rec *record) leave(t backends.Token) {
	if i := rec.place(t); i >= 0 {
		rec.waiting = append(rec.waiting[:i:i], rec.waiting[i+1:]...)
	}
}

func (f *fake) Acquire(ctx context.Context, r backends.Request) (backends.Reply, error) {
	rec, leave, err := f.enter(ctx, r.Key)
	if err != nil {
		return backends.Reply{Outcome: backends.NotRun}, err
	}
	defer leave()
	if f.fault != forgetsSettled && f.settled[f.settledUpTo(r.Attempt)] >= r.Token.Attempt() {
		return backends.Reply{Outcome: backends.NotRun}, backends.ErrSettled
	}
	if r.Ambiguous && f.fault == refusesAmbiguous {
		return backends.Reply{Outcome: backends.NotRun}, backends.ErrSettled
	}
	if f.mayHave(rec, r) {
		return f.grant(rec, r), nil
	}
	reply := backends.Reply{Outcome: backends.Held, Retry: time.Millisecond}
	if rec.holder != (backends.Token{}) {
		reply.Holder, reply.FreeIn = rec.label, time.Until(rec.ends)
	}
	if r.Queue || f.fault == queuesOneTry {
		alive := time.Now().Add(time.Second)
		if i := rec.place(r.Token); i >= 0 {
			rec.waiting[i].alive = alive
		} else {
			rec.waiting = append(rec.waiting, waiter{r.Token, r.Label, time.Now(), alive})
		}
	}
	if r.Queue {
		reply.Place = rec.place(r.Token) + 1
	}
	return reply, nil
}

// mayHave decides whose the key is.
func (f *fake) mayHave(rec *record, r backends.Request) bool {
	if rec.holder != (backends.Token{}) {
		switch {
		case f.fault == grantsAll:
			return true
		case f.fault == reentrant:
			return rec.holder.Session() == r.Token.Session()
		}
		return rec.holder == r.Token && f.fault != secondAcquireFails
	}
	turn := rec.place(r.Token)
	if f.fault == lastFirst {
		return turn == len(rec.waiting)-1
	}
	return len(rec.waiting) == 0 || turn == 0 || f.fault == barges
}

func (f *fake) grant(rec *record, r backends.Request) backends.Reply {
	ttl := r.TTL
	if f.fault == roundsDown {
		ttl = ttl.Truncate(time.Millisecond)
	}
	ends := time.Now().Add(ttl)
	if f.fault == expiresEarly {
		ends = ends.Add(-ttl / 4)
	}
	fresh := rec.holder != r.Token
	switch {
	case !fresh && rec.revoked && f.fault != repeatsRevoked:
		ttl = time.Until(rec.ends)
	case fresh || ends.After(rec.ends):
		rec.ends = ends
	}
	rec.holder, rec.label = r.Token, r.Label
	rec.leave(r.Token)
	base := f.mint(rec)
	if fresh {
		rec.since, rec.first = time.Now(), base
		rec.revoked = rec.revoked && f.fault == revokesForGood
		if f.fault != keepsReason {
			rec.reason = ""
		}
	}
	return backends.Reply{Outcome: backends.Granted, Base: base, TTL: ttl, Contended: len(rec.waiting) > 0}
}

func (f *fake) mint(rec *record) uint64 {
	if f.fault != repeatsFences || rec.base == 0 {
		rec.base = max(uint64(time.Now().UnixMicro()), rec.base+1)
	}
	return rec.base
}

func (f *fake) Renew(ctx context.Context, a backends.Attempt, ttl time.Duration, known uint64) (backends.Reply, error) {
	rec, leave, err := f.enter(ctx, a.Key)
	if err != nil {
		return backends.Reply{}, err
	}
	defer leave()
	if rec.holder != a.Token && f.fault != renewsBlindly || known != 0 && known < rec.first && f.fault != renewsLater {
		return backends.Reply{}, backends.ErrNotHeld
	}
	ends := time.Now().Add(ttl)
	if rec.revoked && f.fault != renewsRevoked {
		if f.fault == lengthensRevoked {
			rec.ends = ends
		}
		return backends.Reply{}, backends.RevokedFor(rec.reason)
	}
	shorter := (known == rec.base && f.fault != neverShortens) || f.fault == shortensOnStale
	if shorter || ends.After(rec.ends) {
		rec.ends = ends
	}
	waiting := len(rec.waiting) > 0 && f.fault != hidesWaiters
	return backends.Reply{Outcome: backends.Granted, Base: f.mint(rec), TTL: ttl, Contended: waiting}, nil
}

func (f *fake) Release(ctx context.Context, a backends.Attempt) error {
	rec, leave, err := f.enter(ctx, a.Key)
	if err != nil {
		return err
	}
	defer leave()
	f.settle(a)
	if rec.holder != a.Token && f.fault != releasesBlindly {
		if f.fault == releaseTwiceIsNil && rec.holder == (backends.Token{}) {
			return nil
		}
		return backends.ErrNotHeld
	}
	rec.holder = backends.Token{}
	return nil
}

func (f *fake) settle(a backends.Attempt) {
	f.settled[f.settledUpTo(a)] = max(f.settled[f.settledUpTo(a)], a.Token.Attempt())
}

func (f *fake) Cancel(ctx context.Context, a backends.Attempt) error {
	rec, leave, err := f.enter(ctx, a.Key)
	if err != nil {
		return err
	}
	defer leave()
	f.settle(a)
	if f.fault != cancelKeepsPlace {
		rec.leave(a.Token)
	}
	if rec.holder == a.Token && f.fault != cancelKeepsLease {
		rec.holder = backends.Token{}
	}
	return nil
}

func (f *fake) Inspect(ctx context.Context, key string) (backends.Info, error) {
	rec, leave, err := f.enter(ctx, key)
	if err != nil {
		return backends.Info{}, err
	}
	defer leave()
	waiting := len(rec.waiting)
	if f.fault == hidesWaiters {
		waiting = 0
	}
	info := backends.Info{Held: rec.holder != (backends.Token{}), Waiting: &waiting, Waiters: f.inLine(rec)[:waiting]}
	if info.Held {
		label, base, since, ends := rec.label, rec.base, time.Since(rec.since), time.Until(rec.ends)
		if f.fault == tellsToken {
			label = rec.holder.Wire()
		}
		info.Revoked = rec.revoked && f.fault != hidesRevoked
		info.Holder, info.Base, info.HeldFor, info.ExpiresIn = &label, &base, &since, &ends
		first := rec.first
		if f.fault == movesFirst {
			first = base
		}
		info.First = &first
	}
	return info, nil
}

func (f *fake) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed && f.fault == failsSecondClose {
		return backends.ErrClosed
	}
	f.closed = true
	f.shelf.closed = f.fault == closesAll
	return nil
}
