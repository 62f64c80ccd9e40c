//go:build unix

package faults

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/internal/servers"
	"github.com/turnstile-go/turnstile/scripts"
)

// A place is where leases live: one server, or several that stand together. The
// rows of the trouble table are tried in all of them.
//
// The one server is the test's own. The Cluster and the servers that Sentinels
// watch are started once and shared by the tests, each of which leaves them
// whole: to start them takes longer than most rows do.
type place struct {
	t    *testing.T
	form form
	url  string

	addrs   []string          // of all servers that a client talks to
	nodes   []*servers.Server // that keep leases
	clients map[*servers.Server]*goredis.Client
	// master is who has a key now, by the word of one of them; settled waits until
	// all of them say the same.
	master, settled func(key string) (*servers.Server, error)
	// whole waits until nothing is amiss.
	whole func() error
	// replaced: a server has taken another's place and may have missed something.
	replaced bool
	// doors are the servers that a client asks first.
	doors []*servers.Server
}

// A form is a kind of place.
type form string

const (
	oneServer form = "one server"
	aCluster  form = "a Cluster"
	sentinels form = "Sentinels"
	// aMemcached is one server too. Of the tables it has that of outages alone.
	aMemcached form = "memcached"
)

// everywhere tries a row in each kind of place.
func everywhere(t *testing.T, row func(t *testing.T, p *place)) {
	t.Helper()
	for kind, at := range map[form]func(*testing.T) *place{oneServer: onOneServer, aCluster: onACluster, sentinels: bySentinels} {
		t.Run(string(kind), func(t *testing.T) {
			beside(t)
			row(t, at(t))
		})
	}
}

func onOneServer(t *testing.T) *place {
	t.Helper()
	server, _ := redisServer(t)
	only := func(string) (*servers.Server, error) { return server, nil }
	all := []*servers.Server{server}
	return &place{
		t: t, form: oneServer, url: server.URL(), addrs: []string{server.Addr},
		nodes: all, doors: all, clients: insides(t, all),
		master: only, settled: only, whole: func() error { return nil },
	}
}

// insides are clients of the test's own. They keep their timeouts, or a busy
// server would keep the test waiting.
func insides(t *testing.T, nodes []*servers.Server) map[*servers.Server]*goredis.Client {
	t.Helper()
	clients := make(map[*servers.Server]*goredis.Client)
	for _, node := range nodes {
		clients[node] = node.RedisClient(t, &goredis.Options{ContextTimeoutEnabled: true, MaxRetries: -1})
	}
	return clients
}

// A lasting deployment is started by the first test that needs it, and serves all
// of them, one at a time, until one fails: no other test should meet the state that
// it left behind.
type lasting[D interface{ Close() }] struct {
	mu      sync.Mutex // held by the test that has it
	start   func() (D, error)
	running bool
	it      D
}

func (l *lasting[D]) get(t *testing.T) D {
	t.Helper()
	l.mu.Lock()
	t.Cleanup(l.mu.Unlock) // after the test's own cleanup
	if !l.running {
		it, err := l.start()
		if err != nil {
			t.Fatal(err)
		}
		l.it, l.running = it, true
	}
	return l.it
}

func (l *lasting[D]) end() {
	if l.running {
		l.it.Close()
		l.running = false
	}
}

// downAfter is how long a server may be silent before another takes its place.
// Beside other tests a server may wait for a processor, and a failover would lose
// the holds that it had granted. Zero means the default, which fails over sooner.
func downAfter() time.Duration {
	if *long {
		return 0
	}
	return 3 * time.Second
}

var sharedCluster = lasting[*servers.Cluster]{start: func() (*servers.Cluster, error) {
	return servers.StartRedisCluster(servers.ClusterConfig{Masters: 3, Replicas: 1, NodeTimeout: downAfter()})
}}

var sharedSentinel = lasting[*servers.Sentinel]{start: func() (*servers.Sentinel, error) {
	return servers.StartRedisSentinel(servers.SentinelConfig{DownAfter: downAfter()})
}}

// onACluster is three masters with a replica each.
func onACluster(t *testing.T) *place {
	t.Helper()
	p, _ := onThisCluster(t)
	return p
}

func onThisCluster(t *testing.T) (*place, *servers.Cluster) {
	t.Helper()
	c := sharedCluster.get(t)
	p := clusterPlace(t, c)
	p.share(sharedCluster.end)
	return p, c
}

// clusterPlace is a Cluster's.
func clusterPlace(t *testing.T, c *servers.Cluster) *place {
	return &place{
		t: t, form: aCluster, url: c.URL(), addrs: c.Addrs(), nodes: c.Nodes, doors: c.Nodes,
		master:  func(key string) (*servers.Server, error) { return c.Master(slotOf(key)) },
		settled: func(key string) (*servers.Server, error) { return c.AwaitMaster(slotOf(key)) },
		whole:   c.AwaitWhole,
	}
}

// masterName is what the Sentinels call their master.
const masterName = "mymaster"

// bySentinels is a master with two replicas, and three Sentinels that watch them.
func bySentinels(t *testing.T) *place {
	t.Helper()
	p, _ := byTheseSentinels(t)
	return p
}

func byTheseSentinels(t *testing.T) (*place, *servers.Sentinel) {
	t.Helper()
	s := sharedSentinel.get(t)
	p := sentinelPlace(t, s)
	p.share(sharedSentinel.end)
	return p, s
}

