package redis_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/internal/servers/servertest"
)

// TestAServerThatIsBackIsFoundAtOnce: the driver counts the dials that failed, and
// after as many as its pool has room for it lets nobody dial, but itself once a second.
func TestAServerThatIsBackIsFoundAtOnce(t *testing.T) {
	for _, params := range []string{"pool_size=1", "pool_size=3&min_idle_conns=2", "pool_size=1&max_active_conns=2"} {
		t.Run(params, func(t *testing.T) {
			t.Parallel()
			server := servertest.Redis(t)
			b := open(t, server.URL()+"?"+params)
			server.Stop()
			for range 5 {
				if _, err := b.Acquire(bounded(t), newRequest(newKey(t))); !errors.Is(err, backends.ErrUnavailable) {
					t.Fatalf("without a server: %v", err)
				}
			}
			if err := server.Restart(); err != nil {
				t.Fatal(err)
			}
			mustGrant(t, b, newRequest(newKey(t)))
		})
	}
}

// TestOneProbeIsForAllKeys: while a server is away, one prober dials, and all others
// wait for its result. It dials again beside a connection on which nothing is said,
// four times at most.
func TestOneProbeIsForAllKeys(t *testing.T) {
	addr := servertest.Addr(t)
	b := open(t, "redis://"+addr+"?lazy=true&dial_timeout=60s&pool_size=100")
	if _, err := b.Acquire(bounded(t), newRequest(newKey(t))); !errors.Is(err, backends.ErrUnavailable) {
		t.Fatalf("without a server: %v", err)
	}

	// From now on connections are taken, and nothing is said on them.
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	var dials atomic.Int64
	var taking sync.WaitGroup
	taking.Go(func() { // ends with the listener
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			dials.Add(1)
			defer conn.Close() // nothing was said on it
		}
	})
	var callers sync.WaitGroup
	for range 40 {
		key := newKey(t)
		callers.Go(func() {
			if _, err := b.Acquire(within(t, 300*time.Millisecond), newRequest(key)); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v, want the end of its ctx", err)
			}
		})
	}
	callers.Wait()
	_ = listener.Close()
	_ = b.Close() // and the connections with it
	taking.Wait()
	if n := dials.Load(); n < 1 || n > 4 {
		t.Errorf("40 keys dialled %d times, want no more than one prober does", n)
	}
}

// TestANATThatForgetsADozenConnectionsCostsOneTimeout: a connection that is idle
// since before a request that is not answered is not used any more.
func TestANATThatForgetsADozenConnectionsCostsOneTimeout(t *testing.T) {
	t.Parallel()
	const idle = 13
	for _, scheme := range []string{"redis", "rediss"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			server, query := servertest.Redis(t), "?min_idle_conns=13&dial_timeout=20s&read_timeout=20s" // a busy machine takes its time
			if scheme == "rediss" {
				server = servertest.RedisTLS(t, servertest.TLSConfig{Authority: servertest.NewAuthority(t)})
				query += "&skip_verify=true"
			}
			nat := servertest.NewNAT(t, server.Addr)
			b := open(t, scheme+"://"+nat.Addr+query)
			eventually(t, "the pool is full", func() bool { return nat.Open() >= idle })
			mustGrant(t, b, newRequest(newKey(t)))
			nat.Forget()
			if _, err := b.Acquire(within(t, 200*time.Millisecond), newRequest(newKey(t))); !errors.Is(err, backends.ErrUnavailable) {
				t.Fatalf("%v, want no answer: the test proves nothing", err)
			}
			mustGrant(t, b, newRequest(newKey(t)))
		})
	}
}
