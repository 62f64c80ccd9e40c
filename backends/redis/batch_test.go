package redis_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/backends/redis"
	"github.com/turnstile-go/turnstile/internal/servers"
	"github.com/turnstile-go/turnstile/internal/servers/servertest"
)

// openFaulty opens a backend whose connections a test can end.
func openFaulty(t *testing.T, server *servers.Server) (*redis.Backend, *redis.Faults) {
	t.Helper()
	f := &redis.Faults{Addr: server.Addr}
	b := redis.New(goredis.NewClient(&goredis.Options{
		ContextTimeoutEnabled: true, MaxRetries: 3, Dialer: f.Dial,
	}), redis.Options{Owned: true})
	t.Cleanup(func() { _ = b.Close() })
	return b, f
}

// wantNothingLeft checks that the server has companions with a ttl, and nothing
// else.
func wantNothingLeft(t testing.TB, client *goredis.Client) {
	t.Helper()
	for _, key := range client.Keys(bounded(t), "*").Val() {
		kind, ttl := client.Type(bounded(t), key).Val(), client.TTL(bounded(t), key).Val()
		if kind != "hash" && kind != "string" || !strings.Contains(key, "}:turnstile") || ttl <= 0 {
			t.Errorf("%s is left: %s, ttl %v", key, kind, ttl)
		}
	}
}

// occupy lets as many callers hang as may send alone, so that those who come
// next share a batch. The server is paused; wait waits for their end.
func occupy(t *testing.T, b *redis.Backend) (wait func()) {
	t.Helper()
	var wg sync.WaitGroup
	for range redis.AloneMost {
		wg.Go(func() { _, _ = b.Acquire(bounded(t), newRequest(newKey(t))) })
	}
	eventually(t, "all lone callers are out", func() bool { lone, _, _ := b.Out(); return lone == redis.AloneMost })
	return wg.Wait
}

func TestEachCallerOfABatchLeavesWithItsOwnContext(t *testing.T) {
	t.Parallel()
	server := servertest.Redis(t)
	b := open(t, server.URL())
	mustGrant(t, b, newRequest(newKey(t)))
	if err := server.Pause(); err != nil {
		t.Fatal(err)
	}
	wait := occupy(t, b)
	defer wait()
	type outcome struct {
		request backends.Request
		reply   backends.Reply
		err     error
	}
	short, long := make(chan outcome, 100), make(chan outcome, 100)
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			r := newRequest(newKey(t))
			if i%4 == 0 {
				reply, err := b.Acquire(bounded(t), r)
				long <- outcome{r, reply, err}
				return
			}
			ctx, cancel := context.WithCancel(t.Context())
			stay := time.Duration(50+5*i) * time.Millisecond
			if i%4 == 1 {
				time.AfterFunc(stay, cancel)
			} else {
				ctx, cancel = context.WithTimeout(ctx, stay)
			}
			defer cancel()
			reply, err := b.Acquire(ctx, r)
			short <- outcome{r, reply, err}
		})
	}
	for range 30 { // all of them, while the server is still paused
		o := <-short
		wantFailed(t, o.request, o.reply, o.err, o.reply.Outcome)
		if o.reply.Outcome != backends.NotRun && o.reply.Outcome != backends.MayHaveRun {
			t.Errorf("outcome %v", o.reply.Outcome)
		}
		if !errors.Is(o.err, context.Canceled) && !errors.Is(o.err, context.DeadlineExceeded) {
			t.Errorf("%v hides the context's error", o.err)
		}
		if doubt := b.InDoubt(o.request.Key); doubt != (o.reply.Outcome == backends.MayHaveRun) {
			t.Errorf("%v: its key is in doubt: %v", o.reply.Outcome, doubt)
		}
	}
	if err := server.Resume(); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if o := <-long; o.err != nil || o.reply.Outcome != backends.Granted {
			t.Errorf("others' contexts ended it: %v, %v", o.reply.Outcome, o.err)
		}
	}
	wg.Wait()
}

func TestACommandThatWaitedInVainDidNotRun(t *testing.T) {
	t.Parallel()
	server := servertest.Redis(t)
	b, inside := open(t, server.URL()), server.RedisClient(t, nil)
	mustGrant(t, b, newRequest(newKey(t)))
	if err := server.Pause(); err != nil {
		t.Fatal(err)
	}
	wait := occupy(t, b)
	var ran atomic.Int64
	var notRun []backends.Request
	for range 200 { // the more batches are stuck, the longer the next one waits
		r := newRequest(newKey(t))
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(2*time.Millisecond, cancel)
		reply, err := b.Acquire(ctx, r)
		wantFailed(t, r, reply, err, reply.Outcome)
		if reply.Outcome == backends.NotRun {
			notRun = append(notRun, r)
		} else {
			ran.Add(1)
		}
	}
	if len(notRun) == 0 || ran.Load() == 0 {
		t.Errorf("%d did not run, %d may have; want some of both", len(notRun), ran.Load())
	}
	if err := server.Resume(); err != nil {
		t.Fatal(err)
	}
	wait()
	for _, r := range notRun {
		if exists(t, inside, r.Key) {
			t.Error("it ran")
		}
	}
}

