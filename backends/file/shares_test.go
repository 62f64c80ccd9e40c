//go:build linux || darwin

package file

import (
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// reader and taker are new attempts that wait for a share.
func (c *claims) reader(key string) backends.Request {
	r := c.request(key)
	r.Kind = backends.Shared
	return r
}

func (c *claims) taker(key string, n, want int) backends.Request {
	r := c.request(key)
	r.Kind, r.N, r.Want = backends.Slots, n, want
	return r
}

// joins insists on a share.
func joins(t *testing.T, b *Backend, r backends.Request) backends.Reply {
	t.Helper()
	reply := take(t, b, r)
	if reply.Kind != r.Kind {
		t.Fatalf("%v is granted, want %v", reply.Kind, r.Kind)
	}
	return reply
}

func refused(t *testing.T, b *Backend, r backends.Request) backends.Reply {
	t.Helper()
	reply, err := b.Acquire(t.Context(), r)
	if err != nil || reply.Outcome != backends.Held {
		t.Fatalf("acquire: %v, %v, want held", reply.Outcome, err)
	}
	return reply
}

// TestACrashFreesItsPermitAtOnce: the killed process's has a minute to go, and another's goes on.
func TestACrashFreesItsPermitAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	holder := process(t, "share", dir)
	a, b := open(t, dir), open(t, dir)
	var c, d claims
	mine, next := c.taker("k", 2, 1), d.taker("k", 2, 2)
	joins(t, a, mine)
	if reply := refused(t, b, next); reply.FreeIn < time.Second {
		t.Fatalf("beside a living holder: %+v", reply)
	}
	if err := holder.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the killed process's is not shown", func() bool {
		info, err := b.Inspect(t.Context(), "k")
		return err == nil && info.Out == 1 && len(info.Holders) == 1
	})
	if err := await(b, next, longEnough); err != nil {
		t.Fatal(err)
	}
	if reply := joins(t, b, next); reply.Permits != 1 {
		t.Errorf("%d permits, want that of the killed process alone", reply.Permits)
	}
	if _, err := a.RenewShare(t.Context(), mine, 0); err != nil {
		t.Errorf("the other's permit: %v", err)
	}
	refused(t, a, d.request("k"))
}

// TestADeadSessionsSharesAreNobodys for those that look, and for those that revoke; nor is one that is over anybody's.
func TestADeadSessionsSharesAreNobodys(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, b := open(t, dir), open(t, dir)
	var c claims
	r, brief := c.reader("k"), c.reader("brief")
	brief.TTL = 20 * time.Millisecond
	joins(t, a, r)
	joins(t, a, brief)
	for key, end := range map[string]func() error{"brief": func() error { return nil }, "k": a.Close} {
		if err := end(); err != nil {
			t.Fatal(err)
		}
		eventually(t, key+" is not shown", func() bool { info, err := b.Inspect(t.Context(), key); return err == nil && !info.Held })
		if keys, err := b.List(t.Context(), key); err != nil || len(keys) > 0 {
			t.Errorf("listed: %q, %v", keys, err)
		}
		if found, err := b.Revoke(t.Context(), key, backends.Revocation{}); err != nil || found != backends.NobodyHolds {
			t.Errorf("%s: revoke found %v, %v", key, found, err)
		}
	}
}

// TestADeadWaiterIsInNobodysWay who waits behind it for a share.
func TestADeadWaiterIsInNobodysWay(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, b, other := open(t, dir), open(t, dir), open(t, dir)
	var c, d, e claims
	joins(t, a, c.reader("k"))
	r := e.reader("k")
	refused(t, b, d.request("k"))
	refused(t, other, r)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	joins(t, other, r)
}

// TestADowngradeShortensForWhoKnowsTheNewestBase, as any renewal does, and leaves no rest.
func TestADowngradeShortensForWhoKnowsTheNewestBase(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	for key, newest := range map[string]bool{"newest": true, "stale": false} {
		var c, d claims
		r := c.request(key)
		r.AtLeast = time.Hour
		known := take(t, b, r).Base
		if !newest {
			if _, err := b.Renew(t.Context(), r.Attempt, time.Minute, 0); err != nil {
				t.Fatal(err)
			}
		}
		r.AtLeast, r.Kind, r.TTL = 0, backends.Shared, time.Second
		if _, err := b.RenewShare(t.Context(), r, known); err != nil {
			t.Fatal(err)
		}
		if reply := refused(t, b, d.once(key)); reply.FreeIn <= time.Second != newest {
			t.Errorf("%s: free in %v", key, reply.FreeIn)
		}
		if err := b.Release(t.Context(), r.Attempt); err != nil {
			t.Fatal(err)
		}
		take(t, b, d.once(key))
	}
}

