package memcache

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/internal/door"
	"github.com/turnstile-go/turnstile/internal/quickest"
	"github.com/turnstile-go/turnstile/internal/servers/servertest"
)

func TestURLs(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]options{
		"memcache://h":                   {addrs: []string{"h:11211"}},
		"memcache://h:1/":                {addrs: []string{"h:1"}},
		"memcache://H:1,i:2":             {addrs: []string{"h:1", "i:2"}},
		"memcache://a,b":                 {addrs: []string{"a:11211", "b:11211"}},
		"memcache://[::1]":               {addrs: []string{"[::1]:11211"}},
		"memcache://h:011211":            {addrs: []string{"h:11211"}},
		"memcache://[::1]:7":             {addrs: []string{"[::1]:7"}},
		"memcache://h?timeout=20ms":      {addrs: []string{"h:11211"}, timeout: 20 * time.Millisecond},
		"memcache://h?max_idle=3":        {addrs: []string{"h:11211"}, maxIdle: 3},
		"memcache://h?lazy=true":         {addrs: []string{"h:11211"}, lazy: true},
		"memcache://h?lazy=0&timeout=2s": {addrs: []string{"h:11211"}, timeout: 2 * time.Second},
	} {
		if want.timeout == 0 {
			want.timeout = 500 * time.Millisecond
		}
		if want.maxIdle == 0 {
			want.maxIdle = 64
		}
		u, err := url.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		got, err := parse(u)
		if err != nil || !slices.Equal(got.addrs, want.addrs) || got.timeout != want.timeout || got.maxIdle != want.maxIdle || got.lazy != want.lazy {
			t.Errorf("%s: %+v, %v; want %+v", raw, got, err, want)
		}
	}
}

func TestBadURLsAreRefusedInSilence(t *testing.T) {
	t.Parallel()
	const secret = "s3cret"
	for _, raw := range []string{
		"memcache://", "memcache://:11211", "memcache://h,", "memcache://h:1,h:1", "memcache://h,H", "memcache://h:011211,h:11211",
		"memcache://h:0", "memcache://h:99999", "memcache://" + secret + "@h", "memcache://u:" + secret + "@h:1",
		"memcache://h/" + secret, "memcache://h#" + secret, "memcache:" + secret, "memcached://" + secret,
		"memcache://h?timeout=" + secret, "memcache://h?timeout=0s", "memcache://h?timeout=3s", "memcache://h?timeout=-1s",
		"memcache://h?max_idle=0", "memcache://h?max_idle=" + secret, "memcache://h?max_idle=257", "memcache://h?lazy=" + secret,
		"memcache://h?" + secret + "=1", "memcache://h?a=%zz" + secret, "memcache://h?a;b=" + secret,
	} {
		u, err := url.Parse(raw)
		if err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
		b, err := Open(t.Context(), u)
		if !errors.Is(err, backends.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", raw, err)
		}
		if err == nil {
			_ = b.Close()
		} else if strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", raw, err)
		}
	}
}

// TestOpenLooksForItsServers: one has to be there, within 2 s.
func TestOpenLooksForItsServers(t *testing.T) {
	t.Parallel()
	gone := deadAddr(t)
	deaf, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.Close() // it has done its work
	for raw, want := range map[string]error{
		"memcache://" + gone:                                     backends.ErrUnavailable,
		"memcache://" + deaf.Addr().String():                     backends.ErrUnavailable,
		"memcache://" + gone + "," + deaf.Addr().String():        backends.ErrUnavailable,
		"memcache://" + gone + "?lazy=true":                      nil,
		"memcache://" + gone + "," + shared.Addr:                 nil,
		"memcache://" + deaf.Addr().String() + "," + shared.Addr: nil,
	} {
		u, err := url.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		quickest.Whole(t, 4*time.Second, func() { // it tries for 2 s
			b, err := Open(t.Context(), u)
			if !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", raw, err, want)
			}
			if err == nil {
				_ = b.Close()
			}
		})
	}
}

