package memcache

import (
	"testing"
	"time"

	gomemcache "github.com/bradfitz/gomemcache/memcache"

	"github.com/turnstile-go/turnstile/backends"
)

// TestPace: 1 to 50 ms, and quick for as long as a key takes to come round.
func TestPace(t *testing.T) {
	t.Parallel()
	for probe := range 100 {
		for range 100 {
			d := pace(probe)
			if d < 500*time.Microsecond || d > slow || probe < quickProbes && d > quick {
				t.Fatalf("probe %d: %v", probe, d)
			}
		}
	}
}

// TestCommandsOfAVerb: what a verb costs, in round trips.
func TestCommandsOfAVerb(t *testing.T) {
	t.Parallel()
	b, other := open(t, shared.URL()), open(t, shared.URL())
	key := newKey(t)
	warm := newRequest(key)
	mustGrant(t, b, warm) // seeds the counter, which takes three more
	mustRelease(t, b, warm)

	n, theirs := counted(b), counted(other)
	cost := func(what string, want int64) {
		t.Helper()
		if got := n.Swap(0); got != want {
			t.Errorf("%s took %d commands, want %d", what, got, want)
		}
	}
	r, waiting := newRequest(key), newRequest(key)
	reply := mustGrant(t, b, r)
	cost("acquire", 4)
	if _, err := b.Renew(bounded(t), r.Attempt, r.TTL, reply.Base); err != nil {
		t.Fatal(err)
	}
	cost("renew", 3)
	wantOutcome(t, other, waiting, backends.Held)
	theirs.Store(0)
	start := time.Now()
	for waiting.Probe = 1; waiting.Probe <= 20; waiting.Probe++ {
		wantOutcome(t, other, waiting, backends.Held)
	}
	// Some may have written the wait item again.
	if got, most := theirs.Load(), 21+int64(time.Since(start)/refresh); got > most {
		t.Errorf("20 probes took %d commands, want %d", got, most)
	}
	mustRelease(t, b, r)
	cost("release", 2)
	if err := b.Cancel(bounded(t), r.Attempt); err != nil {
		t.Fatal(err)
	}
	cost("cancel of nothing", 1)
}

// contended renews r and returns what the holder is told.
func contended(t *testing.T, b *Backend, r backends.Request) bool {
	t.Helper()
	reply, err := b.Renew(bounded(t), r.Attempt, r.TTL, 0)
	if err != nil {
		t.Fatalf("renew: %v", err)
	}
	return reply.Contended
}

// told has a waiter probe until the holder is told. One probe does, unless the
// machine lets stale pass between it and the holder's look.
func told(t *testing.T, waiter *Backend, waiting *backends.Request, holder *Backend, held backends.Request) {
	t.Helper()
	eventually(t, "the holder is told that another waits", func() bool {
		wantOutcome(t, waiter, *waiting, backends.Held)
		waiting.Probe++
		return contended(t, holder, held)
	})
}

func TestTheHolderIsToldThatOthersWait(t *testing.T) {
	t.Parallel()
	a, b, c := open(t, shared.URL()), open(t, shared.URL()), open(t, shared.URL())
	key := newKey(t)
	held, second, third := newRequest(key), newRequest(key), newRequest(key)
	if mustGrant(t, a, held).Contended || contended(t, a, held) {
		t.Error("nobody waits")
	}
	once := newRequest(key)
	once.Queue = false
	wantOutcome(t, b, once, backends.Held)
	if contended(t, a, held) {
		t.Error("one try doesn't wait")
	}
	if reply := wantOutcome(t, b, second, backends.Held); reply.Holder != held.Label {
		t.Errorf("held by %q, want %q", reply.Holder, held.Label)
	}
	told(t, b, &second, a, held)
	wantOutcome(t, c, third, backends.Held)
	mustRelease(t, a, held)
	// What it wrote itself while it waited tells the new holder nothing; the other
	// sees that, and writes its own at its next probe.
	mustGrant(t, b, second)
	if contended(t, b, second) {
		t.Error("the holder takes its own wait item for another's")
	}
	third.Probe++
	told(t, c, &third, b, second)
	if err := c.Cancel(bounded(t), third.Attempt); err != nil {
		t.Fatal(err)
	}
	eventually(t, "nobody waits any more", func() bool { return !contended(t, b, second) })
	mustRelease(t, b, second)
}

// TestAWaiterThatLeavesTakesNoOthersTurn: there is room for one name, and another
// waits under it. The holder must not think for a moment that nobody does, or it
// would count its Tenure anew.
func TestAWaiterThatLeavesTakesNoOthersTurn(t *testing.T) {
	t.Parallel()
	a, b, c := open(t, shared.URL()), open(t, shared.URL()), open(t, shared.URL())
	key := newKey(t)
	held, waiting, leaving := newRequest(key), newRequest(key), newRequest(key)
	mustGrant(t, a, held)
	for round := 0; round < 5; round++ {
		start := time.Now()
		wantOutcome(t, c, leaving, backends.Held)
		wantOutcome(t, b, waiting, backends.Held)
		waiting.Probe++
		if err := c.Cancel(bounded(t), leaving.Attempt); err != nil {
			t.Fatal(err)
		}
		told := contended(t, a, held)
		leaving = next(leaving)
		switch {
		case told:
		case time.Since(start) >= stale:
			round-- // the machine held it up
		default:
			t.Errorf("round %d: one still waits, and the holder isn't told", round)
		}
	}
	mustRelease(t, a, held)
}

