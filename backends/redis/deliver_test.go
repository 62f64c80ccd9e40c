package redis_test

import (
	"context"
	"strconv"
	"sync"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/backends/backendtest"
	"github.com/turnstile-go/turnstile/backends/redis"
	"github.com/turnstile-go/turnstile/internal/servers/servertest"
)

// publishing publishes by a client.
func publishing(client *goredis.Client) func(ctx context.Context, channel, message string) error {
	return func(ctx context.Context, channel, message string) error {
		return client.Publish(ctx, channel, message).Err()
	}
}

// newDelivering opens a backend that publishes what the scripts hand to it.
func newDelivering(t testing.TB, publish func(ctx context.Context, channel, message string) error) *redis.Backend {
	t.Helper()
	b := openPatient(t, shared.URL())
	b.DeliverBy(publish)
	return b
}

func TestConformanceWhereTheCallerPublishes(t *testing.T) {
	t.Parallel()
	client := shared.RedisClient(t, &goredis.Options{ContextTimeoutEnabled: true})
	backendtest.Run(t, func(t *testing.T) backends.Backend { return newDelivering(t, publishing(client)) })
}

func TestTheReceiverHearsOfWhatTheCallerPublishes(t *testing.T) {
	t.Parallel()
	client := shared.RedisClient(t, &goredis.Options{ContextTimeoutEnabled: true})
	sent := make(chan [2]string, 16)
	publish := func(ctx context.Context, channel, message string) error {
		sent <- [2]string{channel, message}
		return client.Publish(ctx, channel, message).Err()
	}
	holder, waiter := subscribe(t, newDelivering(t, publish)), subscribe(t, newDelivering(t, publish))
	third := subscribe(t, newDelivering(t, publish))
	for _, s := range []*session{holder, waiter, third} {
		s.drain()
	}
	published := func(to *session, message string) {
		t.Helper()
		want := [2]string{"turnstile:inbox:" + string(to.id), message}
		select {
		case got := <-sent:
			if got != want {
				t.Fatalf("published %q, want %q", got, want)
			}
		case <-bounded(t).Done():
			t.Fatalf("%q was never published", want)
		}
	}
	key := newKey(t)
	held := holder.request(key)
	mustGrant(t, holder, held)
	next, _ := waiter.waits(t, key)
	published(holder, "w"+key)
	holder.woken(t, backends.Wake{Key: key, Kind: backends.Wanted})
	last, _ := third.waits(t, key)
	published(holder, "w"+key)
	holder.release(t, held)
	published(waiter, "g"+key)
	waiter.woken(t, backends.Wake{Key: key, Kind: backends.Given})
	if err := waiter.Cancel(bounded(t), next.Attempt); err != nil {
		t.Fatal(err)
	}
	published(third, "g"+key)
	third.woken(t, backends.Wake{Key: key, Kind: backends.Given})
	if reply := mustGrant(t, third, last); reply.Contended {
		t.Errorf("%+v: nobody waits any more", reply)
	}
}

func TestWhatIsTooMuchToPublishIsDropped(t *testing.T) {
	t.Parallel()
	began, goOn := make(chan struct{}), make(chan struct{})
	got := make(chan string, 2*redis.DeliverMost)
	b := newDelivering(t, func(_ context.Context, _, message string) error {
		if message == "first" {
			close(began)
			<-goOn
		}
		got <- message
		return nil
	})
	b.Deliver("s", "first")
	<-began // so the queue is empty, and nobody reads it
	for n := range redis.DeliverMost + 100 {
		b.Deliver("s", strconv.Itoa(n)) // none of them waits
	}
	close(goOn)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	close(got)
	if first := <-got; first != "first" {
		t.Fatalf("%q came first", first)
	}
	n := 0
	for message := range got {
		if message != strconv.Itoa(n) {
			t.Fatalf("%q came in place %d", message, n)
		}
		n++
	}
	if n != redis.DeliverMost {
		t.Errorf("%d were published, want the %d that had room", n, redis.DeliverMost)
	}
}

// A last release's message is the next session's turn.
func TestCloseHasPublishedWhatWasReleased(t *testing.T) {
	t.Parallel()
	client := shared.RedisClient(t, &goredis.Options{ContextTimeoutEnabled: true})
	key, waiter := newKey(t), newSession(t, shared.URL())
	b := newDelivering(t, publishing(client))
	r := newRequest(key)
	mustGrant(t, b, r)
	waiter.waits(t, key)
	if err := b.Release(bounded(t), r.Attempt); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	waiter.woken(t, backends.Wake{Key: key, Kind: backends.Given})
	b.Deliver(string(waiter.id), "g"+key) // late, by a call that was under way: no more than dropped
}

func TestCloseEndsWhatIsBeingPublished(t *testing.T) {
	t.Parallel()
	began, ended := make(chan struct{}), make(chan error, 2)
	var first sync.Once
	b := newDelivering(t, func(ctx context.Context, _, _ string) error {
		first.Do(func() { close(began) })
		<-ctx.Done()
		ended <- context.Cause(ctx)
		return ctx.Err()
	})
	b.Deliver("s", "m")
	b.Deliver("s", "its time begins when the first one's is over")
	<-began
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
	default:
		t.Error("Close returned while a message was being published")
	}
}

// The node that has the channel is another than the one that has the key.
func TestADeadNodeOfTheChannelHoldsUpNobody(t *testing.T) {
	t.Parallel()
	dead := servertest.Redis(t)
	client := dead.RedisClient(t, &goredis.Options{ContextTimeoutEnabled: true})
	waiter := newSession(t, shared.URL())
	var ended sync.Map // the messages that were given up
	b := newDelivering(t, func(ctx context.Context, channel, message string) error {
		defer ended.Store(message, true)
		return publishing(client)(ctx, channel, message)
	})
	if err := client.Ping(bounded(t)).Err(); err != nil {
		t.Fatal(err)
	}
	if err := dead.Pause(); err != nil {
		t.Fatal(err)
	}
	const turns = 5
	waited := 0 // for a message of their own
	for range turns {
		r := newRequest(newKey(t))
		mustGrant(t, b, r)
		waiting, _ := waiter.waits(t, r.Key)
		if err := b.Release(bounded(t), r.Attempt); err != nil {
			t.Fatal(err)
		}
		if _, late := ended.Load("g" + r.Key); late {
			waited++ // or it was held up by the machine, for as long as a heartbeat
		}
		// It was not told, and asks.
		if reply := waiter.await(t, waiting); reply.Outcome != backends.Granted {
			t.Fatalf("%+v", reply)
		}
		waiter.release(t, waiting)
	}
	if waited == turns {
		t.Error("each caller waited for a dead node")
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
}