// A server that has all the connections it may have says so and hangs up.
func TestAServerWithTooManyConnectionsIsQuotedAndWaitedFor(t *testing.T) {
	t.Parallel()
	server := servertest.Memcached(t, "-c", "20", "-t", "1")
	leave := servertest.Crowd(t, server.Addr, "get x\r\n", "END\r\n")
	u, err := url.Parse(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	if _, err = Open(t.Context(), u); !errors.Is(err, backends.TooManyClients) || !backends.IsPassing(err) {
		t.Errorf("%v: want too many clients, which passes", err)
	}

	u.RawQuery = "lazy=true"
	b, err := Open(t.Context(), u)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := b.pingOnce(ctx); !errors.Is(err, backends.TooManyClients) {
		t.Errorf("%v: the server is not full", err)
	}
	asked, opened := make(chan struct{}, 2), make(chan error, 1)
	go func() {
		opened <- door.Knock(ctx, func(ctx context.Context) error {
			select {
			case asked <- struct{}{}:
			default: // twice is enough
			}
			return b.pingOnce(ctx)
		}, backends.IsRefused, backends.IsPassing)
	}()
	for range 2 {
		select {
		case err := <-opened:
			t.Fatalf("not waited for: %v", err)
		case <-asked:
		}
	}
	leave()
	if err := <-opened; err != nil {
		t.Errorf("not let in when there was room: %v", err)
	}
}

// A Redis server that is given as memcached answers in words of its own, for good.
func TestARedisServerIsToldFromMemcached(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"--requirepass", "hunter2"}} {
		b, err := Open(t.Context(), &url.URL{Scheme: "memcache", Host: servertest.Redis(t, args...).Addr})
		if err == nil {
			_ = b.Close()
		}
		if !backends.IsRefused(err) || !strings.Contains(err.Error(), "redis://") {
			t.Errorf("%q: %v, want a refusal that says which scheme to use", args, err)
		}
	}
}

// deadAddr is an address where nobody listens.
func deadAddr(t *testing.T) string {
	t.Helper()
	s := servertest.Memcached(t)
	s.Stop()
	return s.Addr
}

// TestServersShareTheKeys: by rendezvous, in whatever order they are listed, and
// a server that joins takes keys from all and moves no others.
func TestServersShareTheKeys(t *testing.T) {
	t.Parallel()
	list := func(addrs ...string) (all []*server) {
		for _, addr := range addrs {
			all = append(all, newServer(addr, options{}, nil))
		}
		return all
	}
	const keys = 3000
	one, other, more := list("a:1", "b:1", "c:1"), list("c:1", "a:1", "b:1"), list("b:1", "d:1", "c:1", "a:1")
	counts := map[string]int{}
	moved := 0
	for k := range keys {
		digest := itemsOf(fmt.Sprint("key", k)).digest
		at := pick(one, digest).addr
		counts[at]++
		if got := pick(other, digest).addr; got != at {
			t.Fatalf("key %d is on %s or on %s, by the order of the list", k, at, got)
		}
		if got := pick(more, digest).addr; got != at {
			moved++
			if got != "d:1" {
				t.Fatalf("key %d moved from %s to %s, when d joined", k, at, got)
			}
		}
	}
	for addr, n := range counts {
		if n < keys/3*8/10 || n > keys/3*12/10 {
			t.Errorf("%s has %d of %d keys", addr, n, keys)
		}
	}
	if moved < keys/4*8/10 || moved > keys/4*12/10 {
		t.Errorf("%d of %d keys moved to the fourth", moved, keys)
	}
}

