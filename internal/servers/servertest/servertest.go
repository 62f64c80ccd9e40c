// Package servertest starts the servers of package servers for one test, and closes
// them at its end. A server that does not start ends the test: a test of a backend
// that is skipped proves nothing.
package servertest

import (
	"testing"

	"github.com/turnstile-go/turnstile/internal/servers"
)

// started takes what a Start function returns.
func started[S interface{ Close() }](t testing.TB, s S, err error) S {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// Addr is an address of 127.0.0.1 that nobody listens on and no server is started on,
// for a server that is away or of the test's own.
func Addr(t testing.TB) string {
	t.Helper()
	addr, err := servers.Addr()
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

// Redis starts a Redis server; args are appended to its own.
func Redis(t testing.TB, args ...string) *servers.Server {
	t.Helper()
	s, err := servers.StartRedis(args...)
	return started(t, s, err)
}

// Memcached starts a memcached server; args are appended to its own.
func Memcached(t testing.TB, args ...string) *servers.Server {
	t.Helper()
	s, err := servers.StartMemcached(args...)
	return started(t, s, err)
}

// Etcd starts an etcd server; args are appended to its own.
func Etcd(t testing.TB, args ...string) *servers.Server {
	t.Helper()
	s, err := servers.StartEtcd(args...)
	return started(t, s, err)
}

// RedisClusterOf starts a Redis Cluster.
func RedisClusterOf(t testing.TB, config servers.ClusterConfig) *servers.Cluster {
	t.Helper()
	c, err := servers.StartRedisCluster(config)
	return started(t, c, err)
}

// RedisSentinelOf starts a master with two replicas and three sentinels.
func RedisSentinelOf(t testing.TB, config servers.SentinelConfig) *servers.Sentinel {
	t.Helper()
	s, err := servers.StartRedisSentinel(config)
	return started(t, s, err)
}

// A TLSConfig says how a Redis server speaks TLS.
type TLSConfig struct {
	// Authority signs, and the server trusts it for its clients.
	Authority *Authority
	// Certificate is the server's own; nil is one that is in order.
	Certificate *Certificate
	// AskClients makes the server refuse clients without a certificate of the
	// authority's (tls-auth-clients).
	AskClients bool
}

// RedisTLS starts a Redis server that speaks TLS and nothing else.
func RedisTLS(t testing.TB, config TLSConfig, args ...string) *servers.Server {
	t.Helper()
	if config.Certificate == nil {
		shown := config.Authority.Server()
		config.Certificate = &shown
	}
	probe := config.Authority.Config(config.Authority.Client("probe"))
	probe.InsecureSkipVerify = true // see servers.TLSConfig
	s, err := servers.StartRedisTLS(servers.TLSConfig{
		CertFile: config.Certificate.File, KeyFile: config.Certificate.KeyFile,
		CAFile: config.Authority.File, AskClients: config.AskClients, Probe: probe,
	}, args...)
	return started(t, s, err)
}
