package memcache

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	gomemcache "github.com/bradfitz/gomemcache/memcache"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/internal/servers/servertest"
)

// TestAStaleReleaseNeverTouchesTheNextHolder pauses a release between its look
// and its swap. In the pause its lease ends, and another session takes the key;
// in every other round it is still at it when the swap is sent.
func TestAStaleReleaseNeverTouchesTheNextHolder(t *testing.T) {
	t.Parallel()
	const rounds, workers = 10_000, 4
	// Nothing is sent twice because the machine is slow, or an add that was given up could
	// come after the lease's end; nor does one of the server's threads stand while another goes on.
	server := servertest.Memcached(t, "-t", "1")
	patient := server.URL() + "?timeout=" + longestTimeout.String()
	var wg sync.WaitGroup
	for range workers {
		stale, fresh := open(t, patient), open(t, patient)
		key, inside := newKey(t), driver(t, server.Addr)
		old, young := newRequest(key), newRequest(key)
		young.Queue = false // it comes at once
		wg.Go(func() {
			for round := range rounds / workers {
				old, young = next(old), next(young)
				if err := staleRound(t.Context(), stale, fresh, inside, old, young, round%2 == 1); err != nil {
					t.Errorf("round %d: %v", round, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// staleRound has old's release meet young's acquire.
func staleRound(ctx context.Context, stale, fresh *Backend, inside *gomemcache.Client, old, young backends.Request, beside bool) error {
	if err := grantTo(ctx, stale, old); err != nil {
		return err
	}
	var taking sync.WaitGroup
	var ending, taken error
	beforeSwap(stale, func() {
		ending = inside.Delete(itemsOf(old.Key).lock) // as its expiry would
		take := func() { taken = grantTo(ctx, fresh, young) }
		if beside {
			taking.Go(take)
		} else {
			take()
		}
	})
	released := stale.Release(ctx, old.Attempt)
	stale.between = nil
	taking.Wait()
	if backends.IsNotHeld(released) {
		released = nil
	}
	err := errors.Join(ending, taken, released)
	if lost := fresh.Release(ctx, young.Attempt); lost != nil {
		err = errors.Join(err, fmt.Errorf("the new holder has lost the key: %w", lost))
	}
	return err
}

// TestAStaleRenewalNeverTouchesTheNextHolder is the same with a renewal.
func TestAStaleRenewalNeverTouchesTheNextHolder(t *testing.T) {
	t.Parallel()
	stale, fresh := open(t, shared.URL()), open(t, shared.URL())
	key, inside := newKey(t), driver(t, shared.Addr)
	old, young := newRequest(key), newRequest(key)
	young.Queue = false
	for range 500 {
		old, young = next(old), next(young)
		reply := mustGrant(t, stale, old)
		beforeSwap(stale, func() {
			if err := inside.Delete(itemsOf(key).lock); err != nil {
				t.Errorf("the lease's end: %v", err)
			}
			mustGrant(t, fresh, young)
		})
		if _, err := stale.Renew(bounded(t), old.Attempt, old.TTL, reply.Base); !backends.IsNotHeld(err) {
			t.Fatalf("the stale renewal: %v, want ErrNotHeld", err)
		}
		stale.between = nil
		mustRelease(t, fresh, young)
	}
}

// TestANumberIsOfNoUseToARestartedServer makes a number mean two things: it
// counts from 1 again after a restart, and the same steps lead to the same number.
// A swap that was sent over another connection than its look would take it for
// the item that was seen.
func TestANumberIsOfNoUseToARestartedServer(t *testing.T) {
	t.Parallel()
	for name, verb := range map[string]func(b *Backend, r backends.Request, base uint64) error{
		"release": func(b *Backend, r backends.Request, _ uint64) error { return b.Release(bounded(t), r.Attempt) },
		"renew": func(b *Backend, r backends.Request, base uint64) error {
			_, err := b.Renew(bounded(t), r.Attempt, r.TTL, base)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := servertest.Memcached(t)
			stale, fresh := open(t, server.URL()), open(t, server.URL())
			key, inside := newKey(t), driver(t, server.Addr)
			old, young := newRequest(key), newRequest(key)
			reply := mustGrant(t, stale, old)
			seen, theirs := uint64(0), uint64(0)
			item, err := inside.Get(key)
			if err != nil {
				t.Fatal(err)
			}
			seen = item.CasID
			beforeSwap(stale, func() {
				if err := server.Restart(); err != nil {
					t.Errorf("restart: %v", err)
				}
				mustGrant(t, fresh, young)
				if item, err = inside.Get(key); err != nil { // the driver's idle connection is dead
					item, err = inside.Get(key)
				}
				if err != nil {
					t.Errorf("look inside: %v", err)
					return
				}
				theirs = item.CasID
			})
			if err := verb(stale, old, reply.Base); err != nil && !backends.IsNotHeld(err) {
				t.Errorf("the stale %s: %v", name, err)
			}
			if seen != theirs {
				t.Fatalf("the numbers are %d and %d: the test proves nothing", seen, theirs)
			}
			mustRelease(t, fresh, young)
		})
	}
}

// TestAConflictOfOurOwnIsNoVerdict: the item changed between look and swap, but it
// is still ours. Only another's token says that a lease is not held.
func TestAConflictOfOurOwnIsNoVerdict(t *testing.T) {
	t.Parallel()
	b, same := open(t, shared.URL()), open(t, shared.URL())
	r := newRequest(newKey(t))
	first := mustGrant(t, b, r)
	renew := func() {
		if _, err := same.Renew(bounded(t), r.Attempt, r.TTL, 0); err != nil {
			t.Errorf("the renewal beside: %v", err)
		}
	}
	beforeSwap(b, renew)
	reply, err := b.Renew(bounded(t), r.Attempt, r.TTL, first.Base)
	if err != nil || reply.Base <= first.Base+1 {
		t.Errorf("renew: base %d after two of %d, %v", reply.Base, first.Base, err)
	}
	beforeSwap(b, renew)
	mustGrant(t, b, r)
	beforeSwap(b, renew)
	mustRelease(t, b, r)
	mustGrant(t, open(t, shared.URL()), newRequest(r.Key))
}
