package lockclient

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// A store is a lock server in memory, for virtual time: exact about time and
// tokens, and as unreliable as its faults say. Several backends may share one.
type store struct {
	mu      sync.Mutex // protects what follows
	leases  map[string]*storedLease
	last    map[string]uint64
	settled map[string]map[backends.Session]uint64
	deleted map[string][]time.Time   // when leases were deleted by a revocation
	gone    map[string][]storedLease // the leases that were deleted by then
	waiting map[string][]place       // of sessions that hear pushes; the others poll
	inboxes map[backends.Session]func(backends.Wake)
	locks   bool // who asks for a share of a free key is granted the lock
}

type storedLease struct {
	kind        backends.Kind // of the shares, if there are any: then the rest is theirs
	shares      []*storedShare
	token       backends.Token
	ends        time.Time
	first, base uint64 // the bases it began with, and has by now
	revoked     bool
	resting     bool // it is nobody's
}

func newStore() *store {
	return &store{
		leases: map[string]*storedLease{}, last: map[string]uint64{},
		settled: map[string]map[backends.Session]uint64{}, deleted: map[string][]time.Time{},
		gone: map[string][]storedLease{}, waiting: map[string][]place{}, inboxes: map[backends.Session]func(backends.Wake){},
	}
}

func (s *store) leaseLocked(key string) *storedLease {
	l := s.leases[key]
	if l != nil && l.kind != backends.Exclusive {
		l.sweep()
	}
	if l != nil && !time.Now().Before(l.ends) {
		delete(s.leases, key)
		l = nil
	}
	return l
}

// lease is who has the key now; ok is false if it is free.
func (s *store) lease(key string) (storedLease, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.leaseLocked(key); l != nil {
		c := *l
		c.shares = nil
		for _, h := range l.shares {
			c.shares = append(c.shares, &storedShare{h.token, h.ends, h.permits, h.first, h.base, h.revoked})
		}
		return c, true
	}
	return storedLease{}, false
}

// deletedAfter is when a revocation first deleted a lease of key after t; long
// after t if none did.
func (s *store) deletedAfter(key string, t time.Time) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, at := range s.deleted[key] {
		if !at.Before(t) {
			return at
		}
	}
	return t.Add(24 * time.Hour)
}

func (s *store) mintLocked(key string) uint64 {
	base := max(uint64(time.Now().UnixMicro()), s.last[key]+1)
	s.last[key] = base
	return base
}

func (s *store) acquire(r backends.Request) (backends.Reply, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.settled[r.Key][r.Token.Session()] >= r.Token.Attempt() {
		return backends.Reply{Outcome: backends.NotRun}, backends.ErrSettled
	}
	s.serveLocked(r.Key)
	l := s.leaseLocked(r.Key)
	ends := time.Now().Add(r.TTL)
	switch {
	case l != nil && l.kind != backends.Exclusive:
		return s.joinLocked(l, r)
	case l == nil && r.Kind != backends.Exclusive && !s.locks, l != nil && l.token == r.Token && r.Kind != backends.Exclusive && !l.revoked:
		return s.makeLocked(r, l), nil
	case l == nil:
		l = &storedLease{token: r.Token, ends: ends}
		s.leases[r.Key] = l
	case l.token == r.Token:
		if ends.After(l.ends) && !l.revoked {
			l.ends = ends
		}
	default:
		return s.heldLocked(l, r), nil
	}
	s.leaveLocked(r.Attempt)
	l.base = s.mintLocked(r.Key)
	if l.first == 0 {
		l.first = l.base
	}
	return backends.Reply{Outcome: backends.Granted, Base: l.base, TTL: time.Until(l.ends), Contended: s.contendedLocked(r.Attempt)}, nil
}

func (s *store) revoke(key string, r backends.Revocation) backends.Revoked {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.leaseLocked(key)
	switch {
	case l == nil:
		return backends.NobodyHolds
	case l.kind != backends.Exclusive:
		return s.revokeSharesLocked(key, l, r)
	case r.Base != 0 && (r.Base < l.first || r.Base > l.base):
		return backends.Superseded
	case r.Now, l.resting:
		delete(s.leases, key)
		s.deleted[key] = append(s.deleted[key], time.Now())
		s.gone[key] = append(s.gone[key], *l)
		return backends.Deleted
	}
	l.revoked = true
	return backends.Marked
}

func (s *store) renew(a backends.Attempt, ttl time.Duration, known uint64) (backends.Reply, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.leaseLocked(a.Key)
	if l == nil || l.token != a.Token || known < l.first {
		return backends.Reply{}, backends.ErrNotHeld
	}
	if l.revoked {
		return backends.Reply{}, backends.ErrRevoked
	}
	if ends := time.Now().Add(ttl); ends.After(l.ends) || known == l.base {
		l.ends = ends
	}
	l.base = s.mintLocked(a.Key)
	return backends.Reply{Outcome: backends.Granted, Base: l.base, TTL: ttl, Contended: s.contendedLocked(a)}, nil
}

