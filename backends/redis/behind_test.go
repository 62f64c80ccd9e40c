package redis_test

import (
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/internal/servers/servertest"
)

// A lagging proxy may let the replies of all its connections fall behind: to each request it then
// hands on the reply to the one before.
type lagging struct {
	addr string
	lags atomic.Bool
}

func newLagging(t *testing.T, server string) *lagging {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &lagging{addr: listener.Addr().String()}
	t.Cleanup(func() { _ = listener.Close() })
	go func() { // ends with the listener
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			l.pass(client, server, !l.lags.Load())
		}
	}()
	return l
}

// pass begins to copy both ways; each copy ends with either connection. A connection may lag if it was made before.
func (l *lagging) pass(client net.Conn, server string, may bool) {
	upstream, err := net.Dial("tcp", server)
	if err != nil {
		_ = client.Close()
		return
	}
	go func() {
		_, _ = io.Copy(upstream, client)
		_ = upstream.Close()
	}()
	go func() {
		defer client.Close()
		var last []byte
		for {
			reply := make([]byte, 1<<16)
			n, err := upstream.Read(reply)
			if err != nil {
				return
			}
			now := reply[:n]
			if may && l.lags.Load() {
				now, last = last, now
			} else {
				last = now
			}
			if _, err := client.Write(now); err != nil {
				return
			}
		}
	}()
}

// TestAConnectionWhoseRepliesAreLateIsNotUsedAgain: no reply to an earlier attempt grants, and those that follow are
// read on another connection.
func TestAConnectionWhoseRepliesAreLateIsNotUsedAgain(t *testing.T) {
	t.Parallel()
	for name, full := range map[string]bool{"fast": false, "in full": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := servertest.Redis(t)
			l := newLagging(t, server.Addr)
			b, other := open(t, "redis://"+l.addr), open(t, server.URL())
			session, n := backends.NewSession(), uint64(0)
			request := func() backends.Request {
				n++
				r := newRequest(newKey(t))
				r.Token, r.Ambiguous = session.Token(n), full
				return r
			}
			mustGrant(t, b, request())
			held := request()
			mustGrant(t, other, newRequest(held.Key))
			l.lags.Store(true)
			reply, err := b.Acquire(bounded(t), held)
			if reply.Outcome != backends.MayHaveRun || !errors.Is(err, backends.ErrUnavailable) {
				t.Fatalf("by the reply to the attempt before: %+v, %v; want may have run", reply, err)
			}
			for range 3 {
				mustGrant(t, b, request())
			}
		})
	}
}
