package redis_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/internal/servers/servertest"
)

// asks makes an attempt that is queued, or asks for it again, by a numbered call.
func (s *session) asks(t testing.TB, r backends.Request, number uint64, alive time.Duration) {
	t.Helper()
	r.Ask, r.Alive = number, alive
	if reply, err := s.Acquire(bounded(t), r); err != nil || reply.Outcome != backends.Held || reply.Place == 0 {
		t.Fatalf("acquire: %+v, %v; want held, and a place in the queue", reply, err)
	}
}

// gave waits for the wake that gives a key's lease.
func (s *session) gave(t testing.TB, key string) backends.Wake {
	t.Helper()
	ctx := bounded(t)
	for {
		select {
		case w := <-s.wakes:
			if w.Kind == backends.Gave && w.Key == key {
				return w
			}
		case <-ctx.Done():
			t.Fatalf("no wake gives %q", key)
		}
	}
}

// everyForm runs f where the script publishes, to one server or by Sentinels, and where its caller does, on a Cluster.
func everyForm(t *testing.T, f func(t *testing.T, url string)) {
	for name, url := range map[string]func(t *testing.T) string{
		"one server": func(*testing.T) string { return shared.URL() },
		"Sentinels":  func(t *testing.T) string { return onSentinel(t).URL() },
		"a Cluster":  func(t *testing.T) string { return onCluster(t).URL() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f(t, url(t))
		})
	}
}

// givenLease has a release to b, as its newest call asked, whose lease lasts for alive. It returns what b was told.
func givenLease(t *testing.T, a, b *session, key string, alive time.Duration) (backends.Request, backends.Wake) {
	t.Helper()
	b.hears(t, true) // or the lock is only kept for it
	held, r := a.request(key), b.request(key)
	mustGrant(t, a, held)
	b.asks(t, r, 1, time.Minute)
	b.asks(t, r, backends.MaxAsk, alive)
	a.release(t, held)
	return r, b.gave(t, key)
}

// TestAReleaseTellsAllOfTheLeaseThatItGives in each form.
func TestAReleaseTellsAllOfTheLeaseThatItGives(t *testing.T) {
	t.Parallel()
	everyForm(t, func(t *testing.T, url string) {
		a, b, c := newSession(t, url), newSession(t, url), newSession(t, url)
		for _, others := range []bool{false, true} {
			key := newKey(t)
			b.hears(t, true)
			held, r, next := a.request(key), b.request(key), c.request(key)
			base := mustGrant(t, a, held).Base
			b.asks(t, r, 1, time.Second)
			b.asks(t, r, backends.MaxAsk, time.Minute)
			if others {
				c.asks(t, next, 7, time.Minute)
			}
			a.release(t, held)
			got := b.gave(t, key)
			want := backends.Wake{
				Key: key, Kind: backends.Gave, Attempt: r.Token.Attempt(), Ask: backends.MaxAsk, Base: got.Base, TTL: time.Minute, Contended: others,
			}
			if got != want || got.Base <= base {
				t.Errorf("%+v after base %d, want %+v", got, base, want)
			}
			reply, err := b.Renew(bounded(t), r.Attempt, r.TTL, got.Base)
			if err != nil || reply.Base <= got.Base || reply.TTL != r.TTL || reply.Contended != others {
				t.Errorf("the confirmation: %+v, %v", reply, err)
			}
			b.release(t, r)
			if err := c.Cancel(bounded(t), next.Attempt); err != nil {
				t.Error(err)
			}
		}
	})
}

// TestAConfirmationTakesNoOtherLease: not a free key, not another's lease, nor a later one of its own attempt.
func TestAConfirmationTakesNoOtherLease(t *testing.T) {
	t.Parallel()
	a, b, c, inside := newSession(t, shared.URL()), newSession(t, shared.URL()), newSession(t, shared.URL()), shared.RedisClient(t, nil)
	key := newKey(t)
	r, w := givenLease(t, a, b, key, time.Minute)
	confirm := func(when string) {
		t.Helper()
		if reply, err := b.Renew(bounded(t), r.Attempt, r.TTL, w.Base); !backends.IsNotHeld(err) {
			t.Errorf("%s: %+v, %v; want ErrNotHeld", when, reply, err)
		}
	}
	if err := inside.Del(bounded(t), key).Err(); err != nil {
		t.Fatal(err)
	}
	confirm("free")
	if exists(t, inside, key) {
		t.Error("the confirmation took the free key")
	}
	held := c.request(key)
	mustGrant(t, c, held)
	confirm("another's")
	c.release(t, held)
	mustGrant(t, b, r) // a copy of an ask, late
	confirm("a later lease")
	b.release(t, r)
}