// sentinelPlace is the one of a master that they watch.
func sentinelPlace(t *testing.T, s *servers.Sentinel) *place {
	addrs := s.Addrs()
	for _, node := range s.Nodes {
		addrs = append(addrs, node.Addr)
	}
	return &place{
		t: t, form: sentinels, url: s.URL(), addrs: addrs, nodes: s.Nodes, doors: s.Sentinels,
		master:  func(string) (*servers.Server, error) { return s.Master() },
		settled: func(string) (*servers.Server, error) { return s.AwaitMaster(nil) },
		whole:   s.AwaitWhole,
	}
}

// slotOf is the slot of a key as a caller gives it.
func slotOf(key string) int { return scripts.Slot("pylock:" + key) }

// share prepares a place for one test more, and checks at its end what the test
// has left there and in this process. A place that a failed test leaves is ended.
func (p *place) share(end func()) {
	p.t.Helper()
	if *long {
		before := goleak.IgnoreCurrent()
		p.t.Cleanup(func() { wantNoGoroutines(p.t, before) })
	}
	p.t.Cleanup(func() {
		if p.t.Failed() {
			end()
		}
	})
	p.clients = insides(p.t, p.nodes)
	began := p.masters()
	p.t.Cleanup(func() {
		if p.t.Failed() {
			return // it may have left anything
		}
		if err := p.whole(); err != nil {
			p.t.Error(err)
			return
		}
		// A restart that takes long on a busy machine has servers replaced, too: the
		// end of the locks may then be what the new one was not told.
		now := p.masters()
		replaced := p.replaced || !slices.Equal(now, began)
		for _, master := range now {
			if replaced {
				p.clear(p.clients[master])
			}
			wantNothingLeft(p.t, p.clients[master])
		}
	})
}

// wantNoGoroutines checks that none are left but those from before, and those
// that mind a server which was started again. A pool of the driver's that failed
// to reach its server tries once a second, and sees then that it was closed.
func wantNoGoroutines(t *testing.T, before goleak.Option) {
	t.Helper()
	minder := goleak.IgnoreAnyFunction("github.com/turnstile-go/turnstile/internal/servers.launch.func1")
	output := goleak.IgnoreAnyFunction("os/exec.(*Cmd).writerDescriptor.func1")
	var left error
	for start := time.Now(); time.Since(start) < 2*time.Second+jitter; {
		if left = goleak.Find(before, minder, output); left == nil {
			return
		}
	}
	t.Error(left)
}

// clear deletes what is left of locks that a replica was not told the end of.
// It has to be such that it would have ended by itself.
func (p *place) clear(master *goredis.Client) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, key := range master.Keys(ctx, "*").Val() {
		if ttl := master.PTTL(ctx, key).Val(); ttl > 0 && ttl <= backends.LongLease+time.Minute {
			master.Del(ctx, key)
		}
	}
}

// URL is the place as callers name it. Parameters may follow, as in a=b&c=d.
func (p *place) URL(params string) string {
	switch {
	case params == "":
		return p.url
	case strings.Contains(p.url, "?"):
		return p.url + "&" + params
	}
	return p.url + "?" + params
}

// leave stops all servers that a client asks first; back starts them again, and
// waits until all is well.
func (p *place) leave() (back func()) {
	p.t.Helper()
	for _, s := range p.doors {
		s.Stop()
	}
	return func() {
		p.t.Helper()
		for _, s := range p.doors {
			if err := s.Restart(); err != nil {
				p.t.Fatal(err)
			}
		}
		if err := p.whole(); err != nil {
			p.t.Fatal(err)
		}
	}
}

// as is the URL of a user, as in "name:password@".
func (p *place) as(login, params string) string {
	return strings.Replace(p.URL(params), "://", "://"+login, 1)
}

// keyCount makes keys unique.
var keyCount atomic.Int64

// key is one that no other test has.
func (p *place) key(name string) string { return fmt.Sprint(name, ".", keyCount.Add(1)) }

// keyAt is one that node has.
func (p *place) keyAt(node *servers.Server, name string) string {
	p.t.Helper()
	for range 100 {
		if key := p.key(name); p.server(key) == node {
			return key
		}
	}
	p.t.Fatalf("%s has no slots", node.Addr)
	return ""
}

// server is who has the key, by the word of one node.
func (p *place) server(key string) *servers.Server {
	p.t.Helper()
	server, err := p.master(key)
	if err != nil {
		p.t.Fatal(err)
	}
	return server
}

// inside is a client of the test's own, to look at what a key's server has.
func (p *place) inside(key string) *goredis.Client {
	p.t.Helper()
	return p.clients[p.server(key)]
}

// masters are all servers that keep leases now.
func (p *place) masters() []*servers.Server {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var masters []*servers.Server
	for _, node := range p.nodes {
		role, err := p.clients[node].Do(ctx, "ROLE").Slice()
		if err != nil {
			p.t.Fatalf("role of %s: %v", node.Addr, err)
		}
		if role[0] == "master" {
			masters = append(masters, node)
		}
	}
	return masters
}

// configure sets an option of all nodes until the test's end.
func (p *place) configure(name, value, before string) {
	p.t.Helper()
	for _, node := range p.nodes {
		if err := config(name, value)(p.t.Context(), p.clients[node]); err != nil {
			p.t.Fatal(err)
		}
		p.t.Cleanup(func() {
			if err := config(name, before)(context.Background(), p.clients[node]); err != nil {
				p.t.Error(err)
			}
		})
	}
}

// otherThan is a master that isn't that one.
func (p *place) otherThan(not *servers.Server) *servers.Server {
	p.t.Helper()
	for _, node := range p.masters() {
		if node != not {
			return node
		}
	}
	p.t.Fatal("there is one master only")
	return nil
}
