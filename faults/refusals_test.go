//go:build unix

package faults

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/turnstile-go/turnstile/lockclient"
)

// A refusal is a server that answers, and does nothing for now.
type refusal struct {
	name, says string
	begin      func(ctx context.Context, inside *goredis.Client) error
	end        func(ctx context.Context, inside *goredis.Client) error
}

// refusals are those that a real server can be brought to.
var refusals = []refusal{
	{"a replica", "READONLY", replica("yes"), master},
	{"a replica without its master", "MASTERDOWN", replica("no"), master},
	{"no memory", "OOM", config("maxmemory", "1"), config("maxmemory", "0")},
	{"too few replicas", "NOREPLICAS", config("min-replicas-to-write", "1"), config("min-replicas-to-write", "0")},
	{"an endless script", "BUSY", busy, func(ctx context.Context, inside *goredis.Client) error {
		return inside.ScriptKill(ctx).Err()
	}},
}

func config(name, value string) func(context.Context, *goredis.Client) error {
	return func(ctx context.Context, inside *goredis.Client) error {
		return inside.ConfigSet(ctx, name, value).Err()
	}
}

// replica makes the server the replica of nobody that answers.
func replica(stale string) func(context.Context, *goredis.Client) error {
	return func(ctx context.Context, inside *goredis.Client) error {
		if err := inside.ConfigSet(ctx, "replica-serve-stale-data", stale).Err(); err != nil {
			return err
		}
		return inside.ReplicaOf(ctx, "127.0.0.1", "1").Err()
	}
}

func master(ctx context.Context, inside *goredis.Client) error {
	return inside.ReplicaOf(ctx, "no", "one").Err()
}

// busy sends a script that ends when it is killed, and reads no answer.
func busy(ctx context.Context, inside *goredis.Client) error {
	if err := inside.ConfigSet(ctx, "busy-reply-threshold", "1").Err(); err != nil {
		return err
	}
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	conn := inside.Conn()
	defer conn.Close() //nolint:errcheck // the script holds it; nothing is expected of it
	if err := conn.Eval(short, "while true do end", nil).Err(); err == nil {
		return errors.New("an endless script ended")
	}
	return nil
}

// TestRefusalsForNowAreWaitedOut: the error is the timeout's, with what the
// server said; a waiter that has the time is granted when the server is well.
func TestRefusalsForNowAreWaitedOut(t *testing.T) {
	for _, r := range refusals {
		t.Run(r.name, func(t *testing.T) {
			server, _ := redisServer(t)
			// Its timeouts are kept, or a busy server would keep the test waiting.
			inside := server.RedisClient(t, &goredis.Options{ContextTimeoutEnabled: true, MaxRetries: -1})
			c := open(t, server.URL(), "tester")
			release(t, acquire(t, c, "warm"))
			if err := r.begin(t.Context(), inside); err != nil {
				t.Fatal(err)
			}
			wantWaitedOut(t, c, r.says, func() {
				if err := r.end(t.Context(), inside); err != nil {
					t.Fatal(err)
				}
			})
		})
	}
}

// TestRefusalsThatAServerIsHardToBringToAreWaitedOut answers in its place.
func TestRefusalsThatAServerIsHardToBringToAreWaitedOut(t *testing.T) {
	for _, says := range []string{
		"LOADING Redis is loading the dataset in memory",
		"TRYAGAIN Multiple keys request during rehashing of slot",
		"CLUSTERDOWN The cluster is down",
		"MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk",
	} {
		word, _, _ := strings.Cut(says, " ")
		t.Run(word, func(t *testing.T) {
			server, _ := redisServer(t)
			w := newWire(t, server.Addr)
			c := open(t, w.url(), "tester")
			release(t, acquire(t, c, "warm"))
			w.onRequest(func(l *link, p []byte) fate {
				n := scriptCalls(p)
				if n == 0 {
					return pass
				}
				if _, err := l.client.Write([]byte(strings.Repeat("-"+says+"\r\n", n))); err != nil {
					return cut
				}
				return swallow
			})
			wantWaitedOut(t, c, word, func() { w.onRequest(nil) })
		})
	}
}

// A client whose only connection is stuck has none for other keys.
func TestAnExhaustedPoolIsWaitedOut(t *testing.T) {
	server, _ := redisServer(t)
	w := newWire(t, server.Addr)
	c := open(t, w.url()+"?pool_size=1&max_active_conns=1&pool_timeout=50ms&read_timeout=30s", "tester")
	release(t, acquire(t, c, "warm"))
	p := w.holdBack(t, func(b []byte) bool { return acquires(b, "tester") })
	stuck := acquiring(t, c, "stuck", lockclient.Timeout(30*time.Second))
	<-p.caught
	wantWaitedOut(t, c, "pool", p.letGo)
	release(t, granted(t, stuck, 5*time.Second))
}

