package memcache

import (
	"errors"
	"strings"
	"testing"
	"time"

	gomemcache "github.com/bradfitz/gomemcache/memcache"

	"github.com/turnstile-go/turnstile/backends"
)

func mustRevoke(t testing.TB, b *Backend, key string, r backends.Revocation, want backends.Revoked) {
	t.Helper()
	if found, err := b.Revoke(bounded(t), key, r); err != nil || found != want {
		t.Fatalf("revoke %+v: %v, %v; want %v", r, found, err, want)
	}
}

// wantRenewal makes one renewal and compares its error.
func wantRenewal(t testing.TB, b *Backend, r backends.Request, want error) {
	t.Helper()
	if _, err := b.Renew(bounded(t), r.Attempt, r.TTL, 0); !errors.Is(err, want) {
		t.Fatalf("renew: %v, want %v", err, want)
	}
}

// beforeCommand runs f once, before a command of that verb and item.
func beforeCommand(b *Backend, verb, item string, f func()) (met func() bool) {
	done := false
	b.hook(func(c command) error {
		if c.verb == verb && c.name == item && !done {
			done = true
			f()
		}
		return c.do()
	})
	return func() bool { return done }
}

// inspected is the lease that a key's item has.
func inspected(t testing.TB, inside *gomemcache.Client, key string) lease {
	t.Helper()
	item, err := inside.Get(itemsOf(key).lock)
	if err != nil {
		t.Fatal(err)
	}
	l, ok := decode(item.Value)
	if !ok {
		t.Fatalf("no lease of ours: %q", item.Value)
	}
	return l
}

// TestARevokedLeaseRunsOut, however often its attempt is repeated: until its end it
// is granted what is left, and then a lease anew, which is not revoked.
func TestARevokedLeaseRunsOut(t *testing.T) {
	t.Parallel()
	b, other, inside := open(t, shared.URL()), open(t, shared.URL()), driver(t, shared.Addr)
	r := newRequest(newKey(t))
	r.TTL = 2 * time.Second
	granted := time.Now()
	mustGrant(t, b, r)
	was := inspected(t, inside, r.Key)
	mustRevoke(t, other, r.Key, backends.Revocation{}, backends.Marked)
	longer := r
	longer.TTL = time.Hour
	var fresh backends.Reply
	eventually(t, "a lease anew", func() bool {
		left := time.Duration(was.ends-b.clock.now()) * time.Millisecond
		fresh = mustGrant(t, b, longer)
		l := inspected(t, inside, r.Key)
		if l.first != was.first {
			return true
		}
		if l.ends != was.ends || fresh.TTL > left {
			t.Fatalf("granted for %v of %v, to %d of %d", fresh.TTL, left, l.ends, was.ends)
		}
		wantRenewal(t, b, r, backends.ErrRevoked)
		return false
	})
	if took := time.Since(granted); took < r.TTL-10*time.Millisecond {
		t.Errorf("granted anew after %v of %v", took, r.TTL)
	}
	if fresh.TTL != longer.TTL {
		t.Errorf("the lease anew lasts %v", fresh.TTL)
	}
	wantRenewal(t, b, r, nil)
}

// TestARevokeItemIsAboutOneLease: it says nothing of the token, and is deleted with the
// lease. One that stays, as its deletion was lost, means no other.
func TestARevokeItemIsAboutOneLease(t *testing.T) {
	t.Parallel()
	b, other, inside := open(t, shared.URL()), open(t, shared.URL()), driver(t, shared.Addr)
	for name, end := range map[string]func(backends.Request) error{
		"release": func(r backends.Request) error { return b.Release(bounded(t), r.Attempt) },
		"cancel":  func(r backends.Request) error { return b.Cancel(bounded(t), r.Attempt) },
		"revoke": func(r backends.Request) error {
			_, err := other.Revoke(bounded(t), r.Key, backends.Revocation{Now: true})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRequest(newKey(t))
			mustGrant(t, b, r)
			mustRevoke(t, other, r.Key, backends.Revocation{}, backends.Marked)
			left, err := inside.Get(itemsOf(r.Key).revoke)
			if err != nil || strings.Contains(string(left.Value), string(r.Token.Session())) {
				t.Fatalf("the item: %q, %v", left.Value, err)
			}
			if err := end(r); err != nil {
				t.Fatal(err)
			}
			if _, err := inside.Get(left.Key); !errors.Is(err, gomemcache.ErrCacheMiss) {
				t.Errorf("it stays: %v", err)
			}
			if err := inside.Set(left); err != nil {
				t.Fatal(err)
			}
			r = next(r)
			mustGrant(t, b, r)
			if info, err := other.Inspect(bounded(t), r.Key); err != nil || info.Revoked {
				t.Errorf("the next lease: revoked %t, %v", info.Revoked, err)
			}
			wantRenewal(t, b, r, nil)
			mustRevoke(t, other, r.Key, backends.Revocation{}, backends.Marked)
			wantRenewal(t, b, r, backends.ErrRevoked)
		})
	}
}