// TestADeadServerFailsItsOwnKeysOnly, and those again when it is back.
func TestADeadServerFailsItsOwnKeysOnly(t *testing.T) {
	t.Parallel()
	one, two := servertest.Memcached(t), servertest.Memcached(t)
	b := open(t, one.URL()+","+two.Addr)
	same := open(t, two.URL()+","+one.Addr) // listed the other way round
	keysOf := map[string][]backends.Request{}
	for len(keysOf[one.Addr]) < 5 || len(keysOf[two.Addr]) < 5 {
		r := newRequest(newKey(t) + " ") // hashed, every other one
		if keys.Load()%2 == 0 {
			r = newRequest(newKey(t))
		}
		addr := pick(b.servers, itemsOf(r.Key).digest).addr
		keysOf[addr] = append(keysOf[addr], r)
		mustGrant(t, b, r)
		wantOutcome(t, same, newRequest(r.Key), backends.Held)
	}
	one.Stop()
	for _, r := range keysOf[two.Addr] {
		mustRelease(t, b, r)
		mustGrant(t, same, newRequest(r.Key))
	}
	for _, r := range keysOf[one.Addr] {
		if err := b.Release(bounded(t), r.Attempt); !errors.Is(err, backends.ErrUnavailable) {
			t.Errorf("release on the dead server: %v, want ErrUnavailable", err)
		}
		reply, err := b.Acquire(bounded(t), newRequest(r.Key))
		if !errors.Is(err, backends.ErrUnavailable) || reply.Outcome != backends.NotRun {
			t.Errorf("acquire on the dead server: %v, %v; want ErrUnavailable, and nothing done", reply.Outcome, err)
		}
	}
	if err := one.Restart(); err != nil {
		t.Fatal(err)
	}
	for _, r := range keysOf[one.Addr] {
		// Until the next probe has found it, a verb repeats that it was away.
		fresh := newRequest(r.Key)
		for ctx := bounded(t); ; {
			reply, err := b.Acquire(ctx, fresh)
			if reply.Outcome == backends.Granted {
				break
			}
			if !errors.Is(err, backends.ErrUnavailable) || ctx.Err() != nil {
				t.Fatalf("acquire on the server that is back: %v, %v", reply.Outcome, err)
			}
		}
		mustRelease(t, b, fresh)
	}
}

// TestARestartedServerIsMetInSilence: the idle connections are dead, and no verb
// says so.
func TestARestartedServerIsMetInSilence(t *testing.T) {
	t.Parallel()
	server := servertest.Memcached(t)
	b := open(t, server.URL())
	for round := range 3 {
		// Several idle ones: one failure has to do for all.
		widen(t, b, 4)
		if err := server.Restart(); err != nil {
			t.Fatal(err)
		}
		r := newRequest(newKey(t))
		mustGrant(t, b, r)
		if n := b.idle(); n != 1 {
			t.Errorf("round %d: %d idle connections, want the new one", round, n)
		}
		mustRelease(t, b, r)
	}
}

// TestCallsEndWithTheirContext, while the server says nothing.
func TestCallsEndWithTheirContext(t *testing.T) {
	t.Parallel()
	server := servertest.Memcached(t)
	b := open(t, server.URL()+"?timeout=2s")
	held := newRequest(newKey(t))
	reply := mustGrant(t, b, held)
	if err := server.Pause(); err != nil {
		t.Fatal(err)
	}
	cause := errors.New("the caller left")
	for name, verb := range map[string]func(context.Context) (backends.Outcome, error){
		"acquire": func(ctx context.Context) (backends.Outcome, error) {
			reply, err := b.Acquire(ctx, newRequest(newKey(t)))
			return reply.Outcome, err
		},
		"renew": func(ctx context.Context) (backends.Outcome, error) {
			_, err := b.Renew(ctx, held.Attempt, held.TTL, reply.Base)
			return backends.MayHaveRun, err
		},
		"release": func(ctx context.Context) (backends.Outcome, error) {
			return backends.MayHaveRun, b.Release(ctx, next(held).Attempt)
		},
		"inspect": func(ctx context.Context) (backends.Outcome, error) {
			_, err := b.Inspect(ctx, held.Key)
			return backends.MayHaveRun, err
		},
	} {
		for _, cancelled := range []bool{false, true} {
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			if cancelled {
				var because context.CancelCauseFunc
				ctx, because = context.WithCancelCause(t.Context())
				time.AfterFunc(300*time.Millisecond, func() { because(cause) })
			}
			outcome, err := verb(ctx)
			cancel()
			if !errors.Is(err, backends.ErrUnavailable) || !errors.Is(err, ctx.Err()) || cancelled && !errors.Is(err, cause) { // and not its own timeout
				t.Errorf("%s: %v, want ErrUnavailable and %v", name, err, ctx.Err())
			}
			if outcome != backends.MayHaveRun {
				t.Errorf("%s: %v, want may have run", name, outcome)
			}
		}
	}
	if err := server.Resume(); err != nil {
		t.Fatal(err)
	}
	mustRelease(t, b, held)
}
