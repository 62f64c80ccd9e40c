//go:build unix

package faults

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/internal/servers"
	"github.com/turnstile-go/turnstile/internal/servers/servertest"
	"github.com/turnstile-go/turnstile/internal/testmain"
	"github.com/turnstile-go/turnstile/lockclient"
)

// long is for a machine that has nothing else to do; see the package's doc.
var long = flag.Bool("long", false, "run the multi-process tests for 10 s and 30 s")

const (
	// heartbeat is the delay that a lost message may cost: see docs/design.md.
	heartbeat = 300 * time.Millisecond
	// tenure is the default of Config.Tenure.
	tenure = 20 * time.Millisecond
)

// jitter is what the machine may add to any wait. The long form has the machine to
// itself and checks the bounds; in the short one, beside other tests, only a lasting
// delay is a defect.
var jitter = 30 * time.Second

// beside lets a test run beside others, in the short form.
func beside(t *testing.T) {
	t.Helper()
	if !*long {
		t.Parallel()
	}
}

// alone checks at the test's end, in the long form, that it has left no goroutine:
// beside other tests their goroutines can't be told from its own, and TestMain
// checks all at the end.
func alone(t *testing.T) {
	t.Helper()
	if *long {
		before := goleak.IgnoreCurrent()
		t.Cleanup(func() { goleak.VerifyNone(t, before) })
	}
}

// TestMain is a worker as well: the processes of a test are the test's binary.
func TestMain(m *testing.M) {
	// The driver's own log of each failed dial would bury a failing test's words.
	goredis.SetLogger(silent{})
	if text, ok := os.LookupEnv(workerEnv); ok {
		if err := work(text, os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "worker of a test:", err)
			os.Exit(1)
		}
		return
	}
	testmain.Prepare(12)
	if *long {
		jitter = 250 * time.Millisecond
	}
	goleak.VerifyTestMain(tests{m})
}

// tests are the package's. What they have started for each other is ended
// before anybody looks for what they left.
type tests struct{ *testing.M }

func (m tests) Run() int {
	code := m.M.Run()
	sharedCluster.end()
	sharedSentinel.end()
	return code
}

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

// l1 is how long after a crash the next grant may come: L1 of docs/design.md.
func l1(expires time.Duration) time.Duration { return expires*102/100 + time.Second }

// redisServer starts a server for one test, with a client of the test's own to
// look inside. The test's end checks that nothing was left: on the server when
// all clients are closed, and in this process when the server is gone.
func redisServer(t *testing.T, args ...string) (*servers.Server, *goredis.Client) {
	t.Helper()
	alone(t)
	server := servertest.Redis(t, args...)
	inside := server.RedisClient(t, nil)
	t.Cleanup(func() { wantNothingLeft(t, inside) })
	return server, inside
}

// wantNothingLeft checks what a server keeps after its last client.
func wantNothingLeft(t *testing.T, inside *goredis.Client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	// A server may notice a killed process's connection a little late.
	eventually(t, 2*time.Second, "no subscription is left", func() bool {
		channels, err := inside.PubSubChannels(ctx, "turnstile:*").Result()
		sharded, err2 := inside.PubSubShardChannels(ctx, "turnstile:*").Result()
		return err == nil && err2 == nil && len(channels)+len(sharded) == 0
	})
	keys, err := inside.Keys(ctx, "*").Result()
	if err != nil {
		t.Errorf("what is left: %v", err)
	}
	for _, key := range keys {
		ttl := inside.PTTL(ctx, key).Val()
		kind := inside.Type(ctx, key).Val()
		if kind == "none" {
			continue // its time was over just now
		}
		if kind != "hash" && kind != "string" || !strings.Contains(key, "}:turnstile") || ttl <= 0 || ttl > backends.LongLease+time.Minute {
			t.Errorf("left behind: %s %q, ttl %v", kind, key, ttl)
		}
	}
}

// open opens a client that the test's end closes. owner names it in messages.
func open(t *testing.T, url, owner string) *lockclient.Client {
	t.Helper()
	return openWith(t, lockclient.Config{Backend: url, Owner: owner})
}

func openWith(t *testing.T, config lockclient.Config) *lockclient.Client {
	t.Helper()
	c, err := lockclient.Open(config)
	if err != nil {
		t.Fatal(err)
	}
	closeAtEnd(t, c, config.Owner)
	return c
}

func closeAtEnd(t *testing.T, c *lockclient.Client, owner string) {
	t.Helper()
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("close of %s: %v", owner, err)
		}
	})
}

func acquire(t *testing.T, c *lockclient.Client, key string, opts ...lockclient.Option) *lockclient.Lock {
	t.Helper()
	lock, err := c.Acquire(t.Context(), key, opts...)
	if err != nil {
		t.Fatalf("acquire: %v", err)
	}
	return lock
}

func release(t *testing.T, lock *lockclient.Lock) {
	t.Helper()
	if err := lock.Release(); err != nil {
		t.Errorf("release: %v", err)
	}
}

// A grant is what became of an acquire that ran beside the test.
type grant struct {
	lock *lockclient.Lock
	err  error
	took time.Duration
}

// acquiring starts an acquire; the channel gets its outcome. It ends by its own
// timeout at the latest.
func acquiring(t *testing.T, c *lockclient.Client, key string, opts ...lockclient.Option) <-chan grant {
	t.Helper()
	out := make(chan grant, 1)
	start := time.Now()
	ctx := t.Context()
	go func() { // ends with its acquire
		lock, err := c.Acquire(ctx, key, opts...)
		out <- grant{lock, err, time.Since(start)}
	}()
	return out
}

// granted takes the outcome of an acquire that has to succeed within d, and jitter.
func granted(t *testing.T, out <-chan grant, d time.Duration) *lockclient.Lock {
	t.Helper()
	late := time.NewTimer(d + jitter)
	defer late.Stop()
	select {
	case g := <-out:
		if g.err != nil {
			t.Fatalf("acquire: %v", g.err)
		}
		return g.lock
	case <-late.C:
		t.Fatalf("no grant within %v", d)
	}
	return nil
}

// eventually polls until cond holds; it fails the test after d, and jitter.
func eventually(t *testing.T, d time.Duration, what string, cond func() bool) {
	t.Helper()
	deadline := time.NewTimer(d + jitter)
	defer deadline.Stop()
	poll := time.NewTicker(2 * time.Millisecond)
	defer poll.Stop()
	for !cond() {
		select {
		case <-poll.C:
		case <-deadline.C:
			t.Fatalf("not within %v: %s", d, what)
		}
	}
}
