package redis_test

import (
	"context"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/backends/redis"
	"github.com/turnstile-go/turnstile/internal/servers/servertest"
)

func TestARingIsRefused(t *testing.T) {
	t.Parallel()
	ring := goredis.NewRing(&goredis.RingOptions{Addrs: map[string]string{"a": shared.Addr}})
	b := redis.New(ring, redis.Options{Owned: true})
	t.Cleanup(func() { _ = b.Close() })
	r := newRequest(newKey(t))
	reply, err := b.Acquire(bounded(t), r)
	wantFailed(t, r, reply, err, backends.NotRun)
	if !backends.IsRefused(err) || !strings.Contains(err.Error(), "Ring") {
		t.Errorf("%v, want a refusal that names the Ring", err)
	}
	if err := b.Subscribe(backends.NewSession(), func(backends.Wake) {}); !backends.IsRefused(err) {
		t.Errorf("subscribe: %v", err)
	}
}

func TestBothProtocols(t *testing.T) {
	t.Parallel()
	for _, protocol := range []string{"2", "3"} {
		t.Run("RESP"+protocol, func(t *testing.T) {
			as := shared.URL() + "?protocol=" + protocol
			exercise(t, newSession(t, as), newSession(t, as), userKeys(t)...)
		})
	}
}

// A redis:// URL that leads to a node of a Cluster, and the reverse, are told apart
// from a server that is away.
func TestTheWrongFormIsNamed(t *testing.T) {
	t.Parallel()
	_, err := redis.Open(bounded(t), parse(t, "redis+cluster://"+shared.Addr), redis.Options{})
	if !backends.IsRefused(err) || !strings.Contains(err.Error(), "use redis://") {
		t.Errorf("a lone server as a Cluster: %v", err)
	}
	b := open(t, "redis://"+onCluster(t).Nodes[0].Addr)
	refused := 0
	for i := range 30 { // two of three keys are elsewhere
		r := newRequest(newKey(t) + strconv.Itoa(i))
		if reply, err := b.Acquire(bounded(t), r); err != nil {
			wantFailed(t, r, reply, err, backends.NotRun)
			if !backends.IsRefused(err) || !strings.Contains(err.Error(), "redis+cluster://") {
				t.Errorf("a Cluster's node as a lone server: %v", err)
			}
			refused++
		}
	}
	if refused == 0 {
		t.Error("one node has every key")
	}
}

// The cluster client repeats what failed, three times and more, whatever its
// options say; a script is not its to repeat.
func TestAClusterClientOfOnesOwnNeverSendsAScriptTwice(t *testing.T) {
	c := onCluster(t)
	var armed atomic.Bool
	client := goredis.NewClusterClient(&goredis.ClusterOptions{
		Addrs: c.Addrs(), ContextTimeoutEnabled: true, MaxRetries: 3,
		Dialer: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, addr)
			return deafConn{conn, &armed}, err
		},
	})
	b := redis.New(client, redis.Options{Owned: true})
	t.Cleanup(func() { _ = b.Close() })
	key := newKey(t)
	held := newRequest(key)
	mustGrant(t, b, held)
	if err := b.Release(bounded(t), held.Attempt); err != nil {
		t.Fatal(err)
	}
	calls := func() (n int) {
		for _, node := range c.Nodes {
			n += servertest.Calls(t, node.RedisClient(t, nil), "evalsha")
		}
		return n
	}
	before := calls()
	armed.Store(true)
	r := newRequest(key)
	reply, err := b.Acquire(bounded(t), r)
	wantFailed(t, r, reply, err, backends.MayHaveRun)
	if n := calls() - before; n != 1 {
		t.Errorf("sent %d times", n)
	}
	if reply := retry(t, b, r); reply.Outcome != backends.Granted {
		t.Errorf("the same attempt again: %+v, want granted", reply)
	}
}

// A user of a Cluster may do as little as the docs say.
func TestTheRuleInTheDocsIsEnoughOnACluster(t *testing.T) {
	t.Parallel()
	c := onCluster(t)
	for _, node := range c.Nodes {
		rule := append(aclRule(t, "turnstile"), "+cluster|slots", "+spublish", "+ssubscribe")
		if err := node.RedisClient(t, nil).Do(bounded(t), rule...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	u := parse(t, c.URL())
	u.User = url.UserPassword("turnstile", "PASSWORD")
	exercise(t, newSession(t, u.String()), newSession(t, u.String()), userKeys(t)...)
}

// One Sentinel or node that takes a connection and never answers (a stopped
// process, a host that hangs) is no reason not to open.
func TestOneOfSeveralThatDoesNotAnswerIsPassedOver(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	for name, healthy := range map[string]string{
		"Sentinel": onSentinel(t).URL(),
		"Cluster":  onCluster(t).URL(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for range 3 { // whom the driver asks first is chance
				b, err := redis.Open(bounded(t), parse(t, healthy+"&addr="+silent.Addr().String()), redis.Options{})
				if err != nil {
					t.Fatal(err)
				}
				mustGrant(t, b, newRequest(newKey(t)))
				if err := b.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}