// wantWaitedOut checks what callers see while the server refuses with a word,
// and when heal has ended that.
func wantWaitedOut(t *testing.T, c *lockclient.Client, says string, heal func()) {
	t.Helper()
	const timeout = 600 * time.Millisecond
	start := time.Now()
	_, err := c.Acquire(t.Context(), "k", lockclient.Timeout(timeout))
	took := time.Since(start)
	var why *lockclient.WaitError
	switch {
	case !errors.As(err, &why), !errors.Is(err, lockclient.ErrTimeout):
		t.Fatalf("%v, want ErrTimeout", err)
	case why.Err == nil, !strings.Contains(err.Error(), says):
		t.Errorf("%v: does not say %s", err, says)
	case why.Holder != "" || why.Local || strings.Contains(err.Error(), "held by"):
		t.Errorf("%v: nobody holds the key", err)
	}
	if took < timeout || took > timeout+jitter {
		t.Errorf("it gave up after %v", took)
	}
	if _, err = c.TryAcquire(t.Context(), "k"); !errors.Is(err, lockclient.ErrTimeout) || !strings.Contains(err.Error(), says) {
		t.Errorf("one try: %v, want ErrTimeout and %s", err, says)
	}
	out := acquiring(t, c, "k", lockclient.Timeout(20*time.Second))
	eventually(t, time.Second, "it waits", func() bool { return c.Stats().Waiters >= 1 })
	heal()
	release(t, granted(t, out, time.Second+jitter))
}

// A holder meets the refusal at its renewals: it has the key until its
// deadline, and is told then that nobody could prove it (L5).
func TestAHolderOfARefusingServerLosesInTime(t *testing.T) {
	server, inside := redisServer(t)
	c := open(t, server.URL(), "tester")
	lock := acquire(t, c, "k", lockclient.Expires(600*time.Millisecond), lockclient.Renew())
	if err := replica("yes")(t.Context(), inside); err != nil {
		t.Fatal(err)
	}
	<-lock.Context().Done()
	if cause := context.Cause(lock.Context()); !errors.Is(cause, lockclient.ErrLost) || !strings.Contains(cause.Error(), "READONLY") {
		t.Errorf("cause %v, want ErrLost with READONLY", cause)
	}
	if late := time.Since(lock.Deadline()); late > jitter/10 {
		t.Errorf("told %v after its deadline", late)
	}
	if err := master(t.Context(), inside); err != nil {
		t.Fatal(err)
	}
	release(t, acquire(t, c, "k", lockclient.Timeout(5*time.Second)))
}

// atOnce is far less than any timeout that the callers below give.
const atOnce = time.Second

// TestWhatWaitingCannotMendIsToldAtOnce: and it says what would mend it.
func TestWhatWaitingCannotMendIsToldAtOnce(t *testing.T) {
	server, inside := redisServer(t)
	for user, rules := range map[string][]any{
		"nokeys":    {"~pylock:*", "+@all"},
		"noscripts": {"~*", "+@all", "-@scripting"},
	} {
		args := append([]any{"ACL", "SETUSER", user, "on", ">right", "&*"}, rules...)
		if err := inside.Do(t.Context(), args...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if err := inside.RPush(t.Context(), "pylock:list", "x").Err(); err != nil {
		t.Fatal(err)
	}
	defer inside.Del(t.Context(), "pylock:list")
	if err := inside.RPush(t.Context(), "{pylock:beside}:turnstile", "x").Err(); err != nil {
		t.Fatal(err)
	}
	defer inside.Del(t.Context(), "{pylock:beside}:turnstile")
	for _, row := range []struct{ name, login, key, says string }{
		{"a wrong password", "nokeys:hunter2@", "k", "user and password"},
		{"companions not granted", "nokeys:right@", "k", "~{pylock:k}:turnstile*"},
		{"scripts not granted", "noscripts:right@", "k", "+evalsha"},
		{"a key that is a list", "", "list", `"pylock:list"`},
		{"a companion that is a list", "", "beside", `"{pylock:beside}:turnstile"`},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := open(t, "redis://"+row.login+server.Addr+"?lazy=true", "tester")
			for name, try := range map[string]func() error{
				"acquire": func() error {
					_, err := c.Acquire(t.Context(), row.key, lockclient.Timeout(20*time.Second))
					return err
				},
				"one try": func() error { _, err := c.TryAcquire(t.Context(), row.key); return err },
			} {
				start := time.Now()
				err := try()
				if err == nil || errors.Is(err, lockclient.ErrTimeout) || !errors.Is(err, lockclient.ErrUnavailable) {
					t.Errorf("%s: %v, want ErrUnavailable and not ErrTimeout", name, err)
				} else if !strings.Contains(err.Error(), row.says) || strings.Contains(err.Error(), "hunter2") {
					t.Errorf("%s: %v: does not say %s, or says too much", name, err, row.says)
				}
				if took := time.Since(start); took > atOnce {
					t.Errorf("%s: told after %v", name, took)
				}
			}
		})
	}
	t.Run("a wrong password at open", func(t *testing.T) {
		start := time.Now()
		_, err := lockclient.Open(lockclient.Config{Backend: "redis://nokeys:hunter2@" + server.Addr})
		if !errors.Is(err, lockclient.ErrUnavailable) || strings.Contains(err.Error(), "hunter2") || time.Since(start) > atOnce {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}
