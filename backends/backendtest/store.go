package backendtest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

const (
	// long is a lease that certainly outlasts its check's next few calls.
	long = 30 * time.Second
	// grace is what a grant may come too late on a busy machine: 2.5 s is the
	// worst that a backend is allowed (memcached's whole seconds).
	grace = 5 * time.Second
	// alive is how long a call keeps its place in the queue, and how long a lease may be that is given to it.
	alive = time.Second
	// maxRetry is the longest pace that still finds a freed key soon enough.
	maxRetry = 2 * time.Second
)

// A store is the place under test as one check sees it.
type store struct {
	ctx    context.Context
	caps   backends.Capabilities
	open   func() backends.Backend
	unique string
	opened []*session
}

func newStore(ctx context.Context, caps backends.Capabilities, open func() backends.Backend) *store {
	return &store{ctx: ctx, caps: caps, open: open, unique: string(backends.NewSession())}
}

// key is a full key that no other check has.
func (st *store) key(name string) string { return "pylock:" + st.unique + ":" + name }

// short is a lease whose end can be waited for.
func (st *store) short() time.Duration { return max(300*time.Millisecond, st.caps.MinExpires) }

// session opens another session on the store, subscribed as a coordinator
// would be. It calls open, so only the check's own goroutine may use it.
func (st *store) session() (*session, error) {
	s := &session{
		Backend: st.open(),
		ctx:     st.ctx,
		id:      backends.NewSession(),
		asked:   make(map[backends.Token]uint64),
		inbox:   make(map[string]chan backends.Wake),
		lender:  lender{lends: make(map[backends.Attempt]bool), asked: make(map[backends.Attempt]bool)},
	}
	s.label = "label-" + string(s.id[:6])
	st.opened = append(st.opened, s)
	if w, ok := whole(s.Backend).(backends.Waker); ok {
		if err := w.Subscribe(s.id, s.wake); err != nil {
			return nil, fmt.Errorf("subscribe: %w", err)
		}
	}
	if r, ok := whole(s.Backend).(backends.Reclaimer); ok {
		r.Reclaims(s.lender.give)
	}
	return s, nil
}

// bare opens a backend only to look at what it is.
func (st *store) bare() backends.Backend {
	b := st.open()
	st.opened = append(st.opened, &session{Backend: b, ctx: st.ctx})
	return b
}

// three opens the cast of most checks: one that holds, one that waits, and one
// that looks at what they left.
func (st *store) three() (a, b, c *session, err error) {
	var all [3]*session
	for i := range all {
		if all[i], err = st.session(); err != nil {
			return nil, nil, nil, err
		}
	}
	return all[0], all[1], all[2], nil
}

