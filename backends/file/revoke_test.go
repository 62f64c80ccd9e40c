//go:build linux || darwin

package file

import (
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

func revoke(t *testing.T, b *Backend, key string, r backends.Revocation, want backends.Revoked) {
	t.Helper()
	if found, err := b.Revoke(t.Context(), key, r); err != nil || found != want {
		t.Fatalf("revoke %+v: %v, %v; want %v", r, found, err, want)
	}
}

// ends is when the record says that the key's lease is over.
func ends(t *testing.T, b *Backend, key string) int64 {
	t.Helper()
	r, err := b.peek(recordName(key))
	if err != nil || r == nil {
		t.Fatal(r, err)
	}
	return r.lease.ends
}

// TestNothingLengthensARevokedLease: the renewal of its holder, one that says to
// know nothing, and the acquire that is repeated.
func TestNothingLengthensARevokedLease(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, b := open(t, dir), open(t, dir)
	var c claims
	r := c.request("k")
	reply := take(t, a, r)
	was := ends(t, a, "k")
	for range 2 {
		revoke(t, b, "k", backends.Revocation{}, backends.Marked)
		for _, known := range []uint64{reply.Base, 0} {
			if got, err := a.Renew(t.Context(), r.Attempt, time.Hour, known); err != backends.ErrRevoked || got.Outcome != backends.NotRun {
				t.Errorf("renew: %v, %v", got.Outcome, err)
			}
		}
		longer := r
		longer.TTL = time.Hour
		// It is told what is left, or it would take the lease for longer than it is.
		if again := take(t, a, longer); again.TTL > time.Minute {
			t.Errorf("the repeated acquire is told of %v, of a minute", again.TTL)
		}
	}
	if now := ends(t, a, "k"); now != was {
		t.Errorf("the lease ends %v later", span(now-was))
	}
	if info, err := b.Inspect(t.Context(), "k"); err != nil || !info.Held || !info.Revoked {
		t.Errorf("inspect: held %t, revoked %t, %v", info.Held, info.Revoked, err)
	}
	if err := a.Release(t.Context(), r.Attempt); err != nil {
		t.Error(err)
	}
	if info, err := b.Inspect(t.Context(), "k"); err != nil || info.Held || info.Revoked {
		t.Errorf("inspect after the release: held %t, revoked %t, %v", info.Held, info.Revoked, err)
	}
}

// TestOnlyTheLeaseThatMintedABaseIsRevoked: those of a lease are the one of its
// grant, of its renewals, and of a repeated acquire; not those of the one before.
func TestOnlyTheLeaseThatMintedABaseIsRevoked(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, b := open(t, dir), open(t, dir)
	var c claims
	old := c.request("k")
	before := take(t, a, old).Base
	if err := a.Release(t.Context(), old.Attempt); err != nil {
		t.Fatal(err)
	}
	r := c.request("k")
	bases := []uint64{take(t, a, r).Base}
	bases = append(bases, take(t, a, r).Base)
	renewed, err := a.Renew(t.Context(), r.Attempt, time.Minute, bases[1])
	if err != nil {
		t.Fatal(err)
	}
	bases = append(bases, renewed.Base)
	for _, base := range []uint64{1, before, renewed.Base + 1} {
		for _, now := range []bool{false, true} {
			revoke(t, b, "k", backends.Revocation{Base: base, Now: now}, backends.Superseded)
		}
	}
	if _, err := a.Renew(t.Context(), r.Attempt, time.Minute, renewed.Base); err != nil {
		t.Fatalf("another's base revoked it: %v", err)
	}
	for _, base := range bases {
		revoke(t, b, "k", backends.Revocation{Base: base}, backends.Marked)
	}
	revoke(t, b, "k", backends.Revocation{Base: bases[0], Now: true}, backends.Deleted)
}

// TestADeletedLeaseGoesToTheNextWaiter, whose promise nobody can revoke.
func TestADeletedLeaseGoesToTheNextWaiter(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, b := open(t, dir), open(t, dir)
	var c, d, e claims
	held, waiting := queued(t, a, b, &c, &d)
	revoke(t, b, "k", backends.Revocation{Now: true}, backends.Deleted)
	for _, now := range []bool{false, true} {
		revoke(t, b, "k", backends.Revocation{Now: now}, backends.NobodyHolds)
	}
	if reply, err := a.Acquire(t.Context(), e.once("k")); err != nil || reply.Outcome != backends.Held {
		t.Fatalf("past the waiter: %v, %v", reply.Outcome, err)
	}
	take(t, b, waiting)
	if _, err := a.Renew(t.Context(), held.Attempt, time.Minute, 0); err != backends.ErrNotHeld {
		t.Errorf("the deleted lease is renewed: %v", err)
	}
	if err := a.Release(t.Context(), held.Attempt); err != backends.ErrNotHeld {
		t.Errorf("the deleted lease is released: %v", err)
	}
	if _, err := b.Renew(t.Context(), waiting.Attempt, time.Minute, 0); err != nil {
		t.Errorf("the next lease: %v", err)
	}
}

// TestWhatNobodyHoldsIsNotRevoked: a key never seen, a crashed holder's, one whose
// lease is over. The record stays as it is.
func TestWhatNobodyHoldsIsNotRevoked(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, b := open(t, dir), open(t, dir)
	var c claims
	over, crashed := c.request("over"), c.request("crashed")
	over.TTL = time.Millisecond
	take(t, a, over)
	take(t, a, crashed)
	if err := b.nap(t.Context(), 2*over.TTL); err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"never", "over", "crashed"} {
		before, err := b.peek(recordName(key))
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range []backends.Revocation{{}, {Base: 1}, {Now: true}} {
			revoke(t, b, key, r, backends.NobodyHolds)
		}
		after, err := b.peek(recordName(key))
		if err != nil || (before == nil) != (after == nil) || before != nil && before.seq != after.seq {
			t.Errorf("%s: the record was written, %v", key, err)
		}
	}
}
