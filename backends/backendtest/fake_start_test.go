package backendtest

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// The faults of a Starter alone.
const (
	answersWithin fault = iota + 1000
	answersTwice
	answersLocked
	ignoresDeadline
	dropsWhenClosed
)

// A fakeStarter is a fake that starts calls: by itself, and every other one by run.
type fakeStarter struct {
	*fake
	started atomic.Int64
	telling chan struct{}   // one slot: answersLocked's lock, which nobody waits for
	ended   <-chan struct{} // after this
}

var _ backends.Starter = (*fakeStarter)(nil)

func (f *fakeStarter) Start(c backends.Call, to backends.Asker) (run func()) {
	run = func() {
		ctx, cancel := context.WithDeadline(context.Background(), c.Deadline)
		defer cancel()
		if f.fault == ignoresDeadline {
			ctx = context.Background()
		}
		reply, err := f.make(ctx, c)
		switch f.fault {
		case dropsWhenClosed:
			if err != nil {
				return
			}
		case answersTwice:
			to.Answered(reply, err)
		case answersLocked:
			defer f.lock()()
		}
		to.Answered(reply, err)
	}
	if f.fault == answersLocked {
		defer f.lock()()
	}
	switch {
	case f.fault == answersWithin:
		run()
		return nil
	case f.started.Add(1)%2 == 0:
		return run
	}
	go run() // ends at once
	return nil
}

func (f *fakeStarter) lock() (unlock func()) {
	select {
	case f.telling <- struct{}{}:
		return func() { <-f.telling }
	case <-f.ended:
		return func() {}
	}
}

func (f *fakeStarter) make(ctx context.Context, c backends.Call) (reply backends.Reply, err error) {
	switch c.Verb {
	case backends.Acquiring:
		return f.Acquire(ctx, c.Request)
	case backends.Renewing:
		return f.Renew(ctx, c.Attempt, c.TTL, c.Known)
	case backends.Releasing:
		return reply, f.Release(ctx, c.Attempt)
	default:
		return reply, f.Cancel(ctx, c.Attempt)
	}
}

func TestASoundStarterPasses(t *testing.T) {
	store := newShelf(sound)
	Run(t, func(*testing.T) backends.Backend { return &fakeStarter{fake: &fake{shelf: store}} })
}

// TestABrokenStarterIsFoundOut is TestABrokenBackendIsFoundOut for what only a Starter
// can do wrong.
func TestABrokenStarterIsFoundOut(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault fault
		found string
	}{
		{"answers within Start", answersWithin, "a repeated release is not held"},
		{"answers twice", answersTwice, "a repeated release is not held"},
		{"deadlines that nobody looks at", ignoresDeadline, "a started call ends by its deadline"},
		{"a lock held while an asker is told", answersLocked, "calls are started from within answers"},
		{"no answer after close", dropsWhenClosed, "started calls are answered when the backend is closed"},
		{"what its verbs do wrong", releasesBlindly, "release with another token leaves the lease alone"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			store := newShelf(tt.fault)
			open := func() backends.Backend {
				return startingOf(&fakeStarter{fake: &fake{shelf: store}, telling: make(chan struct{}, 1), ended: t.Context().Done()})
			}
			for _, c := range checks() {
				if c.name != tt.found {
					continue
				}
				ctx, stop := context.WithTimeout(t.Context(), 5*time.Second)
				defer stop()
				err := exercise(ctx, (&fake{}).Capabilities(), c.run, open)
				if err == nil {
					t.Fatalf("%q did not notice", tt.found)
				}
				t.Log(err)
				return
			}
			t.Fatalf("no check is called %q", tt.found)
		})
	}
}
