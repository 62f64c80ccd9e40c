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
	// alone: elsewhere a server is not left in this state. A Cluster's refuses to
	// be brought there, and a Sentinel would bring it back.
	alone bool
}

// refusals are those that a real server can be brought to. What only servers of
// a Cluster say is in cluster_test.go.
var refusals = []refusal{
	{"a replica", "READONLY", replica("yes"), master, true},
	{"a replica without its master", "MASTERDOWN", replica("no"), master, true},
	{"no memory", "OOM", config("maxmemory", "1"), config("maxmemory", "0"), false},
	{"too few replicas", "NOREPLICAS", config("min-replicas-to-write", "9"), config("min-replicas-to-write", "0"), false},
	{"an endless script", "BUSY", busy, kill, false},
}

func kill(ctx context.Context, inside *goredis.Client) error {
	err := inside.ScriptKill(ctx).Err()
	if goredis.HasErrorPrefix(err, "NOTBUSY") {
		return nil // a Sentinel was faster
	}
	return err
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
	defer conn.Close() // the script holds it; nothing is expected of it
	if err := conn.Eval(short, "while true do end", nil).Err(); err == nil {
		return errors.New("an endless script ended")
	}
	return nil
}

// TestRefusalsForNowAreWaitedOut: the error is the timeout's, with what the
// server said; a waiter that has the time is granted when the server is well.
func TestRefusalsForNowAreWaitedOut(t *testing.T) {
	beside(t)
	everywhere(t, func(t *testing.T, p *place) {
		c := open(t, p.URL(""), "tester")
		// A replica is refused at once, unless it had served: then it is being replaced.
		if err := c.Do(t.Context(), p.key("served"), func(context.Context) error { return nil }); err != nil {
			t.Fatal(err)
		}
		for _, r := range refusals {
			if r.alone && p.form != oneServer {
				continue
			}
			t.Run(r.name, func(t *testing.T) {
				key := p.key("k")
				inside := p.inside(key)
				if err := r.begin(t.Context(), inside); err != nil {
					t.Fatal(err)
				}
				wantWaitedOut(t, c, key, r.says, func() {
					if err := r.end(t.Context(), inside); err != nil {
						t.Fatal(err)
					}
				})
			})
		}
	})
}

// TestRefusalsThatAServerIsHardToBringToAreWaitedOut answers in its place. The
// drivers of a Cluster and of Sentinels look at some of these words themselves.
func TestRefusalsThatAServerIsHardToBringToAreWaitedOut(t *testing.T) {
	beside(t)
	everywhere(t, func(t *testing.T, p *place) {
		w := newWire(t)
		c := p.through(w.door, "tester", 0)
		refusals := []string{
			"LOADING Redis is loading the dataset in memory",
			"READONLY You can't write against a read only replica.",
			"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
		}
		switch p.form {
		case oneServer:
			refusals = append(refusals,
				"TRYAGAIN Multiple keys request during rehashing of slot",
				"CLUSTERDOWN The cluster is down",
				"MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk")
		case aCluster:
			// Nodes that send clients back and forth, as if a slot moved all the time.
			refusals = append(refusals, "MOVED 1 "+p.nodes[0].Addr)
		}
		for _, says := range refusals {
			word, _, _ := strings.Cut(says, " ")
			t.Run(word, func(t *testing.T) {
				w.onRequest(func(l *link, b []byte) fate {
					n := scriptCalls(b)
					if n == 0 {
						return pass
					}
					if _, err := l.client.Write([]byte(strings.Repeat("-"+says+"\r\n", n))); err != nil {
						return cut
					}
					return swallow
				})
				wantWaitedOut(t, c, p.key("k"), word, func() { w.onRequest(nil) })
			})
		}
	})
}

// A client whose only connection is stuck has none for other keys.
func TestAnExhaustedPoolIsWaitedOut(t *testing.T) {
	beside(t)
	server, _ := redisServer(t) // elsewhere it is the same pool, one to a node
	w := newWire(t)
	c := open(t, "redis://"+w.door(server.Addr)+"?pool_size=1&max_active_conns=1&pool_timeout=50ms&read_timeout=30s", "tester")
	// After a slow round trip no caller makes its own, which it would give up after 200 ms.
	w.delayOneReply(50 * time.Millisecond)
	release(t, acquire(t, c, "warm"))
	held := w.holdBack(t, func(b []byte) bool { return acquires(b, "tester") })
	stuck := acquiring(t, c, "stuck", lockclient.Timeout(patience))
	<-held.caught
	wantWaitedOut(t, c, "k", "pool", held.letGo)
	release(t, granted(t, stuck, 5*time.Second))
}

// wantWaitedOut checks what callers see while the server refuses with a word,
// and when heal has ended that.
func wantWaitedOut(t *testing.T, c *lockclient.Client, key, says string, heal func()) {
	t.Helper()
	const timeout = 300 * time.Millisecond
	// On a busy machine the last try may have had no answer, or come late, and is repeated:
	// a defect does that each time.
	var start time.Time
	var took time.Duration
	var err error
	for try := 0; try == 0 || try < tries && (!strings.Contains(err.Error(), says) || took > timeout+jitter); try++ {
		start = time.Now()
		if _, err = c.Acquire(t.Context(), key, lockclient.Timeout(timeout)); err == nil {
			t.Fatalf("granted in spite of %s", says)
		}
		took = time.Since(start)
	}
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
	for try := 0; try == 0 || try < tries && err != nil && !strings.Contains(err.Error(), says); try++ {
		_, err = c.TryAcquire(t.Context(), key)
	}
	if !errors.Is(err, lockclient.ErrUnavailable) || errors.Is(err, lockclient.ErrTimeout) || !strings.Contains(err.Error(), says) {
		t.Errorf("one try: %v, want ErrUnavailable alone and %s", err, says)
	}
	out := acquiring(t, c, key, lockclient.Timeout(patience))
	eventually(t, time.Second, "it waits", func() bool { return c.Stats().Waiters >= 1 })
	heal()
	release(t, granted(t, out, time.Second))
}

