package redis_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/backends/redis"
	"github.com/turnstile-go/turnstile/internal/servers"
	"github.com/turnstile-go/turnstile/internal/servers/servertest"
	"github.com/turnstile-go/turnstile/scripts"
)

// A keeper keeps requests back, as a network may: they are sent, and neither arrive nor are lost.
type keeper struct {
	addr string

	mu    sync.Mutex // protects what follows
	keeps bool
	kept  [][]byte
}

func (k *keeper) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, k.addr)
	return &keptConn{conn, k}, err
}

type keptConn struct {
	net.Conn
	keeper *keeper
}

func (c *keptConn) Write(p []byte) (int, error) {
	c.keeper.mu.Lock()
	defer c.keeper.mu.Unlock()
	if c.keeper.keeps && bytes.Contains(p, []byte("\r\neval")) {
		c.keeper.kept = append(c.keeper.kept, bytes.Clone(p))
		return len(p), nil
	}
	return c.Conn.Write(p)
}

func (k *keeper) keep(on bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.keeps = on
}

// count is how many requests are kept back.
func (k *keeper) count() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.kept)
}

// deliver has the oldest request that was kept back arrive, and waits until it was answered.
func (k *keeper) deliver(t *testing.T) {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.kept) == 0 {
		t.Fatal("nothing was kept back")
	}
	conn, err := net.Dial("tcp", k.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() // nothing depends on it
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := conn.Write(k.kept[0]); err != nil {
		t.Fatal(err)
	}
	if n, err := io.ReadAtLeast(conn, make([]byte, 1024), 1); n == 0 || err != nil {
		t.Fatal(err)
	}
	k.kept = k.kept[1:]
}

func openKept(t *testing.T, server *servers.Server) (*redis.Backend, *keeper) {
	t.Helper()
	k := &keeper{addr: server.Addr}
	b := redis.New(goredis.NewClient(&goredis.Options{ContextTimeoutEnabled: true, MaxRetries: -1, Dialer: k.dial}), redis.Options{Owned: true})
	t.Cleanup(func() { _ = b.Close() })
	for _, s := range append(append(scripts.Mutex(), scripts.Shares()...), scripts.Fast) {
		if err := server.RedisClient(t, nil).ScriptLoad(bounded(t), s.Source()).Err(); err != nil {
			t.Fatal(err)
		}
	}
	return b, k
}

// unanswered makes an acquire that is kept back. On a busy machine its time may be over before it is sent.
func unanswered(t *testing.T, b backends.Backend, k *keeper, r backends.Request) {
	t.Helper()
	patience := bounded(t)
	for before := k.count(); k.count() == before && patience.Err() == nil; {
		reply, err := b.Acquire(within(t, 50*time.Millisecond), r)
		if reply.Outcome == backends.NotRun {
			continue
		}
		wantFailed(t, r, reply, err, backends.MayHaveRun)
		r.Ambiguous = true
	}
}

// TestACopyOfWhatWasGivenUpTakesNothing: neither the acquire was answered nor the cancel that
// followed, and the caller gave up. Nobody is left who would remember it but the session. The
// next attempt at the key goes well. Then the first acquire arrives.
func TestACopyOfWhatWasGivenUpTakesNothing(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, way way) {
		server := servertest.Redis(t)
		raw, k := openKept(t, server)
		b, inside := way(raw), server.RedisClient(t, nil)
		session, key := backends.NewSession(), newKey(t)
		request := func(n uint64) backends.Request {
			return backends.Request{Attempt: backends.Attempt{Key: key, Token: session.Token(n)}, TTL: lease, Label: "tester"}
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
			t.Error("the copy took the key: nobody awaits its lease")
		}
	})
}

