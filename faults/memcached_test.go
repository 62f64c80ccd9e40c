//go:build unix

package faults

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	gomemcache "github.com/bradfitz/gomemcache/memcache"

	"github.com/turnstile-go/turnstile/internal/servers"
	"github.com/turnstile-go/turnstile/internal/servers/servertest"
	"github.com/turnstile-go/turnstile/lockclient"
)

// memcachedL1 is how long after a crash the next grant may come: see docs/backend-memcached.md.
func memcachedL1(expires time.Duration) time.Duration { return expires + 2500*time.Millisecond }

// memcachedServer starts a server for one test that runs alone, with a client of
// the test's own to look inside. The test's end checks that nothing was left: on
// the server when all clients are closed, and in this process when the server is gone.
func memcachedServer(t *testing.T, args ...string) (*servers.Server, *gomemcache.Client) {
	t.Helper()
	alone(t)
	return memcachedBeside(t, args...)
}

// memcachedBeside is memcachedServer for tests that run beside others, whose
// goroutines nobody can tell from theirs; TestMain looks at all in the end.
func memcachedBeside(t *testing.T, args ...string) (*servers.Server, *gomemcache.Client) {
	t.Helper()
	server := servertest.Memcached(t, args...)
	inside := gomemcache.New(server.Addr)
	inside.Timeout = patience // it is the test's own
	t.Cleanup(func() { _ = inside.Close() })
	t.Cleanup(func() { wantNothingLeftInMemcached(t, server.Addr) })
	return server, inside
}

// wantNothingLeftInMemcached checks what a server keeps after its last client:
// counters for ten minutes, and for some seconds what a late add or a killed
// waiter has left.
func wantNothingLeftInMemcached(t *testing.T, addr string) {
	t.Helper()
	for _, line := range tell(t, addr, "lru_crawler metadump all") {
		var name string
		var exp int64
		for _, field := range strings.Fields(line) {
			key, value, _ := strings.Cut(field, "=")
			switch key {
			case "key":
				name, _ = url.QueryUnescape(value)
			case "exp":
				exp, _ = strconv.ParseInt(value, 10, 64)
			}
		}
		most := 5 * time.Second
		if strings.HasPrefix(name, "turnstile:fence:") {
			most = 10*time.Minute + 2*time.Second
		}
		if left := time.Until(time.Unix(exp, 0)); exp <= 0 || left > most {
			t.Errorf("left behind: %s, for %v", name, left)
		}
	}
}

// tell sends a server one command, and returns the lines of its answer.
func tell(t *testing.T, addr, command string) (lines []string) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() // the answer is in hand
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := fmt.Fprintf(conn, "%s\r\n", command); err != nil {
		t.Fatal(err)
	}
	answer := bufio.NewScanner(conn)
	for answer.Scan() && answer.Text() != "END" {
		lines = append(lines, answer.Text())
	}
	if err := answer.Err(); err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	return lines
}

// memcachedCommands is how many commands a server has had that locking is made of.
func memcachedCommands(t *testing.T, addr string) (n int) {
	t.Helper()
	for _, line := range tell(t, addr, "stats") {
		f := strings.Fields(line)
		if len(f) != 3 {
			continue
		}
		switch f[1] {
		case "cmd_get", "cmd_set", "cmd_touch", "cmd_flush", "incr_hits", "incr_misses", "delete_hits", "delete_misses":
			count, _ := strconv.Atoi(f[2])
			n += count
		}
	}
	return n
}

