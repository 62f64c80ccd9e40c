//go:build unix

package faults

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/internal/servers"
	"github.com/turnstile-go/turnstile/internal/servers/servertest"
	"github.com/turnstile-go/turnstile/lockclient"
)

const (
	// outageRounds is how often each outage is measured with -long.
	outageRounds = 20
	// shortOutage is the one of make test.
	shortOutage = 150 * time.Millisecond
	// leastExpires is the shortest expires of a renewed hold: a busy machine, such
	// as that of make test, takes some of it. longLeast is the one of -long.
	leastExpires = 5 * time.Second
	longLeast    = 1200 * time.Millisecond
	// replacement is how long a server takes to be replaced by another, at most.
	replacement = 5 * time.Second
)

// crowds lists for each crowd, which has a client of its own, the number of keys it
// waits for and the pool options of its user, on Redis and on memcached: these must
// not matter.
var crowds = []struct {
	keys            int
	redis, memcache string
}{{1, "pool_size=1", "max_idle=1"}, {10, "pool_size=40", "max_idle=40"}, {500, "pool_size=4", "max_idle=4"}}

// An absence is how a key's server is away: leave and back begin and end it.
type absence struct {
	name        string
	lasts       []time.Duration
	leave, back func(t *testing.T)
	whole       func(t *testing.T) // makes it ready for the next; nil does nothing
}

// TestOutagesLoseNoRenewedHold: while a server is away for some time, no renewed
// hold is lost if its expires is at least three times that. This is so with any
// number of awaited keys, and with few connections. With -long, a table says how
// much later all of these keys are granted.
func TestOutagesLoseNoRenewedHold(t *testing.T) {
	beside(t)
	lasts := []time.Duration{shortOutage}
	if *long {
		lasts = append(lasts, time.Second, 5*time.Second)
	}
	t.Run(string(oneServer), func(t *testing.T) {
		server, _ := redisServer(t)
		proxy := servertest.NewProxy(t, server.Addr)
		p := &place{t: t, form: oneServer, url: "redis://" + proxy.Addr}
		p.endure(t, cutting(proxy, lasts), p.key)
	})
	t.Run(string(aMemcached), func(t *testing.T) {
		server, _ := memcachedServer(t)
		proxy := servertest.NewProxy(t, server.Addr)
		p := &place{t: t, form: aMemcached, url: "memcache://" + proxy.Addr}
		p.endure(t, cutting(proxy, lasts), p.key)
		p.endure(t, pausing(server, lasts), p.key)
	})
	t.Run(string(aCluster), func(t *testing.T) {
		p := onACluster(t)
		if *long { // here no node is replaced within 5 s
			p = clusterPlace(t, servertest.RedisClusterOf(t, servers.ClusterConfig{Masters: 3, Replicas: 1, NodeTimeout: 30 * time.Second}))
		}
		node := p.server(p.key("k"))
		p.endure(t, pausing(node, lasts), func(name string) string { return p.keyAt(node, name) })
	})
	t.Run(string(sentinels), func(t *testing.T) {
		p := bySentinels(t)
		if *long {
			p = sentinelPlace(t, servertest.RedisSentinelOf(t, servers.SentinelConfig{DownAfter: 30 * time.Second}))
		}
		p.endure(t, pausing(p.server(""), lasts), p.key)
	})
	if *long {
		t.Run("a Cluster's node is replaced", clusterReplaces)
		t.Run("the Sentinels' master is replaced", sentinelsReplace)
	}
}

// cutting is a server that nobody reaches, and then all do.
func cutting(proxy *servertest.Proxy, lasts []time.Duration) absence {
	return absence{
		name: "away", lasts: lasts,
		leave: func(*testing.T) { proxy.Cut() },
		back:  func(*testing.T) { proxy.Heal() },
	}
}

// pausing is a server that is stopped, and goes on.
func pausing(node *servers.Server, lasts []time.Duration) absence {
	return absence{
		name: "stopped", lasts: lasts,
		leave: func(t *testing.T) { must(t, node.Pause()) },
		back:  func(t *testing.T) { must(t, node.Resume()) },
	}
}

func clusterReplaces(t *testing.T) {
	p, c := onThisCluster(t)
	p.replaced = true
	tag := "{" + p.key("tag") + "}" // the keys are all in one slot
	var dead *servers.Server
	p.endure(t, absence{
		name: "replaced", lasts: []time.Duration{replacement},
		leave: func(*testing.T) {
			dead = p.server(tag)
			dead.Stop()
		},
		back: func(t *testing.T) {
			_, err := c.AwaitMaster(slotOf(tag))
			must(t, err)
		},
		whole: func(t *testing.T) {
			must(t, dead.Restart())
			must(t, c.AwaitWhole())
		},
	}, func(name string) string { return tag + p.key(name) })
}

