package redis_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/backends/backendtest"
	"github.com/turnstile-go/turnstile/backends/redis"
	"github.com/turnstile-go/turnstile/internal/servers"
	"github.com/turnstile-go/turnstile/internal/servers/servertest"
)

// A way is how a test makes its calls: by the verbs that block, or by Start.
type way func(backends.Backend) backends.Backend

func bothWays(t *testing.T, test func(t *testing.T, way way)) {
	t.Helper()
	t.Run("blocking", func(t *testing.T) { test(t, func(b backends.Backend) backends.Backend { return b }) })
	t.Run("started", func(t *testing.T) {
		test(t, func(b backends.Backend) backends.Backend {
			b.(*redis.Backend).WaitAlone()
			return backendtest.Started(b)
		})
	})
}

// answers is an asker whose answers are read.
type answers chan answer

type answer struct {
	backends.Reply
	err error
}

func (a answers) Answered(reply backends.Reply, err error) { a <- answer{reply, err} }

// start starts an acquire. Nobody may go alone.
func start(t *testing.T, b *redis.Backend, r backends.Request, within time.Duration) answers {
	t.Helper()
	a := make(answers, 1)
	if run := b.Start(backends.Call{Request: r, Deadline: time.Now().Add(within)}, a); run != nil {
		t.Fatal("a caller may go alone, though others are on the way")
	}
	return a
}

// locks takes and frees a key as one caller would, with nobody beside it, and reports
// whether it went alone.
func locks(t *testing.T, b *redis.Backend) (alone bool) {
	t.Helper()
	r := newRequest(newKey(t))
	for _, verb := range []backends.Verb{backends.Acquiring, backends.Releasing} {
		a := make(answers, 1)
		if run := b.Start(backends.Call{Verb: verb, Request: r, Deadline: time.Now().Add(patience)}, a); run != nil {
			alone = true
			run()
		}
		if it := <-a; it.err != nil || verb == backends.Acquiring && it.Outcome != backends.Granted {
			t.Fatalf("%v: %v, %v", verb, it.Outcome, it.err)
		}
	}
	return alone
}

// TestLoneCallersLockOnASlowWay: a round trip of 220 ms is longer than a lone caller may
// wait for its own, and the driver would end the connection each time.
func TestLoneCallersLockOnASlowWay(t *testing.T) {
	t.Parallel()
	b, proxy, inside := behindProxy(t)
	b.WaitAlone()
	eventually(t, "a caller goes alone on a quick way", func() bool { return locks(t, b) })
	slow := open(t, "redis://"+proxy.Addr)
	before := servertest.Connections(t, inside)
	if err := proxy.Latency(110*time.Millisecond, 110*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		if locks(t, slow) {
			t.Error("a caller went alone")
		}
	}
	if made := servertest.Connections(t, inside) - before; made > 0 {
		t.Errorf("%d connections were made anew", made)
	}
}

// TestLoneCallersLockOnAWayThatStalls: of 30 ms, now and then 300.
func TestLoneCallersLockOnAWayThatStalls(t *testing.T) {
	t.Parallel()
	b, proxy, inside := behindProxy(t)
	before := servertest.Connections(t, inside)
	for i := range 12 {
		answers := 15 * time.Millisecond
		if i%3 == 2 {
			answers = 285 * time.Millisecond
		}
		if err := proxy.Heal(); err != nil {
			t.Fatal(err)
		}
		if err := proxy.Latency(15*time.Millisecond, answers); err != nil {
			t.Fatal(err)
		}
		if locks(t, b) {
			t.Error("a caller went alone")
		}
	}
	if made := servertest.Connections(t, inside) - before; made > 1 {
		t.Errorf("%d connections were made", made)
	}
}

