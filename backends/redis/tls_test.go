package redis_test

import (
	"crypto/tls"
	"errors"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/backends/redis"
	"github.com/turnstile-go/turnstile/internal/quickest"
	"github.com/turnstile-go/turnstile/internal/servers/servertest"
)

// hunter2 is a password of all that an URL can't carry unescaped.
const hunter2 = "hunter2@%/&?#"

func TestLocksByTLS(t *testing.T) {
	t.Parallel()
	ca := servertest.NewAuthority(t)
	server := servertest.RedisTLS(t, servertest.TLSConfig{Authority: ca, AskClients: true}, "--requirepass", hunter2)
	own := ca.Client("turnstile")
	login := "rediss://:" + url.QueryEscape(hunter2) + "@" + server.Addr
	for name, way := range map[string]struct {
		query string
		tls   *tls.Config
	}{
		"by the URL":     {query: "?tls_ca=" + url.QueryEscape(ca.File) + "&tls_cert=" + url.QueryEscape(own.File) + "&tls_key=" + url.QueryEscape(own.KeyFile)},
		"by the program": {tls: ca.Config(own)},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := redis.Open(bounded(t), parse(t, login+way.query), redis.Options{TLS: way.tls})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = b.Close() })
			s := subscribe(t, b) // on a connection of its own
			mustGrant(t, b, newRequest(newKey(t)))
			s.hears(t, true)
		})
	}
}

// Each of these is told at once, says what to look at, and shows no secret.
func TestTLSThatIsNotAccepted(t *testing.T) {
	t.Parallel()
	ca, stranger := servertest.NewAuthority(t), servertest.NewAuthority(t)
	strangers := stranger.Client("turnstile")
	expired, other := ca.Expired(), ca.ServerFor("other.test")
	plain := servertest.Redis(t, "--requirepass", hunter2)
	for _, row := range []struct {
		name   string
		server servertest.TLSConfig
		query  string
		login  string
		says   string
	}{
		{"another authority", servertest.TLSConfig{Authority: ca}, "tls_ca=" + stranger.File, hunter2, "tls_ca"},
		{"the system's authorities", servertest.TLSConfig{Authority: ca}, "", hunter2, "tls_ca"},
		{"an expired certificate", servertest.TLSConfig{Authority: ca, Certificate: &expired}, "tls_ca=" + ca.File, hunter2, "expired"},
		{"a certificate for another name", servertest.TLSConfig{Authority: ca, Certificate: &other}, "tls_ca=" + ca.File, hunter2, "tls_server_name"},
		{"another name is wanted", servertest.TLSConfig{Authority: ca}, "tls_server_name=other.test&tls_ca=" + ca.File, hunter2, "tls_server_name"},
		{"no certificate of our own", servertest.TLSConfig{Authority: ca, AskClients: true}, "tls_ca=" + ca.File, hunter2, "tls_cert"},
		{"a stranger's certificate of our own", servertest.TLSConfig{Authority: ca, AskClients: true},
			"tls_ca=" + ca.File + "&tls_cert=" + strangers.File + "&tls_key=" + strangers.KeyFile, hunter2, "tls_key"},
		{"a wrong password", servertest.TLSConfig{Authority: ca}, "tls_ca=" + ca.File, "hunter2wrong", "user and password"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			server := servertest.RedisTLS(t, row.server, "--requirepass", hunter2)
			wantRefused(t, "rediss://:"+url.QueryEscape(row.login)+"@"+server.Addr+"?"+row.query, row.says)
		})
	}
	t.Run("TLS to a port without", func(t *testing.T) {
		t.Parallel()
		wantRefused(t, "rediss://:"+url.QueryEscape(hunter2)+"@"+chatty(t), "doesn't speak TLS")
	})
	// A Redis server says nothing to what looks to it like half a command, so this
	// and its reverse end by their timeouts.
	secure := servertest.RedisTLS(t, servertest.TLSConfig{Authority: ca})
	for _, raw := range []string{"rediss://:" + url.QueryEscape(hunter2) + "@" + plain.Addr, "redis://:" + url.QueryEscape(hunter2) + "@" + secure.Addr} {
		quickest.Whole(t, 3*time.Second, func() {
			_, err := redis.Open(bounded(t), parse(t, raw), redis.Options{})
			if !errors.Is(err, backends.ErrUnavailable) || strings.Contains(err.Error(), "hunter2") {
				t.Error(err)
			}
		})
	}
}

// chatty is the address of a server that greets who connects, and not by TLS.
func chatty(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() { // ends with the listener
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte("-ERR what do you want\r\n"))
			defer conn.Close() // at the listener's end: the client reads first
		}
	}()
	return l.Addr().String()
}

// wantRefused opens a URL, at once and lazily, and wants the refusal to say what
// to do without showing the password, escaped or not.
func wantRefused(t *testing.T, raw, says string) {
	t.Helper()
	look := func(err error) {
		t.Helper()
		switch {
		case !backends.IsRefused(err) && !errors.Is(err, backends.ErrInvalid):
			t.Errorf("%v: want a refusal", err)
		case !strings.Contains(err.Error(), says):
			t.Errorf("%v: want it to say %q", err, says)
		case strings.Contains(err.Error(), "hunter2"):
			t.Errorf("the error shows the password: %v", err)
		}
	}
	// The server's words may be lost with the connection that it ends.
	said := func(err error) bool { return backends.IsRefused(err) || errors.Is(err, backends.ErrInvalid) }
	var err error
	for end := bounded(t); end.Err() == nil && !said(err); {
		var b *redis.Backend
		if b, err = redis.Open(bounded(t), parse(t, raw), redis.Options{}); err == nil {
			_ = b.Close()
			break
		}
	}
	look(err)
	if errors.Is(err, backends.ErrInvalid) {
		return
	}
	lazy := raw + "&lazy=1"
	if !strings.Contains(raw, "?") {
		lazy = raw + "?lazy=1"
	}
	r, b := newRequest(newKey(t)), open(t, lazy)
	reply, err := b.Acquire(bounded(t), r)
	for end := bounded(t); err != nil && end.Err() == nil && !said(err); {
		reply, err = b.Acquire(bounded(t), r)
	}
	wantFailed(t, r, reply, err, backends.NotRun)
	look(err)
}
