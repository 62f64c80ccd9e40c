//go:build unix

package faults

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/turnstile-go/turnstile/internal/servers/servertest"
	"github.com/turnstile-go/turnstile/lockclient"
)

// Callers on many keys, each of which takes and frees one after the other.
type callers struct {
	client *lockclient.Client
	keys   int64
	next   atomic.Int64 // key
	holds  atomic.Int64
	ended  atomic.Bool

	mu   sync.Mutex // protects what follows
	now  map[int]string
	note map[string]bool // the keys that were in flight since it was made; nil: nobody asks
}

func (c *callers) begin(i int) (key string) {
	key = fmt.Sprint("stalled.", c.next.Add(1)%c.keys)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now[i] = key
	if c.note != nil {
		c.note[key] = true
	}
	return key
}

// call takes and frees keys until the callers are ended. A release may be given up while
// the server is away; it then goes on in the background.
func (c *callers) call(t *testing.T, i int) {
	for !c.ended.Load() {
		lock, err := c.client.Acquire(t.Context(), c.begin(i), lockclient.Timeout(patience))
		if err == nil {
			err = lock.Release()
		}
		if err != nil && !errors.Is(err, lockclient.ErrUnavailable) && !errors.Is(err, lockclient.ErrNotHeld) {
			t.Errorf("caller %d: %v", i, err)
			return
		}
		c.holds.Add(1)
	}
}

// inFlight is called while the server stands still, and again before it goes on: then it
// returns the keys that callers asked for between.
func (c *callers) inFlight() map[string]bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	was := c.note
	c.note = map[string]bool{}
	for _, key := range c.now {
		c.note[key] = true
	}
	return was
}

// A server stalls for 2 s under 64 callers on 10 000 keys. The requests on their way then may
// have run, so their keys are not quiet for a minute: each hold of them is two full scripts from
// then on, and never two that say "ask in full" before. Other keys are as fast as ever, and
// there are fewer new connections than callers.
func TestAfterAStallItsKeysAreAskedInFullAtOnce(t *testing.T) {
	beside(t)
	server, inside := redisServer(t)
	const many = 64
	c := &callers{client: open(t, server.URL(), "stalled"), keys: 10_000, now: map[int]string{}}
	var workers sync.WaitGroup
	for i := range many {
		workers.Go(func() { c.call(t, i) })
	}
	defer workers.Wait()
	defer c.ended.Store(true)
	eventually(t, patience, "they are at it", func() bool { return c.holds.Load() > 1000 })
	before := servertest.Connections(t, inside)

	must(t, server.Pause())
	c.inFlight()
	time.Sleep(2 * time.Second) // the fault
	stalled := c.inFlight()
	must(t, server.Resume())

	was := c.holds.Load()
	eventually(t, patience, "they go on", func() bool { return c.holds.Load() > was+1000 })
	c.ended.Store(true)
	workers.Wait()
	if made := servertest.Connections(t, inside) - before; made >= many {
		t.Errorf("%d connections were made by %d callers", made, many)
	} else {
		t.Logf("%d connections were made, %d keys were in flight", made, len(stalled))
	}
	for key := range stalled { // a release in the background ends before the next hold begins
		release(t, acquire(t, c.client, key, lockclient.Timeout(patience)))
	}
	// Each first asked by the fast script would be three for a hold. On a busy machine an answer may be late, and a
	// request repeated.
	all, fast := c.scriptsOf(t, inside, stalled)
	if want := 2 * 3 * len(stalled); all < want || all > want+len(stalled) {
		t.Errorf("3 holds of each of %d keys took %d scripts, want 2 each", len(stalled), all)
	}
	if all == fast {
		t.Error("all were fast: the server's stall put nothing in doubt, and the test proves nothing")
	}
	others := map[string]bool{}
	for i := range 10 {
		others[fmt.Sprint("other.", i)] = true
	}
	if all, fast := c.scriptsOf(t, inside, others); all < 2*3*len(others) || fast < 2*3*len(others)-len(others) {
		t.Errorf("3 holds of each of %d other keys took %d scripts, %d of them fast; want 2 each, all fast", len(others), all, fast)
	}
}

// scriptsOf holds each key three times, one after the other, and counts the scripts.
func (c *callers) scriptsOf(t *testing.T, inside *goredis.Client, keys map[string]bool) (all, fast int) {
	t.Helper()
	must(t, inside.ConfigResetStat(t.Context()).Err())
	for key := range keys {
		for range 3 {
			release(t, acquire(t, c.client, key, lockclient.Timeout(patience)))
		}
	}
	return servertest.Calls(t, inside, "evalsha") + servertest.Calls(t, inside, "eval"), servertest.Calls(t, inside, "mget")
}

// A lone caller gives its own request less time than these ways take, and a connection is
// closed with a request that is given up.
func TestLoneCallersLockOnSlowWays(t *testing.T) {
	for name, stalls := range map[string]struct {
		trip, stall time.Duration // a stall is every third trip
	}{
		"a round trip of 220 ms":              {220 * time.Millisecond, 220 * time.Millisecond},
		"one of 30 ms, with stalls of 300 ms": {30 * time.Millisecond, 300 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			beside(t)
			server, inside := redisServer(t)
			proxy := servertest.NewProxy(t, server.Addr)
			c := open(t, "redis://"+proxy.Addr, "slow")
			rounds := 0
			eventually(t, patience, "nine rounds count", func() bool {
				trip := stalls.trip
				if rounds%3 == 2 {
					trip = stalls.stall
				}
				proxy.Heal()
				proxy.Delay(trip)
				before, start := servertest.Connections(t, inside), time.Now()
				release(t, acquire(t, c, fmt.Sprint("slow.", rounds), lockclient.Timeout(patience)))
				made := servertest.Connections(t, inside) - before
				if time.Since(start) > time.Second {
					return false // a call has 2 s in all, and the machine may take them: this says nothing
				}
				if rounds++; rounds > 1 && made > 0 {
					t.Errorf("round %d made %d connections", rounds, made)
				}
				return rounds == 10
			})
		})
	}
}
