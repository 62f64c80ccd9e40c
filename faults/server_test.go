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

	"golang.org/x/sys/unix"

	"github.com/turnstile-go/turnstile/lockclient"
)

// openLimit is how long Open may look for its server.
const openLimit = 2 * time.Second

func TestNoServerAtOpen(t *testing.T) {
	beside(t)
	// A listener that never answers is what a dead host behind a live router looks like.
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close() // it has done its work
	closed := closedAddr(t)
	var opening sync.WaitGroup // side by side: most of them take all the time they may
	defer opening.Wait()
	for _, url := range []string{
		// Whatever the driver is told to wait for: Open has its own limit. By Sentinel
		// no URL may say more.
		"redis://%s?dial_timeout=30s&read_timeout=30s",
		"redis+cluster://%s?dial_timeout=30s&read_timeout=30s",
		"redis+sentinel://%s?dial_timeout=2s&read_timeout=2s&master_name=" + masterName,
	} {
		opening.Go(func() { wantNotOpened(t, fmt.Sprintf(url, silent.Addr())) })
		opening.Go(func() { wantNotOpened(t, fmt.Sprintf(url, closed)) })
	}
}

func wantNotOpened(t *testing.T, url string) {
	start := time.Now()
	c, err := lockclient.Open(lockclient.Config{Backend: url})
	if !errors.Is(err, lockclient.ErrUnavailable) {
		t.Errorf("%s: %v, want ErrUnavailable", url, err)
	}
	if took := time.Since(start); took > openLimit+jitter {
		t.Errorf("%s: Open took %v", url, took)
	}
	if err == nil {
		_ = c.Close()
	}
}

func TestALazyOpenWaitsForItsServers(t *testing.T) {
	beside(t)
	everywhere(t, lazyOpen)
}

func lazyOpen(t *testing.T, p *place) {
	back := p.leave()
	start := time.Now()
	lazy, key := open(t, p.URL("lazy=true"), "lazy"), p.key("k")
	if took := time.Since(start); took > time.Second+jitter {
		t.Errorf("a lazy Open took %v", took)
	}
	if _, err := lazy.Acquire(t.Context(), key, lockclient.Timeout(300*time.Millisecond)); !errors.Is(err, lockclient.ErrTimeout) || !errors.Is(err, lockclient.ErrUnavailable) {
		t.Errorf("%v, want ErrTimeout and ErrUnavailable", err)
	}
	out := acquiring(t, lazy, key, lockclient.Timeout(patience))
	eventually(t, time.Second, "it waits", func() bool { return lazy.Stats().Waiters == 1 })
	back()
	// No longer than the longest pause between two tries.
	release(t, granted(t, out, 500*time.Millisecond))
}

// closedAddr is an address that nobody listens on, nor will before the test's end.
func closedAddr(t *testing.T) string {
	t.Helper()
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(socket) })
	if err := unix.Bind(socket, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(socket)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint("127.0.0.1:", name.(*unix.SockaddrInet4).Port)
}

// recovery is how long a place takes for a server that was started again: on a
// Cluster a master holds back for two seconds then.
func (p *place) recovery() time.Duration {
	if p.form == aCluster {
		return 3 * time.Second
	}
	return 0
}

func TestARestartedServerLosesTheHoldAndNoWaiter(t *testing.T) {
	beside(t)
	everywhere(t, restartedServer)
}

