package redis_test

import (
	"bytes"
	"errors"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/backends/redis"
	"github.com/turnstile-go/turnstile/internal/quickest"
	"github.com/turnstile-go/turnstile/internal/servers/servertest"
	"github.com/turnstile-go/turnstile/scripts"
)

func TestBadURLs(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{
		"http://u:hunter2@localhost", "redis:localhost", "redis://u:hunter2@localhost/x", "redis://u:hunter2@localhost/-1", "redis://u:hunter2@localhost/0/1",
		"redis://u:hunter2@localhost?db=-1", "redis://u:hunter2@localhost?db=x", "redis://u:hunter2@localhost?frobnicate=1", "redis://u:hunter2@localhost?pool_size=x",
		"redis://u:hunter2@localhost?lazy=perhaps", "redis://u:hunter2@localhost?max_retries=3", "redis://u:hunter2@localhost?a=%zz",
		"redis://u:hunter2@localhost#frag", "unix://u:hunter2@", "unix://host/path", "redis://u:hunter2@localhost?pool_size=1;x=2",
		// A password whose rest became something else.
		"redis://u:1/hunter2@localhost", "redis://u:1?hunter2@localhost", "redis://u:1#hunter2@localhost",
		"redis://u:%68unter2@localhost?frobnicate=1",
	} {
		b, err := redis.Open(t.Context(), parse(t, raw), redis.Options{})
		if err == nil {
			_ = b.Close()
		}
		if !errors.Is(err, backends.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", raw, err)
		}
		if err != nil && (strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "%68unter2")) {
			t.Errorf("%s: the error shows the password: %v", raw, err)
		}
	}
}

// A Sentinel that takes connections and says nothing is asked for as long as the
// URL says, and the driver's Close waits for that. Open has its own limit.
func TestASilentSentinelKeepsNobodyWaiting(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()                      // it has done its work
	quickest.Whole(t, 3*time.Second, func() { // Open has 2 s
		_, err = redis.Open(bounded(t), parse(t, "redis+sentinel://"+silent.Addr().String()+"?master_name=m&dial_timeout=2s&read_timeout=2s"), redis.Options{})
		if !errors.Is(err, backends.ErrUnavailable) {
			t.Errorf("open: %v, want ErrUnavailable", err)
		}
	})
}

func TestOptionsPassThrough(t *testing.T) {
	t.Parallel()
	b := open(t, shared.URL()+"/3?protocol=2&pool_size=2&read_timeout=1s&client_name=turnstile-test")
	r := newRequest(newKey(t))
	mustGrant(t, b, r)
	if !exists(t, shared.RedisClient(t, &goredis.Options{DB: 3}), r.Key) {
		t.Error("the lock is not in database 3")
	}
	if clients := shared.RedisClient(t, nil).ClientList(bounded(t)).Val(); !strings.Contains(clients, "name=turnstile-test") {
		t.Errorf("no client of that name: %s", clients)
	}
}

func TestAUnixSocket(t *testing.T) {
	t.Parallel()
	socket := t.TempDir() + "/s"
	servertest.Redis(t, "--unixsocket", socket)
	mustGrant(t, open(t, "unix://"+socket+"?db=1"), newRequest(newKey(t)))
}

func TestADeniedLoginIsRefusedAndNeverShown(t *testing.T) {
	t.Parallel()
	server := servertest.Redis(t, "--requirepass", "right/secret")
	right := "redis://:" + url.QueryEscape("right/secret") + "@" + server.Addr
	mustGrant(t, open(t, right), newRequest(newKey(t)))
	for name, raw := range map[string]string{
		"wrong password":   "redis://:hunter2@" + server.Addr,
		"no password":      "redis://" + server.Addr,
		"no such user":     "redis://nobody:hunter2@" + server.Addr,
		"no such database": right + "/99",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := redis.Open(bounded(t), parse(t, raw), redis.Options{})
			if !backends.IsRefused(err) || !errors.Is(err, backends.ErrUnavailable) {
				t.Errorf("open: %v, want refused", err)
			}
			if err != nil && (strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "secret")) {
				t.Errorf("the error shows the password: %v", err)
			}
			b := open(t, raw+"?lazy=1")
			r := newRequest(newKey(t))
			reply, err := b.Acquire(bounded(t), r)
			wantFailed(t, r, reply, err, backends.NotRun)
			if !backends.IsRefused(err) {
				t.Errorf("acquire: %v, want refused", err)
			}
		})
	}
}

