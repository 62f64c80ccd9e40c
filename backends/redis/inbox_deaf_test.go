package redis_test

import (
	"bytes"
	"context"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/backends/redis"
	"github.com/turnstile-go/turnstile/internal/servers"
)

// lame is a user who may do everything but what an inbox needs.
func lame(t testing.TB, client *goredis.Client, rules ...string) {
	t.Helper()
	cmd := append([]any{"ACL", "SETUSER", "lame", "on", ">pw", "~*", "+@all"}, anys(rules)...)
	if err := client.Do(bounded(t), cmd...).Err(); err != nil {
		t.Fatal(err)
	}
}

func TestASessionWithoutPermissionsPollsUntilItHasThem(t *testing.T) {
	for name, rules := range map[string][2][]string{
		"no channel":     {{"resetchannels"}, {"allchannels"}},
		"no publishing":  {{"allchannels", "-publish"}, {"+publish"}},
		"no subscribing": {{"allchannels", "-subscribe"}, {"+subscribe"}},
	} {
		t.Run(name, func(t *testing.T) {
			server := servers.Redis(t)
			inside := server.RedisClient(t, nil)
			lame(t, inside, rules[0]...)
			a := newSession(t, server.URL())
			b := newSession(t, "redis://lame:pw@"+server.Addr)
			b.hears(t, false)
			key := newKey(t)
			held := a.request(key)
			mustGrant(t, a, held)
			r, reply := b.waits(t, key)
			if reply.Retry > 25*time.Millisecond {
				t.Errorf("first in the queue, and asks again after %v", reply.Retry)
			}
			a.release(t, held)
			if ttl := inside.PTTL(bounded(t), key).Val(); ttl > 75*time.Millisecond {
				t.Errorf("a deaf session is given the lock for %v", ttl)
			}
			if reply := b.await(t, r); !reply.Contended {
				t.Error("a deaf holder is not told that others may wait")
			}
			if reply, err := b.Renew(bounded(t), r.Attempt, r.TTL, reply.Base); err != nil || !reply.Contended {
				t.Errorf("nor at its renewal: %+v, %v", reply, err)
			}
			lame(t, inside, rules[1]...)
			b.hears(t, true)
			if reply, err := b.Renew(bounded(t), r.Attempt, r.TTL, 0); err != nil || reply.Contended {
				t.Errorf("contended, though it would hear of others: %+v, %v", reply, err)
			}
		})
	}
}

func TestAServerWithoutPublishServesInOrder(t *testing.T) {
	server := servers.Redis(t, "--rename-command", "PUBLISH", "")
	a, b, c := newSession(t, server.URL()), newSession(t, server.URL()), newSession(t, server.URL())
	key := newKey(t)
	held := a.request(key)
	mustGrant(t, a, held)
	second, _ := b.waits(t, key)
	third, _ := c.waits(t, key)
	start := time.Now()
	a.release(t, held)
	done := make(chan struct{})
	go func() { // ends with its grant
		defer close(done)
		c.await(t, third)
	}()
	b.await(t, second)
	select {
	case <-done:
		t.Error("the third before the second")
	default:
	}
	b.release(t, second)
	<-done
	if took := time.Since(start); took > time.Second {
		t.Errorf("two turns took %v", took)
	}
}

func TestAnInboxThatIsKilledInALoopCostsNobodyTheLock(t *testing.T) {
	server := servers.Redis(t)
	a, b, inside := newSession(t, server.URL()), newSession(t, server.URL()), server.RedisClient(t, nil)
	ctx, stop := context.WithCancel(t.Context())
	var killer sync.WaitGroup
	killer.Go(func() { // ends with stop
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			inside.ClientKillByFilter(ctx, "TYPE", "pubsub")
			<-tick.C
		}
	})
	defer killer.Wait()
	defer stop()
	key := newKey(t)
	held := a.request(key)
	a.await(t, held)
	start, wakes := time.Now(), 0
	for turn := range 20 {
		holder, waiter := a, b
		if turn%2 == 1 {
			holder, waiter = b, a
		}
		r, reply := waiter.waits(t, key)
		wakes += len(waiter.wakes)
		waiter.drain()
		holder.release(t, held)
		waiter.follow(t, r, reply)
		held = r
	}
	took := time.Since(start)
	if took > 20*400*time.Millisecond {
		t.Errorf("20 turns took %v", took)
	}
	// Each reconnect wakes every key of the session: they must not come as fast
	// as the kills do.
	if most := 20 + int(took/(20*time.Millisecond)); wakes > most {
		t.Errorf("%d wakes in %v", wakes, took)
	}
	stop()
	killer.Wait()
	a.hears(t, true)
	b.hears(t, true)
}

// A swallower is a proxy that lets everything through but pushes: a connection
// that has subscribed brings nothing more once this was armed, nor ever after.
type swallower struct {
	net.Conn
	subscribed, lost atomic.Bool
	armed            *atomic.Bool
}