func (st *store) close() error {
	var errs []error
	for _, s := range st.opened {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

// A session is one coordinator's view: a backend of its own, and attempts
// numbered upwards.
type session struct {
	backends.Backend
	ctx    context.Context
	id     backends.Session
	label  string
	last   atomic.Uint64 // the newest attempt's number
	lender lender

	mu    sync.Mutex                    // protects inbox and asked
	asked map[backends.Token]uint64     // the number of the newest call
	inbox map[string]chan backends.Wake // by key; full ones drop, as wakes may be lost
}

// wake files what the backend pushed: for every key that was asked about, if it
// names none. It never blocks.
func (s *session) wake(w backends.Wake) {
	file := func(inbox chan backends.Wake) {
		select {
		case inbox <- w:
		default:
		}
	}
	if w.Key != "" {
		file(s.wakes(w.Key))
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, inbox := range s.inbox {
		if key != "" { // nobody's: see outlast
			file(inbox)
		}
	}
}

func (s *session) wakes(key string) chan backends.Wake {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.inbox[key]
	if !ok {
		c = make(chan backends.Wake, 16)
		s.inbox[key] = c
	}
	return c
}

// request is a new attempt that will wait in line.
func (s *session) request(key string, ttl time.Duration) backends.Request {
	return backends.Request{
		Attempt: backends.Attempt{Key: key, Token: s.id.Token(s.last.Add(1))},
		TTL:     ttl,
		Label:   s.label,
		Queue:   true,
	}
}

// once is a new attempt that will not wait.
func (s *session) once(key string, ttl time.Duration) backends.Request {
	r := s.request(key, ttl)
	r.Queue = false
	return r
}

// acquire makes one attempt and holds the answer against the contract.
func (s *session) acquire(r backends.Request) (backends.Reply, error) {
	if r.Queue {
		r.Ask, r.Alive = rand.Uint64N(backends.MaxAsk)+1, alive
		s.mu.Lock()
		s.asked[r.Token] = r.Ask
		s.mu.Unlock()
	}
	reply, err := s.Acquire(s.ctx, r)
	if fault := contract(r, reply, err); fault != nil {
		return reply, fault
	}
	if err != nil {
		return reply, fmt.Errorf("acquire %v: %v: %w", r.Token, reply.Outcome, err)
	}
	return reply, nil
}

// contract is what every answer to an acquire must satisfy.
func contract(r backends.Request, reply backends.Reply, err error) error {
	answered := reply.Outcome == backends.Granted || reply.Outcome == backends.Held
	switch {
	case answered != (err == nil):
		return fmt.Errorf("outcome %q comes with error %v", reply.Outcome, err)
	case err != nil && !failure(err):
		return fmt.Errorf("an acquire's error must match ErrUnavailable, ErrClosed or ErrSettled: %w", err)
	case errors.Is(err, backends.ErrSettled) && reply.Outcome != backends.NotRun:
		return fmt.Errorf("a settled attempt's outcome is %q, want %q", reply.Outcome, backends.NotRun)
	case err != nil:
		return nil
	case reply.Outcome == backends.Granted && (reply.Base == 0 || reply.Base >= 1<<53):
		return fmt.Errorf("granted with base %d, outside 1 to 2^53", reply.Base)
	case reply.Outcome == backends.Granted && reply.TTL < r.TTL:
		return fmt.Errorf("granted for %v, %v were asked for", reply.TTL, r.TTL)
	case reply.Outcome == backends.Held && (reply.Retry <= 0 || reply.Retry > maxRetry):
		return fmt.Errorf("held with retry after %v, outside 0 to %v", reply.Retry, maxRetry)
	case reply.Outcome == backends.Held && !r.Queue && reply.Place != 0:
		return fmt.Errorf("one try was given place %d in the queue", reply.Place)
	case reply.FreeIn < 0 || reply.HeldFor < 0:
		return fmt.Errorf("held for %v, free in %v: negative", reply.HeldFor, reply.FreeIn)
	}
	return nil
}

// failure reports whether an acquire may fail in this way.
func failure(err error) bool {
	return errors.Is(err, backends.ErrUnavailable) || errors.Is(err, backends.ErrClosed) || errors.Is(err, backends.ErrSettled)
}

// want makes one attempt that must have this outcome.
func (s *session) want(o backends.Outcome, r backends.Request) (backends.Reply, error) {
	reply, err := s.acquire(r)
	if err == nil && reply.Outcome != o {
		err = fmt.Errorf("%v of %s is %q, want %q", r.Token, s.label, reply.Outcome, o)
	}
	return reply, err
}

// hold takes a free key with a new attempt.
func (s *session) hold(key string, ttl time.Duration) (backends.Request, backends.Reply, error) {
	r := s.request(key, ttl)
	reply, err := s.want(backends.Granted, r)
	return r, reply, err
}

// behind has b wait for a key that a holds; reply is what a's hold was answered.
func behind(a, b *session, key string) (held, waiter backends.Request, reply backends.Reply, err error) {
	if held, reply, err = a.hold(key, long); err != nil {
		return held, waiter, reply, err
	}
	waiter = b.request(key, long)
	_, err = b.want(backends.Held, waiter)
	return held, waiter, reply, err
}

// await repeats an attempt at the backend's own pace until it is granted.
func (s *session) await(r backends.Request, within time.Duration) (backends.Reply, error) {
	deadline := time.Now().Add(within)
	for {
		reply, err := s.acquire(r)
		if err != nil || reply.Outcome == backends.Granted {
			return reply, err
		}
		if time.Now().After(deadline) {
			return reply, fmt.Errorf("%v of %s is not granted after %v", r.Token, s.label, within)
		}
		r.Probe++
		if err := s.pause(r.Key, reply.Retry); err != nil {
			return reply, err
		}
	}
}

// pause waits for a wake or for d, whichever is first.
func (s *session) pause(key string, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-s.wakes(key):
		return nil
	case <-s.ctx.Done():
		return context.Cause(s.ctx)
	}
}

// outlast waits until a lease of d is certainly over, also where leases last
// whole seconds and one more.
func (s *session) outlast(d time.Duration) error {
	if backends.Describe(whole(s.Backend)).MinExpires >= time.Second {
		d += 2 * time.Second
	}
	return s.pause("", d+d/4) // no key is empty, so no wake ends this early
}

// free gives a lease back and insists that it was there.
func (s *session) free(r backends.Request) error {
	if err := s.Release(s.ctx, r.Attempt); err != nil {
		return fmt.Errorf("release %v of %s: %w", r.Token, s.label, err)
	}
	return nil
}

// patiently repeats a call, as the key actor would. With many callers on a slow machine a backend may be too busy
// with the others, and say so: that is no answer. again says that an earlier one may have run.
func (s *session) patiently(call func(again bool) error) error {
	for deadline, again := time.Now().Add(checkLimit/2), false; ; again = true {
		err := call(again)
		if !errors.Is(err, backends.ErrUnavailable) || s.ctx.Err() != nil || time.Now().After(deadline) {
			return err
		}
	}
}

// goes is free beside many others.
func (s *session) goes(r backends.Request) error {
	return s.patiently(func(again bool) error {
		r.Ambiguous = r.Ambiguous || again
		err := s.free(r)
		if again && backends.IsNotHeld(err) {
			return nil // by the call before
		}
		return err
	})
}

// cancel ends an attempt as the key actor would.
func (s *session) cancel(r backends.Request) error {
	if err := backends.Cancel(s.ctx, s.Backend, r.Attempt); err != nil {
		return fmt.Errorf("cancel %v of %s: %w", r.Token, s.label, err)
	}
	return nil
}

// notHeld insists that a verb found no lease of its token.
func notHeld(verb string, err error) error {
	if !backends.IsNotHeld(err) {
		return fmt.Errorf("%s: got %v, want ErrNotHeld", verb, err)
	}
	return nil
}

// first returns the first failure of steps that may all be taken.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
