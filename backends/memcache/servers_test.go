package memcache

import (
	"context"
	"errors"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/internal/servers/servertest"
)

// idle is how many connections to its one server a backend keeps.
func (b *Backend) idle() int {
	b.servers[0].mu.Lock()
	defer b.servers[0].mu.Unlock()
	return len(b.servers[0].idle)
}

// widen has a backend use n connections at once, and then none.
func widen(t *testing.T, b *Backend, n int) {
	t.Helper()
	var held []*talk
	for range n {
		tk, err := b.talk(t.Context(), newRequest("k").Attempt)
		if err == nil {
			_, err = tk.look()
		}
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, tk)
	}
	for _, tk := range held {
		tk.end()
	}
	if got := b.idle(); got != n {
		t.Fatalf("%d idle connections, want %d", got, n)
	}
}

// TestIdleConnectionsAreClosed when nobody has used them for their time, also if
// nobody uses the backend at all any more.
func TestIdleConnectionsAreClosed(t *testing.T) {
	t.Parallel()
	t.Run("of their age", func(t *testing.T) {
		b := open(t, shared.URL())
		s := b.servers[0]
		widen(t, b, 4)
		s.mu.Lock()
		young := s.idle[3]
		for _, l := range s.idle[:3] {
			l.since = l.since.Add(-idleLife)
		}
		s.mu.Unlock()
		s.reap()
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.idle) != 1 || s.idle[0] != young {
			t.Errorf("%d connections are kept, want the one that was used just now", len(s.idle))
		}
	})
	t.Run("by themselves", func(t *testing.T) {
		server := servertest.Memcached(t)
		b := open(t, server.URL()+"?lazy=true")
		b.servers[0].idleLife = 20 * time.Millisecond
		for range 2 { // and again, after the last has gone
			talk, err := b.talk(t.Context(), newRequest("k").Attempt)
			if err == nil {
				_, err = talk.look()
			}
			if err != nil {
				t.Fatal(err)
			}
			link := talk.link.Load()
			talk.end()
			eventually(t, "it is closed", func() bool {
				return b.idle() == 0 && errors.Is(link.conn.SetDeadline(time.Time{}), net.ErrClosed)
			})
		}
	})
}

// TestCloseEndsWhatWaitsForAConnection: for one of the slots, or for a server that
// answers no dial.
func TestCloseEndsWhatWaitsForAConnection(t *testing.T) {
	t.Parallel()
	for name, block := range map[string]func(s *server) (waits <-chan struct{}){
		"slots": func(s *server) <-chan struct{} {
			for range maxOpen {
				s.slots <- struct{}{}
			}
			waits := make(chan struct{})
			close(waits)
			return waits
		},
		"dial": func(s *server) <-chan struct{} {
			waits := make(chan struct{})
			s.dialer.ControlContext = func(ctx context.Context, _, _ string, _ syscall.RawConn) error {
				close(waits)
				<-ctx.Done()
				return ctx.Err()
			}
			return waits
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := open(t, shared.URL()+"?lazy=true&timeout=2s")
			waits := block(b.servers[0])
			verb, err := b.talk(bounded(t), newRequest(newKey(t)).Attempt)
			if err != nil {
				t.Fatal(err)
			}
			defer verb.end()
			ended := make(chan error, 1)
			go func() { // ends with the look, which is bounded
				_, err := verb.look()
				ended <- err
			}()
			<-waits
			if err := b.Close(); err != nil {
				t.Error(err)
			}
			if err := <-ended; !errors.Is(err, backends.ErrClosed) {
				t.Errorf("%v, want ErrClosed", err)
			}
		})
	}
}

// TestNothingIsDialledAfterClose by a call that began before.
func TestNothingIsDialledAfterClose(t *testing.T) {
	t.Parallel()
	b := open(t, shared.URL()+"?lazy=true")
	s := b.servers[0]
	s.dialer.ControlContext = func(context.Context, string, string, syscall.RawConn) error {
		t.Error("dialled")
		return nil
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	for range 50 { // a slot is free as well: either may be chosen
		if _, err := s.take(t.Context()); !errors.Is(err, net.ErrClosed) {
			t.Fatalf("%v, want ErrClosed", err)
		}
	}
	if n := len(s.slots); n != 0 {
		t.Errorf("%d slots are taken", n)
	}
}

// TestANATThatForgetsADozenConnectionsCostsOneTimeout, that of the call's ctx as well
// as the command's own.
func TestANATThatForgetsADozenConnectionsCostsOneTimeout(t *testing.T) {
	t.Parallel()
	for name, params := range map[string]string{"of the command": "?timeout=100ms", "of the call": "?timeout=2s"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nat := servertest.NewNAT(t, shared.Addr)
			b := open(t, "memcache://"+nat.Addr+params)
			widen(t, b, 13)
			nat.Forget()
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			_, err := b.Inspect(ctx, newKey(t))
			if params == "?timeout=2s" && !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("%v, want no answer: the test proves nothing", err)
			}
			if n := b.idle(); n > 1 { // that of a second look, which may have had the time
				t.Errorf("%d connections are kept that nothing gets through", n)
			}
			if _, err := b.Acquire(bounded(t), newRequest(newKey(t))); err != nil {
				t.Error(err)
			}
		})
	}
}
