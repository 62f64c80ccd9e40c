package memcache

import (
	"errors"
	"strconv"
	"testing"
	"time"

	gomemcache "github.com/bradfitz/gomemcache/memcache"

	"github.com/turnstile-go/turnstile/backends"
)

// setCounter makes a key's counter what it is told to be.
func setCounter(t *testing.T, inside *gomemcache.Client, key, value string) {
	t.Helper()
	if err := inside.Set(&gomemcache.Item{Key: itemsOf(key).fence, Value: []byte(value), Expiration: 60}); err != nil {
		t.Fatal(err)
	}
}

// TestBasesGrowOverALostCounter: it is seeded with the time, which is later.
func TestBasesGrowOverALostCounter(t *testing.T) {
	t.Parallel()
	b, other, inside := open(t, shared.URL()), open(t, shared.URL()), driver(t, shared.Addr)
	key := newKey(t)
	last := uint64(0)
	grown := func(base uint64) {
		t.Helper()
		if base <= last {
			t.Errorf("base %d after %d", base, last)
		}
		last = base
	}
	forget := func() {
		t.Helper()
		if err := inside.Delete(itemsOf(key).fence); err != nil {
			t.Fatal(err)
		}
	}
	for range 20 {
		for _, s := range []*Backend{b, other} {
			r := newRequest(key)
			r.Queue = false
			reply := mustGrant(t, s, r)
			grown(reply.Base)
			forget()
			reply, err := s.Renew(bounded(t), r.Attempt, r.TTL, reply.Base)
			if err != nil {
				t.Fatal(err)
			}
			grown(reply.Base)
			forget()
			mustRelease(t, s, r)
		}
	}
}

// TestADelayedSeedBringsBackNoOlderTime holds each write of a seed up while another
// makes the counter, is granted the key, and the server forgets both; and then sends
// it once more, after that has happened again.
func TestADelayedSeedBringsBackNoOlderTime(t *testing.T) {
	t.Parallel()
	slow, other, inside := open(t, shared.URL()), open(t, shared.URL()), driver(t, shared.Addr)
	key := newKey(t)
	forget := func() {
		_ = inside.Delete(itemsOf(key).lock) // if it is there
		_ = inside.Delete(itemsOf(key).fence)
	}
	highest := uint64(0)
	higher := func(what string, base uint64) {
		t.Helper()
		if base <= highest {
			t.Errorf("%s: base %d after %d", what, base, highest)
		}
		highest = max(highest, base)
	}
	meanwhile := func() {
		forget()
		higher("beside the seed", mustGrant(t, other, newRequest(key)).Base)
		forget()
	}
	delayed := map[string]command{}
	slow.hook(func(c command) error {
		_, before := delayed[c.verb]
		if c.name == itemsOf(key).fence && c.item != nil && !before {
			delayed[c.verb] = c
			meanwhile()
		}
		return c.do()
	})
	r := newRequest(key)
	higher("with a delayed seed", mustGrant(t, slow, r).Base)
	if len(delayed) == 0 {
		t.Error("nothing was delayed: the test proves nothing")
	}
	for verb, c := range delayed {
		meanwhile()
		slow.copyOf(c)
		higher("after a late copy of "+verb, mustGrant(t, other, newRequest(key)).Base)
	}
}

// TestASeedThatWasBegunIsBroughtToAnEnd by another, if its process is gone.
func TestASeedThatWasBegunIsBroughtToAnEnd(t *testing.T) {
	t.Parallel()
	b, inside := open(t, shared.URL()), driver(t, shared.Addr)
	for _, value := range []uint64{unseeded, unseeded + 7} { // 7 that met it have counted it up
		r := newRequest(newKey(t))
		setCounter(t, inside, r.Key, strconv.FormatUint(value, 10))
		before := uint64(time.Now().UnixMicro())
		if base := mustGrant(t, b, r).Base; base <= before || base > uint64(time.Now().UnixMicro()) {
			t.Errorf("base %d, and it is %d", base, before)
		}
	}
}

// TestACounterThatIsBehindIsCaughtUp: another process seeded it by a clock that is
// slow. Whoever has the lease knows its own last base, and so does its item.
func TestACounterThatIsBehindIsCaughtUp(t *testing.T) {
	t.Parallel()
	b, inside := open(t, shared.URL()), driver(t, shared.Addr)
	r := newRequest(newKey(t))
	reply := mustGrant(t, b, r)
	setCounter(t, inside, r.Key, "17")
	again, err := b.Renew(bounded(t), r.Attempt, r.TTL, reply.Base)
	if err != nil || again.Base <= reply.Base {
		t.Fatalf("renewed with base %d after %d, %v", again.Base, reply.Base, err)
	}
	setCounter(t, inside, r.Key, "17")
	copied := mustGrant(t, b, r)
	if copied.Base <= again.Base {
		t.Errorf("a repeated acquire has base %d after %d", copied.Base, again.Base)
	}
	mustRelease(t, b, r)
	if next := mustGrant(t, open(t, shared.URL()), newRequest(r.Key)); next.Base <= copied.Base {
		t.Errorf("the next holder has base %d after %d", next.Base, copied.Base)
	}
}