func restartedServer(t *testing.T, p *place) {
	one, two, key := open(t, p.URL(""), "one"), open(t, p.URL(""), "two"), p.key("k")
	const expires = 2 * time.Second
	held := acquire(t, one, key, lockclient.Expires(expires))
	waiters := make(chan grant, 3)
	for _, c := range []*lockclient.Client{one, two, two} {
		out := acquiring(t, c, key, lockclient.Timeout(patience))
		go func() { waiters <- <-out }() // ends with the acquire
	}
	eventually(t, time.Second, "all wait", func() bool { return one.Stats().Waiters == 1 && two.Stats().Waiters == 2 })
	if err := p.server(key).Restart(); err != nil { // empty: nothing is persisted
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
	for range cap(waiters) {
		var g grant
		select {
		case g = <-waiters:
		case <-time.After(expires + time.Second + p.recovery()):
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

// A server that stands still for 2 × expires answers late what it was asked
// before, or its place is another's when it goes on.
func TestAStoppedServerLosesTheHoldAndNoWaiter(t *testing.T) {
	beside(t)
	everywhere(t, stoppedServer)
}

func stoppedServer(t *testing.T, p *place) {
	one, two, key := open(t, p.URL(""), "one"), open(t, p.URL(""), "two"), p.key("k")
	const expires = 600 * time.Millisecond
	held := acquire(t, one, key, lockclient.Expires(expires), lockclient.Renew())
	out := acquiring(t, two, key, lockclient.Timeout(patience))
	eventually(t, time.Second, "it waits", func() bool { return two.Stats().Waiters == 1 })
	server := p.server(key)
	p.replaced = p.form != oneServer
	if err := server.Pause(); err != nil {
		t.Fatal(err)
	}
	stopped := time.Now()
	<-held.Context().Done()
	if cause := context.Cause(held.Context()); !errors.Is(cause, lockclient.ErrLost) {
		t.Errorf("the holder got %v, want ErrLost", cause)
	}
	if late := time.Since(held.Deadline()); late > jitter/10 {
		t.Errorf("the holder learned of it %v after its deadline", late)
	}
	t.Logf("the holder knew after %v", time.Since(stopped))
	rest(t.Context(), 2*expires-time.Since(stopped))
	if err := server.Resume(); err != nil {
		t.Fatal(err)
	}
	if _, err := p.settled(key); err != nil {
		t.Fatal(err)
	}
	theirs := granted(t, out, 2*expires)
	t.Logf("the waiter was served after %v", time.Since(stopped))
	if theirs.Fence() <= held.Fence() {
		t.Errorf("fence %d after %d", theirs.Fence(), held.Fence())
	}
	release(t, theirs)
}

func TestNobodySeesScriptFlushes(t *testing.T) {
	beside(t)
	everywhere(t, scriptFlushes)
}

func scriptFlushes(t *testing.T, p *place) {
	clients := []*lockclient.Client{open(t, p.URL(""), "one"), open(t, p.URL(""), "two")}
	length := 2 * time.Second
	if p.form != oneServer {
		length /= 4
	}
	end := time.Now().Add(length)
	var flushes, holds atomic.Int64
	var wg sync.WaitGroup
	masters := p.masters()
	wg.Go(func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for time.Now().Before(end) {
			<-tick.C
			for _, master := range masters {
				if err := p.clients[master].ScriptFlush(t.Context()).Err(); err != nil {
					t.Errorf("flush: %v", err)
				}
			}
			flushes.Add(1)
		}
	})
	hot := p.key("hot")
	for i, c := range clients {
		for g := range 32 {
			// Half of them fight for one key; the others travel in batches.
			key := hot
			if g%2 == 1 {
				key = p.key(fmt.Sprint("own ", i, g))
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

func TestACutHolderLosesTheKeyToTheOther(t *testing.T) {
	beside(t)
	everywhere(t, cutHolder)
}

func cutHolder(t *testing.T, p *place) {
	behind, cut, heal := cutClient(t, p)
	other := open(t, p.URL(""), "other")
	expires := time.Second
	if p.form != oneServer {
		expires /= 2
	}
	rows := map[string][]lockclient.Option{
		"renewed": {lockclient.Expires(expires), lockclient.Renew()},
		"plain":   {lockclient.Expires(expires)},
	}
	if p.form != oneServer {
		delete(rows, "plain") // it ends by its own clock, which no server has a part in
	}
	for name, opts := range rows {
		t.Run(name, func(t *testing.T) {
			key := p.key("k")
			lock := acquire(t, behind, key, opts...)
			out := acquiring(t, other, key, lockclient.Timeout(patience))
			eventually(t, time.Second, "the other waits", func() bool { return other.Stats().Waiters == 1 })
			ended := make(chan time.Time, 1)
			ctx := lock.Context()
			go func() { <-ctx.Done(); ended <- time.Now() }() // ends with the hold
			cut()
			start := time.Now()
			theirs := granted(t, out, l1(expires))
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
			heal()
			release(t, acquire(t, behind, key, lockclient.Timeout(patience)))
		})
	}
}

// The head of the queue is cut off. It may be given the lock once, in vain.
func TestACutWaiterCostsThoseBehindItASecond(t *testing.T) {
	beside(t)
	everywhere(t, cutWaiter)
}

func cutWaiter(t *testing.T, p *place) {
	holder, key := open(t, p.URL(""), "holder"), p.key("k")
	behind, cut, heal := cutClient(t, p)
	third := open(t, p.URL(""), "third")
	lock := acquire(t, holder, key, lockclient.Expires(time.Minute))
	queued := func(n int) func() bool {
		return func() bool {
			info, err := holder.Inspect(t.Context(), key)
			return err == nil && info.Processes != nil && *info.Processes == n
		}
	}
	first := acquiring(t, behind, key, lockclient.Timeout(patience))
	eventually(t, time.Second, "the first waits", queued(1))
	second := acquiring(t, third, key, lockclient.Timeout(patience))
	eventually(t, time.Second, "the second waits", queued(2))
	cut()
	start := time.Now()
	release(t, lock)
	theirs := granted(t, second, time.Second+heartbeat)
	t.Logf("the second got it after %v", time.Since(start))
	heal()
	release(t, theirs)
	release(t, granted(t, first, 2*time.Second))
}
