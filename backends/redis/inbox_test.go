package redis_test

import (
	"errors"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/backends/redis"
	"github.com/turnstile-go/turnstile/internal/servers/servertest"
)

// A session is a backend with what a coordinator adds to it.
type session struct {
	*redis.Backend
	id    backends.Session
	last  uint64
	wakes chan backends.Wake // drops when full, as wakes may be lost
}

// subscribe makes a session of a backend.
func subscribe(t testing.TB, b *redis.Backend) *session {
	t.Helper()
	s := &session{Backend: b, id: backends.NewSession(), wakes: make(chan backends.Wake, 1024)}
	if err := b.Subscribe(s.id, func(w backends.Wake) {
		select {
		case s.wakes <- w:
		default:
		}
	}); err != nil {
		t.Fatal(err)
	}
	return s
}

// newSession opens a session on a server, and drops the wake of its first connection.
func newSession(t testing.TB, rawURL string) *session {
	t.Helper()
	s := subscribe(t, open(t, rawURL))
	s.drain()
	return s
}

func (s *session) drain() {
	for {
		select {
		case <-s.wakes:
		default:
			return
		}
	}
}

func (s *session) request(key string) backends.Request {
	s.last++
	return backends.Request{
		Attempt: backends.Attempt{Key: key, Token: s.id.Token(s.last)},
		TTL:     10 * time.Second, Label: "tester", Queue: true,
	}
}

// waits makes an attempt that is queued.
func (s *session) waits(t testing.TB, key string) (backends.Request, backends.Reply) {
	t.Helper()
	r := s.request(key)
	reply, err := s.Acquire(bounded(t), r)
	if err != nil || reply.Outcome != backends.Held || reply.Place == 0 {
		t.Fatalf("acquire: %+v, %v; want held, and a place in the queue", reply, err)
	}
	return r, reply
}

// await repeats an attempt as a key actor would, until it is granted.
func (s *session) await(t testing.TB, r backends.Request) backends.Reply {
	t.Helper()
	reply, err := s.Acquire(bounded(t), r)
	if err != nil {
		reply.Retry = 10 * time.Millisecond
	}
	return s.follow(t, r, reply)
}

// follow goes on from an attempt's last reply: it repeats the attempt at every
// wake, and when the reply says.
func (s *session) follow(t testing.TB, r backends.Request, reply backends.Reply) backends.Reply {
	t.Helper()
	ctx := bounded(t)
	for reply.Outcome != backends.Granted {
		timer := time.NewTimer(reply.Retry)
		select {
		case <-s.wakes:
		case <-timer.C:
		case <-ctx.Done():
			t.Fatal("never granted")
		}
		timer.Stop()
		var err error
		if reply, err = s.Acquire(ctx, r); err != nil {
			reply.Retry = 10 * time.Millisecond
		}
		r.Probe++
	}
	return reply
}

func (s *session) release(t testing.TB, r backends.Request) {
	t.Helper()
	if err := s.Release(bounded(t), r.Attempt); err != nil {
		t.Fatalf("release: %v", err)
	}
}

// woken waits for this wake; others may come before it.
func (s *session) woken(t testing.TB, want backends.Wake) {
	t.Helper()
	ctx := bounded(t)
	for {
		select {
		case w := <-s.wakes:
			if w == want {
				return
			}
		case <-ctx.Done():
			t.Fatalf("no wake %+v", want)
		}
	}
}

// hears waits until the session is treated as one that hears, or as one that
// doesn't: a look at a held key, once, tells by when it is to be repeated.
func (s *session) hears(t testing.TB, want bool) {
	t.Helper()
	key := newKey(t)
	holder := newRequest(key)
	mustGrant(t, s, holder)
	eventually(t, "hears: "+map[bool]string{true: "yes", false: "no"}[want], func() bool {
		r, reply := s.waits(t, key)
		if err := s.Cancel(bounded(t), r.Attempt); err != nil {
			t.Fatal(err)
		}
		return reply.Retry > 100*time.Millisecond == want
	})
	if err := s.Release(bounded(t), holder.Attempt); err != nil {
		t.Fatal(err)
	}
}

// waitsFor makes an attempt that is queued and asks again after more than least
// and no more than most. A session that the machine held up may be taken for a deaf
// one, which asks sooner: then it begins anew.
func (s *session) waitsFor(t testing.TB, key string, least, most time.Duration) (r backends.Request, reply backends.Reply) {
	t.Helper()
	eventually(t, "asks again at heartbeats", func() bool {
		r, reply = s.waits(t, key)
		if least < reply.Retry && reply.Retry <= most {
			return true
		}
		if err := s.Cancel(bounded(t), r.Attempt); err != nil {
			t.Fatal(err)
		}
		return false
	})
	return r, reply
}