// TestALostCommandOfARevocationIsSettled in it, whichever it is.
func TestALostCommandOfARevocationIsSettled(t *testing.T) {
	t.Parallel()
	other := open(t, shared.URL())
	for _, now := range []bool{false, true} {
		each(t, 1, func(t *testing.T, b *Backend, spoilt func() func() bool) bool {
			r := newRequest(newKey(t))
			mustGrant(t, other, r)
			met := spoilt()
			if !now {
				mustRevoke(t, b, r.Key, backends.Revocation{}, backends.Marked)
				wantRenewal(t, other, r, backends.ErrRevoked)
				return met()
			}
			mustRevoke(t, b, r.Key, backends.Revocation{Now: true}, backends.Deleted)
			wantRenewal(t, other, r, backends.ErrNotHeld)
			return met()
		})
	}
}

// TestADeletionNeverTouchesTheNextHolder: what it has seen is over when its swap comes.
func TestADeletionNeverTouchesTheNextHolder(t *testing.T) {
	t.Parallel()
	b, other, inside := open(t, shared.URL()), open(t, shared.URL()), driver(t, shared.Addr)
	foreign := func(key, value string) *gomemcache.Item {
		return &gomemcache.Item{Key: itemsOf(key).lock, Value: []byte(value)}
	}
	for name, theirs := range map[string]bool{"of ours": false, "of another library's": true} {
		t.Run(name, func(t *testing.T) {
			r, young := newRequest(newKey(t)), newRequest("")
			young.Key = r.Key
			if theirs {
				if err := inside.Set(foreign(r.Key, "somebody")); err != nil {
					t.Fatal(err)
				}
			} else {
				mustGrant(t, other, r)
			}
			beforeSwap(b, func() {
				if err := inside.Delete(itemsOf(r.Key).lock); err != nil {
					t.Error(err)
				}
				mustGrant(t, other, young)
			})
			mustRevoke(t, b, r.Key, backends.Revocation{Now: true}, backends.Deleted)
			wantRenewal(t, other, young, nil)
			beforeSwap(b, func() {
				mustRelease(t, other, young)
				if err := inside.Set(foreign(r.Key, "somebody else")); err != nil {
					t.Error(err)
				}
			})
			mustRevoke(t, b, r.Key, backends.Revocation{Now: true}, backends.Deleted)
			if item, err := inside.Get(itemsOf(r.Key).lock); err != nil || string(item.Value) != "somebody else" {
				t.Errorf("the next holder's item: %v", err)
			}
			beforeSwap(b, func() {
				if err := inside.Set(foreign(r.Key, "a third")); err != nil {
					t.Error(err)
				}
			})
			mustRevoke(t, b, r.Key, backends.Revocation{Now: true}, backends.Deleted)
			if item, err := inside.Get(itemsOf(r.Key).lock); err != nil || string(item.Value) != "a third" {
				t.Errorf("the third holder's item: %v", err)
			}
		})
	}
}

// TestARenewalDoesNotSaveALeaseFromDeletion: the item changed, and is still the lease's.
func TestARenewalDoesNotSaveALeaseFromDeletion(t *testing.T) {
	t.Parallel()
	b, other := open(t, shared.URL()), open(t, shared.URL())
	r := newRequest(newKey(t))
	reply := mustGrant(t, other, r)
	mustRevoke(t, b, r.Key, backends.Revocation{Base: reply.Base + 1000, Now: true}, backends.Superseded)
	beforeSwap(b, func() { wantRenewal(t, other, r, nil) })
	mustRevoke(t, b, r.Key, backends.Revocation{Base: reply.Base, Now: true}, backends.Deleted)
	wantRenewal(t, other, r, backends.ErrNotHeld)
}

// TestARenewalBesideARevocationIsTheLast: it had looked before the item came.
func TestARenewalBesideARevocationIsTheLast(t *testing.T) {
	t.Parallel()
	b, other := open(t, shared.URL()), open(t, shared.URL())
	r := newRequest(newKey(t))
	mustGrant(t, b, r)
	beforeSwap(b, func() { mustRevoke(t, other, r.Key, backends.Revocation{}, backends.Marked) })
	wantRenewal(t, b, r, nil)
	wantRenewal(t, b, r, backends.ErrRevoked)
}