// TestALoneCallerGivesUpSoon, whatever its call's deadline is. For a second, none goes
// alone then.
func TestALoneCallerGivesUpSoon(t *testing.T) {
	t.Parallel()
	server := servertest.Redis(t)
	b := open(t, server.URL()+"?read_timeout=10m")
	var r backends.Request
	var a answers
	var run func()
	eventually(t, "a caller goes alone", func() bool {
		r, a = newRequest(newKey(t)), make(answers, 1)
		run = b.Start(backends.Call{Request: r, Deadline: time.Now().Add(10 * patience)}, a)
		if run == nil {
			<-a
		}
		return run != nil
	})
	if err := server.Pause(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { run(); close(ended) }() // ends by backends.AloneBudget
	select {
	case <-ended:
	case <-time.After(patience):
		t.Fatal("it waits for its deadline")
	}
	it := <-a
	wantFailed(t, r, it.Reply, it.err, backends.MayHaveRun)
	next := start(t, b, newRequest(newKey(t)), patience)
	if err := server.Resume(); err != nil {
		t.Fatal(err)
	}
	if it := <-next; it.err != nil {
		t.Error(it.err)
	}
}

// TestNobodyGoesAloneByAClientThatIgnoresContexts: its timeouts are longer.
func TestNobodyGoesAloneByAClientThatIgnoresContexts(t *testing.T) {
	t.Parallel()
	b := redis.New(shared.RedisClient(t, &goredis.Options{ReadTimeout: patience}), redis.Options{})
	t.Cleanup(func() { _ = b.Close() })
	for range 20 {
		if locks(t, b) {
			t.Fatal("a caller went alone")
		}
	}
}

// behindProxy opens a backend that has not called yet, behind a proxy.
func behindProxy(t *testing.T) (*redis.Backend, *servers.Proxy, *goredis.Client) {
	t.Helper()
	server := servertest.Redis(t)
	proxy, err := servers.StartProxy(server.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Cut)
	return open(t, "redis://"+proxy.Addr), proxy, server.RedisClient(t, nil)
}

// TestAStallIsNoStampede: 64 callers on their way when the server stalls for 2 s are
// answered that their calls may have run, and go on; no caller dials on its own.
func TestAStallIsNoStampede(t *testing.T) {
	t.Parallel()
	server := servertest.Redis(t)
	b, inside := open(t, server.URL()), server.RedisClient(t, nil)
	ctx, stop := context.WithCancel(bounded(t))
	defer stop()
	started := backendtest.Started(b)
	var done, doubts atomic.Int64
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() { // ends by stop
			for ctx.Err() == nil {
				r := newRequest(newKey(t))
				reply, err := started.Acquire(within(t, 2*time.Second), r)
				for ; err != nil && ctx.Err() == nil; reply, err = started.Acquire(within(t, 2*time.Second), r) {
					if reply.Outcome == backends.MayHaveRun {
						doubts.Add(1)
					}
				}
				if err == nil && reply.Outcome != backends.Granted {
					t.Errorf("%+v", reply)
				}
				for err = started.Release(within(t, 2*time.Second), r.Attempt); err != nil && !backends.IsNotHeld(err) && ctx.Err() == nil; {
					err = started.Release(within(t, 2*time.Second), r.Attempt)
				}
				done.Add(1)
			}
		})
	}
	eventually(t, "they are at it", func() bool { return done.Load() > 1000 })
	before := servertest.Connections(t, inside)
	if err := server.Pause(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "calls are in doubt", func() bool { return doubts.Load() > 40 })
	if err := server.Resume(); err != nil {
		t.Fatal(err)
	}
	was := done.Load()
	eventually(t, "they go on", func() bool { return done.Load() > was+1000 })
	stop()
	wg.Wait()
	if made := servertest.Connections(t, inside) - before; made > 40 {
		t.Errorf("%d connections were made", made)
	}
}

// TestStartedCallsEndByTheirDeadlines, whether they were sent or not; others go on.
func TestStartedCallsEndByTheirDeadlines(t *testing.T) {
	t.Parallel()
	server := servertest.Redis(t)
	b, inside := open(t, server.URL()), server.RedisClient(t, nil)
	mustGrant(t, b, newRequest(newKey(t)))
	paused := time.Now()
	if err := server.Pause(); err != nil {
		t.Fatal(err)
	}
	wait := occupy(t, b)
	patient := start(t, b, newRequest(newKey(t)), time.Minute)
	var notRun []backends.Request
	var ran int
	// The more batches are stuck, the longer the next one waits.
	for i := 0; i < 200 && (len(notRun) < 3 || ran == 0); i++ {
		r := newRequest(newKey(t))
		it := <-start(t, b, r, 2*time.Millisecond)
		wantFailed(t, r, it.Reply, it.err, it.Outcome)
		if !errors.Is(it.err, context.DeadlineExceeded) {
			t.Errorf("%v hides that it was the deadline", it.err)
		}
		if it.Outcome == backends.NotRun {
			notRun = append(notRun, r)
		} else {
			ran++
		}
	}
	if len(notRun) == 0 || ran == 0 {
		t.Errorf("%d did not run, %d may have; want some of both", len(notRun), ran)
	}
	if err := server.Resume(); err != nil {
		t.Fatal(err)
	}
	// A machine with too much to do keeps the server away for longer than the driver waits.
	if it := <-patient; it.err != nil && time.Since(paused) < 2*time.Second {
		t.Errorf("others' deadlines ended it: %v", it.err)
	}
	wait()
	for _, r := range notRun {
		if exists(t, inside, r.Key) {
			t.Error("it ran")
		}
	}
}

// TestAStartedCallNamesTheWrongType, which takes a round trip of its own.
func TestAStartedCallNamesTheWrongType(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, way way) {
		b, r := way(open(t, shared.URL())), newRequest(newKey(t))
		if err := shared.RedisClient(t, nil).HSet(bounded(t), r.Key, "a", "b").Err(); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			_, err := b.Acquire(bounded(t), r)
			if !backends.IsRefused(err) || !strings.Contains(err.Error(), "holds a hash") {
				t.Errorf("%v: want a refusal that names the type", err)
			}
		}
	})
}
