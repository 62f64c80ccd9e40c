package redis_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/internal/pylock"
	"github.com/turnstile-go/turnstile/internal/servers/servertest"
	"github.com/turnstile-go/turnstile/scripts"
)

// reading and permits make a request one for a share.
func reading(r backends.Request) backends.Request {
	r.Kind = backends.Shared
	return r
}

func permits(r backends.Request, n, want int) backends.Request {
	r.Kind, r.N, r.Want = backends.Slots, n, want
	return r
}

// keeps returns the request with which a share keeps so many permits.
func keeps(r backends.Request, n int) backends.Request {
	r.Want = n
	return r
}

func sharer(t testing.TB, b backends.Backend) backends.Sharer {
	t.Helper()
	s, ok := b.(backends.Sharer)
	if !ok {
		t.Fatalf("%T keeps no shares", b)
	}
	return s
}

// mustKeep renews a share, or makes one of a lock.
func mustKeep(t testing.TB, b backends.Backend, r backends.Request, known uint64) backends.Reply {
	t.Helper()
	reply, err := sharer(t, b).RenewShare(bounded(t), r, known)
	if err != nil || reply.Kind != r.Kind {
		t.Fatalf("renew: %+v, %v; want a renewed %v", reply, err, r.Kind)
	}
	return reply
}

// wantHeld expects that a request waits for shares of a kind.
func wantHeld(t testing.TB, b backends.Backend, r backends.Request, kind backends.Kind, out int) backends.Reply {
	t.Helper()
	reply, err := b.Acquire(bounded(t), r)
	if err != nil || reply.Outcome != backends.Held || reply.Kind != kind || reply.Out != out {
		t.Fatalf("acquire: %+v, %v; want held by %d of %v", reply, err, out, kind)
	}
	return reply
}

// TestAShareOfAnEarlierMarkerIsLost: the key is deleted, another library has it for a while, and others share it then.
func TestAShareOfAnEarlierMarkerIsLost(t *testing.T) {
	t.Parallel()
	b, other, inside := open(t, shared.URL()), open(t, shared.URL()), shared.RedisClient(t, nil)
	r := reading(newRequest(newKey(t)))
	base := mustGrant(t, b, r).Base
	late := &pylock.Lock{Client: inside, Key: r.Key, Expires: 10 * time.Second}
	if err := late.Delete(bounded(t)); err != nil {
		t.Fatal(err)
	}
	if won, err := late.Attempt(bounded(t)); !won || err != nil {
		t.Fatal(won, err)
	}
	if _, err := b.RenewShare(bounded(t), r, base); !errors.Is(err, backends.ErrNotHeld) {
		t.Errorf("renewed: %v", err)
	}
	if err := late.Release(bounded(t)); err != nil {
		t.Fatal(err)
	}
	mustGrant(t, other, reading(newRequest(r.Key)))
	if _, err := b.RenewShare(bounded(t), r, base); !errors.Is(err, backends.ErrNotHeld) {
		t.Errorf("renewed beside shares of later: %v", err)
	}
	if err := b.Release(bounded(t), r.Attempt); !errors.Is(err, backends.ErrNotHeld) {
		t.Errorf("released: %v", err)
	}
	wantHeld(t, b, newRequest(r.Key), backends.Shared, 1)
}