func TestStuckConnectionsBlockNobodyElse(t *testing.T) {
	t.Parallel()
	server := servertest.Redis(t)
	f := &redis.Faults{Addr: server.Addr}
	var stuck atomic.Int64 // connections from now on that take requests and never answer
	client := goredis.NewClient(&goredis.Options{
		ContextTimeoutEnabled: true, ReadTimeout: -1,
		Dialer: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := f.Dial(ctx, network, addr)
			return &muteConn{Conn: conn, stuck: &stuck}, err
		},
	})
	b := redis.New(client, redis.Options{Owned: true})
	t.Cleanup(func() { _ = b.Close() })
	mustGrant(t, b, newRequest(newKey(t)))
	stuck.Store(redis.AloneMost + 3)
	var wg sync.WaitGroup
	for range redis.AloneMost + 3 {
		want := stuck.Load()                                                  // before it can count
		wg.Go(func() { _, _ = b.Acquire(bounded(t), newRequest(newKey(t))) }) // ends with Close
		eventually(t, "another connection is stuck", func() bool { return stuck.Load() < want || want == 0 })
	}
	if reply := mustGrant(t, b, newRequest(newKey(t))); reply.Outcome != backends.Granted {
		t.Error(reply)
	}
	if lone, _, _ := b.Out(); lone != redis.AloneMost {
		t.Errorf("%d callers are stuck still, of %d: it waited for them", lone, redis.AloneMost)
	}
	_ = b.Close()
	wg.Wait()
}

// A muteConn sends nothing once a script of its was counted as stuck.
type muteConn struct {
	net.Conn
	stuck *atomic.Int64
	mute  atomic.Bool
}

func (c *muteConn) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte("evalsha")) && !c.mute.Load() {
		if c.stuck.Add(-1) >= 0 {
			c.mute.Store(true)
		} else {
			c.stuck.Store(0)
		}
	}
	if c.mute.Load() {
		return len(p), nil
	}
	return c.Conn.Write(p)
}

func TestCloseLetsNobodyHang(t *testing.T) {
	for _, owned := range []bool{true, false} {
		t.Run(fmt.Sprintf("owned %v", owned), func(t *testing.T) {
			t.Parallel()
			server := servertest.Redis(t)
			client := server.RedisClient(t, &goredis.Options{ContextTimeoutEnabled: true})
			b := redis.New(client, redis.Options{Owned: owned})
			mustGrant(t, b, newRequest(newKey(t)))
			if err := server.Pause(); err != nil {
				t.Fatal(err)
			}
			wait := occupy(t, b)
			errs := make(chan error, 10)
			call := func() { // ends with Close, or the batch's budget
				_, err := b.Acquire(bounded(t), newRequest(newKey(t)))
				errs <- err
			}
			// Batches get stuck until the next one takes its time to leave.
			const stuck = 8
			for n := 1; n <= stuck; n++ {
				go call()
				eventually(t, "another batch is out", func() bool { _, batches, _ := b.Out(); return batches == n })
			}
			go call()
			eventually(t, "one waits", func() bool { _, _, pending := b.Out(); return pending == 1 })
			_ = b.Close() // the server is paused until all have left
			var closed int
			for range stuck + 1 {
				err := <-errs
				if errors.Is(err, backends.ErrClosed) {
					closed++
				}
				if !errors.Is(err, backends.ErrUnavailable) {
					t.Errorf("%v, want unavailable", err)
				}
			}
			if owned && closed != stuck+1 || closed == 0 {
				t.Errorf("%d callers were told that it is closed", closed)
			}
			if err := server.Resume(); err != nil { // a caller's own client hangs as long as it is told to
				t.Error(err)
			}
			wait()
		})
	}
}

func TestNobodySeesAScriptFlush(t *testing.T) { bothWays(t, nobodySeesAScriptFlush) }

