package redis_test

import (
	"bytes"
	"context"
	"net"
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

// lame is a user who may do everything but what an inbox needs.
func lame(t testing.TB, client *goredis.Client, rules ...string) {
	t.Helper()
	cmd := append([]any{"ACL", "SETUSER", "lame", "on", ">pw", "~*", "+@all"}, anys(rules)...)
	if err := client.Do(bounded(t), cmd...).Err(); err != nil {
		t.Fatal(err)
	}
}

func TestASessionWithoutPermissionsPollsUntilItHasThem(t *testing.T) {
	t.Parallel()
	for name, rules := range map[string][2][]string{
		"no channel":     {{"resetchannels"}, {"allchannels"}},
		"no publishing":  {{"allchannels", "-publish"}, {"+publish"}},
		"no subscribing": {{"allchannels", "-subscribe"}, {"+subscribe"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := servertest.Redis(t)
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
			if ttl := inside.PTTL(bounded(t), key).Val(); ttl > 750*time.Millisecond {
				t.Errorf("a session that is refused its inbox is given the lock for %v", ttl)
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
	t.Parallel()
	server := servertest.Redis(t, "--rename-command", "PUBLISH", "")
	a, b, c := newSession(t, server.URL()), newSession(t, server.URL()), newSession(t, server.URL())
	key := newKey(t)
	held := a.request(key)
	mustGrant(t, a, held)
	second, _ := b.waits(t, key)
	third, _ := c.waits(t, key)
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
}

func TestAnInboxThatIsKilledInALoopCostsNobodyTheLock(t *testing.T) {
	t.Parallel()
	server := servertest.Redis(t)
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

func TestSwallowedPushesAreNoticed(t *testing.T) {
	t.Parallel()
	server := servertest.Redis(t)
	a := newSession(t, server.URL())
	b, swallow := swallowed(t, server)
	b.hears(t, true)
	key := newKey(t)
	held := a.request(key)
	mustGrant(t, a, held)
	r, _ := b.waits(t, key)
	mustGrant(t, b, b.request(newKey(t))) // keeps the inbox in use: a waiter that does not repeat counts for a second
	b.drain()
	swallow.Store(true)
	b.woken(t, backends.Wake{Kind: backends.Given})  // all that is awaited is asked again
	b.woken(t, backends.Wake{Kind: backends.Wanted}) // all that is held may be wanted
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
	t.Parallel()
	server := servertest.Redis(t)
	a := newSession(t, server.URL())
	b, swallow := swallowed(t, server)
	b.hears(t, true)
	key := newKey(t)
	held := a.request(key)
	mustGrant(t, a, held)
	r, reply := b.waitsFor(t, key, 100*time.Millisecond, lease) // it doesn't poll
	b.drain()
	swallow.Store(true)
	a.release(t, held)
	b.follow(t, r, reply) // and does not wait for the end of the lease
}

// turns has sessions take turns, each taking the key and giving it back at once,
// as often as it can, until enough says so. It returns how many turns each had.
func turns(t testing.TB, sessions []*session, enough func(each []*atomic.Int64) bool) (each []*atomic.Int64) {
	t.Helper()
	key, end := newKey(t), bounded(t)
	for range sessions {
		each = append(each, new(atomic.Int64))
	}
	var all sync.WaitGroup
	for i, s := range sessions {
		all.Go(func() { // ends when it is enough
			for !enough(each) && end.Err() == nil {
				r := s.request(key)
				s.await(t, r)
				each[i].Add(1)
				s.release(t, r)
			}
		})
	}
	all.Wait()
	return each
}

func sum(counts []*atomic.Int64) (n int64) {
	for _, c := range counts {
		n += c.Load()
	}
	return n
}

// threeHearAndOneIsDeaf opens four sessions of a server's own.
func threeHearAndOneIsDeaf(t testing.TB) (sessions []*session) {
	server := servertest.Redis(t)
	lame(t, server.RedisClient(t, nil), "resetchannels")
	for range 3 {
		sessions = append(sessions, newSession(t, server.URL()))
	}
	return append(sessions, newSession(t, "redis://lame:pw@"+server.Addr))
}

// A deaf session gets its turns, and so do the others. How many they have is a
// benchmark's to say.
func TestOneDeafSessionOfFourGetsItsTurnsAndLeavesTheOthersTheirs(t *testing.T) {
	t.Parallel()
	var before atomic.Int64 // the deaf one's turns until all are at it: it may be alone for some
	each := turns(t, threeHearAndOneIsDeaf(t), func(each []*atomic.Int64) bool {
		if each[0].Load()*each[1].Load()*each[2].Load() == 0 {
			before.Store(each[3].Load())
			return false
		}
		return each[3].Load() >= before.Load()+5
	})
	deaf, others := each[3].Load()-before.Load(), sum(each[:3])
	t.Logf("%d turns, and %d of the others", deaf, others)
	if deaf < 5 || others < 3*(deaf-1) {
		t.Errorf("the deaf session had %d turns, the three others %d", deaf, others)
	}
}
