package embedded_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

func TestAReleaseGivesTheLeaseToTheFirstWaiter(t *testing.T) {
	a, b, c := newSession(t, t.Name()), newSession(t, t.Name()), newSession(t, t.Name())
	ra := a.request("k", time.Minute, true)
	a.want(t, backends.Granted, ra)

	rb, rc := b.request("k", time.Minute, true), c.request("k", time.Minute, true)
	if reply := b.want(t, backends.Held, rb); reply.Place != 1 || reply.Holder != "label" || reply.Retry != 300*time.Millisecond {
		t.Errorf("the first waiter is told %+v", reply)
	}
	a.woken(t, backends.Wake{Key: "k", Kind: backends.Wanted})
	if reply := c.want(t, backends.Held, rc); reply.Place != 2 {
		t.Errorf("the second waiter is told %+v", reply)
	}
	a.woken(t, backends.Wake{Key: "k", Kind: backends.Wanted})

	if err := a.Release(t.Context(), ra.Attempt); err != nil {
		t.Fatal(err)
	}
	b.woken(t, backends.Wake{Key: "k", Kind: backends.Given})
	// Nobody barges: the lease is b's before b has asked for it again.
	if reply := a.want(t, backends.Held, a.request("k", time.Minute, false)); reply.Retry > 50*time.Millisecond {
		t.Errorf("who isn't queued is to ask again in %v", reply.Retry)
	}
	if reply := b.want(t, backends.Granted, rb); !reply.Contended {
		t.Error("b is not told that c waits")
	}
	if err := b.Release(t.Context(), rb.Attempt); err != nil {
		t.Fatal(err)
	}
	c.woken(t, backends.Wake{Key: "k", Kind: backends.Given})
	if reply := c.want(t, backends.Granted, rc); reply.Contended {
		t.Error("c is told that somebody waits")
	}
}

func TestAWakeMayCallTheBackend(t *testing.T) {
	a := newSession(t, t.Name())
	b := &session{Backend: open(t, t.Name()), id: backends.NewSession()}
	ra, rb := a.request("k", time.Minute, true), b.request("k", time.Minute, true)
	confirmed := make(chan backends.Reply, 1)
	err := b.Subscribe(b.id, func(backends.Wake) {
		reply, err := b.Acquire(context.Background(), rb)
		if err != nil {
			t.Error(err)
		}
		confirmed <- reply
	})
	if err != nil {
		t.Fatal(err)
	}
	a.want(t, backends.Granted, ra)
	b.want(t, backends.Held, rb)
	if err := a.Release(t.Context(), ra.Attempt); err != nil {
		t.Fatal(err)
	}
	if reply := <-confirmed; reply.Outcome != backends.Granted {
		t.Errorf("in its wake: %v", reply.Outcome)
	}
}

func TestWaitersAreServedInTheOrderTheyCame(t *testing.T) {
	const sessions, rounds = 8, 5
	var all [sessions]*session
	var waiting [sessions]backends.Request
	for i := range all {
		all[i] = newSession(t, t.Name())
	}
	holder := newSession(t, t.Name())
	held := holder.request("k", time.Minute, true)
	holder.want(t, backends.Granted, held)
	for i, s := range all {
		waiting[i] = s.request("k", time.Minute, true)
		s.want(t, backends.Held, waiting[i])
	}
	if err := holder.Release(t.Context(), held.Attempt); err != nil {
		t.Fatal(err)
	}
	for range rounds {
		for i, s := range all {
			for j, other := range all {
				if j != i { // keeps its place alive, and must not get the lease
					other.want(t, backends.Held, waiting[j])
				}
			}
			granted := waiting[i]
			s.want(t, backends.Granted, granted)
			waiting[i] = s.request("k", time.Minute, true)
			s.want(t, backends.Held, waiting[i])
			if err := s.Release(t.Context(), granted.Attempt); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestSessionsThatCompeteNeverOverlap(t *testing.T) {
	const sessions, each = 8, 100
	var inside atomic.Int32
	var wg sync.WaitGroup
	for range sessions {
		s := newSession(t, t.Name())
		// Stopped by its rounds; waited for below.
		wg.Go(func() {
			for range each {
				r := s.request("k", time.Minute, true)
				if err := s.await(r); err != nil {
					t.Error(err)
					return
				}
				if n := inside.Add(1); n != 1 {
					t.Errorf("%d hold the key", n)
				}
				inside.Add(-1)
				if err := s.Release(context.Background(), r.Attempt); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func (s *session) await(r backends.Request) error {
	for {
		reply, err := s.Acquire(context.Background(), r)
		if err != nil || reply.Outcome == backends.Granted {
			return err
		}
		select {
		case <-s.wakes:
		case <-time.After(reply.Retry):
		}
	}
}