// TestAKeyInDoubtIsAskedInFull at once, and not by the fast script first: so is each that was in
// flight when a server stalled. Others are as fast as ever.
func TestAKeyInDoubtIsAskedInFull(t *testing.T) {
	t.Parallel()
	server := servertest.Redis(t)
	b, k := openKept(t, server)
	inside := server.RedisClient(t, nil)
	r := newRequest(newKey(t))
	k.keep(true)
	unanswered(t, b, k, r)
	k.keep(false)
	inside.ConfigResetStat(bounded(t))
	for range 10 {
		mustGrant(t, b, r)
		if err := b.Release(bounded(t), r.Attempt); err != nil {
			t.Fatal(err)
		}
		again := newRequest(r.Key)
		again.Token = r.Token.Session().Token(r.Token.Attempt() + 1)
		r = again
	}
	if all, fast := servertest.Calls(t, inside, "evalsha"), servertest.Calls(t, inside, "mget"); all != 20 || fast != 0 {
		t.Errorf("10 holds took %d calls, %d of them fast; want 20, none", all, fast)
	}
	other := newRequest(newKey(t))
	mustGrant(t, b, other)
	if err := b.Release(bounded(t), other.Attempt); err != nil {
		t.Fatal(err)
	}
	if fast := servertest.Calls(t, inside, "mget"); fast != 2 {
		t.Errorf("a hold of another key took %d fast calls, want 2", fast)
	}
}

// TestABusyKeyIsAskedInFull from the second time on, until it is found quiet.
func TestABusyKeyIsAskedInFull(t *testing.T) {
	t.Parallel()
	server := servertest.Redis(t)
	holder, b := open(t, server.URL()), open(t, server.URL())
	inside := server.RedisClient(t, nil)
	held := newRequest(newKey(t))
	mustGrant(t, holder, held)
	inside.ConfigResetStat(bounded(t))
	for range 5 {
		try := newRequest(held.Key)
		try.Queue = false
		if reply, err := b.Acquire(bounded(t), try); err != nil || reply.Outcome != backends.Held {
			t.Fatalf("%+v, %v", reply, err)
		}
	}
	if fast := servertest.Calls(t, inside, "mget"); fast != 1 {
		t.Errorf("5 tries took %d fast calls, want 1", fast)
	}
	if err := holder.Release(bounded(t), held.Attempt); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		r := newRequest(held.Key)
		mustGrant(t, b, r)
		if err := b.Release(bounded(t), r.Attempt); err != nil {
			t.Fatal(err)
		}
	}
	// The first acquire was in full; it found the key quiet.
	if fast := servertest.Calls(t, inside, "mget"); fast != 5 {
		t.Errorf("then %d fast calls in all, want 5", fast)
	}
}

// TestAFreeWithoutACompanionServesTheQueue: the companion was evicted while another session waited.
func TestAFreeWithoutACompanionServesTheQueue(t *testing.T) {
	t.Parallel()
	server := servertest.Redis(t)
	inside, a, b := server.RedisClient(t, nil), open(t, server.URL()), newSession(t, server.URL())
	r := newRequest(newKey(t))
	mustGrant(t, a, r)
	next, held := b.waits(t, r.Key)
	if err := inside.Del(bounded(t), scripts.Keys(r.Key)[1]).Err(); err != nil {
		t.Fatal(err)
	}
	b.drain()
	if err := a.Release(bounded(t), r.Attempt); err != nil {
		t.Fatal(err)
	}
	b.woken(t, backends.Wake{Key: r.Key, Kind: backends.Given})
	b.follow(t, next, held)
}

// TestALongLeasesReleaseShortensTheCompanion: a key that was used once leaves nothing for a day.
func TestALongLeasesReleaseShortensTheCompanion(t *testing.T) {
	t.Parallel()
	b, inside := open(t, shared.URL()), shared.RedisClient(t, nil)
	for left, kept := range map[time.Duration]time.Duration{24 * time.Hour: time.Minute, time.Minute: 2 * time.Minute} {
		r := newRequest(newKey(t))
		r.TTL = left
		mustGrant(t, b, r)
		r.Long = left > backends.LongLease
		if err := b.Release(bounded(t), r.Attempt); err != nil {
			t.Fatal(err)
		}
		if ttl := inside.PTTL(bounded(t), scripts.Keys(r.Key)[1]).Val(); ttl <= 0 || ttl > kept {
			t.Errorf("of a lease with %v left the companion stays for %v, want %v at most", left, ttl, kept)
		}
	}
}
