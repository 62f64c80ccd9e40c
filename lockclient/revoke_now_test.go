package lockclient

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// One goroutine of this client waits behind the hold that this client revokes, and so
// does another client: the lease is over, and must not be handed on.
func TestRevokingOnesOwnHoldHandsNothingOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := pair(t, Config{})
		held := mustAcquire(t, one, "k", Expires(9*time.Second))
		other := acquireLater(t, two, "k")
		synctest.Wait()
		local := acquireLater(t, one, "k")
		synctest.Wait()
		mustRevoke(t, one, "k", Revocation{Fence: held.Fence(), Now: true}, Deleted)
		if cause := context.Cause(held.Context()); !errors.Is(cause, ErrLost) || !errors.Is(cause, backends.ErrRevoked) {
			t.Errorf("the hold ended by %v, want ErrLost and ErrRevoked", cause)
		}
		var first grant
		second := local
		select {
		case first = <-other:
		case first = <-local:
			second = other
		}
		if first.lock.Fence()>>10 == held.Fence()>>10 {
			t.Error("granted under the lease that was revoked")
		}
		if err := held.Release(); !errors.Is(err, ErrNotHeld) {
			t.Errorf("release of what was revoked: %v, want ErrNotHeld", err)
		}
		release(t, first.lock)
		g := <-second
		if g.lock.Fence() <= first.lock.Fence() {
			t.Errorf("fence %d after %d", g.lock.Fence(), first.lock.Fence())
		}
		release(t, g.lock)
	})
}

// What is revoked by a fence that is not of the lease, or after it has gone back, ends
// nothing of this client's.
func TestRevokingAnotherHoldThanOnesOwnEndsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, _ := pair(t, Config{})
		old := mustAcquire(t, one, "k")
		release(t, old)
		mustRevoke(t, one, "k", Revocation{Now: true}, NobodyHolds)
		time.Sleep(time.Millisecond) // virtual
		held := mustAcquire(t, one, "k")
		mustRevoke(t, one, "k", Revocation{Fence: old.Fence(), Now: true}, Superseded)
		if err := held.Context().Err(); err != nil {
			t.Errorf("the hold that was not meant ended: %v", err)
		}
		release(t, held)
	})
}

// Another process deletes the key, and nobody can tell its holder, which has a caller
// waiting: that one must not get what is deleted.
func TestADeletedLeaseIsNotHandedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := pair(t, Config{Tenure: time.Hour})
		held := mustAcquire(t, one, "k", Expires(9*time.Second))
		local := acquireLater(t, one, "k")
		other := acquireLater(t, two, "k")
		time.Sleep(time.Second) // virtual
		mustRevoke(t, two, "k", Revocation{Now: true}, Deleted)
		g := <-other // its holder has not stopped, so the key was taken
		if err := held.Release(); !errors.Is(err, ErrNotHeld) {
			t.Errorf("release of what was deleted: %v, want ErrNotHeld", err)
		}
		time.Sleep(3 * time.Second) // virtual: longer than anything here but the holds
		select {
		case l := <-local:
			t.Fatalf("fence %d granted at %v beside %d", l.lock.Fence(), l.at, g.lock.Fence())
		default:
		}
		release(t, g.lock)
		release(t, (<-local).lock)
	})
}

// The holder was told to stop and doesn't, and its key was deleted: who waits in its
// process waits for the key, and not for the rest of that hold.
func TestWhoWaitsBehindADeletedHoldAsksForTheKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := pair(t, Config{})
		held := mustAcquire(t, one, "k", Expires(time.Hour))
		local := acquireLater(t, one, "k")
		mustRevoke(t, two, "k", Revocation{Now: true}, Deleted)
		deleted := time.Now()
		g := <-local
		if late := g.at.Sub(deleted); late > 2*time.Second {
			t.Errorf("granted %v after the hold before was deleted", late)
		}
		release(t, g.lock)
		if err := held.Release(); !errors.Is(err, ErrNotHeld) {
			t.Errorf("release of what was deleted: %v, want ErrNotHeld", err)
		}
	})
}