// TestASeedIsNeverBelowTheKeysOwnLease: the clock that seeded before was ahead, or
// this process's has been set back.
func TestASeedIsNeverBelowTheKeysOwnLease(t *testing.T) {
	t.Parallel()
	b, inside := open(t, shared.URL()), driver(t, shared.Addr)
	r := newRequest(newKey(t))
	ahead := uint64(time.Now().Add(time.Hour).UnixMicro())
	setCounter(t, inside, r.Key, strconv.FormatUint(ahead, 10))
	reply := mustGrant(t, b, r)
	if reply.Base <= ahead {
		t.Fatalf("base %d, and the counter was %d", reply.Base, ahead)
	}
	if err := inside.Delete(itemsOf(r.Key).fence); err != nil {
		t.Fatal(err)
	}
	again, err := b.Renew(bounded(t), r.Attempt, r.TTL, reply.Base)
	if err != nil || again.Base <= reply.Base {
		t.Errorf("renewed with base %d after %d, %v", again.Base, reply.Base, err)
	}
}

// TestOneKeysCounterIsNoOthers: a counter that is ahead of its time, or at its end,
// is trouble enough for its own key. If it went into the seeds of others, their
// fences would go backwards as soon as another process seeds them.
func TestOneKeysCounterIsNoOthers(t *testing.T) {
	t.Parallel()
	for name, wrong := range map[string]uint64{
		"an hour ahead": uint64(time.Now().Add(time.Hour).UnixMicro()),
		"at its end":    maxBase - 1,
	} {
		t.Run(name, func(t *testing.T) {
			a, b, inside := open(t, shared.URL()), open(t, shared.URL()), driver(t, shared.Addr)
			bad, good := newRequest(newKey(t)), newRequest(newKey(t))
			setCounter(t, inside, bad.Key, strconv.FormatUint(wrong, 10))
			mustGrant(t, a, bad)
			mustRelease(t, a, bad)
			first := mustGrant(t, a, good)
			mustRelease(t, a, good)
			if err := inside.Delete(itemsOf(good.Key).fence); err != nil {
				t.Fatal(err)
			}
			if second := mustGrant(t, b, newRequest(good.Key)); second.Base <= first.Base {
				t.Errorf("base %d after %d of the process that met the wrong counter", second.Base, first.Base)
			}
		})
	}
}

// TestACounterIsSeededWithTheTimeAndCountedByOne, and lives ten minutes: a million
// keys would leave as many behind, if it had no end.
func TestACounterIsSeededWithTheTimeAndCountedByOne(t *testing.T) {
	t.Parallel()
	b, key := open(t, shared.URL()), newKey(t)
	var seeds []int32
	b.hook(func(c command) error {
		if c.verb == "cas" && c.name == itemsOf(key).fence {
			seeds = append(seeds, c.item.Expiration)
		}
		return c.do()
	})
	before := uint64(time.Now().UnixMicro())
	first := uint64(0)
	for n := range uint64(10) {
		r := newRequest(key)
		reply := mustGrant(t, b, r)
		if n == 0 {
			first = reply.Base
		}
		if reply.Base != first+n {
			t.Errorf("grant %d has base %d, the first had %d", n, reply.Base, first)
		}
		mustRelease(t, b, r)
	}
	if after := uint64(time.Now().UnixMicro()); first <= before || first > after {
		t.Errorf("the first base is %d, not between %d and %d", first, before, after)
	}
	if len(seeds) != 1 || seeds[0] != 600 {
		t.Errorf("seeded for %v s, want once for 600", seeds)
	}
}

// TestACounterThatIsNoneIsRefused: somebody has put something else there.
func TestACounterThatIsNoneIsRefused(t *testing.T) {
	t.Parallel()
	b, inside := open(t, shared.URL()), driver(t, shared.Addr)
	for _, value := range []string{"no number", strconv.FormatUint(maxBase, 10), "18446744073709551615", "-1"} {
		r := newRequest(newKey(t))
		setCounter(t, inside, r.Key, value)
		_, err := b.Acquire(bounded(t), r)
		if value == "18446744073709551615" && err == nil {
			continue // it went round to 0, which is a number like any other
		}
		if !errors.Is(err, backends.ErrRefused) {
			t.Errorf("%s: %v, want ErrRefused", value, err)
		}
		if err := b.Cancel(bounded(t), r.Attempt); err != nil {
			t.Errorf("%s: cancel: %v", value, err)
		}
	}
}