// TestAHandoffCostsMemcachedNoCommand: 50 holds of one process, one after the
// other. They are over before a renewal is due.
func TestAHandoffCostsMemcachedNoCommand(t *testing.T) {
	beside(t)
	server, _ := memcachedServer(t)
	c, err := lockclient.Open(lockclient.Config{Backend: server.URL(), Tenure: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	for round := 0; ; round++ {
		key := fmt.Sprint("k", round)
		const waiters = 50
		first := acquire(t, c, key)
		held := make(chan error, waiters)
		last := make(chan *lockclient.Lock, 1)
		for i := range waiters {
			go func() { // ends with its acquire, which ends with the test's context
				lock, err := c.Acquire(t.Context(), key)
				if err == nil && i < waiters-1 {
					err = lock.Release()
				} else if err == nil {
					last <- lock
				}
				held <- err
			}()
			eventually(t, time.Second, "it waits", func() bool { return c.Stats().Waiters == int64(i)+1 })
		}
		commands, calls := memcachedCommands(t, server.Addr), c.Stats().BackendCalls
		release(t, first)
		for range waiters {
			if err := <-held; err != nil {
				t.Fatal(err)
			}
		}
		commands, calls = memcachedCommands(t, server.Addr)-commands, c.Stats().BackendCalls-calls
		release(t, <-last)
		if (commands != 0 || calls != 0) && round < 20 {
			continue // on a busy machine a renewal may have been due; a handoff would do this every time
		}
		t.Logf("%d handoffs: %d commands", waiters, commands)
		if commands != 0 || calls != 0 {
			t.Errorf("%d handoffs took %d calls, %d commands", waiters, calls, commands)
		}
		return
	}
}

// A crash is a server's way to forget a lease, and what it takes to come back.
type crash struct {
	name string
	// happen returns when the lease was still there.
	happen  func(t *testing.T, s *servers.Server, inside *gomemcache.Client) time.Time
	recover func(t *testing.T, s *servers.Server)
}

var crashes = []crash{
	{"kill and restart", func(t *testing.T, s *servers.Server, _ *gomemcache.Client) time.Time {
		start := time.Now()
		restart(t, s)
		return start
	}, nil},
	{"kill, restart later", func(_ *testing.T, s *servers.Server, _ *gomemcache.Client) time.Time {
		start := time.Now()
		s.Stop()
		return start
	}, restart},
	{"flush_all", func(t *testing.T, s *servers.Server, _ *gomemcache.Client) time.Time {
		start := time.Now()
		tellOK(t, s.Addr, "flush_all")
		return start
	}, nil},
	{"eviction", evict, nil},
}

func restart(t *testing.T, s *servers.Server) {
	t.Helper()
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
}

// tellOK sends a command whose answer is one line.
func tellOK(t *testing.T, addr, command string) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() // the answer is in hand
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := fmt.Fprintf(conn, "%s\r\n", command); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || line != "OK\r\n" {
		t.Fatalf("%s: %q, %v", command, line, err)
	}
}

// evict fills a small server until it has forgotten the lock of key "k". With
// memcached's own setting, a million items evict no lock that somebody looks at; the
// maintainer that sees to it is turned off.
func evict(t *testing.T, _ *servers.Server, inside *gomemcache.Client) (there time.Time) {
	t.Helper()
	there = time.Now()
	for n := 0; ; n++ {
		// Of all sizes, as the lock's neighbours in memory are of one.
		junk := &gomemcache.Item{Key: fmt.Sprint("junk", n), Value: make([]byte, 50+n%100), Expiration: 3}
		if err := inside.Set(junk); err != nil {
			t.Fatal(err)
		}
		if n%100 > 0 {
			continue
		}
		asked := time.Now()
		_, err := inside.Get("pylock:k")
		if errors.Is(err, gomemcache.ErrCacheMiss) {
			return there
		}
		if there = asked; err != nil || n > 1_000_000 {
			t.Fatalf("a million items evict no lock: %v", err)
		}
	}
}

// TestAForgottenLeaseIsLostInTime: within a renewal interval, a third of the
// lease, and a hold of its whole length that isn't renewed at the next of them.
// Whoever waits gets the key, with a greater fence.
func TestAForgottenLeaseIsLostInTime(t *testing.T) {
	beside(t)
	for _, crash := range crashes {
		for _, renewed := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, renewed %v", crash.name, renewed), func(t *testing.T) {
				t.Parallel()
				for try := 1; !forget(t, crash, renewed); try++ {
					if try == 10 {
						t.Fatal("ten evictions outlasted their holds: the test proves nothing")
					}
				}
			})
		}
	}
}

