package redis_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"math"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/backends/redis"
	"github.com/turnstile-go/turnstile/internal/servers/servertest"
)

// openedAt is a backend as Open makes it; dial may be nil.
func openedAt(t *testing.T, addr string, dial func(ctx context.Context, network, addr string) (net.Conn, error)) *redis.Backend {
	client := goredis.NewClient(&goredis.Options{
		Addr: addr, Dialer: dial, MaxRetries: -1, DialerRetries: 1, DisableIdentity: true, ContextTimeoutEnabled: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	redis.Hook(client)
	b := redis.New(client, redis.Options{Owned: true})
	t.Cleanup(func() { _ = b.Close() })
	return b
}

// A stub is a server that speaks as much of the protocol as a login takes.
type stub struct {
	addr  string
	pings atomic.Int32
}

// newStub starts a stub whose first pings are answered with refusal. It ends with the test.
func newStub(t *testing.T, refusal string, refused int32) *stub {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &stub{addr: l.Addr().String()}
	var serving sync.WaitGroup
	serving.Go(func() { // ends with the listener
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { // ends with the client's end
				defer c.Close()
				for in := bufio.NewScanner(c); in.Scan(); {
					// A command is "*2", then "$4" and "name" for each part.
					switch answer := "-ERR unknown command\r\n"; strings.ToLower(in.Text()) {
					case "ping":
						if answer = "+PONG\r\n"; s.pings.Add(1) <= refused {
							answer = "-" + refusal + "\r\n"
						}
						fallthrough
					case "hello":
						_, _ = io.WriteString(c, answer)
					}
				}
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		serving.Wait()
	})
	return s
}

// What passes is waited for at open as well: a server that is just coming up is what
// a start of everything at once finds.
func TestOpenWaitsForAServerThatIsNotReady(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		refusal string
		reason  backends.Reason
	}{
		{"LOADING Redis is loading the dataset in memory", backends.Loading},
		{"MISCONF Redis is configured to save RDB snapshots", backends.CannotSave},
		{"BUSY Redis is busy running a script.", backends.Busy},
	} {
		t.Run(row.reason.Error(), func(t *testing.T) {
			t.Parallel()
			s := newStub(t, row.refusal, 3)
			if err := openedAt(t, s.addr, nil).Ping(within(t, time.Minute)); err != nil || s.pings.Load() != 4 {
				t.Errorf("after %d pings: %v, want to be let in by the fourth", s.pings.Load(), err)
			}
			_, err := redis.Open(bounded(t), parse(t, "redis://"+newStub(t, row.refusal, math.MaxInt32).addr), redis.Options{})
			if !errors.Is(err, row.reason) || !backends.IsPassing(err) || !strings.Contains(err.Error(), row.refusal) {
				t.Errorf("%v: want the server's words, and that they pass", err)
			}
		})
	}
	t.Run("not up yet", func(t *testing.T) {
		t.Parallel()
		var dials atomic.Int32
		b := openedAt(t, shared.Addr, func(ctx context.Context, network, addr string) (net.Conn, error) {
			if dials.Add(1) < 4 {
				return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
			}
			return new(net.Dialer).DialContext(ctx, network, addr)
		})
		if err := b.Ping(within(t, time.Minute)); err != nil || dials.Load() < 4 {
			t.Errorf("after %d dials: %v, want to be let in by the fourth", dials.Load(), err)
		}
	})
	t.Run("never up", func(t *testing.T) {
		t.Parallel()
		server := servertest.Redis(t)
		server.Stop()
		_, err := redis.Open(bounded(t), parse(t, server.URL()), redis.Options{})
		if !errors.Is(err, syscall.ECONNREFUSED) || backends.IsRefused(err) || backends.IsPassing(err) {
			t.Errorf("%v: want connection refused, and not that the time was over", err)
		}
	})
}

// The driver takes the answer to its first command for that of an old server, goes on,
// and meets a broken pipe.
func TestAServerAtMaxclientsIsQuotedAndWaitedFor(t *testing.T) {
	t.Parallel()
	server := servertest.Redis(t, "--maxclients", "8")
	inside := server.RedisClient(t, &goredis.Options{PoolSize: 1, Protocol: 2})
	rejected := func() string { // by the one connection that is let in
		for line := range strings.Lines(inside.Info(bounded(t), "stats").Val()) {
			if n, ok := strings.CutPrefix(line, "rejected_connections:"); ok {
				return strings.TrimSpace(n)
			}
		}
		t.Fatal("the server counts no rejected connections")
		return ""
	}
	_ = rejected() // it connects before the crowd does
	leave := servertest.Crowd(t, server.Addr, "PING\r\n", "+PONG\r\n")
	_, err := redis.Open(bounded(t), parse(t, server.URL()), redis.Options{})
	if !errors.Is(err, backends.TooManyClients) || !backends.IsPassing(err) || !strings.Contains(err.Error(), "max number of clients") {
		t.Errorf("%v: want the server's words, and that it passes", err)
	}

	b := openedAt(t, server.Addr, nil)
	opened := make(chan error, 1)
	before := rejected()
	go func() { opened <- b.Ping(within(t, time.Minute)) }()
	for rejected() == before { // it was turned away once, and others leave
		select {
		case err := <-opened:
			t.Fatalf("not waited for: %v", err)
		default:
		}
	}
	leave()
	if err := <-opened; err != nil {
		t.Errorf("not let in when there was room: %v", err)
	}
}

// twemproxy closes a connection at a command that it doesn't know.
func TestAProxyThatClosesAtACommandIsTold(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closing := make(chan struct{})
	go func() { // ends with the listener
		defer close(closing)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 1<<10)) // all of it, or there would be a reset
			_ = c.Close()
		}
	}()
	defer func() { <-closing }()
	defer l.Close()
	b := openedAt(t, l.Addr().String(), nil)
	_, err = b.Acquire(bounded(t), newRequest(newKey(t)))
	if !errors.Is(err, backends.ErrUnavailable) || !errors.Is(err, io.EOF) || !strings.Contains(err.Error(), "HELLO") || !strings.Contains(err.Error(), "proxy") {
		t.Errorf("%v: want to be told of HELLO", err)
	}
}

// A plain port takes the begin of a handshake for half a request, and waits for the
// rest: nothing but a timeout would be heard of it.
func TestAPlainPortIsToldFromOneThatIsSlow(t *testing.T) {
	t.Parallel()
	server := servertest.Redis(t, "--requirepass", "hunter2") // one that refuses to answer is as plain
	for _, addr := range []string{shared.Addr, server.Addr} {
		b, err := redis.Open(bounded(t), parse(t, "rediss://:hunter2@"+addr+"?dial_timeout=100ms"), redis.Options{})
		if err == nil {
			_ = b.Close()
		}
		if !errors.Is(err, backends.WrongServer) || !backends.IsRefused(err) || !strings.Contains(err.Error(), "redis:// in place of rediss://") {
			t.Errorf("%v: want that there is no TLS, and what to do", err)
		}
	}
}