// TestAPylockThatComesSecondOverShares: of two that found what a crashed one had left, the second overwrites the marker.
func TestAPylockThatComesSecondOverShares(t *testing.T) {
	t.Parallel()
	b, other, inside := open(t, shared.URL()), open(t, shared.URL()), shared.RedisClient(t, nil)
	r := reading(newRequest(newKey(t)))
	crashed := &pylock.Lock{Client: inside, Key: r.Key, Expires: -10 * time.Second} // its time is in the past
	found, err := crashed.LeaveOver(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	base := mustGrant(t, b, r).Base
	second := &pylock.Lock{Client: inside, Key: r.Key, Expires: 10 * time.Second}
	for _, next := range []func(){
		func() { base = mustKeep(t, b, r, base).Base },
		func() { mustGrant(t, other, reading(newRequest(r.Key))) },
		func() { wantHeld(t, other, newRequest(r.Key), backends.Shared, 2) },
		func() {
			if err := b.Release(bounded(t), r.Attempt); err != nil {
				t.Error(err)
			}
		},
	} {
		if old, err := second.GetSet(bounded(t), pylock.Stamp(second.Expires)); err != nil || old == found {
			t.Fatalf("it won: %q, %v", old, err)
		}
		next()
		if value := inside.Get(bounded(t), r.Key).Val(); value[:len(backends.Stamp)] != backends.Stamp {
			t.Fatalf("%q stands under the key", value)
		}
	}
	if info, err := b.Inspect(bounded(t), r.Key); err != nil || info.Out != 1 || info.Foreign {
		t.Errorf("%+v, %v", info, err)
	}
}

// TestSharesThatWereEvicted are lost to their holders at the next renewal, and nobody joins them before their time is over.
func TestSharesThatWereEvicted(t *testing.T) {
	t.Parallel()
	b, inside := open(t, shared.URL()), shared.RedisClient(t, nil)
	r := permits(newRequest(newKey(t)), 5, 1)
	base := mustGrant(t, b, r).Base
	inside.Del(bounded(t), scripts.ShareKeys(r.Key)[6])
	joins := permits(newRequest(r.Key), 5, 1)
	joins.Queue = false
	wantHeld(t, b, joins, backends.Slots, 0)
	if _, err := b.RenewShare(bounded(t), r, base); !errors.Is(err, backends.ErrNotHeld) {
		t.Errorf("renewed: %v", err)
	}
	if info, err := b.Inspect(bounded(t), r.Key); err != nil || !info.Held || info.Kind != backends.Slots || len(info.Holders) != 0 {
		t.Errorf("%+v, %v", info, err)
	}
	mustRevoke(t, b, r.Key, backends.Revocation{}, backends.Foreign)
	mustRevoke(t, b, r.Key, backends.Revocation{Now: true}, backends.Deleted)
	base = mustGrant(t, b, joins).Base

	// A server that takes the place of another knows nothing of shares.
	inside.Del(bounded(t), scripts.ShareKeys(r.Key)...)
	if _, err := b.RenewShare(bounded(t), joins, base); !errors.Is(err, backends.ErrNotHeld) {
		t.Errorf("renewed: %v", err)
	}
	if err := b.Release(bounded(t), joins.Attempt); !errors.Is(err, backends.ErrNotHeld) {
		t.Errorf("released: %v", err)
	}
}

// TestWhatWaitsForSharesDoesNotBeat, but asks in full: it may be the one to tell their holders, and nobody tells it that
// one of several shares has ended.
func TestWhatWaitsForSharesDoesNotBeat(t *testing.T) {
	t.Parallel()
	for name, rawURL := range map[string]string{"one server": shared.URL(), "Cluster": onCluster(t).URL()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			holder, s := newSession(t, rawURL), repeats(t, openPatient(t, rawURL))
			locked, key := newKey(t), newKey(t)
			held, shares := holder.request(locked), permits(holder.request(key), 1, 1)
			held.TTL, shares.TTL = lease, 4*time.Second
			known := mustGrant(t, holder, held).Base
			mustGrant(t, holder, shares)
			for _, r := range []backends.Request{s.request(key), permits(s.request(key), 1, 1), reading(s.request(key))} {
				if reply := wantHeld(t, s, r, backends.Slots, 1); reply.Retry > 300*time.Millisecond || reply.FreeIn > shares.TTL || reply.FreeIn <= 0 {
					t.Errorf("%v asks again after %v, and is free in %v", r.Kind, reply.Retry, reply.FreeIn)
				}
			}
			holder.woken(t, backends.Wake{Key: key, Kind: backends.Wanted})
			// One that waits for a share of a lock does beat, until the lock becomes shares.
			waiting := reading(s.request(locked))
			reply, err := s.Acquire(bounded(t), waiting)
			if err != nil || reply.Outcome != backends.Held || reply.Retry < 30*time.Second || reply.Kind != backends.Exclusive {
				t.Fatalf("%+v, %v", reply, err)
			}
			s.beating(t, locked, 2)
			s.silent(t, key, locked)
			s.drain()
			mustKeep(t, holder, reading(held), known)
			if w := s.wakeOf(t, locked); w.Kind != backends.Given {
				t.Errorf("woken by %+v", w)
			}
			mustGrant(t, s, waiting)
		})
	}
}