func nobodySeesAScriptFlush(t *testing.T, way way) {
	t.Parallel()
	server := servertest.Redis(t)
	b, inside := way(open(t, server.URL())), server.RedisClient(t, nil)
	const enough = 40 // of the flushes, each in the middle of a crowd's calls
	var flushes atomic.Int64
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for flushes.Load() < enough {
			_ = inside.ScriptFlush(context.Background()).Err()
			flushes.Add(1)
			<-tick.C
		}
	})
	for range 64 {
		wg.Go(func() {
			for flushes.Load() < enough {
				r := newRequest(newKey(t))
				reply, err := b.Acquire(context.Background(), r)
				if err == nil {
					_, err = b.Renew(context.Background(), r.Attempt, r.TTL, reply.Base)
				}
				if err == nil {
					err = b.Release(context.Background(), r.Attempt)
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	wantNothingLeft(t, inside)
}

// Requests that were executed and whose answer was lost, in batches and alone.
func TestAThousandLostReplies(t *testing.T) { bothWays(t, aThousandLostReplies) }

func aThousandLostReplies(t *testing.T, way way) {
	t.Parallel()
	server := servertest.Redis(t)
	faulty, f := openFaulty(t, server)
	b := way(faulty)
	mustGrant(t, b, newRequest("pylock:warm"))
	inside := server.RedisClient(t, nil)
	inside.FlushDB(bounded(t))
	f.Read.Store(new(redis.Cut(func(p []byte) (int, bool) {
		return 0, (p[0] == '*' || p[0] == '$') && rand.N(3) == 0 // a script's reply, and not the handshake's
	})))
	var lost atomic.Int64
	var wg sync.WaitGroup
	deadline := bounded(t)
	for range 32 {
		wg.Go(func() {
			for lost.Load() < 1000 && deadline.Err() == nil {
				r := newRequest(newKey(t))
				reply, err := b.Acquire(bounded(t), r)
				for ; err != nil && deadline.Err() == nil; reply, err = b.Acquire(bounded(t), r) {
					if reply.Outcome == backends.MayHaveRun {
						lost.Add(1)
					}
				}
				if err == nil && reply.Outcome != backends.Granted {
					t.Errorf("%+v: the attempt stands in its own way", reply)
				}
				for err = b.Release(bounded(t), r.Attempt); err != nil && !backends.IsNotHeld(err) && deadline.Err() == nil; {
					err = b.Release(bounded(t), r.Attempt)
				}
			}
		})
	}
	wg.Wait()
	if lost.Load() < 1000 {
		t.Errorf("only %d replies were lost in time", lost.Load())
	}
	f.Read.Store(nil)
	wantNothingLeft(t, inside)
}

// Connections end anywhere, callers leave at any time: an outcome is still true.
func TestOutcomesAreTrueUnderRandomCuts(t *testing.T) { bothWays(t, outcomesAreTrueUnderRandomCuts) }

func outcomesAreTrueUnderRandomCuts(t *testing.T, way way) {
	t.Parallel()
	server := servertest.Redis(t)
	faulty, f := openFaulty(t, server)
	b := way(faulty)
	inside := server.RedisClient(t, nil)
	mustGrant(t, b, newRequest("pylock:warm"))
	inside.FlushDB(bounded(t))
	cut := new(redis.Cut(func(p []byte) (int, bool) { return rand.N(len(p)), rand.N(20) == 0 }))
	f.Read.Store(cut)
	f.Write.Store(cut)
	var seen [4]atomic.Int64
	var wg sync.WaitGroup
	end := bounded(t)
	all := func() bool { // outcomes were met, and often
		return seen[backends.Granted].Load() > 50 && seen[backends.NotRun].Load() > 50 && seen[backends.MayHaveRun].Load() > 50
	}
	for range 64 {
		wg.Go(func() {
			for rounds := 0; end.Err() == nil && (rounds < 50 || !all()); rounds++ {
				r := newRequest(newKey(t))
				patience := time.Duration(rand.Int64N(int64(20 * time.Millisecond)))
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				reply, err := b.Acquire(ctx, r)
				cancel()
				seen[reply.Outcome].Add(1)
				if granted := reply.Outcome == backends.Granted; granted != (err == nil) {
					t.Errorf("%v with error %v", reply.Outcome, err)
				}
				has := inside.Get(bounded(t), r.Key).Val() == r.Token.Wire()
				if reply.Outcome == backends.Granted && !has || reply.Outcome == backends.NotRun && has || reply.Outcome == backends.Held {
					t.Errorf("%v, but the server has it: %v", reply.Outcome, has)
				}
				for err = backends.Cancel(bounded(t), b, r.Attempt); err != nil; {
					err = backends.Cancel(bounded(t), b, r.Attempt)
				}
			}
		})
	}
	wg.Wait()
	if !all() {
		t.Errorf("not all outcomes were met: %v", &seen)
	}
	f.Read.Store(nil)
	f.Write.Store(nil)
	wantNothingLeft(t, inside)
}