func (c *swallower) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte("\r\nsubscribe\r\n")) {
		c.subscribed.Store(true)
	}
	return c.Conn.Write(p)
}

func (c *swallower) Read(p []byte) (int, error) {
	for {
		n, err := c.Conn.Read(p)
		if c.subscribed.Load() && c.armed.Load() {
			c.lost.Store(true)
		}
		if err != nil || !c.lost.Load() {
			return n, err
		}
	}
}

// swallowed opens a session whose pushes can be swallowed.
func swallowed(t testing.TB, server *servers.Server) (*session, *atomic.Bool) {
	t.Helper()
	armed := new(atomic.Bool)
	client := goredis.NewClient(&goredis.Options{
		ContextTimeoutEnabled: true, MaxRetries: -1, DisableIdentity: true,
		Dialer: func(ctx context.Context, network, _ string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, server.Addr)
			if err != nil {
				return nil, err
			}
			return &swallower{Conn: conn, armed: armed}, nil
		},
	})
	b := redis.New(client, redis.Options{Owned: true})
	t.Cleanup(func() { _ = b.Close() })
	s := subscribe(t, b)
	s.drain()
	return s, armed
}

func TestSwallowedPushesAreNoticedWithinAHeartbeat(t *testing.T) {
	server := servers.Redis(t)
	a := newSession(t, server.URL())
	b, swallow := swallowed(t, server)
	b.hears(t, true)
	key := newKey(t)
	held := a.request(key)
	mustGrant(t, a, held)
	r, _ := b.waits(t, key)
	swallow.Store(true)
	start := time.Now()
	b.woken(t, backends.Wake{Kind: backends.Given})  // all that is awaited is asked again
	b.woken(t, backends.Wake{Kind: backends.Wanted}) // all that is held may be wanted
	if took := time.Since(start); took > time.Second {
		t.Errorf("noticed after %v", took)
	}
	if reply, err := b.Acquire(bounded(t), r); err != nil || reply.Retry > 50*time.Millisecond {
		t.Errorf("deaf, and told to ask again after %v, %v", reply.Retry, err)
	}
	b.hears(t, false)
	a.release(t, held)
	b.await(t, r)
	// The dead connection is given up for a new one, which hears.
	swallow.Store(false)
	b.hears(t, true)
}

// A push that is lost while the inbox is thought to hear costs a heartbeat.
func TestALostPushCostsAHeartbeat(t *testing.T) {
	server := servers.Redis(t)
	a := newSession(t, server.URL())
	b, swallow := swallowed(t, server)
	b.hears(t, true)
	key := newKey(t)
	held := a.request(key)
	mustGrant(t, a, held)
	r, reply := b.waits(t, key)
	b.drain()
	if reply.Retry < 100*time.Millisecond {
		t.Fatalf("it polls: every %v", reply.Retry)
	}
	swallow.Store(true)
	start := time.Now()
	a.release(t, held)
	b.follow(t, r, reply)
	if took := time.Since(start); took > 500*time.Millisecond {
		t.Errorf("granted after %v", took)
	}
}

// turns counts the turns that sessions have in a while, each taking the key and
// giving it back at once, as often as it can.
func turns(t testing.TB, sessions []*session, d time.Duration) (each []int) {
	t.Helper()
	key, end := newKey(t), time.Now().Add(d)
	each = make([]int, len(sessions))
	var all sync.WaitGroup
	for i, s := range sessions {
		all.Go(func() { // ends with the time
			for time.Now().Before(end) {
				r := s.request(key)
				s.await(t, r)
				each[i]++
				s.release(t, r)
			}
		})
	}
	all.Wait()
	return each
}

func sum(counts []int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}

func TestOneDeafSessionOfFourLeavesTheOthersTheirThroughput(t *testing.T) {
	server := servers.Redis(t)
	lame(t, server.RedisClient(t, nil), "resetchannels")
	var hearing []*session
	for range 4 {
		hearing = append(hearing, newSession(t, server.URL()))
	}
	mixed := append(slices.Clone(hearing[:3]), newSession(t, "redis://lame:pw@"+server.Addr))
	// What else the machine does can only lower the second figure against the
	// first, so one comparison of three that holds shows what is possible.
	const while, tries = 1500 * time.Millisecond, 3
	for try := 1; ; try++ {
		all, three := turns(t, hearing, while), turns(t, mixed, while)
		t.Logf("turns in %v: %v, and with the last one deaf %v", while, all, three)
		// Its turn comes every 100 ms and a poll.
		least := int(while / (250 * time.Millisecond))
		if sum(three)*2 >= sum(all) && three[3] >= least {
			return
		}
		if try == tries {
			t.Fatalf("%d turns, of %d when all hear; the deaf one had %d, want %d at least", sum(three), sum(all), three[3], least)
		}
	}
}