// TestWhereSharesAreOutIsRemembered: the lock is asked for there by one request, until there is one again.
func TestWhereSharesAreOutIsRemembered(t *testing.T) {
	t.Parallel()
	server := servertest.Redis(t)
	inside := server.RedisClient(t, nil)
	b, other := newSession(t, server.URL()), newSession(t, server.URL())
	r := reading(other.request(newKey(t)))
	mustGrant(t, other, r)
	try := b.request(r.Key)
	try.Queue = false
	calls := func(command string, call func()) int {
		t.Helper()
		before := servertest.Calls(t, inside, command)
		call()
		return servertest.Calls(t, inside, command) - before
	}
	held := func() { wantHeld(t, b, try, backends.Shared, 1) }
	held() // the scripts are there
	if n := calls("evalsha", held); n != 1 {
		t.Errorf("%d requests for a lock of which shares are known to be out", n)
	}
	waits := b.request(r.Key)
	wantHeld(t, b, waits, backends.Shared, 1)
	reader := reading(other.request(r.Key))
	wantHeld(t, other, reader, backends.Shared, 1)
	other.drain()
	if err := b.Cancel(bounded(t), waits.Attempt); err != nil {
		t.Fatal(err)
	}
	other.woken(t, backends.Wake{Key: r.Key, Kind: backends.Given}) // it stood in the way
	mustGrant(t, other, reader)
	for _, a := range []backends.Attempt{reader.Attempt, r.Attempt} {
		if err := other.Release(bounded(t), a); err != nil {
			t.Fatal(err)
		}
	}
	mustGrant(t, b, try)
	try.Ambiguous = true
	if err := b.Release(bounded(t), try.Attempt); err != nil {
		t.Fatal(err)
	}
	again := b.request(r.Key)
	again.Probe = 1 // in full
	// The script looks for more and queue, and for queue alone; that of shares looks for these, too.
	if n := calls("exists", func() { mustGrant(t, b, again) }); n != 2 {
		t.Errorf("the script looks %d times for what is there of a lock that is one again", n)
	}
}

// TestFlushedScriptsOfSharesAreSentAgain, as others are.
func TestFlushedScriptsOfSharesAreSentAgain(t *testing.T) {
	t.Parallel()
	server := servertest.Redis(t)
	b, inside := open(t, server.URL()), server.RedisClient(t, nil)
	flush := func() {
		t.Helper()
		if err := inside.ScriptFlush(bounded(t)).Err(); err != nil {
			t.Fatal(err)
		}
	}
	r := reading(newRequest(newKey(t)))
	flush()
	base := mustGrant(t, b, r).Base
	flush()
	mustKeep(t, b, r, base)
	flush()
	wantHeld(t, b, newRequest(r.Key), backends.Shared, 1)
	flush()
	if info, err := b.Inspect(bounded(t), r.Key); err != nil || len(info.Holders) != 1 {
		t.Errorf("inspect: %+v, %v", info, err)
	}
	flush()
	mustRevoke(t, b, r.Key, backends.Revocation{}, backends.Marked)
	flush()
	if err := b.Release(bounded(t), r.Attempt); err != nil {
		t.Error(err)
	}
}

// TestSharesGoOnOnAFullServer: what is out can be renewed, joined, turned and given back.
func TestSharesGoOnOnAFullServer(t *testing.T) { bothWays(t, sharesGoOnOnAFullServer) }

func sharesGoOnOnAFullServer(t *testing.T, way way) {
	t.Parallel()
	server := servertest.Redis(t)
	b, inside := way(open(t, server.URL())), server.RedisClient(t, nil)
	r, lock := permits(newRequest(newKey(t)), 9, 3), newRequest(newKey(t))
	base, known := mustGrant(t, b, r).Base, mustGrant(t, b, lock).Base
	revoked := reading(newRequest(newKey(t)))
	mustGrant(t, b, revoked)
	if err := inside.ConfigSet(bounded(t), "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	fresh := reading(newRequest(newKey(t)))
	reply, err := b.Acquire(bounded(t), fresh)
	wantFailed(t, fresh, reply, err, backends.NotRun)
	mustKeep(t, b, keeps(r, 2), base)
	joins := permits(newRequest(r.Key), 9, 1)
	mustGrant(t, b, joins)
	inside.Del(bounded(t), scripts.Keys(lock.Key)[1]) // it goes first, where keys are evicted
	mustKeep(t, b, reading(lock), known)
	waits := newRequest(r.Key)
	wantHeld(t, b, waits, backends.Slots, 3)
	mustRevoke(t, open(t, server.URL()), revoked.Key, backends.Revocation{}, backends.Marked)
	for _, a := range []backends.Attempt{r.Attempt, joins.Attempt, reading(lock).Attempt, revoked.Attempt} {
		if err := b.Release(bounded(t), a); err != nil {
			t.Errorf("release: %v", err)
		}
	}
	mustGrant(t, b, waits)
}

// TestAKeyOfSharesOfAWrongType is named.
func TestAKeyOfSharesOfAWrongType(t *testing.T) {
	t.Parallel()
	b, inside := openPatient(t, shared.URL()), shared.RedisClient(t, nil)
	r := reading(newRequest(newKey(t)))
	mustGrant(t, b, r)
	name := scripts.ShareKeys(r.Key)[5]
	inside.Del(bounded(t), name)
	inside.Set(bounded(t), name, "theirs", lease)
	reply, err := b.Acquire(bounded(t), reading(newRequest(r.Key)))
	if reply.Outcome != backends.MayHaveRun || !backends.IsRefused(err) || !strings.Contains(err.Error(), name) {
		t.Errorf("%+v, %v", reply, err)
	}
	inside.Del(bounded(t), append(scripts.ShareKeys(r.Key), name)...)
}
