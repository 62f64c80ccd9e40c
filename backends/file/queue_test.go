//go:build linux || darwin

package file

import (
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// once is a new attempt that does not wait: it is granted now or not at all.
func (c *claims) once(key string) backends.Request {
	r := c.request(key)
	r.Queue = false
	return r
}

// queued puts a waiter behind a holder and returns both attempts.
func queued(t *testing.T, holder, waiter *Backend, c, d *claims) (held, waiting backends.Request) {
	t.Helper()
	held, waiting = c.request("k"), d.request("k")
	take(t, holder, held)
	if reply, err := waiter.Acquire(t.Context(), waiting); err != nil || reply.Place != 1 {
		t.Fatalf("place %d, %v", reply.Place, err)
	}
	return held, waiting
}

// TestASilentWaiterCostsNothingLater: it was silent for its second before the
// release, so nobody has to wait for it again.
func TestASilentWaiterCostsNothingLater(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, b := open(t, dir), open(t, dir)
	var c, d, e claims
	held, _ := queued(t, a, b, &c, &d)
	err := a.change(t.Context(), "k", false, func(r *record, _ int64) bool {
		r.queue[0].alive -= 2 * patience
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Release(t.Context(), held.Attempt); err != nil {
		t.Fatal(err)
	}
	take(t, a, e.once("k"))
}

func TestAClosedWaiterIsSkippedAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, b := open(t, dir), open(t, dir)
	var c, d, e claims
	held, _ := queued(t, a, b, &c, &d)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if reply, err := a.Renew(t.Context(), held.Attempt, time.Minute, 0); err != nil || reply.Contended {
		t.Errorf("only a dead waiter, and contended %t, %v", reply.Contended, err)
	}
	if err := a.Release(t.Context(), held.Attempt); err != nil {
		t.Fatal(err)
	}
	take(t, a, e.once("k"))
}

// TestAClosedHolderIsFollowedAtOnce, also by a waiter that finds it out itself.
func TestAClosedHolderIsFollowedAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, b := open(t, dir), open(t, dir)
	var c, d, e claims
	_, waiting := queued(t, a, b, &c, &d)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	other := open(t, dir)
	if reply, err := other.Acquire(t.Context(), e.once("k")); err != nil || reply.Outcome != backends.Held {
		t.Fatalf("past the waiter: %v, %v", reply.Outcome, err)
	}
	take(t, b, waiting)
}

// TestAPromiseIsShownAsHeldByNobodyYet: its waiter is not the holder until it
// has come, and the second it has for that is no lease to be told about.
func TestAPromiseIsShownAsHeldByNobodyYet(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, b := open(t, dir), open(t, dir)
	var c, d, e claims
	held, waiting := queued(t, a, b, &c, &d)
	if err := a.Release(t.Context(), held.Attempt); err != nil {
		t.Fatal(err)
	}
	reply, err := a.Acquire(t.Context(), e.once("k"))
	if err != nil || reply.Outcome != backends.Held || reply.Holder != "" || reply.FreeIn != 0 {
		t.Errorf("got %+v, %v", reply, err)
	}
	if info, err := a.Inspect(t.Context(), "k"); err != nil || !info.Held || info.Holder != nil {
		t.Errorf("inspect: held %t, %v", info.Held, err)
	}
	take(t, b, waiting)
}

// TestPollingWritesLittle: a waiter that asks often is not written down each
// time, or a long queue would keep the disk busy.
func TestPollingWritesLittle(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, b := open(t, dir), open(t, dir)
	var c, d claims
	_, waiting := queued(t, a, b, &c, &d)
	seq := func() uint64 {
		r, err := a.peek(recordName("k"))
		if err != nil {
			t.Fatal(err)
		}
		return r.seq
	}
	before, started := seq(), time.Now()
	for range 100 {
		if _, err := b.Acquire(t.Context(), waiting); err != nil {
			t.Fatal(err)
		}
	}
	most := 1 + uint64(time.Since(started)/span(patience/3))
	if writes := seq() - before; writes > most {
		t.Errorf("100 polls in %v wrote %d times", time.Since(started), writes)
	}
}

// TestTheFirstInLineAsksOften, and the waiters behind it less often: a key whose
// holder died goes on within 25 ms, and a long queue costs little.
func TestTheFirstInLineAsksOften(t *testing.T) {
	for _, tt := range []struct {
		place   int
		longest time.Duration
	}{{0, 25 * time.Millisecond}, {1, 25 * time.Millisecond}, {2, 100 * time.Millisecond}, {3, 400 * time.Millisecond}, {4, 800 * time.Millisecond}, {maxQueue, 800 * time.Millisecond}} {
		for probe := range 40 {
			longest := min(time.Millisecond<<min(probe, 10), tt.longest)
			first, differ := pace(probe, tt.place), false
			for range 50 {
				d := pace(probe, tt.place)
				differ = differ || d != first
				if d > longest || d < longest*3/4-1 {
					t.Fatalf("probe %d at place %d waits %v of %v", probe, tt.place, d, longest)
				}
			}
			if !differ { // those that began together would go on together
				t.Fatalf("probe %d at place %d always waits %v", probe, tt.place, first)
			}
		}
	}
}
