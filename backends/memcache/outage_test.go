package memcache

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/internal/servers/servertest"
)

// closes is a proxy whose server is away, until stop: it takes connections and ends
// them at once.
func closes(t testing.TB, addr string) (stop func()) {
	t.Helper()
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	var taking sync.WaitGroup
	taking.Go(func() { // ends with the listener
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_ = conn.Close()
		}
	})
	stop = sync.OnceFunc(func() {
		_ = listener.Close()
		taking.Wait()
	})
	t.Cleanup(stop)
	return stop
}

// TestOneProbeIsForAllKeys, and one word for all: while a server is away its keys don't
// dial each for itself, and when it is back they are told, so that none of them waits
// for the end of a pause.
func TestOneProbeIsForAllKeys(t *testing.T) {
	t.Parallel()
	const keys, tries = 40, 10
	for name, away := range map[string]func(t testing.TB, addr string) (stop func()){
		"nobody listens":            func(testing.TB, string) func() { return func() {} },
		"a proxy takes connections": closes,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := servertest.Memcached(t)
			b := open(t, server.URL()+"?lazy=true")
			var dials atomic.Int64
			b.servers[0].dialer.ControlContext = func(context.Context, string, string, syscall.RawConn) error {
				dials.Add(1)
				return nil
			}
			var woken [keys]chan struct{}
			for i := range woken {
				woken[i] = make(chan struct{}, 1)
			}
			if err := b.Subscribe(backends.NewSession(), func(w backends.Wake) {
				if w != (backends.Wake{Kind: backends.Answering}) {
					t.Errorf("woken by %+v", w)
				}
				for _, c := range woken {
					select {
					case c <- struct{}{}:
					default: // it has been told
					}
				}
			}); err != nil {
				t.Fatal(err)
			}
			mustGrant(t, b, newRequest(newKey(t)))
			server.Stop()
			back := away(t, server.Addr)
			if _, err := b.Acquire(bounded(t), newRequest(newKey(t))); !errors.Is(err, backends.ErrUnavailable) {
				t.Fatalf("without a server: %v", err)
			}

			before := dials.Load()
			var trying, granted sync.WaitGroup
			trying.Add(keys)
			for i := range keys {
				r, ctx := newRequest(newKey(t)), bounded(t)
				granted.Go(func() { // ends with its grant, or with ctx
					for range tries {
						if _, err := b.Acquire(ctx, r); !errors.Is(err, backends.ErrUnavailable) {
							t.Errorf("without a server: %v", err)
						}
					}
					trying.Done()
					for { // the next try has no other cause
						select {
						case <-woken[i]:
						case <-ctx.Done():
							t.Error("it was not told that the server is back")
							return
						}
						if grantTo(ctx, b, r) == nil {
							return
						}
					}
				})
			}
			trying.Wait()
			if n := dials.Load() - before; n > keys*tries/10 {
				t.Errorf("%d tries of %d keys dialled %d times, want no more than one prober does", keys*tries, keys, n)
			}
			back()
			if err := server.Restart(); err != nil {
				t.Fatal(err)
			}
			granted.Wait()
		})
	}
}

// TestNobodyIsWokenAfterClose, nor does a probe go on.
func TestNobodyIsWokenAfterClose(t *testing.T) {
	t.Parallel()
	server := servertest.Memcached(t)
	b := open(t, server.URL()+"?lazy=true")
	var closed atomic.Bool
	wake := func(backends.Wake) {
		if closed.Load() {
			t.Error("woken after Close")
		}
	}
	if err := b.Subscribe(backends.NewSession(), wake); err != nil {
		t.Fatal(err)
	}
	server.Stop()
	if _, err := b.Acquire(bounded(t), newRequest(newKey(t))); !errors.Is(err, backends.ErrUnavailable) {
		t.Fatalf("without a server: %v", err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	closed.Store(true)
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	if err := b.Subscribe(backends.NewSession(), wake); !errors.Is(err, backends.ErrClosed) {
		t.Errorf("subscribe after close: %v", err)
	}
	if _, err := b.Acquire(bounded(t), newRequest(newKey(t))); !errors.Is(err, backends.ErrClosed) {
		t.Errorf("acquire after close: %v", err)
	}
}
