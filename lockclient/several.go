package lockclient

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/turnstile-go/turnstile/actors"
	"github.com/turnstile-go/turnstile/backends"
)

// AcquireAll waits for a hold of each of the keys: all or none. It sorts the keys, drops
// what is there twice, and takes one after the other in that order, so that two sets
// never wait for each other in a circle, among callers that hold nothing else.
//
// The timeout is one for all keys; Timeout(0) is one try of each. The options count for
// each hold. What it has is renewed while it waits for the rest; when the last is there,
// the Expires and MaxHold of each begin.
//
// On failure it gives back what it had. The error names the key that was not to be had,
// and is otherwise one of Acquire's:
//
//   - ErrDeadlock if ctx comes from a hold of any of the keys: see Acquire.
//   - ErrLost or ErrRevoked, if a hold was lost while others were waited for.
//   - ErrInvalid for no keys at all.
//   - ErrUnavailable as well, if a lease could not be made as long as Expires in time.
func (c *Client) AcquireAll(ctx context.Context, keys []string, opts ...Option) (*Locks, error) {
	o, err := c.options(c.defaults(ctx), opts)
	if err != nil {
		return nil, err
	}
	if keys, err = c.set(ctx, keys, o); err != nil {
		return nil, err
	}
	begin := time.Now()
	s := &Locks{locks: make([]*Lock, 0, len(keys))}
	waiting, lost := context.WithCancelCause(ctx)
	defer lost(nil)
	each := o
	each.Renew, each.MaxHold, each.Confirmed = true, 0, true // until all are there
	within := waiting                                        // it knows the holds that are there already
	for _, key := range keys {
		lock, err := c.acquire(within, key, after(each, time.Since(begin)))
		if err != nil {
			return nil, s.giveUp(ctx, waiting, key, begin, err)
		}
		s.locks = append(s.locks, lock)
		within = s.last()
		context.AfterFunc(lock.Context(), func() { lost(ofKey(key, context.Cause(lock.Context()))) })
	}
	if key, err := s.start(waiting, o, begin); err != nil {
		return nil, s.giveUp(ctx, waiting, key, begin, err)
	}
	return s, nil
}

// set checks the keys of a set, and returns them as they are taken.
func (c *Client) set(ctx context.Context, keys []string, o options) ([]string, error) {
	if len(keys) == 0 {
		return nil, invalid("no keys")
	}
	keys = slices.Clone(keys)
	slices.Sort(keys)
	keys = slices.Compact(keys)
	kind, _ := kindOf(&o)
	for _, key := range keys {
		if err := checkKey(key); err != nil {
			return nil, err
		}
		if err := c.deadlock(ctx, key, kind); err != nil {
			return nil, err
		}
	}
	return keys, nil
}

// after returns the options of an acquire that comes so much later: what is left of the
// timeout. A wait whose time is over is still no try.
func after(o options, d time.Duration) options {
	if o.Timeout != 0 && o.Timeout != Forever {
		o.Timeout = max(o.Timeout-d, 1)
	}
	return o
}

// giveUp gives back what a set has, whose key was not to be had, and returns the error of
// that. waiting has ended, and ctx has not, if a hold was lost meanwhile.
func (s *Locks) giveUp(ctx, waiting context.Context, key string, begin time.Time, err error) error {
	lost := context.Cause(waiting) // later it tells of the holds that are given back
	actors.DiscardAll(s.holds())
	var why *WaitError
	switch {
	case lost != nil && ctx.Err() == nil:
		return fmt.Errorf("turnstile: a hold was lost while key %q was waited for: %w", key, bare{lost})
	case errors.As(err, &why): // it names the key
		why.Waited = time.Since(begin)
		return err
	}
	return ofKey(key, err)
}

// ofKey names the key of an error.
func ofKey(key string, err error) error {
	return fmt.Errorf("turnstile: key %q: %w", key, bare{err})
}

// A bare is an error whose text has no module's name in front, since it is quoted.
type bare struct{ error }

func (b bare) Error() string { return backends.Bare(b.error) }
func (b bare) Unwrap() error { return b.error }

