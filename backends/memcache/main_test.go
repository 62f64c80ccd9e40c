package memcache

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	gomemcache "github.com/bradfitz/gomemcache/memcache"
	"go.uber.org/goleak"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/backends/backendtest"
	"github.com/turnstile-go/turnstile/internal/servers"
	"github.com/turnstile-go/turnstile/internal/testmain"
)

// shared is the server of all tests that do it no harm.
var shared *servers.Server

func TestMain(m *testing.M) {
	testmain.Prepare(16)
	var err error
	if shared, err = servers.StartMemcached(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent(), goleak.Cleanup(func(code int) {
		shared.Close()
		os.Exit(code)
	}))
}

func TestConformance(t *testing.T) {
	t.Parallel()
	backendtest.Run(t, func(t *testing.T) backends.Backend { return open(t, shared.URL()) })
}

// open opens a backend that the test's end closes, if the test hasn't.
func open(t testing.TB, rawURL string) *Backend {
	t.Helper()
	u, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Open(t.Context(), u)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

const (
	// patience bounds the waits of a test: only a defect outlasts it.
	patience = time.Minute
	// life is how long the tests' leases are: a wait that ends before patience does
	// was not for their end.
	life = 10 * time.Minute
)

// bounded is a context that ends with the test, or after patience.
func bounded(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

var keys atomic.Int64

// newKey is a key of the test's own.
func newKey(t testing.TB) string {
	return fmt.Sprintf("pylock:%s:%d", strings.ReplaceAll(t.Name(), "/", ":"), keys.Add(1))
}

// newRequest is the first attempt of a new session.
func newRequest(key string) backends.Request {
	return backends.Request{
		Attempt: backends.Attempt{Key: key, Token: backends.NewSession().Token(1)},
		TTL:     life, Label: "tester", Queue: true,
	}
}

// next is another attempt of the same session.
func next(r backends.Request) backends.Request {
	r.Token = r.Token.Session().Token(r.Token.Attempt() + 1)
	return r
}

func wantOutcome(t testing.TB, b backends.Backend, r backends.Request, want backends.Outcome) backends.Reply {
	t.Helper()
	reply, err := b.Acquire(bounded(t), r)
	if err != nil || reply.Outcome != want {
		t.Fatalf("acquire: %v, %v; want %v", reply.Outcome, err, want)
	}
	return reply
}

// grantTo makes one attempt that has to be granted, from any goroutine.
func grantTo(ctx context.Context, b backends.Backend, r backends.Request) error {
	reply, err := b.Acquire(ctx, r)
	if err == nil && reply.Outcome != backends.Granted {
		err = fmt.Errorf("acquire: %v, want granted", reply.Outcome)
	}
	return err
}

func mustGrant(t testing.TB, b backends.Backend, r backends.Request) backends.Reply {
	t.Helper()
	return wantOutcome(t, b, r, backends.Granted)
}

func mustRelease(t testing.TB, b backends.Backend, r backends.Request) {
	t.Helper()
	if err := b.Release(bounded(t), r.Attempt); err != nil {
		t.Fatalf("release: %v", err)
	}
}

// driver is a client of the test's own, to look inside a server.
func driver(t testing.TB, addr string) *gomemcache.Client {
	t.Helper()
	c := gomemcache.New(addr)
	c.Timeout = patience // it is the test's own, which no slow machine may end
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// eventually polls until cond holds; it fails the test after patience.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	poll := time.NewTicker(2 * time.Millisecond)
	defer poll.Stop()
	for !cond() {
		select {
		case <-poll.C:
		case <-deadline.C:
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}
