//go:build unix

package faults

import (
	"context"
	"net"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/turnstile-go/turnstile/backends/redis"
	"github.com/turnstile-go/turnstile/internal/servers/servertest"
	"github.com/turnstile-go/turnstile/lockclient"
)

// A detour is where a client connects to in a server's place.
type detour func(server string) string

// through opens a client of the caller's own making, whose connections go by a
// detour; the test's end closes it. It is the driver's client with the driver's
// defaults, as somebody else's program has it, but for what redis.New asks for,
// how long it waits for an answer (0: as the driver likes), and that it dials
// once: or goroutines that go on dialling would outlive the client for a while.
// The one server's is opened by its URL: nothing else leads to a server there.
func (p *place) through(by detour, owner string, answer time.Duration) *lockclient.Client {
	p.t.Helper()
	var doors []string
	for _, s := range p.doors {
		doors = append(doors, s.Addr)
	}
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, by(addr))
	}
	var client goredis.UniversalClient
	switch p.form {
	case oneServer:
		url := "redis://" + by(p.nodes[0].Addr)
		if answer > 0 {
			url += "?read_timeout=" + answer.String()
		}
		return open(p.t, url, owner)
	case aCluster:
		client = goredis.NewClusterClient(&goredis.ClusterOptions{
			Addrs: doors, ContextTimeoutEnabled: true, Dialer: dial, DialerRetries: 1, ReadTimeout: answer,
		})
	case sentinels:
		client = goredis.NewFailoverClient(&goredis.FailoverOptions{
			SentinelAddrs: doors, MasterName: masterName,
			ContextTimeoutEnabled: true, Dialer: dial, DialerRetries: 1, ReadTimeout: answer,
		})
	}
	c, err := lockclient.New(redis.New(client, redis.Options{Owned: true}), lockclient.Config{Owner: owner})
	if err != nil {
		p.t.Fatal(err)
	}
	closeAtEnd(p.t, c, owner)
	return c
}

// cutClient opens a client behind proxies of its own, which it returns as one.
// It is closed before the test looks for what is left, and healed before.
func cutClient(t *testing.T, p *place) (c *lockclient.Client, cut, heal func()) {
	t.Helper()
	proxies := make(map[string]*servertest.Proxy)
	for _, addr := range p.addrs {
		proxies[addr] = servertest.NewProxy(t, addr)
	}
	c = p.through(func(addr string) string { return proxies[addr].Addr }, "behind the proxy", 0)
	all := func(do func(*servertest.Proxy)) func() {
		return func() {
			for _, proxy := range proxies {
				do(proxy)
			}
		}
	}
	cut, heal = all((*servertest.Proxy).Cut), all((*servertest.Proxy).Heal)
	t.Cleanup(heal)
	return c, cut, heal
}