// eventually polls a condition, every few ms.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	ctx := bounded(t)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("not so: %s", what)
		}
	}
}

// subscribers is how many connections listen to a session's inbox.
func subscribers(t testing.TB, client *goredis.Client, s *session) int64 {
	t.Helper()
	channel := "turnstile:inbox:" + string(s.id)
	n, err := client.PubSubNumSub(bounded(t), channel).Result()
	if err != nil {
		t.Fatal(err)
	}
	return n[channel]
}

func TestAReleaseWakesTheNext(t *testing.T) {
	t.Parallel()
	a, b := newSession(t, shared.URL()), newSession(t, shared.URL())
	key := newKey(t)
	holder, waiter := a, b
	held := holder.request(key)
	holder.await(t, held)
	for range 50 {
		r, _ := waiter.waits(t, key)
		waiter.drain()
		holder.release(t, held)
		waiter.woken(t, backends.Wake{Key: key, Kind: backends.Given}) // it doesn't ask before
		mustGrant(t, waiter, r)
		holder, waiter, held = waiter, holder, r
	}
}

func TestWhoHearsAsksAtHeartbeatsAndWhenTheLeaseEnds(t *testing.T) {
	t.Parallel()
	a, b, c := newSession(t, shared.URL()), newSession(t, shared.URL()), newSession(t, shared.URL())
	key := newKey(t)
	mustGrant(t, a, a.request(key))
	b.waitsFor(t, key, 250*time.Millisecond, 300*time.Millisecond)
	reply := backends.Reply{Outcome: backends.Granted}
	for reply.Outcome == backends.Granted { // it was over before we looked
		short := a.request(newKey(t))
		short.TTL = 100 * time.Millisecond
		mustGrant(t, a, short)
		var err error
		if reply, err = b.Acquire(bounded(t), b.request(short.Key)); err != nil {
			t.Fatal(err)
		}
	}
	if reply.Retry > 105*time.Millisecond {
		t.Errorf("behind a lease of 100 ms: again after %v", reply.Retry)
	}
	foreign := newKey(t)
	if err := shared.RedisClient(t, nil).Set(bounded(t), foreign, "1", lease).Err(); err != nil {
		t.Fatal(err)
	}
	c.hears(t, true)
	behind := func(s *session) func() time.Duration {
		r := s.request(foreign)
		return func() time.Duration {
			reply, err := s.Acquire(bounded(t), r)
			if err != nil || reply.Outcome != backends.Held {
				t.Fatalf("%+v, %v; want held", reply, err)
			}
			return reply.Retry
		}
	}
	first, second := behind(b), behind(c)
	eventually(t, "first behind another library's lock: again after 50 ms; second: after 300", func() bool {
		return first() <= 50*time.Millisecond && second() >= 250*time.Millisecond
	})
}

// The third begins to wait when the first, which it could have told, is out of
// the game already.
func TestALateWaiterIsHeardByWhoeverHoldsByThen(t *testing.T) {
	t.Parallel()
	a, b, c := newSession(t, shared.URL()), newSession(t, shared.URL()), newSession(t, shared.URL())
	for _, confirmed := range []bool{false, true} {
		key := newKey(t)
		held := a.request(key)
		mustGrant(t, a, held)
		second, _ := b.waits(t, key)
		a.woken(t, backends.Wake{Key: key, Kind: backends.Wanted})
		a.release(t, held)
		if !confirmed {
			third, _ := c.waits(t, key)
			if reply := b.await(t, second); !reply.Contended {
				t.Error("the confirmation does not say that a third waits")
			}
			b.woken(t, backends.Wake{Key: key, Kind: backends.Wanted})
			b.release(t, second)
			c.release(t, withGrant(t, c, third))
			continue
		}
		if reply := b.await(t, second); reply.Contended {
			t.Error("contended, and nobody waits")
		}
		b.drain()
		third, _ := c.waits(t, key)
		b.woken(t, backends.Wake{Key: key, Kind: backends.Wanted})
		b.release(t, second)
		c.release(t, withGrant(t, c, third))
	}
}

func withGrant(t testing.TB, s *session, r backends.Request) backends.Request {
	t.Helper()
	s.await(t, r)
	return r
}

