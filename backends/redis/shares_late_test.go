package redis_test

import (
	"errors"
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/internal/servers/servertest"
	"github.com/turnstile-go/turnstile/scripts"
)

// loadShares has the scripts there: nothing runs while the answer is lost which says that one is missing.
func loadShares(t testing.TB) {
	t.Helper()
	for _, s := range scripts.Shares() {
		if err := shared.RedisClient(t, nil).ScriptLoad(bounded(t), s.Source()).Err(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSharesWhoseAnswersWereLost are found by the next call, whatever the lost one did.
func TestSharesWhoseAnswersWereLost(t *testing.T) { bothWays(t, sharesWhoseAnswersWereLost) }

func sharesWhoseAnswersWereLost(t *testing.T, way way) {
	t.Parallel()
	proxy := servertest.NewProxy(t, shared.Addr)
	b, other := way(open(t, "redis://"+proxy.Addr)), open(t, shared.URL())
	loadShares(t)
	key := newKey(t)
	r, base := newRequest(key), uint64(0)
	// lost makes calls until one has run. No answer comes.
	lost := func(what string, call func(c *backends.Request) error, ran func() bool) {
		t.Helper()
		mustGrant(t, b, newRequest(newKey(t)))
		proxy.LoseReplies()
		for patience := bounded(t); !ran() && patience.Err() == nil; {
			if err := call(&r); err == nil {
				t.Fatalf("%s was answered", what)
			}
			r.Ambiguous = true
		}
		proxy.Heal()
	}
	info := func() backends.Info {
		info, err := other.Inspect(bounded(t), key)
		if err != nil {
			t.Fatal(err)
		}
		return info
	}
	r = permits(r, 9, 3)
	lost("the ask", func(c *backends.Request) error {
		_, err := b.Acquire(within(t, 100*time.Millisecond), *c)
		return err
	}, func() bool { return info().Out == 3 })
	if reply := retry(t, b, r); reply.Outcome != backends.Granted || reply.Permits != 3 || reply.Kind != backends.Slots {
		t.Fatalf("the ask again: %+v", reply)
	} else {
		base = reply.Base
	}
	lost("the renewal", func(c *backends.Request) error {
		_, err := sharer(t, b).RenewShare(within(t, 100*time.Millisecond), keeps(*c, 1), base)
		return err
	}, func() bool { return info().Out == 1 })
	if reply := mustKeep(t, b, keeps(r, 2), base); reply.Permits != 1 {
		t.Errorf("the renewal again: %+v", reply)
	}
	mustGrant(t, other, permits(newRequest(key), 2, 1))
	lost("the release", func(c *backends.Request) error {
		return b.Release(within(t, 100*time.Millisecond), c.Attempt)
	}, func() bool { return info().Out == 1 })
	if err := b.Release(bounded(t), r.Attempt); !errors.Is(err, backends.ErrNotHeld) {
		t.Errorf("the release again: %v", err)
	}
	if reply, err := b.Acquire(bounded(t), r); reply.Outcome != backends.NotRun || !errors.Is(err, backends.ErrSettled) {
		t.Errorf("a late copy of the ask: %+v, %v; want settled", reply, err)
	}
}

// TestADowngradeThatWasNotAnswered is repeated, and finds its share.
func TestADowngradeThatWasNotAnswered(t *testing.T) { bothWays(t, aDowngradeThatWasNotAnswered) }

func aDowngradeThatWasNotAnswered(t *testing.T, way way) {
	t.Parallel()
	proxy := servertest.NewProxy(t, shared.Addr)
	b, other := way(open(t, "redis://"+proxy.Addr)), open(t, shared.URL())
	loadShares(t)
	r := newRequest(newKey(t))
	known := mustGrant(t, b, r).Base
	r = reading(r)
	proxy.LoseReplies()
	eventually(t, "it runs", func() bool {
		if _, err := sharer(t, b).RenewShare(within(t, 100*time.Millisecond), r, known); err == nil {
			t.Fatal("it was answered")
		}
		info, err := other.Inspect(bounded(t), r.Key)
		return err == nil && info.Kind == backends.Shared
	})
	proxy.Heal()
	r.Ambiguous = true
	if reply := mustKeep(t, b, r, known); reply.Base <= known {
		t.Errorf("repeated: %+v, known %d", reply, known)
	}
	mustGrant(t, other, reading(newRequest(r.Key)))
	if err := b.Release(bounded(t), r.Attempt); err != nil {
		t.Error(err)
	}
	wantHeld(t, b, newRequest(r.Key), backends.Shared, 1)
}

// TestACopyOfAShareThatWasGivenUpTakesNothing: neither the ask nor its cancel was answered. The ask arrives when the key
// has had other shares since.
func TestACopyOfAShareThatWasGivenUpTakesNothing(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, way way) {
		server := servertest.Redis(t)
		raw, k := openKept(t, server)
		b, inside := way(raw), server.RedisClient(t, nil)
		session, key := backends.NewSession(), newKey(t)
		request := func(n uint64) backends.Request {
			return reading(backends.Request{Attempt: backends.Attempt{Key: key, Token: session.Token(n)}, TTL: lease, Label: "tester"})
		}
		first, second := request(1), request(2)
		k.keep(true)
		unanswered(t, b, k, first)
		first.Ambiguous = true
		if err := backends.Cancel(within(t, 50*time.Millisecond), b, first.Attempt); err == nil {
			t.Fatal("the cancel was answered")
		}
		k.keep(false)
		mustGrant(t, b, second)
		if err := b.Release(bounded(t), second.Attempt); err != nil {
			t.Fatal(err)
		}
		k.deliver(t)
		if exists(t, inside, key) {
			t.Error("the copy took a share, which nobody awaits")
		}
	})
}

// TestALateRenewalOfAShareShortensNothing, and gives no permit back that was given since.
func TestALateRenewalOfAShareShortensNothing(t *testing.T) {
	t.Parallel()
	server := servertest.Redis(t)
	b, k := openKept(t, server)
	r := permits(newRequest(newKey(t)), 9, 3)
	base := mustGrant(t, b, r).Base
	short := keeps(r, 3)
	short.TTL = time.Second
	k.keep(true)
	eventually(t, "it is sent", func() bool {
		_, err := b.RenewShare(within(t, 50*time.Millisecond), short, base)
		if err == nil {
			t.Fatal("it was answered")
		}
		return k.count() > 0
	})
	k.keep(false)
	base = mustKeep(t, b, r, base).Base
	k.deliver(t)
	if info, err := b.Inspect(bounded(t), r.Key); err != nil || info.Out != 3 || *info.ExpiresIn < lease/2 {
		t.Errorf("%+v, %v", info, err)
	}
	mustKeep(t, b, r, base)
}
