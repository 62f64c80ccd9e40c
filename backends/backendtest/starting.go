package backendtest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// Started returns a backend whose verbs start their calls and wait for the answers. It
// has the verbs of b, and Cancel, and none of the other optional interfaces.
func Started(b backends.Backend) backends.Backend { return startingOf(b) }

// A starting backend makes its calls by Start and waits for their answers, so that each
// check of the verbs is one of Start as well. It stands for a Starter's verbs alone; see
// whole.
type starting struct {
	backends.Backend
	starter backends.Starter

	mu    sync.Mutex // protects wrong
	wrong []error    // breaches of Starter's contract; Close reports them
}

func startingOf(b backends.Backend) *starting {
	return &starting{Backend: b, starter: b.(backends.Starter)}
}

// whole is the backend with all the interfaces that it has.
func whole(b backends.Backend) backends.Backend {
	if s, ok := b.(*starting); ok {
		return s.Backend
	}
	return b
}

func (s *starting) Acquire(ctx context.Context, r backends.Request) (backends.Reply, error) {
	return s.call(ctx, backends.Call{Verb: backends.Acquiring, Request: r})
}

func (s *starting) Renew(ctx context.Context, a backends.Attempt, ttl time.Duration, known uint64) (backends.Reply, error) {
	return s.call(ctx, backends.Call{Verb: backends.Renewing, Request: backends.Request{Attempt: a, TTL: ttl}, Known: known})
}

// RenewShare is for a Sharer: see whole.
func (s *starting) RenewShare(ctx context.Context, r backends.Request, known uint64) (backends.Reply, error) {
	return s.call(ctx, backends.Call{Verb: backends.Renewing, Request: r, Known: known})
}

func (s *starting) Release(ctx context.Context, a backends.Attempt) error {
	_, err := s.call(ctx, backends.Call{Verb: backends.Releasing, Request: backends.Request{Attempt: a}})
	return err
}

func (s *starting) Cancel(ctx context.Context, a backends.Attempt) error {
	_, err := s.call(ctx, backends.Call{Verb: backends.Cancelling, Request: backends.Request{Attempt: a}})
	return err
}

func (s *starting) Close() error {
	err := s.Backend.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(append(s.wrong, err)...)
}

// call waits for the answer until ctx ends, which Start knows by its deadline alone. A call
// may go on after it was cancelled, as if its answer had been lost.
func (s *starting) call(ctx context.Context, c backends.Call) (backends.Reply, error) {
	if ctx.Err() != nil {
		return backends.Reply{Outcome: backends.NotRun}, backends.Interrupted(ctx, "backendtest")
	}
	c.Deadline = time.Now().Add(checkLimit)
	if end, ok := ctx.Deadline(); ok {
		c.Deadline = end
	}
	a := s.asker()
	if run := s.start(c, a); run != nil {
		run()
		if a.times.Load() == 0 {
			s.breaks("the function that Start returned has ended, and the %v was not answered", c.Verb)
		}
	}
	late := time.NewTimer(time.Until(c.Deadline) + grace)
	defer late.Stop()
	for ended := ctx.Done(); ; {
		select {
		case it := <-a.answers:
			if it.err != nil && !time.Now().Before(c.Deadline) {
				<-ctx.Done()
				it.err = errors.Join(it.err, ctx.Err())
			}
			return it.reply, it.err
		case <-ended:
			if time.Now().Before(c.Deadline) {
				return backends.Reply{}, backends.Interrupted(ctx, "backendtest")
			}
			ended = nil // the answer is about to come
		case <-late.C:
			return backends.Reply{}, fmt.Errorf("no answer to a started %v %v after its deadline", c.Verb, grace)
		}
	}
}

// start is on the stack of what is called within Start.
func (s *starting) start(c backends.Call, a *asker) (run func()) { return s.starter.Start(c, a) }

func (s *starting) breaks(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wrong = append(s.wrong, fmt.Errorf(format, args...))
}

func (s *starting) asker() *asker { return &asker{of: s, answers: make(chan answer, 1)} }

// An asker takes the answer of one started call.
type asker struct {
	of      *starting
	times   atomic.Int32
	answers chan answer // one slot
}

type answer struct {
	reply backends.Reply
	err   error
}

// Answered implements backends.Asker.
func (a *asker) Answered(reply backends.Reply, err error) {
	if within(".(*starting).start") {
		a.of.breaks("a call was answered within Start")
	}
	if a.times.Add(1) > 1 {
		a.of.breaks("a started call was answered again")
		return
	}
	a.answers <- answer{reply, err}
}

// within reports whether a function is on the stack, by the end of its name.
func within(name string) bool {
	var pcs [64]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs[:])])
	for {
		f, more := frames.Next()
		if strings.HasSuffix(f.Function, name) {
			return true
		}
		if !more {
			return false
		}
	}
}
