package lockclient

import (
	"context"
	"slices"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// A place is that of a waiting attempt.
type place struct {
	token backends.Token
	kind  backends.Kind
	n     int
	want  int
	ask   uint64
	alive time.Duration
	until time.Time
}

// queueLocked gives an attempt its place, or keeps it there. It returns false for one that only polls.
func (s *store) queueLocked(r backends.Request) bool {
	if s.inboxes[r.Token.Session()] == nil || !r.Queue {
		return false
	}
	p := place{token: r.Token, kind: r.Kind, n: r.N, want: r.Want, ask: r.Ask, alive: r.Alive, until: time.Now().Add(r.Alive)}
	line := s.waiting[r.Key]
	if i := slices.IndexFunc(line, func(p place) bool { return p.token == r.Token }); i >= 0 {
		line[i] = p
	} else {
		s.waiting[r.Key] = append(line, p)
	}
	return true
}

func (s *store) leaveLocked(a backends.Attempt) {
	s.waiting[a.Key] = slices.DeleteFunc(s.waiting[a.Key], func(p place) bool { return p.token == a.Token })
}

// deletedBefore reports whether a lease that had base was deleted by now.
func (s *store) deletedBefore(key string, base uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.gone[key], func(l storedLease) bool { return base >= l.first && base <= l.base })
}

// places returns how many wait for a key.
func (s *store) places(key string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.waiting[key])
}

// serveLocked gives a free key to the first in line that is alive, and tells it.
func (s *store) serveLocked(key string) {
	for len(s.waiting[key]) > 0 && s.leaseLocked(key) == nil {
		p := s.waiting[key][0]
		s.waiting[key] = s.waiting[key][1:]
		if time.Now().After(p.until) {
			continue
		}
		base := s.mintLocked(key)
		s.leases[key] = &storedLease{token: p.token, ends: time.Now().Add(p.alive), first: base, base: base}
		s.inboxes[p.token.Session()](backends.Wake{
			Key: key, Kind: backends.Gave, Attempt: p.token.Attempt(), Ask: p.ask, Base: base, TTL: p.alive,
			Contended: s.contendedLocked(backends.Attempt{Key: key, Token: p.token}),
		})
	}
}

// pushFaults says what can go wrong with a push, in percent.
type pushFaults struct {
	lost, late, twice, twisted int
	failsOver                  bool // servers are said to take each other's place
	repeated                   int  // calls, each time by the backend, some time after their answers
	others                     []otherPush
}

// An otherPush gives no lease. It is sent some time after the beginning.
type otherPush struct {
	after time.Duration
	wake  backends.Wake
}

// A pusher is a fake that hears pushes.
type pusher struct {
	*fakeBackend
	faults pushFaults
	wake   func(backends.Wake)                                          // set by Subscribe
	number func(key string, attempt uint64, alive time.Duration) uint64 // set by Repeats
	caught chan backends.Wake                                           // if there is one, pushes go there, for the test to deliver

	// If set, these carry a call there and back; call makes it.
	asks     func(ctx context.Context, call func() (backends.Reply, error)) (backends.Reply, error)
	confirms func(ctx context.Context, call func() (backends.Reply, error)) (backends.Reply, error)
}

func newPusher(s *store, seed uint64, f faults, p pushFaults) *pusher {
	return &pusher{fakeBackend: newFake(s, seed, f), faults: p}
}

func (p *pusher) Capabilities() backends.Capabilities {
	return backends.Capabilities{
		Name: "fake", Exclusive: true, Rests: true, Fair: true, Wakes: true, Fences: true, Inspects: true, Kinds: true, FailsOver: p.faults.failsOver,
	}
}

func (p *pusher) Subscribe(session backends.Session, wake func(backends.Wake)) error {
	p.wake = wake
	p.store.mu.Lock()
	defer p.store.mu.Unlock()
	p.store.inboxes[session] = p.push
	for _, o := range p.faults.others {
		time.AfterFunc(o.after, func() { wake(o.wake) })
	}
	return nil
}

func (p *pusher) Acquire(ctx context.Context, r backends.Request) (backends.Reply, error) {
	call := func() (backends.Reply, error) {
		reply, err := p.fakeBackend.Acquire(ctx, r)
		if reply.Outcome == backends.Held && r.Queue {
			p.repeatsSoon(r)
		}
		if p.caught != nil {
			reply.Retry = time.Hour // the test says when to ask again
		}
		return reply, err
	}
	if p.asks == nil {
		return call()
	}
	return p.asks(ctx, call)
}

func (p *pusher) Renew(ctx context.Context, a backends.Attempt, ttl time.Duration, known uint64) (backends.Reply, error) {
	call := func() (backends.Reply, error) { return p.fakeBackend.Renew(ctx, a, ttl, known) }
	if p.confirms == nil {
		return call()
	}
	return p.confirms(ctx, call)
}

// push sends a push on its way. The store is locked: the push is heard later.
func (p *pusher) push(w backends.Wake) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.caught != nil {
		p.caught <- w
		return
	}
	percent := func(n int) bool { return p.rng.IntN(100) < n }
	if percent(p.faults.lost) {
		return
	}
	copies := 1
	if percent(p.faults.twice) {
		copies = 2
	}
	for range copies {
		after := time.Duration(p.rng.IntN(1000)) * time.Microsecond
		if percent(p.faults.late) {
			after = time.Duration(p.rng.IntN(1500)) * time.Millisecond
		}
		told := w // each copy's own: the one before may be on its way
		if percent(p.faults.twisted) {
			told = p.twistLocked(w)
		}
		time.AfterFunc(after, func() { p.wake(told) })
	}
}

// twist is more than a test's time in µs: no lease has a base that is so much lower than another's.
const twist = 1 << 40

// twistLocked returns a wake that somebody might publish, or a defect send. Only a reader of the queue
// knows an ask's number, and no fence begins above the bases that the server has given.
func (p *pusher) twistLocked(w backends.Wake) backends.Wake {
	switch p.rng.IntN(4) {
	case 0:
		w.Attempt += 1 + p.rng.Uint64N(3)
	case 1:
		w.Ask = 1 + p.rng.Uint64N(backends.MaxAsk)
	case 2:
		w.Base -= twist
	default:
		w.TTL *= 5
	}
	return w
}