func TestAMissingPermissionIsNamed(t *testing.T) {
	t.Parallel()
	server := servertest.Redis(t)
	inside := server.RedisClient(t, nil)
	for user, rules := range map[string][]any{
		"nocompanion": {"~pylock:*", "+@all"},
		"noscripts":   {"~*", "+@all", "-@scripting"},
		"nomget":      {"~*", "+@all", "-mget"},
		"noexists":    {"~*", "+@all", "-exists"},
		"noping":      {"~*", "&*", "+@all", "-ping", "-config", "-client"},
		"nochannel":   {"~*", "resetchannels", "+@all"},
	} {
		args := append([]any{"ACL", "SETUSER", user, "on", ">p"}, rules...)
		if err := inside.Do(bounded(t), args...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	as := func(t *testing.T, user string) *redis.Backend { return open(t, "redis://"+user+":p@"+server.Addr) }
	for _, row := range []struct {
		user    string
		probe   int // the second is asked in full
		outcome backends.Outcome
		says    func(key string) string
	}{
		{"nocompanion", 0, backends.NotRun, func(key string) string { return "~" + scripts.Keys(key)[1] + "*" }},
		{"noscripts", 0, backends.NotRun, func(string) string { return "+evalsha" }},
		{"nomget", 0, backends.MayHaveRun, func(string) string { return "+mget" }},
		{"noexists", 1, backends.MayHaveRun, func(string) string { return "+exists" }},
	} {
		t.Run(row.user, func(t *testing.T) {
			r := newRequest(newKey(t))
			r.Probe = row.probe
			reply, err := as(t, row.user).Acquire(bounded(t), r)
			wantFailed(t, r, reply, err, row.outcome)
			if !backends.IsRefused(err) || !strings.Contains(err.Error(), row.says(r.Key)) {
				t.Errorf("%v: want refused, with %q", err, row.says(r.Key))
			}
		})
	}
	t.Run("ping and config are not needed", func(t *testing.T) {
		mustGrant(t, as(t, "noping"), newRequest(newKey(t)))
	})
	// Redis 7 gives a new user no channels. Waiting then goes by polling.
	t.Run("nor are channels", func(t *testing.T) {
		b := as(t, "nochannel")
		first := newRequest(newKey(t))
		second := newRequest(first.Key)
		mustGrant(t, b, first)
		if reply, err := b.Acquire(bounded(t), second); err != nil || reply.Outcome != backends.Held || reply.Place != 1 {
			t.Fatalf("%+v, %v", reply, err)
		}
		if err := b.Release(bounded(t), first.Attempt); err != nil {
			t.Fatal(err)
		}
		mustGrant(t, b, second)
	})
}

func TestAKeyThatHoldsNoLockIsNamed(t *testing.T) {
	t.Parallel()
	b, inside := open(t, shared.URL()), shared.RedisClient(t, nil)
	for i, what := range []string{"lock", "companion", "more", "queue", "alive"} {
		t.Run(what, func(t *testing.T) {
			r := newRequest(newKey(t))
			if i > 1 {
				mustGrant(t, b, newRequest(r.Key)) // or nobody would look at the others
			}
			wrong := scripts.Keys(r.Key)[i]
			if err := inside.RPush(bounded(t), wrong, "x").Err(); err != nil {
				t.Fatal(err)
			}
			reply, err := b.Acquire(bounded(t), r)
			wantFailed(t, r, reply, err, backends.MayHaveRun)
			if !backends.IsRefused(err) || !strings.Contains(err.Error(), `"`+wrong+`"`) || !strings.Contains(err.Error(), "list") {
				t.Errorf("%v: want refused, naming %q and its type", err, wrong)
			}
		})
	}
}

func TestAnEvictingServerIsWarnedOf(t *testing.T) {
	t.Parallel()
	for policy, warned := range map[string]bool{"noeviction": false, "volatile-lru": true, "allkeys-random": true} {
		server := servertest.Redis(t, "--maxmemory-policy", policy)
		var log bytes.Buffer
		b, err := redis.Open(bounded(t), parse(t, server.URL()), redis.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		_ = b.Close()
		if got := strings.Contains(log.String(), policy); got != warned {
			t.Errorf("%s: warned %v: %s", policy, got, log.String())
		}
	}
}
