//go:build unix

package faults

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/internal/servers"
	"github.com/turnstile-go/turnstile/lockclient"
)

// openLimit is how long Open may look for its server.
const openLimit = 2*time.Second + jitter

func TestNoServerAtOpen(t *testing.T) {
	server, _ := redisServer(t)
	// A listener that never answers is what a dead host behind a live router looks like.
	deaf, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.Close() //nolint:errcheck // it has done its work
	server.Stop()
	for name, addr := range map[string]string{"refused": server.Addr, "silent": deaf.Addr().String()} {
		start := time.Now()
		// Whatever the driver is told to wait for: Open has its own limit.
		c, err := lockclient.Open(lockclient.Config{Backend: "redis://" + addr + "?dial_timeout=30s&read_timeout=30s"})
		if !errors.Is(err, lockclient.ErrUnavailable) {
			t.Errorf("%s: %v, want ErrUnavailable", name, err)
		}
		if took := time.Since(start); took > openLimit {
			t.Errorf("%s: Open took %v", name, took)
		}
		if err == nil {
			_ = c.Close()
		}
	}
	start := time.Now()
	lazy := open(t, server.URL()+"?lazy=true", "lazy")
	if took := time.Since(start); took > time.Second+jitter {
		t.Errorf("a lazy Open took %v", took)
	}
	if _, err := lazy.Acquire(t.Context(), "k", lockclient.Timeout(300*time.Millisecond)); !errors.Is(err, lockclient.ErrTimeout) || !errors.Is(err, lockclient.ErrUnavailable) {
		t.Errorf("%v, want ErrTimeout and ErrUnavailable", err)
	}
	out := acquiring(t, lazy, "k", lockclient.Timeout(20*time.Second))
	eventually(t, time.Second, "it waits", func() bool { return lazy.Stats().Waiters == 1 })
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	// No longer than the longest pause between two tries.
	release(t, granted(t, out, 500*time.Millisecond+jitter))
}

func TestARestartedServerLosesTheHoldAndNoWaiter(t *testing.T) {
	server, _ := redisServer(t)
	one, two := open(t, server.URL(), "one"), open(t, server.URL(), "two")
	const expires = 2 * time.Second
	held := acquire(t, one, "k", lockclient.Expires(expires))
	var waiters []<-chan grant
	for _, c := range []*lockclient.Client{one, two, two} {
		waiters = append(waiters, acquiring(t, c, "k", lockclient.Timeout(20*time.Second)))
	}
	eventually(t, time.Second, "all wait", func() bool { return one.Stats().Waiters == 1 && two.Stats().Waiters == 2 })
	if err := server.Restart(); err != nil { // empty: nothing is persisted
		t.Fatal(err)
	}
	restarted := time.Now()
	<-held.Context().Done()
	if cause := context.Cause(held.Context()); !errors.Is(cause, lockclient.ErrLost) {
		t.Errorf("the holder got %v, want ErrLost", cause)
	}
	if late := time.Since(held.Deadline()); late > jitter/10 {
		t.Errorf("the holder learned of it %v after its deadline", late)
	}
	t.Logf("the holder knew after %v", time.Since(restarted))
	last := held.Fence()
	// In whatever order they come: the queue is gone as well.
	for range waiters {
		var g grant
		select {
		case g = <-waiters[0]:
			waiters[0] = nil
		case g = <-waiters[1]:
			waiters[1] = nil
		case g = <-waiters[2]:
			waiters[2] = nil
		case <-time.After(expires + time.Second):
			t.Fatal("the waiters were forgotten")
		}
		if g.err != nil {
			t.Errorf("a waiter got %v", g.err)
			continue
		}
		if g.lock.Fence() <= last {
			t.Errorf("fence %d after %d", g.lock.Fence(), last)
		}
		last = g.lock.Fence()
		release(t, g.lock)
	}
	t.Logf("all waiters were served after %v", time.Since(restarted))
}