// TestWhoReleasesTakesBackItsName, from when it waited itself: the next holder
// gives way to nobody.
func TestWhoReleasesTakesBackItsName(t *testing.T) {
	t.Parallel()
	a, b := open(t, shared.URL()), open(t, shared.URL())
	key := newKey(t)
	held, waiting := newRequest(key), newRequest(key)
	mustGrant(t, a, held)
	wantOutcome(t, b, waiting, backends.Held)
	mustRelease(t, a, held)
	mustGrant(t, b, waiting)
	mustRelease(t, b, waiting)
	held = next(held)
	held.Queue = false // it doesn't stand back
	if mustGrant(t, a, held).Contended {
		t.Error("it is told of a session that has been and gone")
	}
	mustRelease(t, a, held)
}

// TestAWaitItemOfADeadSessionGoesStale: long before memcached lets it go.
func TestAWaitItemOfADeadSessionGoesStale(t *testing.T) {
	t.Parallel()
	b, inside := open(t, shared.URL()), driver(t, shared.Addr)
	r := newRequest(newKey(t))
	mustGrant(t, b, r)
	dead := markOf(backends.NewSession())
	if err := inside.Set(&gomemcache.Item{Key: itemsOf(r.Key).wait, Value: dead.wish(1), Expiration: 60}); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if !contended(t, b, r) {
		t.Error("what was written just now is not stale")
	}
	eventually(t, "it is stale", func() bool { return !contended(t, b, r) })
	if took := time.Since(start); took < stale {
		t.Errorf("stale after %v", took)
	}
}

// TestAWaitItemIsKeptFresh by whoever waits, however many they are: the holder
// is told at every look.
func TestAWaitItemIsKeptFresh(t *testing.T) {
	t.Parallel()
	a := open(t, shared.URL())
	key := newKey(t)
	held := newRequest(key)
	mustGrant(t, a, held)
	var waiters []*Backend
	var waiting []backends.Request
	for range 3 {
		waiters, waiting = append(waiters, open(t, shared.URL())), append(waiting, newRequest(key))
	}
	probe := func(i int) {
		wantOutcome(t, waiters[i], waiting[i], backends.Held)
		waiting[i].Probe++
	}
	for i := range waiters {
		probe(i)
	}
	for end, last := time.Now().Add(3*stale), time.Now(); time.Now().Before(end); {
		for i := range waiters {
			probe(i)
		}
		told := contended(t, a, held)
		if !told && time.Since(last) < stale { // or the machine held it up
			t.Fatal("three wait, and the holder isn't told")
		}
		last = time.Now()
		<-time.After(slow)
	}
	mustRelease(t, a, held)
}

// TestWhoReleasesStandsBack while another waits: until that has the key, or for
// the length of a probe.
func TestWhoReleasesStandsBack(t *testing.T) {
	t.Parallel()
	a, b := open(t, shared.URL()), open(t, shared.URL())
	var held, waiting backends.Request
	var reply backends.Reply
	var start time.Time
	eventually(t, "it stands back", func() bool {
		key := newKey(t)
		held, waiting = newRequest(key), newRequest(key)
		mustGrant(t, a, held)
		wantOutcome(t, b, waiting, backends.Held)
		released := time.Now()
		mustRelease(t, a, held)

		held = next(held)
		once := held
		once.Queue = false
		mustGrant(t, a, once) // one try gives nobody its turn
		mustRelease(t, a, once)
		held = next(held)
		start = time.Now()
		var err error
		if reply, err = a.Acquire(bounded(t), held); err != nil {
			t.Fatal(err)
		}
		if reply.Outcome == backends.Granted && time.Since(released) < slow/2 {
			t.Fatalf("granted %v after its release", time.Since(released))
		}
		return reply.Outcome == backends.Held // or the machine has let the time of a probe pass
	})
	if reply.Retry <= 0 || reply.Retry > slow || reply.Holder != "" {
		t.Errorf("stands back with %+v", reply)
	}
	// The other doesn't come.
	eventually(t, "it takes the key after all", func() bool {
		reply, err := a.Acquire(bounded(t), held)
		held.Probe++
		return err == nil && reply.Outcome == backends.Granted
	})
	if took := time.Since(start); took < reply.Retry {
		t.Errorf("it took the key after %v, and not %v", took, reply.Retry)
	}

	// The other comes: then there is nothing to stand back for.
	told(t, b, &waiting, a, held)
	mustRelease(t, a, held)
	mustGrant(t, b, waiting)
	held = next(held)
	wantOutcome(t, a, held, backends.Held)
	if left := a.memory.aside(held.Attempt); left > 0 {
		t.Errorf("it stands back for another %v, from a key that is held", left)
	}
	told(t, a, &held, b, waiting)
	mustRelease(t, b, waiting)
	mustGrant(t, a, held)
	mustRelease(t, a, held)
}