func sentinelsReplace(t *testing.T) {
	p, s := byTheseSentinels(t)
	p.replaced = true
	var dead *servers.Server
	p.endure(t, absence{
		name: "replaced", lasts: []time.Duration{replacement},
		leave: func(t *testing.T) {
			var err error
			dead, err = s.KillMaster()
			must(t, err)
		},
		back: func(t *testing.T) {
			_, err := s.AwaitMaster(dead)
			must(t, err)
		},
		whole: func(t *testing.T) { must(t, s.Rejoin()) },
	}, p.key)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// endure has a server leave, as often as it takes to measure it, while the crowds
// wait for their keys and their clients renew a hold each.
func (p *place) endure(t *testing.T, a absence, newKey func(string) string) {
	rounds := 1
	if *long {
		rounds = outageRounds
	}
	clients := make([]*lockclient.Client, len(crowds))
	for i, crowd := range crowds {
		pool := crowd.redis
		if p.form == aMemcached {
			pool = crowd.memcache
		}
		clients[i] = open(t, p.URL(pool), fmt.Sprint(crowd.keys, " keys"))
	}
	for _, d := range a.lasts {
		later := make([][]time.Duration, len(crowds))
		for range rounds {
			for i, late := range p.measured(t, a, d, clients, newKey) {
				later[i] = append(later[i], late)
			}
		}
		for i, crowd := range crowds {
			slices.Sort(later[i])
			t.Logf("| %s | %s | %v | %d | %v | %v |", p.form, a.name, d, crowd.keys,
				later[i][rounds/2].Round(time.Millisecond), later[i][rounds-1].Round(time.Millisecond))
		}
	}
}

// measured makes one outage in which no hold is lost. A machine with too much to do
// gets no renewal through in a short time either, so the short form tries again with
// longer holds before it calls that a loss.
func (p *place) measured(t *testing.T, a absence, d time.Duration, clients []*lockclient.Client, newKey func(string) string) []time.Duration {
	expires, most := max(3*d, leastExpires), 4*leastExpires
	if *long {
		expires, most = max(3*d, longLeast), 0
	}
	for {
		later, lost := p.outage(t, a, expires, d, clients, newKey)
		if lost == nil {
			return later
		}
		if expires *= 2; expires > most {
			t.Error(lost)
			return later
		}
		t.Log(lost)
	}
}

// outage makes one outage, and returns how much later each crowd had its keys, and
// which hold was lost.
func (p *place) outage(t *testing.T, a absence, expires, d time.Duration, clients []*lockclient.Client, newKey func(string) string) (later []time.Duration, lost error) {
	held := make([]*lockclient.Lock, len(clients))
	keys := make([][]string, len(clients))
	for i, c := range clients {
		held[i] = acquire(t, c, newKey("held"), lockclient.Expires(expires), lockclient.Renew())
		for range crowds[i].keys {
			keys[i] = append(keys[i], newKey("waited for"))
		}
	}
	a.leave(t)
	had := make([]time.Time, len(clients))
	var waiting sync.WaitGroup
	for i, c := range clients {
		waiting.Go(func() { had[i] = allGranted(t, c, keys[i]) })
	}
	if a.whole == nil {
		time.Sleep(d) // others end it otherwise
	}
	a.back(t)
	back := time.Now()
	waiting.Wait()
	later = make([]time.Duration, len(clients))
	for i, lock := range held {
		later[i] = max(0, had[i].Sub(back))
		if cause := context.Cause(lock.Context()); cause != nil {
			lost = fmt.Errorf("%s for %v, and %d keys are waited for: the hold of %v ended: %w", a.name, d, crowds[i].keys, expires, cause)
			continue
		}
		release(t, lock)
	}
	if a.whole != nil {
		a.whole(t)
	}
	return later, lost
}

// allGranted acquires all keys at once, and returns when the last was granted.
func allGranted(t *testing.T, c *lockclient.Client, keys []string) time.Time {
	var locks sync.WaitGroup
	var mu sync.Mutex // protects last
	var last time.Time
	for _, key := range keys {
		locks.Go(func() {
			lock, err := c.Acquire(context.Background(), key, lockclient.Timeout(patience))
			if err != nil {
				t.Errorf("acquire: %v", err)
				return
			}
			mu.Lock()
			if now := time.Now(); now.After(last) {
				last = now
			}
			mu.Unlock()
			// A machine with too much to do may take longer than a release waits. It then
			// goes on in the background, and nothing is lost by that.
			if err := lock.Release(); err != nil && !errors.Is(err, lockclient.ErrUnavailable) {
				t.Errorf("release: %v", err)
			}
		})
	}
	locks.Wait()
	return last
}
