package lockclient

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

// TestAWaitErrorSaysHowManyHoldTheKey together.
func TestAWaitErrorSaysHowManyHoldTheKey(t *testing.T) {
	for _, b := range kindBackends {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			url := b.open(t)
			var clients []*Client
			for _, name := range []string{"a", "b", "c", "d"} {
				clients = append(clients, openClient(t, Config{Backend: url, Owner: name}))
			}
			for _, row := range []struct {
				kind Kind
				opt  Option
				says string
			}{{KindShared, Shared(), "held shared by 3"}, {KindSlots, Slots(3), "3 slots held"}} {
				var locks []*Lock
				for _, c := range clients[:3] {
					locks = append(locks, acquired(t, c, "k", row.opt))
				}
				err := refusedAsHeld(t, clients[3], "k")
				var why *WaitError
				if !errors.As(err, &why) || why.Kind != row.kind || why.Out != 3 || !strings.Contains("abc", why.Holder) || why.Holder == "" {
					t.Errorf("%v: %+v", row.kind, why)
				}
				if err != nil && (!strings.Contains(err.Error(), row.says) || !strings.Contains(err.Error(), ", one of them "+why.Holder)) {
					t.Errorf("%v", err)
				}
				released(t, locks...)
			}
		})
	}
}

// TestEachHolderIsInspected, and can be told to stop alone, or all.
func TestEachHolderIsInspected(t *testing.T) {
	for _, b := range kindBackends {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			url := b.open(t)
			byName := map[string]*Client{}
			for _, name := range []string{"a", "b", "c"} {
				byName[name] = openClient(t, Config{Backend: url, Owner: name})
			}
			looker := openClient(t, Config{Backend: url})
			locks := map[string]*Lock{}
			for name, c := range byName {
				locks[name] = acquired(t, c, "k", Slots(4), Renew(), Expires(time.Minute))
			}
			look := func() (Info, map[string]Holder) {
				i, err := looker.Inspect(t.Context(), "k")
				if err != nil {
					t.Fatal(err)
				}
				holders := map[string]Holder{}
				for _, h := range i.Holders {
					if h.Label == nil || h.HeldFor == nil || h.ExpiresIn == nil || *h.ExpiresIn <= 0 {
						t.Fatalf("what is known of a holder: %+v", h)
					}
					holders[*h.Label] = h
				}
				return i, holders
			}
			i, holders := look()
			if !i.Held || i.Kind != KindSlots || i.Out != 3 || i.Slots != 0 && i.Slots != 4 || len(holders) != 3 || i.Revoked {
				t.Fatalf("%+v", i)
			}
			for name, l := range locks {
				h := holders[name]
				if h.Slots != 1 || h.Revoked || h.Fence != l.Fence() || !i.Current(l.Fence()) {
					t.Errorf("%s: %+v, fence %d", name, h, l.Fence())
				}
			}
			if i.Current(locks["a"].Fence() - 1<<20) {
				t.Error("a fence of long ago is current")
			}
			// Its own process says as much, and what it knows of its own hold.
			own, err := byName["b"].Inspect(t.Context(), "k")
			if err != nil || own.Kind != KindSlots || own.Out != 3 || len(own.Holders) != 3 || own.Fence == nil || *own.Fence != locks["b"].Fence() {
				t.Errorf("%+v, %v", own, err)
			}

			if found, err := looker.Revoke(t.Context(), "k", Revocation{Fence: 1024}); err != nil || found != Superseded {
				t.Errorf("a fence of nobody's: %v, %v", found, err)
			}
			if found, err := looker.Revoke(t.Context(), "k", Revocation{Fence: locks["a"].Fence()}); err != nil || found != Marked {
				t.Fatalf("revoke one: %v, %v", found, err)
			}
			ends(t, locks["a"].Context().Done(), "a is told")
			if cause := context.Cause(locks["a"].Context()); !errors.Is(cause, ErrRevoked) {
				t.Errorf("a: %v", cause)
			}
			if i, holders = look(); !holders["a"].Revoked || holders["b"].Revoked || i.Revoked {
				t.Errorf("%+v", i)
			}
			if err := locks["a"].Release(); !errors.Is(err, ErrRevoked) {
				t.Errorf("release of a: %v", err)
			}
			for _, name := range []string{"b", "c"} {
				if err := locks[name].Context().Err(); err != nil {
					t.Errorf("%s ended: %v", name, context.Cause(locks[name].Context()))
				}
			}
			if found, err := looker.Revoke(t.Context(), "k", Revocation{}); err != nil || found != Marked {
				t.Fatalf("revoke all: %v, %v", found, err)
			}
			for _, name := range []string{"b", "c"} {
				ends(t, locks[name].Context().Done(), name+" is told")
				if err := locks[name].Release(); !errors.Is(err, ErrRevoked) {
					t.Errorf("release of %s: %v", name, err)
				}
			}
			released(t, acquired(t, looker, "k"))
		})
	}
}

