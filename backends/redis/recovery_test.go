package redis_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/backends/redis"
	"github.com/turnstile-go/turnstile/internal/servers/servertest"
	"github.com/turnstile-go/turnstile/scripts"
)

// wantFailed checks a failed acquire: its outcome, that it says unavailable,
// and that its words carry no secret.
func wantFailed(t testing.TB, r backends.Request, reply backends.Reply, err error, outcome backends.Outcome) {
	t.Helper()
	if reply.Outcome != outcome {
		t.Errorf("outcome %q, want %q (%v)", reply.Outcome, outcome, err)
	}
	if !errors.Is(err, backends.ErrUnavailable) {
		t.Errorf("error %v, want ErrUnavailable", err)
	}
	if err != nil && strings.Contains(err.Error(), r.Token.Wire()) {
		t.Errorf("the error shows the token: %v", err)
	}
}

// retry repeats an attempt, as a key actor does, until it is answered.
func retry(t testing.TB, b backends.Backend, r backends.Request) backends.Reply {
	t.Helper()
	ctx := bounded(t)
	for ctx.Err() == nil {
		reply, err := b.Acquire(within(t, time.Second), r)
		if err == nil {
			return reply
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	t.Fatal("never answered")
	return backends.Reply{}
}

func TestABackendOutlivesItsServer(t *testing.T) { bothWays(t, aBackendOutlivesItsServer) }

func aBackendOutlivesItsServer(t *testing.T, way way) {
	t.Parallel()
	server := servertest.Redis(t)
	b := way(open(t, server.URL()))
	r := newRequest(newKey(t))
	before := mustGrant(t, b, r)

	server.Stop()
	next := newRequest(r.Key)
	reply, err := b.Acquire(bounded(t), next)
	if err == nil {
		t.Fatal("granted by a server that is gone")
	}
	// The pooled connection was seen to be dead, or was found so by the write.
	wantFailed(t, next, reply, err, reply.Outcome)
	reply, err = b.Acquire(bounded(t), next)
	wantFailed(t, next, reply, err, backends.NotRun)

	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	after := retry(t, b, next)
	if after.Outcome != backends.Granted || after.Base <= before.Base {
		t.Errorf("after the restart: %+v, want a base above %d", after, before.Base)
	}
	if err := b.Release(bounded(t), r.Attempt); !errors.Is(err, backends.ErrNotHeld) {
		t.Errorf("release of the lost lease: %v, want not held", err)
	}
}

func TestARepeatFindsTheLeaseWhoseGrantWasLost(t *testing.T) {
	bothWays(t, aRepeatFindsTheLeaseWhoseGrantWasLost)
}

func aRepeatFindsTheLeaseWhoseGrantWasLost(t *testing.T, way way) {
	t.Parallel()
	for name, fault := range map[string]func(*servertest.Proxy){
		"the connection ends":   (*servertest.Proxy).CutAfterRequest,
		"the reply never comes": (*servertest.Proxy).LoseReplies,
		"the reply is too late": func(p *servertest.Proxy) { p.Delay(10 * time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy := servertest.NewProxy(t, shared.Addr)
			b := way(open(t, "redis://"+proxy.Addr))
			r := newRequest(newKey(t))
			mustGrant(t, b, newRequest(newKey(t))) // the connection and the script are there
			fault(proxy)
			reply, err := b.Acquire(within(t, time.Second), r)
			wantFailed(t, r, reply, err, backends.MayHaveRun)
			if !exists(t, shared.RedisClient(t, nil), r.Key) {
				t.Fatal("the fault came too early: nothing was executed")
			}
			proxy.Heal()
			if reply := retry(t, b, r); reply.Outcome != backends.Granted {
				t.Errorf("the same attempt again: %+v, want granted", reply)
			}
		})
	}
}

func TestAnOldGrantIsCancelledAfterALostReply(t *testing.T) {
	t.Parallel()
	proxy := servertest.NewProxy(t, shared.Addr)
	b := open(t, "redis://"+proxy.Addr)
	r := newRequest(newKey(t))
	mustGrant(t, b, newRequest(newKey(t)))
	proxy.CutAfterRequest()
	reply, err := b.Acquire(bounded(t), r)
	wantFailed(t, r, reply, err, backends.MayHaveRun)
	proxy.Heal()
	if err := b.Cancel(bounded(t), r.Attempt); err != nil {
		t.Fatal(err)
	}
	if exists(t, shared.RedisClient(t, nil), r.Key) {
		t.Error("the lease is still there")
	}
	if reply, err := b.Acquire(bounded(t), r); reply.Outcome != backends.NotRun || !errors.Is(err, backends.ErrSettled) {
		t.Errorf("a late copy: %v, %v; want settled", reply.Outcome, err)
	}
}

func TestAPausedServerEndsTheCallWithItsContext(t *testing.T) {
	t.Parallel()
	server := servertest.Redis(t)
	b := open(t, server.URL())
	mustGrant(t, b, newRequest(newKey(t)))
	if err := server.Pause(); err != nil {
		t.Fatal(err)
	}
	r := newRequest(newKey(t))
	reply, err := b.Acquire(within(t, time.Second), r) // would wait for the server's return otherwise
	wantFailed(t, r, reply, err, backends.MayHaveRun)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v hides the deadline", err)
	}
	if err := server.Resume(); err != nil {
		t.Fatal(err)
	}
	// What the server read late is executed now, before what is sent next or after it.
	if err := b.Cancel(bounded(t), r.Attempt); err != nil {
		t.Fatal(err)
	}
	if reply := mustGrant(t, b, newRequest(r.Key)); reply.Contended {
		t.Error("the cancelled attempt is still queued")
	}
}

func TestADoneContextSendsNothing(t *testing.T) {
	t.Parallel()
	b := open(t, shared.URL())
	why := errors.New("the caller left")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	r := newRequest(newKey(t))
	reply, err := b.Acquire(ctx, r)
	wantFailed(t, r, reply, err, backends.NotRun)
	if !errors.Is(err, context.Canceled) || !errors.Is(err, why) {
		t.Errorf("%v hides the context's error or its cause", err)
	}
	if exists(t, shared.RedisClient(t, nil), r.Key) {
		t.Error("something was sent")
	}
}

func TestAFullPoolRunsNothing(t *testing.T) { bothWays(t, aFullPoolRunsNothing) }

func aFullPoolRunsNothing(t *testing.T, way way) {
	t.Parallel()
	server := servertest.Redis(t)
	b := way(open(t, server.URL()+"?pool_size=1&pool_timeout=50ms&max_active_conns=1&read_timeout=10m"))
	if err := server.Pause(); err != nil {
		t.Fatal(err)
	}
	var resumed atomic.Bool
	var other sync.WaitGroup
	other.Go(func() { // ends when the server goes on
		for !resumed.Load() {
			_, _ = b.Acquire(bounded(t), newRequest(newKey(t)))
		}
	})
	r := newRequest(newKey(t))
	var reply backends.Reply
	var err error
	for end := bounded(t); end.Err() == nil; {
		if reply, err = b.Acquire(within(t, 100*time.Millisecond), r); reply.Outcome == backends.NotRun {
			break // the other call has the connection
		}
	}
	wantFailed(t, r, reply, err, backends.NotRun)
	resumed.Store(true)
	if err := server.Resume(); err != nil {
		t.Error(err)
	}
	other.Wait()
}

func TestAFlushedScriptIsSentAgain(t *testing.T) {
	t.Parallel()
	server := servertest.Redis(t)
	b, inside := open(t, server.URL()), server.RedisClient(t, nil)
	flush := func() {
		t.Helper()
		if err := inside.ScriptFlush(bounded(t)).Err(); err != nil {
			t.Fatal(err)
		}
	}
	r := newRequest(newKey(t))
	flush()
	reply := mustGrant(t, b, r)
	flush()
	if _, err := b.Renew(bounded(t), r.Attempt, r.TTL, reply.Base); err != nil {
		t.Error(err)
	}
	flush()
	if info, err := b.Inspect(bounded(t), r.Key); err != nil || !info.Held {
		t.Errorf("inspect: %+v, %v", info, err)
	}
	flush()
	if err := b.Cancel(bounded(t), newRequest(r.Key).Attempt); err != nil {
		t.Error(err)
	}
	r.Ambiguous = true // its release is one in full
	for _, s := range []*scripts.Script{scripts.Release, scripts.Fast} {
		flush()
		if err := b.Release(bounded(t), r.Attempt); err != nil {
			t.Error(err)
		}
		if ok := inside.ScriptExists(bounded(t), s.SHA()).Val(); len(ok) != 1 || !ok[0] {
			t.Errorf("the script %s was not left with the server", s.Name)
		}
		r = newRequest(newKey(t))
		mustGrant(t, b, r)
	}
}

// Redis refuses a script's writes at maxmemory unless it has written before.
func TestAReleaseWorksOnAFullServer(t *testing.T) { bothWays(t, aReleaseWorksOnAFullServer) }

func aReleaseWorksOnAFullServer(t *testing.T, way way) {
	t.Parallel()
	server := servertest.Redis(t)
	b, inside := way(open(t, server.URL())), server.RedisClient(t, nil)
	holder, waiter := newRequest(newKey(t)), newRequest("")
	waiter.Key = holder.Key
	lone := newRequest(newKey(t))
	mustGrant(t, b, holder)
	base := mustGrant(t, b, lone).Base
	resting := newRequest(newKey(t))
	mustGrant(t, b, resting)
	resting.AtLeast = time.Minute
	if reply, err := b.Acquire(bounded(t), waiter); err != nil || reply.Outcome != backends.Held || reply.Place != 1 {
		t.Fatalf("%+v, %v", reply, err)
	}
	overwritten := newRequest(newKey(t))
	if err := inside.Set(bounded(t), overwritten.Key, "1500000000.25", 0).Err(); err != nil { // a crashed pylock's
		t.Fatal(err)
	}
	overwrittenBase := mustGrant(t, b, overwritten).Base
	stamp := strconv.FormatInt(time.Now().Unix()+11, 10) // a pylock's losing GETSET
	if err := inside.Set(bounded(t), overwritten.Key, stamp, 0).Err(); err != nil {
		t.Fatal(err)
	}
	if err := inside.ConfigSet(bounded(t), "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	fresh := newRequest(newKey(t))
	reply, err := b.Acquire(bounded(t), fresh)
	wantFailed(t, fresh, reply, err, backends.NotRun)
	if backends.IsRefused(err) {
		t.Errorf("%v: memory may be freed, so waiting can help", err)
	}
	if _, err := b.Renew(bounded(t), lone.Attempt, lone.TTL, base); err != nil {
		t.Errorf("renew: %v", err)
	}
	if _, err := b.Renew(bounded(t), overwritten.Attempt, overwritten.TTL, overwrittenBase); err != nil {
		t.Errorf("renew of what was overwritten: %v", err)
	}
	if err := b.Release(bounded(t), lone.Attempt); err != nil {
		t.Errorf("release to nobody: %v", err)
	}
	if err := b.Release(bounded(t), resting.Attempt); err != nil {
		t.Errorf("release of a key that is to rest: %v", err)
	}
	try := newRequest(resting.Key)
	try.Queue = false
	if reply, err := b.Acquire(bounded(t), try); err != nil || reply.Outcome != backends.Held || reply.FreeIn < time.Minute/2 {
		t.Errorf("it does not rest: %+v, %v", reply, err)
	}
	if err := b.Release(bounded(t), holder.Attempt); err != nil {
		t.Errorf("release to a waiter: %v", err)
	}
	if err := backends.Cancel(bounded(t), b, waiter.Attempt); err != nil {
		t.Errorf("cancel of what was just given: %v", err)
	}
}

// Such a server refuses a key that nobody used lately. A waiter for a held one
// takes a place in the queue, or its holder would never learn of it.
func TestAKeyInUseGoesOnOnAFullServer(t *testing.T) {
	t.Parallel()
	server := servertest.Redis(t)
	b, inside := open(t, server.URL()), server.RedisClient(t, nil)
	holder := newRequest(newKey(t))
	first, second, try := newRequest(holder.Key), newRequest(holder.Key), newRequest(holder.Key)
	try.Queue = false
	base := mustGrant(t, b, holder).Base
	if err := inside.ConfigSet(bounded(t), "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	for i, r := range []backends.Request{try, first, second} {
		if reply, err := b.Acquire(bounded(t), r); err != nil || reply.Outcome != backends.Held || reply.Place != i {
			t.Fatalf("acquire of a held key: %+v, %v; want held, place %d", reply, err, i)
		}
	}
	if reply, err := b.Renew(bounded(t), holder.Attempt, holder.TTL, base); err != nil || !reply.Contended {
		t.Errorf("renew: %+v, %v; want contended", reply, err)
	}
	if err := b.Release(bounded(t), holder.Attempt); err != nil {
		t.Fatal(err)
	}
	mustGrant(t, b, first)
	if err := inside.Del(bounded(t), holder.Key).Err(); err != nil { // as if its holder had crashed
		t.Fatal(err)
	}
	mustGrant(t, b, second) // the head of a queue, alone
	if err := b.Release(bounded(t), second.Attempt); err != nil {
		t.Fatal(err)
	}
	again := newRequest(holder.Key)
	mustGrant(t, b, again) // nobody waits: the thin path
	fresh := newRequest(newKey(t))
	reply, err := b.Acquire(bounded(t), fresh)
	wantFailed(t, fresh, reply, err, backends.NotRun)
	for _, key := range []string{fresh.Key, scripts.Keys(fresh.Key)[1]} {
		if n := inside.Exists(bounded(t), key).Val(); n != 0 {
			t.Errorf("%s was made", key)
		}
	}
}

func TestALazyBackendOpensWithTheServerAway(t *testing.T) {
	bothWays(t, aLazyBackendOpensWithTheServerAway)
}

func aLazyBackendOpensWithTheServerAway(t *testing.T, way way) {
	t.Parallel()
	server := servertest.Redis(t)
	server.Stop()
	if _, err := redis.Open(bounded(t), parse(t, server.URL()), redis.Options{}); !errors.Is(err, backends.ErrUnavailable) {
		t.Errorf("open: %v, want ErrUnavailable", err)
	}
	b := way(open(t, server.URL()+"?lazy=true"))
	r := newRequest(newKey(t))
	reply, err := b.Acquire(bounded(t), r)
	wantFailed(t, r, reply, err, backends.NotRun)
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	if reply := retry(t, b, r); reply.Outcome != backends.Granted {
		t.Errorf("%+v, want granted", reply)
	}
}

func TestAClientOfTheCallersStaysOpen(t *testing.T) { bothWays(t, aClientOfTheCallersStaysOpen) }

func aClientOfTheCallersStaysOpen(t *testing.T, way way) {
	t.Parallel()
	client := shared.RedisClient(t, &goredis.Options{ContextTimeoutEnabled: true})
	b := way(redis.New(client, redis.Options{}))
	r := newRequest(newKey(t))
	mustGrant(t, b, r)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	reply, err := b.Acquire(bounded(t), r)
	wantFailed(t, r, reply, err, backends.NotRun)
	if !errors.Is(err, backends.ErrClosed) {
		t.Errorf("%v, want ErrClosed", err)
	}
	if err := client.Ping(bounded(t)).Err(); err != nil {
		t.Errorf("the client was closed as well: %v", err)
	}
}

// A deafConn loses one reply: the next one after armed is set.
type deafConn struct {
	net.Conn
	armed *atomic.Bool
}

func (c deafConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 && c.armed.CompareAndSwap(true, false) {
		_ = c.Close()
		return 0, io.EOF
	}
	return n, err
}

// go-redis repeats what it thinks it may, three times by default; a script
// whose first copy was executed is not its to repeat.
func TestTheDriverNeverSendsAScriptTwice(t *testing.T) {
	t.Parallel()
	server := servertest.Redis(t)
	inside := server.RedisClient(t, nil)
	var armed atomic.Bool
	client := goredis.NewClient(&goredis.Options{
		ContextTimeoutEnabled: true, MaxRetries: 3,
		Dialer: func(ctx context.Context, network, _ string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, server.Addr)
			return deafConn{conn, &armed}, err
		},
	})
	b := redis.New(client, redis.Options{Owned: true})
	t.Cleanup(func() { _ = b.Close() })
	mustGrant(t, b, newRequest(newKey(t)))
	if err := inside.ConfigResetStat(bounded(t)).Err(); err != nil {
		t.Fatal(err)
	}
	armed.Store(true)
	r := newRequest(newKey(t))
	reply, err := b.Acquire(bounded(t), r)
	wantFailed(t, r, reply, err, backends.MayHaveRun)
	stats := inside.Info(bounded(t), "commandstats").Val()
	if !strings.Contains(stats, "cmdstat_evalsha:calls=1,") {
		t.Errorf("not sent exactly once:\n%s", stats)
	}
}