// A holder meets the refusal at its renewals: it has the key until its
// deadline, and is told then that nobody could prove it (L5).
func TestAHolderOfARefusingServerLosesInTime(t *testing.T) {
	beside(t)
	server, inside := redisServer(t)
	c := open(t, server.URL(), "tester")
	wantLostBy(t, "READONLY", func() *lockclient.Lock {
		lock := acquire(t, c, "k", lockclient.Expires(600*time.Millisecond), lockclient.Renew())
		if err := replica("yes")(t.Context(), inside); err != nil {
			t.Fatal(err)
		}
		return lock
	}, func() {
		if err := master(t.Context(), inside); err != nil {
			t.Fatal(err)
		}
		release(t, acquire(t, c, "k", lockclient.Timeout(patience)))
	})
}

// tries is how often a test repeats a request that may get no answer on a busy
// machine.
const tries = 20

// wantLostBy loses holds until the server's refusal is the cause of one: on a busy
// machine the last renewal may have had no answer.
func wantLostBy(t *testing.T, says string, lose func() *lockclient.Lock, heal func()) {
	t.Helper()
	for try := range tries {
		lock := lose()
		<-lock.Context().Done()
		if late := time.Since(lock.Deadline()); late > jitter/10 {
			t.Errorf("told %v after its deadline", late)
		}
		cause := context.Cause(lock.Context())
		heal()
		switch {
		case !errors.Is(cause, lockclient.ErrLost), try == tries-1 && !strings.Contains(cause.Error(), says):
			t.Fatalf("cause %v, want ErrLost with %s", cause, says)
		case strings.Contains(cause.Error(), says):
			return
		}
	}
}

// atOnce is far less than any timeout that the callers below give.
const atOnce = time.Second

// TestWhatWaitingCannotMendIsToldAtOnce: and it says what would mend it.
func TestWhatWaitingCannotMendIsToldAtOnce(t *testing.T) {
	beside(t)
	everywhere(t, func(t *testing.T, p *place) {
		p.grant(map[string][]any{
			"nokeys":    {"~pylock:*", "+@all"},
			"noscripts": {"~*", "+@all", "-@scripting"},
		})
		free, list, beside := p.key("k"), p.key("list"), p.key("beside")
		for key, wrong := range map[string]string{list: "pylock:" + list, beside: "{pylock:" + beside + "}:turnstile"} {
			inside := p.inside(key)
			if err := inside.RPush(t.Context(), wrong, "x").Err(); err != nil {
				t.Fatal(err)
			}
			defer inside.Del(t.Context(), wrong)
		}
		for _, row := range []struct{ name, login, key, says string }{
			{"a wrong password", "nokeys:hunter2@", free, "user and password"},
			{"companions not granted", "nokeys:right@", free, "~{pylock:" + free + "}:turnstile*"},
			{"scripts not granted", "noscripts:right@", free, "+evalsha"},
			{"a key that is a list", "", list, `"pylock:` + list + `"`},
			{"a companion that is a list", "", beside, `"{pylock:` + beside + `}:turnstile"`},
		} {
			t.Run(row.name, func(t *testing.T) {
				wantToldAtOnce(t, open(t, p.as(row.login, "lazy=true"), "tester"), row.key, row.says)
			})
		}
		t.Run("a wrong password at open", func(t *testing.T) {
			start := time.Now()
			_, err := lockclient.Open(lockclient.Config{Backend: p.as("nokeys:hunter2@", "")})
			if !errors.Is(err, lockclient.ErrUnavailable) || strings.Contains(err.Error(), "hunter2") || time.Since(start) > atOnce+jitter {
				t.Errorf("%v after %v", err, time.Since(start))
			}
		})
	})
}

// grant makes users with a password "right" and these rules, on all servers, until
// the test's end.
func (p *place) grant(users map[string][]any) {
	p.t.Helper()
	for _, node := range p.nodes {
		inside := p.clients[node]
		for user, rules := range users {
			args := append([]any{"ACL", "SETUSER", user, "on", ">right", "&*"}, rules...)
			if err := inside.Do(p.t.Context(), args...).Err(); err != nil {
				p.t.Fatal(err)
			}
			p.t.Cleanup(func() {
				if err := inside.Do(context.Background(), "ACL", "DELUSER", user).Err(); err != nil {
					p.t.Error(err)
				}
			})
		}
	}
}

func wantToldAtOnce(t *testing.T, c *lockclient.Client, key, says string) {
	t.Helper()
	for name, try := range map[string]func() error{
		"acquire": func() error {
			_, err := c.Acquire(t.Context(), key, lockclient.Timeout(patience))
			return err
		},
		"one try": func() error { _, err := c.TryAcquire(t.Context(), key); return err },
	} {
		start := time.Now()
		err := try()
		if err == nil || errors.Is(err, lockclient.ErrTimeout) || !errors.Is(err, lockclient.ErrUnavailable) {
			t.Errorf("%s: %v, want ErrUnavailable and not ErrTimeout", name, err)
		} else if !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v: does not say %s, or says too much", name, err, says)
		}
		if took := time.Since(start); took > atOnce+jitter {
			t.Errorf("%s: told after %v", name, took)
		}
	}
}