func ends(t *testing.T, done <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatalf("not within %v: %s", patience, what)
	}
}

// TestWaitersAreShownWithTheirKinds, in their order.
func TestWaitersAreShownWithTheirKinds(t *testing.T) {
	for _, b := range kindBackends {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			url := b.open(t)
			holder := openClient(t, Config{Backend: url})
			writer := acquired(t, holder, "k", Renew())
			done := make(chan error, 3)
			kinds := [][]Option{{Shared()}, {Slots(7)}, nil}
			for _, opts := range kinds {
				c := openClient(t, Config{Backend: url, Timeout: patience})
				go func() { // ends with its turn
					l, err := c.Acquire(context.Background(), "k", opts...)
					if err == nil {
						err = l.Release()
					}
					done <- err
				}()
				eventually(t, "it waits", func() bool {
					i, err := c.Inspect(t.Context(), "k")
					return err == nil && i.Place != nil
				})
			}
			i, err := holder.Inspect(t.Context(), "k")
			if err != nil || len(i.Waiters) != 3 {
				t.Fatalf("%+v, %v", i, err)
			}
			for n, want := range []Waiter{{Kind: KindShared}, {Kind: KindSlots, Slots: 7}, {}} {
				if w := i.Waiters[n]; w.Kind != want.Kind || w.Slots != want.Slots {
					t.Errorf("waiter %d: %+v, want %+v", n, w, want)
				}
			}
			released(t, writer)
			for range kinds {
				if err := <-done; err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// TestNowDeletesTheSharesThatAreMeant, though their holders don't let go, and no others.
func TestNowDeletesTheSharesThatAreMeant(t *testing.T) {
	for _, b := range kindBackends {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			url := b.open(t)
			var locks []*Lock
			var clients []*Client
			for range 3 {
				c := openClient(t, Config{Backend: url})
				clients = append(clients, c)
				locks = append(locks, acquired(t, c, "k", Shared(), Renew(), Expires(time.Minute)))
			}
			looker := openClient(t, Config{Backend: url})
			left := func() int {
				i, err := looker.Inspect(t.Context(), "k")
				if err != nil {
					t.Fatal(err)
				}
				return len(i.Holders)
			}
			if found, err := looker.Revoke(t.Context(), "k", Revocation{Fence: locks[0].Fence(), Now: true}); err != nil || found != Deleted {
				t.Fatalf("one: %v, %v", found, err)
			}
			if n := left(); n != 2 {
				t.Errorf("%d holders are left, want 2", n)
			}
			if err := locks[1].Check(t.Context()); err != nil {
				t.Errorf("another's: %v", err)
			}
			// Of its own client's the hold ends at once; without a fence all do.
			if found, err := clients[1].Revoke(t.Context(), "k", Revocation{Now: true}); err != nil || found != Deleted {
				t.Fatalf("all: %v, %v", found, err)
			}
			if n := left(); n != 0 {
				t.Errorf("%d holders are left, want none", n)
			}
			released(t, acquired(t, looker, "k"))
			for _, l := range locks {
				ends(t, l.Context().Done(), "it is told")
				if err := l.Release(); !errors.Is(err, ErrNotHeld) {
					t.Errorf("release: %v", err)
				}
			}
		})
	}
}