// forget makes a server forget a lease that is held and waited for. It returns false
// if that took as long as the hold: such a round proves nothing.
func forget(t *testing.T, crash crash, renewed bool) bool {
	t.Helper()
	server, inside := memcachedBeside(t, "-m", "1", "-I", "512k", "-o", "no_lru_maintainer")
	one, two := open(t, server.URL(), "one"), open(t, server.URL(), "two")
	expires := 3 * time.Second
	evicted := crash.name == "eviction"
	if evicted {
		// The eviction takes seconds on a busy machine, and has to be done before
		// the hold is over.
		expires = 20 * time.Second
	}
	opts := []lockclient.Option{lockclient.Expires(expires)}
	if renewed {
		opts = append(opts, lockclient.Renew())
	}
	held := acquire(t, one, "k", opts...)
	var waiters []<-chan grant
	wait := func() {
		for _, c := range []*lockclient.Client{one, two, two} {
			waiters = append(waiters, acquiring(t, c, "k", lockclient.Timeout(patience), lockclient.Expires(expires)))
		}
	}
	if !evicted { // a lock with a waiter is read and renewed all the time, and so never evicted
		wait()
		eventually(t, 2*time.Second, "all wait", func() bool { return one.Stats().Waiters == 1 && two.Stats().Waiters == 2 })
	}
	start := crash.happen(t, server, inside)
	if evicted {
		wait()
	}
	<-held.Context().Done()
	learned := time.Since(start)
	cause := context.Cause(held.Context())
	if evicted && errors.Is(cause, lockclient.ErrExpired) && learned < expires/3 { // no renewal was due in between
		for range waiters {
			release(t, next(t, &waiters, patience))
		}
		return false
	}
	if !errors.Is(cause, lockclient.ErrLost) {
		t.Errorf("cause %v, want ErrLost", cause)
	}
	if crash.recover == nil && learned > expires/2 {
		// A third of (3 s + 0.5 s of slack, and the margin), rounded up to whole seconds.
		t.Errorf("learned of it after %v", learned)
	}
	if late := time.Since(held.Deadline()); late > jitter {
		t.Errorf("learned of it %v after the deadline", late)
	}
	if err := held.Release(); !errors.Is(err, lockclient.ErrNotHeld) {
		t.Errorf("release: %v, want ErrNotHeld", err)
	}
	if crash.recover != nil {
		crash.recover(t, server)
	}
	fences := map[uint64]bool{held.Fence(): true}
	for range waiters {
		lock := next(t, &waiters, 10*time.Second)
		for fence := range fences {
			if lock.Fence() <= fence {
				t.Errorf("fence %d after %d", lock.Fence(), fence)
			}
		}
		fences[lock.Fence()] = true
		release(t, lock)
	}
	t.Logf("learned after %v, all served after %v", learned, time.Since(start))
	return true
}

// next takes the first grant of several acquires, and takes it out of the list.
func next(t *testing.T, waiters *[]<-chan grant, patience time.Duration) *lockclient.Lock {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for {
		for i, out := range *waiters {
			select {
			case g := <-out:
				if g.err != nil {
					t.Fatalf("acquire: %v", g.err)
				}
				*waiters = append((*waiters)[:i:i], (*waiters)[i+1:]...)
				return g.lock
			default:
			}
		}
		select {
		case <-poll.C:
		case <-deadline.C:
			t.Fatalf("no grant within %v", patience)
		}
	}
}

// TestAForgottenLeaseIsNotedAtTheNextOperation as well, which is sooner.
func TestAForgottenLeaseIsNotedAtTheNextOperation(t *testing.T) {
	beside(t)
	server, _ := memcachedServer(t)
	c := open(t, server.URL(), "one")
	held, other := acquire(t, c, "k", lockclient.Expires(time.Minute)), acquire(t, c, "l", lockclient.Expires(time.Minute))
	tellOK(t, server.Addr, "flush_all")
	if err := held.Extend(2 * time.Minute); !errors.Is(err, lockclient.ErrNotHeld) {
		t.Errorf("extend: %v, want ErrNotHeld", err)
	}
	if cause := context.Cause(held.Context()); !errors.Is(cause, lockclient.ErrLost) {
		t.Errorf("cause %v, want ErrLost", cause)
	}
	if err := other.Release(); !errors.Is(err, lockclient.ErrNotHeld) {
		t.Errorf("release: %v, want ErrNotHeld", err)
	}
}

// TestAStoppedServerEndsHoldsInTime: SIGSTOP for twice their length. The holder
// learns of it before its deadline, and waiters go on when the server does.
func TestAStoppedServerEndsHoldsInTime(t *testing.T) {
	beside(t)
	server, _ := memcachedServer(t)
	one, two := open(t, server.URL(), "one"), open(t, server.URL(), "two")
	const expires = 2 * time.Second
	held := acquire(t, one, "k", lockclient.Expires(expires), lockclient.Renew())
	out := acquiring(t, two, "k", lockclient.Timeout(patience))
	eventually(t, time.Second, "it waits", func() bool { return two.Stats().Waiters == 1 })
	if err := server.Pause(); err != nil {
		t.Fatal(err)
	}
	paused := time.Now()
	<-held.Context().Done()
	if cause := context.Cause(held.Context()); !errors.Is(cause, lockclient.ErrLost) {
		t.Errorf("cause %v, want ErrLost", cause)
	}
	if late := time.Since(held.Deadline()); late > 0 && (*long || late > jitter) {
		t.Errorf("learned of it %v after the deadline", late)
	}
	rest(t.Context(), 2*expires-time.Since(paused))
	if err := server.Resume(); err != nil {
		t.Fatal(err)
	}
	resumed := time.Now()
	// An add that was on its way may be stored now, for nobody, and stay a while.
	lock := granted(t, out, 4*time.Second)
	t.Logf("granted %v after the server went on", time.Since(resumed))
	if lock.Fence() <= held.Fence() {
		t.Errorf("fence %d after %d", lock.Fence(), held.Fence())
	}
	release(t, lock)
}