// TestALateRevocationLeavesALaterOneBe: it has seen a lease that is over by now, whose
// next one was revoked in between.
func TestALateRevocationLeavesALaterOneBe(t *testing.T) {
	t.Parallel()
	for _, again := range []bool{false, true} { // with an item that was there before
		b, other, holder := open(t, shared.URL()), open(t, shared.URL()), open(t, shared.URL())
		old := newRequest(newKey(t))
		base := mustGrant(t, holder, old).Base
		verb := "add"
		if again {
			verb = "cas"
			stale := &gomemcache.Item{Key: itemsOf(old.Key).revoke, Value: lease{first: 1}.name()}
			if err := driver(t, shared.Addr).Set(stale); err != nil {
				t.Fatal(err)
			}
		}
		young := next(old)
		met := beforeCommand(b, verb, itemsOf(old.Key).revoke, func() {
			mustRelease(t, holder, old)
			mustGrant(t, holder, young)
			mustRevoke(t, other, young.Key, backends.Revocation{}, backends.Marked)
		})
		mustRevoke(t, b, old.Key, backends.Revocation{Base: base}, backends.Superseded)
		wantRenewal(t, holder, young, backends.ErrRevoked)
		if !met() {
			t.Error("nothing came in between: the test proves nothing")
		}
	}
}

// TestForeignLocksAreNotRevoked: they are deleted if asked for, and else not touched.
func TestForeignLocksAreNotRevoked(t *testing.T) {
	t.Parallel()
	b, inside := open(t, shared.URL()), driver(t, shared.Addr)
	key := newKey(t)
	if err := inside.Set(&gomemcache.Item{Key: key, Value: []byte("somebody"), Expiration: 60}); err != nil {
		t.Fatal(err)
	}
	before, err := inside.Get(key)
	if err != nil {
		t.Fatal(err)
	}
	mustRevoke(t, b, key, backends.Revocation{}, backends.Foreign)
	mustRevoke(t, b, key, backends.Revocation{Base: 1}, backends.Superseded)
	mustRevoke(t, b, key, backends.Revocation{Base: 1, Now: true}, backends.Superseded)
	if after, err := inside.Get(key); err != nil || after.CasID != before.CasID {
		t.Errorf("it was touched: %v", err)
	}
	if _, err := inside.Get(itemsOf(key).revoke); !errors.Is(err, gomemcache.ErrCacheMiss) {
		t.Errorf("a revoke item, which nobody will read: %v", err)
	}
	mustRevoke(t, b, key, backends.Revocation{Now: true}, backends.Deleted)
	mustGrant(t, b, newRequest(key))
}

// TestATokenAloneIsNotRevoked: it is nobody's lease yet, and goes by itself.
func TestATokenAloneIsNotRevoked(t *testing.T) {
	t.Parallel()
	b, inside := open(t, shared.URL()), driver(t, shared.Addr)
	r := newRequest(newKey(t))
	lateAdd(t, inside, r)
	for _, now := range []bool{false, true} {
		mustRevoke(t, b, r.Key, backends.Revocation{Now: now}, backends.NobodyHolds)
	}
	mustGrant(t, b, r)
	wantRenewal(t, b, r, nil)
}

// TestALeaseOfAnEarlierFormatIsForeign: it said nothing of its first base. It is held,
// and not touched, whatever its label looks like.
func TestALeaseOfAnEarlierFormatIsForeign(t *testing.T) {
	t.Parallel()
	token := newRequest("").Token.Wire()
	for _, label := range []string{"host:1", "", "12", "12 3", "9999999999999999 x"} {
		if l, ok := decode([]byte(token + " 1795000000000000 1795000000000 1795000010000 " + label)); ok || l != (lease{}) {
			t.Errorf("with label %q it is read as %+v", label, l)
		}
	}
}

// TestCommandsOfARevocation, and of the verbs that meet one.
func TestCommandsOfARevocation(t *testing.T) {
	t.Parallel()
	b, other := open(t, shared.URL()), open(t, shared.URL())
	r := newRequest(newKey(t))
	mustGrant(t, b, r)
	ours, theirs := counted(b), counted(other)
	for i, want := range []int64{2, 1} { // the second finds the first
		mustRevoke(t, other, r.Key, backends.Revocation{}, backends.Marked)
		if got := theirs.Swap(0); got != want {
			t.Errorf("revocation %d took %d commands, want %d", i, got, want)
		}
	}
	wantRenewal(t, b, r, backends.ErrRevoked)
	if got := ours.Swap(0); got != 1 {
		t.Errorf("a renewal in vain took %d commands, want 1", got)
	}
	mustRelease(t, b, r)
	if got := ours.Swap(0); got != 3 {
		t.Errorf("a release took %d commands, want 3", got)
	}
}