// A waiter that was killed costs the next a second: so long counts as alive, and
// so long lasts what it is given; it doesn't cost a lease.
func TestADeadHeadIsPassedOver(t *testing.T) {
	t.Parallel()
	a, b, c := newSession(t, shared.URL()), newSession(t, shared.URL()), newSession(t, shared.URL())
	key := newKey(t)
	held := a.request(key)
	mustGrant(t, a, held)
	b.waits(t, key)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	third, reply := c.waits(t, key)
	a.release(t, held)
	c.follow(t, third, reply)
}

func TestAReconnectAsksForEverythingAgain(t *testing.T) {
	t.Parallel()
	server := servertest.Redis(t)
	s, inside := newSession(t, server.URL()), server.RedisClient(t, nil)
	s.hears(t, true)
	s.drain()
	if err := inside.ClientKillByFilter(bounded(t), "TYPE", "pubsub").Err(); err != nil {
		t.Fatal(err)
	}
	s.woken(t, backends.Wake{Kind: backends.Wanted}) // at once: nobody can say so from now on
	s.woken(t, backends.Wake{Kind: backends.Given})
	s.hears(t, true)
}

func TestAnInboxOutlivesItsServer(t *testing.T) {
	t.Parallel()
	server := servertest.Redis(t)
	s := newSession(t, server.URL())
	server.Stop()
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	s.woken(t, backends.Wake{Kind: backends.Given})
	s.hears(t, true)
}

func TestAnInboxStartsWhenTheServerDoes(t *testing.T) {
	t.Parallel()
	server := servertest.Redis(t)
	server.Stop()
	s := subscribe(t, open(t, server.URL()+"?lazy=true")) // does not wait for the server
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	s.woken(t, backends.Wake{Kind: backends.Given})
	s.hears(t, true)
}

// Publishes are counted by the server. What is not in use must send none.
func TestHeartbeatsStopWhenNothingIsAwaitedOrHeld(t *testing.T) {
	t.Parallel()
	server := servertest.Redis(t)
	a, b, inside := newSession(t, server.URL()), newSession(t, server.URL()), server.RedisClient(t, nil)
	// A heartbeat reaches one subscriber; so does a wanted message, but the
	// waiter below asks only once.
	published := func() string {
		return inside.InfoMap(bounded(t), "commandstats").Item("Commandstats", "cmdstat_publish")
	}
	quiet := func() bool {
		before := published()
		rest := time.NewTimer(700 * time.Millisecond)
		defer rest.Stop()
		select {
		case <-rest.C:
		case <-t.Context().Done():
		}
		return published() == before
	}
	eventually(t, "idle sessions publish nothing, but the echo of a new connection", quiet)
	key := newKey(t)
	held := a.request(key)
	mustGrant(t, a, held)
	eventually(t, "heartbeats while a lease is held", func() bool { return !quiet() })
	waiting, _ := b.waits(t, key)
	eventually(t, "heartbeats while an attempt waits", func() bool { return !quiet() })
	if err := b.Cancel(bounded(t), waiting.Attempt); err != nil {
		t.Fatal(err)
	}
	a.release(t, held)
	eventually(t, "heartbeats stop", quiet)
}

func TestCloseLeavesNoSubscription(t *testing.T) {
	t.Parallel()
	server := servertest.Redis(t)
	inside := server.RedisClient(t, nil)
	client := server.RedisClient(t, &goredis.Options{ContextTimeoutEnabled: true})
	for name, b := range map[string]*redis.Backend{
		"of its own": open(t, server.URL()), "of the caller's": redis.New(client, redis.Options{}),
	} {
		s := subscribe(t, b)
		s.hears(t, true)
		if n := subscribers(t, inside, s); n != 1 {
			t.Errorf("client %s: %d subscriptions, want 1", name, n)
		}
		if err := errors.Join(s.Close(), s.Close()); err != nil {
			t.Fatal(err)
		}
		eventually(t, "no subscription is left, client "+name, func() bool { return subscribers(t, inside, s) == 0 })
		s.drain()
		if err := b.Subscribe(s.id, nil); !errors.Is(err, backends.ErrClosed) {
			t.Errorf("subscribe after close: %v", err)
		}
	}
	if err := client.Ping(bounded(t)).Err(); err != nil {
		t.Errorf("the caller's client was closed: %v", err)
	}
}

func TestALaterSubscriptionReplacesAnEarlierOne(t *testing.T) {
	t.Parallel()
	b, inside := open(t, shared.URL()), shared.RedisClient(t, nil)
	first := subscribe(t, b)
	second := subscribe(t, b)
	second.hears(t, true)
	eventually(t, "the first is gone", func() bool { return subscribers(t, inside, first) == 0 })
}