func (s *store) release(a backends.Attempt) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.settled[a.Key] == nil {
		s.settled[a.Key] = map[backends.Session]uint64{}
	}
	session := a.Token.Session()
	s.settled[a.Key][session] = max(s.settled[a.Key][session], a.Token.Attempt())
	s.leaveLocked(a)
	l := s.leaseLocked(a.Key)
	if l != nil && l.kind != backends.Exclusive {
		return s.leaveShareLocked(l, a)
	}
	if l == nil || l.token != a.Token {
		return backends.ErrNotHeld
	}
	if a.AtLeast > 0 && !l.revoked {
		s.leases[a.Key] = &storedLease{ends: time.Now().Add(a.AtLeast), first: l.first, base: l.base, resting: true}
		return nil
	}
	delete(s.leases, a.Key)
	s.serveLocked(a.Key)
	return nil
}

// faults says what can go wrong with a call, in percent, and how slow it is.
type faults struct {
	notRun, lost, late int
	latency            time.Duration
}

// fakeBackend is one session's way to a store.
type fakeBackend struct {
	store  *store
	mu     sync.Mutex // protects what follows
	rng    *rand.Rand
	faults faults
	dead   bool
	ran    int
}

func newFake(s *store, seed uint64, f faults) *fakeBackend {
	return &fakeBackend{store: s, rng: rand.New(rand.NewPCG(seed, 1)), faults: f}
}

var errFault = errors.New("injected fault")

// through carries one request to the store and its reply back, or fails to.
func (f *fakeBackend) through(ctx context.Context, run func()) (ran bool, err error) {
	f.mu.Lock()
	f.ran++
	there, back := f.delayLocked(), f.delayLocked()
	fate, dead := f.rng.IntN(100), f.dead
	late := time.Duration(f.rng.IntN(500)) * time.Millisecond
	f.mu.Unlock()

	fail := backends.Unavailable("fake", errFault)
	if !sleep(ctx, there) {
		return false, backends.Interrupted(ctx, "fake")
	}
	switch p := f.faults; {
	case dead || fate < p.notRun:
		return false, fail
	case fate < p.notRun+p.late:
		time.AfterFunc(late, run) // the request arrives after its caller has given up
		return true, fail
	case fate < p.notRun+p.late+p.lost:
		run()
		return true, fail
	}
	run()
	if !sleep(ctx, back) {
		return true, backends.Interrupted(ctx, "fake")
	}
	return true, nil
}

func (f *fakeBackend) delayLocked() time.Duration {
	if f.faults.latency == 0 {
		return 0
	}
	return time.Duration(f.rng.Int64N(int64(f.faults.latency)))
}

// kill cuts the backend off from its store, or heals it.
func (f *fakeBackend) kill(dead bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dead = dead
}

func (f *fakeBackend) callsMade() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ran
}

func sleep(ctx context.Context, d time.Duration) bool {
	if d == 0 {
		return ctx.Err() == nil
	}
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

func (f *fakeBackend) Acquire(ctx context.Context, r backends.Request) (backends.Reply, error) {
	var mu sync.Mutex // a late copy writes after we have returned
	var reply backends.Reply
	var err error
	ran, fault := f.through(ctx, func() {
		p, e := f.store.acquire(r)
		mu.Lock()
		defer mu.Unlock()
		reply, err = p, e
	})
	mu.Lock()
	defer mu.Unlock()
	switch {
	case fault != nil && ran:
		return backends.Reply{Outcome: backends.MayHaveRun}, fault
	case fault != nil:
		return backends.Reply{Outcome: backends.NotRun}, fault
	}
	return reply, err
}

func (f *fakeBackend) Renew(ctx context.Context, a backends.Attempt, ttl time.Duration, known uint64) (backends.Reply, error) {
	var mu sync.Mutex
	var reply backends.Reply
	var err error
	_, fault := f.through(ctx, func() {
		p, e := f.store.renew(a, ttl, known)
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

func (f *fakeBackend) Release(ctx context.Context, a backends.Attempt) error {
	var mu sync.Mutex
	var err error
	_, fault := f.through(ctx, func() {
		e := f.store.release(a)
		mu.Lock()
		defer mu.Unlock()
		err = e
	})
	mu.Lock()
	defer mu.Unlock()
	if fault != nil {
		return fault
	}
	return err
}

// Revoke is not spoilt by faults: what is tested is how its holder takes it.
func (f *fakeBackend) Revoke(_ context.Context, key string, r backends.Revocation) (backends.Revoked, error) {
	return f.store.revoke(key, r), nil
}

// Inspect is not spoilt either.
func (f *fakeBackend) Inspect(_ context.Context, key string) (backends.Info, error) {
	l, held := f.store.lease(key)
	if !held {
		return backends.Info{}, nil
	}
	if l.kind != backends.Exclusive {
		return l.info(), nil
	}
	return backends.Info{Held: true, Revoked: l.revoked, Resting: l.resting, Base: &l.base}, nil
}

// Capabilities are what a backend that declares none has, and that keys can rest.
func (f *fakeBackend) Capabilities() backends.Capabilities {
	return backends.Capabilities{Name: "custom", Exclusive: true, Inspects: true, Rests: true, Kinds: true}
}

func (f *fakeBackend) Close() error { return nil }