func TestNobodySeesScriptFlushes(t *testing.T) {
	server, inside := redisServer(t)
	clients := []*lockclient.Client{open(t, server.URL(), "one"), open(t, server.URL(), "two")}
	end := time.Now().Add(2 * time.Second)
	var flushes, holds atomic.Int64
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for time.Now().Before(end) {
			<-tick.C
			if err := inside.ScriptFlush(t.Context()).Err(); err != nil {
				t.Errorf("flush: %v", err)
			}
			flushes.Add(1)
		}
	})
	for i, c := range clients {
		for g := range 32 {
			// Half of them fight for one key; the others travel in batches.
			key := "hot"
			if g%2 == 1 {
				key = fmt.Sprint("own ", i, g)
			}
			wg.Go(func() {
				for time.Now().Before(end) {
					lock, err := c.Acquire(t.Context(), key)
					if err != nil {
						t.Errorf("acquire: %v", err)
						return
					}
					if err := lock.Release(); err != nil {
						t.Errorf("release: %v", err)
					}
					holds.Add(1)
				}
			})
		}
	}
	wg.Wait()
	t.Logf("%d holds over %d flushes", holds.Load(), flushes.Load())
}

// cutClient opens a client behind a proxy of its own. It is closed before the
// test looks for what is left, and healed before.
func cutClient(t *testing.T, server *servers.Server) (*lockclient.Client, *servers.Proxy) {
	t.Helper()
	proxy := servers.NewProxy(t, server.Addr)
	c := open(t, "redis://"+proxy.Addr, "behind the proxy")
	t.Cleanup(proxy.Heal)
	return c, proxy
}

func TestACutHolderLosesTheKeyToTheOther(t *testing.T) {
	server, _ := redisServer(t)
	behind, proxy := cutClient(t, server)
	other := open(t, server.URL(), "other")
	const expires = time.Second
	for name, opts := range map[string][]lockclient.Option{
		"renewed": {lockclient.Expires(expires), lockclient.Renew()},
		"plain":   {lockclient.Expires(expires)},
	} {
		t.Run(name, func(t *testing.T) {
			lock := acquire(t, behind, "k", opts...)
			out := acquiring(t, other, "k", lockclient.Timeout(20*time.Second))
			eventually(t, time.Second, "the other waits", func() bool { return other.Stats().Waiters == 1 })
			ended := make(chan time.Time, 1)
			ctx := lock.Context()
			go func() { <-ctx.Done(); ended <- time.Now() }() // ends with the hold
			proxy.Cut()
			start := time.Now()
			theirs := granted(t, out, l1(expires)+jitter)
			got := time.Now()
			t.Logf("the other got it after %v (L1 %v)", got.Sub(start), l1(expires))
			if !errors.Is(context.Cause(ctx), lockclient.ErrLost) && !errors.Is(context.Cause(ctx), lockclient.ErrExpired) {
				t.Errorf("the first holder got %v", context.Cause(ctx))
			}
			if at := <-ended; at.After(got) {
				t.Errorf("it learned of its loss %v after the other's grant", at.Sub(got))
			}
			if theirs.Fence() <= lock.Fence() {
				t.Errorf("fence %d after %d", theirs.Fence(), lock.Fence())
			}
			release(t, theirs)
			proxy.Heal()
			release(t, acquire(t, behind, "k", lockclient.Timeout(5*time.Second)))
		})
	}
}

// The head of the queue is cut off. It may be given the lock once, in vain.
func TestACutWaiterCostsThoseBehindItASecond(t *testing.T) {
	server, _ := redisServer(t)
	holder := open(t, server.URL(), "holder")
	behind, proxy := cutClient(t, server)
	third := open(t, server.URL(), "third")
	lock := acquire(t, holder, "k", lockclient.Expires(time.Minute))
	queued := func(n int) func() bool {
		return func() bool {
			info, err := holder.Inspect(t.Context(), "k")
			return err == nil && info.Processes != nil && *info.Processes == n
		}
	}
	first := acquiring(t, behind, "k", lockclient.Timeout(20*time.Second))
	eventually(t, time.Second, "the first waits", queued(1))
	second := acquiring(t, third, "k", lockclient.Timeout(20*time.Second))
	eventually(t, time.Second, "the second waits", queued(2))
	proxy.Cut()
	start := time.Now()
	release(t, lock)
	theirs := granted(t, second, time.Second+heartbeat+jitter)
	t.Logf("the second got it after %v", time.Since(start))
	proxy.Heal()
	release(t, theirs)
	release(t, granted(t, first, 2*time.Second))
}