// Locks are holds of several keys that Client.AcquireAll took together. Their methods may
// be called from any goroutine. A nil *Locks, as it comes with an error, is a set whose
// holds have all ended: see Lock.
type Locks struct {
	locks []*Lock // sorted by key
	ctx   context.Context
	end   context.CancelCauseFunc
}

// last is the newest hold as a context, which descends from those of the others.
func (s *Locks) last() context.Context { return (*within)(s.locks[len(s.locks)-1]) }

func (s *Locks) holds() []*actors.Hold {
	holds := make([]*actors.Hold, len(s.locks))
	for i, l := range s.locks {
		holds[i] = &l.hold
	}
	return holds
}

// startTime is how much longer than its timeout a set may take for its holds to get their
// full time: a renewal each, which is under way at once.
const startTime = 200 * time.Millisecond

// start has the holds, all of which are there, go on as the caller's options say. It
// returns the key whose hold could not.
func (s *Locks) start(waiting context.Context, o options, begin time.Time) (key string, err error) {
	spec := specOf(o)
	began := make([]<-chan error, len(s.locks))
	for i, l := range s.locks {
		began[i] = l.hold.Restart(&spec)
	}
	rest := tryTimeout
	if o.Timeout != 0 {
		rest = max(after(o, time.Since(begin)).Timeout, startTime)
	}
	late := time.NewTimer(rest)
	defer late.Stop()
	for i, l := range s.locks {
		select {
		case err = <-began[i]:
		case <-waiting.Done():
			err = tooLate(waiting, l.Key())
		case <-late.C:
			err = &WaitError{Key: l.Key(), Try: o.Timeout == 0, Silent: true, Err: errNotProlonged}
		}
		if err != nil {
			return l.Key(), err
		}
	}
	s.ctx, s.end = context.WithCancelCause(context.WithoutCancel(s.last()))
	for _, l := range s.locks {
		context.AfterFunc(l.Context(), func() { s.ended(l) })
	}
	return "", nil
}

var errNotProlonged = errors.New("the lease was not prolonged in time")

// ended ends the context of the set, once a hold has ended.
func (s *Locks) ended(l *Lock) {
	cause := context.Cause(l.Context())
	if cause != context.Canceled { // else it was released
		cause = ofKey(l.Key(), cause)
	}
	s.end(cause)
}

// Context is the acquire's ctx without its cancellation. It ends with the first of the
// holds that ends; its cause then is that of Lock.Context, with the name of the key. The
// others go on until they are released or end by themselves.
//
// An acquire of any of the keys with this ctx fails with ErrDeadlock, as with
// Lock.Context.
func (s *Locks) Context() context.Context {
	if s == nil {
		return (*Lock)(nil).Context()
	}
	for _, l := range s.locks {
		if l.Context().Err() != nil { // this process was stopped, and looks before its timers ran
			s.ended(l)
		}
	}
	return s.ctx
}

// Deadline is when the first of the holds ends unless it is renewed: see Lock.Deadline.
func (s *Locks) Deadline() time.Time {
	if s == nil {
		return time.Time{}
	}
	first := s.locks[0].Deadline()
	for _, l := range s.locks[1:] {
		if d := l.Deadline(); d.Before(first) {
			first = d
		}
	}
	return first
}

// Fence is the number of the hold of that key: see Lock.Fence. It is 0 if the set has no
// such key.
func (s *Locks) Fence(key string) uint64 {
	if s == nil {
		return 0
	}
	for _, l := range s.locks {
		if l.Key() == key {
			return l.Fence()
		}
	}
	return 0
}

// Release gives all holds back, side by side: see Lock.Release, whose errors come with
// the name of their key. It waits at most 2 s. nil says that each hold was ours to its
// end.
func (s *Locks) Release() error {
	if s == nil {
		return ErrNotHeld
	}
	errs := actors.ReleaseAll(s.holds())
	for i, err := range errs {
		if err != nil {
			errs[i] = ofKey(s.locks[i].Key(), err)
		}
	}
	return errors.Join(errs...)
}
