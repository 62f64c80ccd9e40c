package redis_test

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/backends/backendtest"
	"github.com/turnstile-go/turnstile/backends/redis"
	"github.com/turnstile-go/turnstile/internal/servers"
	"github.com/turnstile-go/turnstile/internal/testmain"
)

// shared is the server of all tests that do it no harm.
var shared *servers.Server

// TestMain is useTheDriver as well, in a process that a test has started.
func TestMain(m *testing.M) {
	if url, ok := os.LookupEnv(driverLogEnv); ok {
		if err := useTheDriver(url, os.Stdout); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		return
	}
	testmain.Prepare(16)
	var err error
	if shared, err = servers.StartRedis(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(tests{m}, goleak.IgnoreCurrent(), goleak.Cleanup(func(code int) {
		shared.Close()
		os.Exit(code)
	}))
}

// tests are the package's. What they have started for each other is closed
// before anybody looks for what they left.
type tests struct{ *testing.M }

func (m tests) Run() int {
	code := m.M.Run()
	for _, stop := range started {
		stop()
	}
	return code
}

// started are the ends of what sharedCluster and sharedSentinel have started.
var (
	startedMu sync.Mutex // protects started
	started   []func()
)

func endsLater(stop func()) {
	startedMu.Lock()
	defer startedMu.Unlock()
	started = append(started, stop)
}

// Nobody fails over in what is shared, however long a server waits for a processor.
const neverDown = 10 * time.Minute

// sharedCluster starts, once, the Cluster of all tests that do it no harm.
var sharedCluster = sync.OnceValues(func() (*servers.Cluster, error) {
	c, err := servers.StartRedisCluster(servers.ClusterConfig{Masters: 3, Replicas: 1, NodeTimeout: neverDown})
	if err == nil {
		endsLater(c.Close)
	}
	return c, err
})

// sharedSentinel does so with a master, its replicas and three Sentinels.
var sharedSentinel = sync.OnceValues(func() (*servers.Sentinel, error) {
	s, err := servers.StartRedisSentinel(servers.SentinelConfig{DownAfter: neverDown})
	if err == nil {
		endsLater(s.Close)
	}
	return s, err
})

func TestConformance(t *testing.T) {
	t.Parallel()
	backendtest.Run(t, func(t *testing.T) backends.Backend { return openPatient(t, shared.URL()) })
}

// onCluster is that Cluster.
func onCluster(t *testing.T) *servers.Cluster {
	t.Helper()
	c, err := sharedCluster()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestConformanceOnACluster(t *testing.T) {
	t.Parallel()
	c := onCluster(t)
	backendtest.Run(t, func(t *testing.T) backends.Backend { return openPatient(t, c.URL()) })
}

// onSentinel is that set.
func onSentinel(t *testing.T) *servers.Sentinel {
	t.Helper()
	s, err := sharedSentinel()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestConformanceBySentinel(t *testing.T) {
	t.Parallel()
	s := onSentinel(t)
	backendtest.Run(t, func(t *testing.T) backends.Backend { return openPatient(t, s.URL()) })
}

// open opens a backend that the test's end closes, if the test hasn't.
func open(t testing.TB, rawURL string) *redis.Backend {
	t.Helper()
	b, err := redis.Open(t.Context(), parse(t, rawURL), redis.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

// openPatient does so, with timeouts that only a defect reaches; see WaitAlone.
func openPatient(t testing.TB, rawURL string) *redis.Backend {
	t.Helper()
	u := parse(t, rawURL)
	q, most := u.Query(), "1m"
	if u.Scheme == "redis+sentinel" {
		most = "2s" // it takes no more
	}
	for _, name := range []string{"dial_timeout", "read_timeout", "write_timeout"} {
		q.Set(name, most)
	}
	u.RawQuery = q.Encode()
	b := open(t, u.String())
	b.WaitAlone()
	return b
}

func parse(t testing.TB, rawURL string) *url.URL {
	t.Helper()
	u, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

var keys atomic.Int64

// newKey is a key of the test's own.
func newKey(t testing.TB) string {
	return fmt.Sprintf("pylock:%s:%d", strings.ReplaceAll(t.Name(), "/", ":"), keys.Add(1))
}

const (
	// patience bounds the waits of a test: only a defect outlasts it.
	patience = time.Minute
	// lease is how long the tests' leases are: a wait that ends before patience does
	// was not for their end.
	lease = 10 * time.Minute
)

// newRequest is the first attempt of a new session, queueing.
func newRequest(key string) backends.Request {
	return backends.Request{
		Attempt: backends.Attempt{Key: key, Token: backends.NewSession().Token(1)},
		TTL:     lease, Label: "tester", Queue: true,
	}
}

func mustGrant(t testing.TB, b backends.Backend, r backends.Request) backends.Reply {
	t.Helper()
	reply, err := b.Acquire(bounded(t), r)
	if err != nil || reply.Outcome != backends.Granted {
		t.Fatalf("acquire: %v, %v; want granted", reply.Outcome, err)
	}
	return reply
}

func bounded(t testing.TB) context.Context {
	t.Helper()
	return within(t, patience)
}

func within(t testing.TB, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// exists tells whether the server has anything under the key.
func exists(t testing.TB, client *goredis.Client, key string) bool {
	t.Helper()
	n, err := client.Exists(bounded(t), key).Result()
	if err != nil {
		t.Fatal(err)
	}
	return n == 1
}
