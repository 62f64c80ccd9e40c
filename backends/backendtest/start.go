package backendtest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

func startChecks() []check {
	return []check{
		{"a started call ends by its deadline", startedTooLate, starts, noStarter},
		{"calls are started from within answers", startedWithin, starts, noStarter},
		{"started calls of many keys are all answered", startedMany, starts, noStarter},
		{"started calls are answered when the backend is closed", startedAndClosed, starts, noStarter},
	}
}

// noStarter: see noRevoker.
func noStarter(st *store) error {
	if _, ok := whole(st.bare()).(backends.Starter); ok {
		return fmt.Errorf("one session's backend is a Starter, and another's is none")
	}
	return nil
}

// starting is the session's backend, whose calls are started.
func (s *session) starting() *starting {
	if it, ok := s.Backend.(*starting); ok {
		return it
	}
	return startingOf(s.Backend)
}

// result waits for an answer, and reports what broke the contract.
func (a *asker) result(ctx context.Context) (backends.Reply, error, error) {
	var it answer
	select {
	case it = <-a.answers:
	case <-ctx.Done():
		return it.reply, nil, fmt.Errorf("a started call is not answered: %w", context.Cause(ctx))
	}
	a.of.mu.Lock()
	defer a.of.mu.Unlock()
	return it.reply, it.err, errors.Join(a.of.wrong...)
}

// startedTooLate: a deadline that has passed is as good a deadline as any, and one that
// passes on the way leaves nothing that a cancel doesn't end.
func startedTooLate(st *store) error {
	s, err := st.session()
	if err != nil {
		return err
	}
	b := s.starting()
	for i, early := range []time.Duration{time.Hour, time.Millisecond, 0, -50 * time.Microsecond, -time.Millisecond} {
		r := s.request(st.key(fmt.Sprint(i)), long)
		a := b.asker()
		if run := b.start(backends.Call{Request: r, Deadline: time.Now().Add(-early)}, a); run != nil {
			run()
		}
		reply, answered, err := a.result(s.ctx)
		if err := first(err, contract(r, reply, answered)); err != nil {
			return err
		}
		if early > 0 && reply.Outcome == backends.Granted {
			return fmt.Errorf("granted %v after the deadline", early)
		}
		if reply.Outcome == backends.NotRun {
			if _, _, err := s.hold(r.Key, long); err != nil {
				return fmt.Errorf("after a call that did not run: %w", err)
			}
			continue
		}
		if err := s.cancel(r); err != nil {
			return err
		}
		if _, _, err := s.hold(r.Key, long); err != nil {
			return fmt.Errorf("after the cancel of a call that was %v: %w", reply.Outcome, err)
		}
	}
	return nil
}

// A chain acquires and releases a key again and again, each from within the last answer.
type chain struct {
	*asker
	s         *session
	r         backends.Request
	releasing bool
	rounds    int
}

const chainRounds = 50

// Answered implements backends.Asker.
func (c *chain) Answered(reply backends.Reply, err error) {
	switch {
	case err != nil || !c.releasing && reply.Outcome != backends.Granted:
		c.asker.Answered(reply, errors.Join(err, fmt.Errorf("round %d: %v", c.rounds, reply.Outcome)))
		return
	case c.releasing && c.rounds == chainRounds:
		c.asker.Answered(reply, nil)
		return
	}
	call := backends.Call{Verb: backends.Releasing, Request: c.r}
	if c.releasing {
		c.rounds++
		c.r = c.s.request(c.r.Key, long)
		call = backends.Call{Verb: backends.Acquiring, Request: c.r}
	}
	c.releasing = !c.releasing
	c.begin(call)
}

func (c *chain) begin(call backends.Call) {
	call.Deadline = time.Now().Add(checkLimit)
	if run := c.of.starter.Start(call, c); run != nil {
		go run() // ends with its round trip; not within Answered
	}
}

func startedWithin(st *store) error {
	s, err := st.session()
	if err != nil {
		return err
	}
	return s.chains(st, 1)
}

// startedMany has them in each other's way: those of one round trip are answered together.
func startedMany(st *store) error {
	s, err := st.session()
	if err != nil {
		return err
	}
	return s.chains(st, 40)
}

// chains runs n of them at once, on keys of their own.
func (s *session) chains(st *store, n int) error {
	b := s.starting()
	all := make([]*chain, n)
	for i := range all {
		all[i] = &chain{asker: b.asker(), s: s, r: s.request(st.key(fmt.Sprint(i)), long)}
		all[i].begin(backends.Call{Verb: backends.Acquiring, Request: all[i].r})
	}
	for _, c := range all {
		if _, answered, err := c.result(s.ctx); first(err, answered) != nil {
			return first(err, answered)
		}
	}
	return nil
}

// startedAndClosed: what was started has an answer, whatever Close finds of it.
func startedAndClosed(st *store) error {
	s, err := st.session()
	if err != nil {
		return err
	}
	b := s.starting()
	requests, askers, runs := make([]backends.Request, 200), make([]*asker, 200), make([]func(), 0, 200)
	for i := range askers {
		requests[i], askers[i] = s.request(st.key(fmt.Sprint(i)), st.short()), b.asker()
		call := backends.Call{Request: requests[i], Deadline: time.Now().Add(checkLimit)}
		if run := b.start(call, askers[i]); run != nil {
			runs = append(runs, run)
		}
	}
	var wg sync.WaitGroup
	for _, run := range runs {
		wg.Go(run) // ends with its round trip, or with Close
	}
	closing := s.Close()
	wg.Wait()
	for i, a := range askers {
		reply, answered, err := a.result(s.ctx)
		if err := first(err, contract(requests[i], reply, answered)); err != nil {
			return err
		}
	}
	return closing
}