// TestAThousandReadersComeIn, no more than a window of them at a time, and in the order in which they came. There is
// no room in a record for another.
func TestAThousandReadersComeIn(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	var c claims
	writer := c.request("k")
	writer.TTL = time.Hour // a slow machine takes long for so many
	take(t, b, writer)
	readers := make([]backends.Request, maxShares)
	for i := range readers {
		var c claims
		readers[i] = c.reader("k")
		readers[i].TTL = time.Hour
		refused(t, b, readers[i])
	}
	err := b.change(t.Context(), "k", false, func(r *record, _ int64) bool {
		for i := range r.queue {
			r.queue[i].alive += time.Hour.Microseconds()
		}
		return true
	})
	if err := errors.Join(err, b.Release(t.Context(), writer.Attempt)); err != nil {
		t.Fatal(err)
	}
	refused(t, b, readers[1])
	joins(t, b, readers[0]) // it was promised a lock, and turns it
	for _, far := range []int{window + 1, 500, maxShares - 1} {
		refused(t, b, readers[far])
	}
	r, err := b.peek(recordName("k"))
	if err != nil || len(r.turns(b.clock.now())) != window+1 {
		t.Fatalf("the turn of %d has come, %v, want a window, and the first again", len(r.turns(b.clock.now())), err)
	}
	for i, r := range readers[1:] {
		joins(t, b, r)
		if i%100 == 0 && i+2+window < maxShares {
			refused(t, b, readers[i+2+window])
		}
	}
	var d claims
	more := d.reader("k")
	if reply, err := b.Acquire(t.Context(), more); reply.Outcome != backends.NotRun || !errors.Is(err, backends.ErrOverloaded) || !errors.Is(err, backends.ErrUnavailable) || backends.IsRefused(err) {
		t.Errorf("one more: %v, %v", reply.Outcome, err)
	}
	if reply := refused(t, b, c.once("k")); reply.Out != maxShares {
		t.Errorf("%d are out", reply.Out)
	}
	if info, err := b.Inspect(t.Context(), "k"); err != nil || info.Out != maxShares || len(info.Holders) != backends.MostHolders {
		t.Errorf("%d are out, and %d named, %v", info.Out, len(info.Holders), err)
	}
	if err := b.Release(t.Context(), readers[500].Attempt); err != nil {
		t.Fatal(err)
	}
	joins(t, b, more)
}

// TestOneCallLooksForSomeSessionsAlone: whoever waits goes on with it.
func TestOneCallLooksForSomeSessionsAlone(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	r := &record{key: "k", kind: backends.Shared}
	for i := range 200 {
		r.shares = append(r.shares, share{session: fmt.Sprintf("%s%032x", sessionPrefix, i), permits: 1}) // nobody's
	}
	r.shares = append(r.shares, share{session: b.session.name, permits: 1})
	for calls := 0; len(r.shares) > 1; calls++ {
		before := len(r.shares)
		if b.bury(r); before-len(r.shares) > probes || before == len(r.shares) || calls > 4 {
			t.Fatalf("call %d found %d of %d", calls, before-len(r.shares), before)
		}
	}
	if b.bury(r) || r.shares[0].session != b.session.name {
		t.Error("a share of a session that lives is gone")
	}
}

// TestASharedKeyIsNotSwept while one of its shares goes on.
func TestASharedKeyIsNotSwept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, b := open(t, dir), open(t, dir)
	var c claims
	r := c.reader("k")
	r.TTL = time.Hour
	joins(t, a, r)
	err := a.change(t.Context(), "k", false, func(r *record, _ int64) bool {
		r.last -= uint64((2 * keep).Microseconds())
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	a.marks.clear(recordName("k")) // that keeps it as well
	old(t, b.dir.join(recordName("k")), 2*keep)
	b.sweep()
	if len(files(t, b, recordPrefix)) != 1 {
		t.Fatal("it was swept")
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	old(t, b.dir.join(recordName("k")), 2*keep)
	if b.sweep(); len(files(t, b, recordPrefix)) != 0 {
		t.Error("it is kept though its last share's session is over")
	}
}

// TestSharesSurviveTheRemovalOfTheirRecord: the one that is left puts it back, with all that its session has, and not
// before.
func TestSharesSurviveTheRemovalOfTheirRecord(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, b, other := open(t, dir), open(t, dir), open(t, dir)
	marked(t, a)
	var c, d, e claims
	r, q, p := c.taker("k", 4, 2), d.taker("k", 4, 1), d.taker("k", 4, 1)
	joins(t, a, r)
	joins(t, b, q)
	joins(t, b, p)
	if err := os.Remove(a.dir.join(recordName("k"))); err != nil {
		t.Fatal(err)
	}
	for _, w := range []backends.Request{e.once("k"), e.taker("k", 9, 1)} {
		refused(t, other, w)
	}
	if _, err := b.RenewShare(t.Context(), q, 0); err == nil || backends.IsNotHeld(err) {
		t.Errorf("a renewal while two sessions have shares says %v", err)
	}
	if err := a.Release(t.Context(), r.Attempt); err != nil {
		t.Errorf("release: %v", err)
	}
	for _, mine := range []backends.Request{q, p} {
		if _, err := b.RenewShare(t.Context(), mine, 0); err != nil {
			t.Errorf("the shares that are left: %v", err)
		}
	}
	if reply := refused(t, other, e.once("k")); reply.Out != 2 {
		t.Errorf("%d are out", reply.Out)
	}
	last := e.taker("k", 4, 4)
	if reply := joins(t, other, last); reply.Permits != 2 {
		t.Errorf("%d permits, want the two that were given back", reply.Permits)
	}
	// One of a session's two ends, and the other's mark stays.
	if err := errors.Join(other.Release(t.Context(), last.Attempt), b.Release(t.Context(), q.Attempt), os.Remove(a.dir.join(recordName("k")))); err != nil {
		t.Fatal(err)
	}
	if reply := refused(t, other, e.once("k")); reply.Out > 1 {
		t.Errorf("%d are out", reply.Out)
	}
	if _, err := b.RenewShare(t.Context(), p, 0); err != nil {
		t.Errorf("the share that is left: %v", err)
	}
}
