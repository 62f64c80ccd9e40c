package redis

import (
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/internal/servers/servertest"
)

// TestFlushersServeLaterBatches: a flusher without a batch waits for the next, flushersMost do at most, and none is left
// after close.
func TestFlushersServeLaterBatches(t *testing.T) {
	t.Parallel()
	b := faulty(t, &Faults{Addr: servertest.Redis(t).Addr})
	q := b.batch
	idle := func(n int) []*flusher {
		t.Helper()
		for limit := time.Now().Add(time.Minute); ; runtime.Gosched() {
			q.mu.Lock()
			list, out := slices.Clone(q.idle), q.flushers
			q.mu.Unlock()
			if out == 0 && len(list) == n {
				return list
			}
			if time.Now().After(limit) {
				t.Fatalf("%d flushers wait and %d are out, want %d and none", len(list), out, n)
			}
		}
	}
	send := func(flushers int, list []backends.Attempt) {
		t.Helper()
		batch := fastAll(backends.Acquiring, list)
		q.mu.Lock()
		for i := range flushers {
			part := batch[i*len(batch)/flushers : (i+1)*len(batch)/flushers]
			for _, c := range part {
				c.state.Store(waiting)
			}
			q.pending = append(q.pending, part...)
			q.startLocked()
		}
		q.mu.Unlock()
		for i, c := range batch {
			if reply, err := outcome(t, b, c); err != nil || reply.Outcome != backends.Granted {
				t.Errorf("%d: %+v, %v", i, reply, err)
			}
		}
	}
	list := attemptsOf(t, 12)
	send(1, list[:2])
	first := idle(1)[0]
	send(1, list[2:4])
	if again := idle(1)[0]; again != first {
		t.Error("the second batch had a flusher of its own")
	}
	send(4, list[4:])
	idle(flushersMost)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	idle(0)
}