// Holders that stop when they are told lose nothing by Now: their key goes by their
// release, and Revoke waits no longer than for that.
func TestAHolderThatStopsReleasesWhatIsToBeDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := pair(t, Config{})
		held := mustAcquire(t, one, "k", Expires(600*time.Millisecond), Renew())
		go func() { // ends with the hold
			<-held.Context().Done()
			time.Sleep(30 * time.Millisecond) // virtual: it takes a while to stop
			_ = held.Release()
		}()
		began := time.Now()
		mustRevoke(t, two, "k", Revocation{Now: true}, Deleted)
		if took := time.Since(began); took > 300*time.Millisecond {
			t.Errorf("it took %v, with a holder that stops within 230 ms", took)
		}
		if n := len(one.backend.(*fakeBackend).store.deleted["k"]); n != 0 {
			t.Errorf("%d leases deleted, want the holder's own release", n)
		}
	})
}

// A possession is one hold as its caller saw it.
type possession struct {
	start, end time.Time
	told       bool // it ended before its release
	fence      uint64
}

// TestRevokedHoldsAloneOverlap takes a key in two clients, several goroutines each,
// while both revoke it again and again: nobody is granted it beside a hold that was
// not revoked, whoever revoked what.
func TestRevokedHoldsAloneOverlap(t *testing.T) {
	const goroutines, revocations = 4, 12
	for _, b := range exclusiveBackends {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			url := b.open(t)
			clients := []*Client{openClient(t, Config{Backend: url}), openClient(t, Config{Backend: url})}
			stop := make(chan struct{})
			var mu sync.Mutex // protects seen
			var seen []possession
			var wg sync.WaitGroup
			for i := range 2 * goroutines {
				wg.Go(func() { // ends with stop
					for {
						select {
						case <-stop:
							return
						default:
						}
						lock, err := clients[i%2].Acquire(t.Context(), "k", Expires(max(b.least, 2*time.Second)))
						if err != nil {
							t.Error(err)
							return
						}
						p := possession{start: time.Now(), fence: lock.Fence()}
						if lock.Context().Err() != nil {
							// It was revoked before its caller came to look, so nobody worked under it.
							if err := lock.Release(); !errors.Is(err, ErrNotHeld) {
								t.Errorf("release of a hold that had ended: %v", err)
							}
							continue
						}
						select {
						case <-time.After(rand.N(20 * time.Millisecond)): // the work
						case <-lock.Context().Done():
						}
						p.end = time.Now()
						err = lock.Release()
						p.told = errors.Is(err, ErrNotHeld)
						if err != nil && !p.told {
							t.Error(err)
						}
						mu.Lock()
						seen = append(seen, p)
						mu.Unlock()
					}
				})
			}
			ended := 0
			for i := range revocations {
				found, err := clients[i%2].Revoke(t.Context(), "k", Revocation{Now: true})
				if err != nil {
					t.Error(err)
				}
				if found == Deleted {
					ended++
				}
				time.Sleep(rand.N(30 * time.Millisecond)) // no two at the same place of a turn
			}
			close(stop)
			wg.Wait()
			if ended == 0 {
				t.Error("nothing was revoked, so nothing is tested")
			}
			checkPossessions(t, seen)
		})
	}
}

func checkPossessions(t *testing.T, seen []possession) {
	t.Helper()
	slices.SortFunc(seen, func(a, b possession) int { return a.start.Compare(b.start) })
	told := 0
	var last possession // the one that ends last, of those that were not revoked
	for i, p := range seen {
		if i > 0 && p.fence <= seen[i-1].fence {
			t.Errorf("fence %d granted after %d", p.fence, seen[i-1].fence)
		}
		if p.start.Before(last.end) {
			t.Errorf("fence %d granted %v before the end of %d", p.fence, last.end.Sub(p.start), last.fence)
		}
		if p.told {
			told++
		} else if p.end.After(last.end) {
			last = p
		}
	}
	t.Logf("%d holds, %d of them revoked", len(seen), told)
}