// TestAGivenLeaseIsRevoked: its holder, which may never have asked since, is told.
func TestAGivenLeaseIsRevoked(t *testing.T) {
	t.Parallel()
	everyForm(t, func(t *testing.T, url string) {
		a, b := newSession(t, url), newSession(t, url)
		key := newKey(t)
		r, w := givenLease(t, a, b, key, time.Minute)
		if found, err := a.Revoke(bounded(t), key, backends.Revocation{Base: w.Base}); err != nil || found != backends.Marked {
			t.Fatalf("%v, %v; want it marked", found, err)
		}
		b.woken(t, backends.Wake{Key: key, Kind: backends.Revoking})
		if reply, err := b.Renew(bounded(t), r.Attempt, r.TTL, w.Base); !backends.IsRevoked(err) {
			t.Errorf("the confirmation: %+v, %v; want ErrRevoked", reply, err)
		}
		if info, err := a.Inspect(bounded(t), key); err != nil || !info.Held || !info.Revoked || info.Holder == nil || *info.Holder != r.Label {
			t.Errorf("%+v, %v; want it held by %s, and revoked", info, err, r.Label)
		}
		b.release(t, r)
	})
}

// TestNobodyIsAliveForLongerThanItsColumn: the columns behind it would be read from other digits.
func TestNobodyIsAliveForLongerThanItsColumn(t *testing.T) {
	t.Parallel()
	a, b := newSession(t, shared.URL()), newSession(t, shared.URL())
	r, w := givenLease(t, a, b, newKey(t), 1000*time.Hour)
	if w.Ask != backends.MaxAsk || w.TTL != 27*time.Hour {
		t.Errorf("%+v", w)
	}
	b.release(t, r)
}

// leaseMessage is the message of a wake that gives a lease.
func leaseMessage(w backends.Wake) string {
	others := 0
	if w.Contended {
		others = 1
	}
	return fmt.Sprintf("l%012d%016d%016d%08d%d%s", w.Attempt, w.Base, w.Ask, w.TTL.Milliseconds(), others, w.Key)
}

// TestAPushThatIsNotWholeIsNone: of those who may publish, one that can't read the queue gets no further than that.
func TestAPushThatIsNotWholeIsNone(t *testing.T) {
	t.Parallel()
	a, b, inside := newSession(t, shared.URL()), newSession(t, shared.URL()), shared.RedisClient(t, nil)
	key := newKey(t)
	r, w := givenLease(t, a, b, key, time.Minute)
	whole := leaseMessage(w)
	publish := func(message string) {
		if err := inside.Publish(bounded(t), "turnstile:inbox:"+string(b.id), message).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for _, forged := range []string{
		"l", "l" + key, whole[:len(whole)-len(key)], "x" + whole[1:], "l" + whole[2:], whole[:53] + "2" + whole[54:],
		"l" + strings.Repeat("0", 12) + whole[13:], whole[:29] + strings.Repeat("9", 16) + whole[45:], whole[:29] + strings.Repeat("0", 16) + whole[45:],
		whole[:45] + strings.Repeat("0", 8) + whole[53:], whole[:45] + "     999" + whole[53:],
	} {
		b.drain()
		publish(forged)
		publish("w" + key)
		for wanted := false; !wanted; {
			select {
			case got := <-b.wakes:
				if wanted = got.Kind == backends.Wanted; got.Kind == backends.Gave {
					t.Errorf("%q is taken for %+v", forged, got)
				}
			case <-bounded(t).Done():
				t.Fatalf("no wake after %q", forged)
			}
		}
	}
	publish(whole) // the same once more, as a network may: the session has to tell
	if got := b.gave(t, key); got != w {
		t.Errorf("%+v, want %+v", got, w)
	}
	b.release(t, r)
}

// TestAServerThatOnlyEverGaveIsKnownToTakeWrites: its session waited for each lease, and got it by a push. When that server takes
// no writes any more, another is about to take its place.
func TestAServerThatOnlyEverGaveIsKnownToTakeWrites(t *testing.T) {
	t.Parallel()
	server := servertest.Redis(t)
	a, b, key := newSession(t, server.URL()), newSession(t, server.URL()), newKey(t)
	held := a.request(key)
	mustGrant(t, a, held)
	b.asks(t, b.request(key), 1, time.Minute)
	a.release(t, held) // to b
	if err := server.RedisClient(t, nil).ReplicaOf(bounded(t), "127.0.0.1", "1").Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Acquire(bounded(t), b.request(key)); !errors.Is(err, backends.ReadOnly) || backends.IsRefused(err) {
		t.Errorf("%v; want one for READONLY that may pass", err)
	}
}

// TestALookAtAKeyReadsNoLongQueue: what waits is counted, and no more than the first hundred is read. Whoever waits may look
// each second.
func TestALookAtAKeyReadsNoLongQueue(t *testing.T) {
	t.Parallel()
	server := servertest.Redis(t)
	a, key, inside := newSession(t, server.URL()), newKey(t), server.RedisClient(t, nil)
	mustGrant(t, a, a.request(key))
	a.waits(t, key)
	if info, err := a.Inspect(bounded(t), key); err != nil || *info.Waiting != 1 || len(info.Waiters) != 1 {
		t.Errorf("%+v, %v; want one that waits", info, err)
	}
	if n := servertest.Calls(t, inside, "hgetall"); n > 0 {
		t.Errorf("all of a hash was read %d times", n)
	}
}
