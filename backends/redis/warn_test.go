package redis

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/turnstile-go/turnstile/internal/servers/servertest"
)

// An actor plays a server: it answers INFO as it is told to.
type actor map[string]string // by section

func (actor) DialHook(next goredis.DialHook) goredis.DialHook { return next }
func (actor) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return next
}

func (a actor) ProcessHook(goredis.ProcessHook) goredis.ProcessHook {
	return func(_ context.Context, cmd goredis.Cmder) error {
		switch cmd := cmd.(type) {
		case *goredis.StringCmd:
			cmd.SetVal(a[cmd.Args()[1].(string)])
		case *goredis.MapStringStringCmd:
			cmd.SetVal(map[string]string{"maxmemory-policy": a["policy"]})
		}
		return nil
	}
}

var _ goredis.Hook = actor(nil)

func TestWarningsOfServers(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name  string
		form  form
		plays actor
		says  []string
	}{
		{"a good server", single, actor{"policy": "noeviction", "server": "# Server\r\nredis_version:6.2.0\r\n", "replication": "role:master\r\nconnected_slaves:0\r\n"}, nil},
		{"one that may not be asked", single, actor{}, nil},
		{"an old server", single, actor{"server": "redis_version:6.0.16\r\n"}, []string{"too old"}},
		{"an ancient server", single, actor{"server": "redis_version:2.8.1\r\n"}, []string{"too old"}},
		{"Valkey", single, actor{"server": "redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.0.1\r\n"}, nil},
		{"a later one", single, actor{"server": "redis_version:10.0.0\r\n"}, nil},
		{"one with replicas", single, actor{"replication": "role:master\r\nconnected_slaves:2\r\n"}, nil},
		{"a Sentinel's master", sentinel, actor{"replication": "role:master\r\nconnected_slaves:2\r\n"}, nil},
		{"an active replica", sentinel, actor{"replication": "role:active-replica\r\nconnected_slaves:1\r\n"}, []string{"nothing excludes"}},
		{"all at once", single, actor{"policy": "volatile-ttl", "server": "redis_version:5.0.0\r\n", "replication": "role:master\r\nconnected_slaves:1\r\n"},
			[]string{"volatile-ttl", "too old"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			client := goredis.NewClient(&goredis.Options{Dialer: func(context.Context, string, string) (net.Conn, error) {
				t.Error("the actor is not on")
				return nil, net.ErrClosed
			}})
			defer client.Close() // it never connected
			client.AddHook(row.plays)
			var log bytes.Buffer
			b := &Backend{client: client, log: slog.New(slog.NewTextHandler(&log, nil)), topology: &topology{form: row.form}}
			b.warnOfServers(t.Context())
			if n := strings.Count(log.String(), "level=WARN"); n != len(row.says) {
				t.Errorf("%d warnings, want %d: %s", n, len(row.says), log.String())
			}
			for _, what := range row.says {
				if !strings.Contains(log.String(), what) {
					t.Errorf("want %q in: %s", what, log.String())
				}
			}
		})
	}
}

// The words above are those of real servers.
func TestAServerWithAReplicaIsWarnedOf(t *testing.T) {
	t.Parallel()
	master := servertest.Redis(t)
	host, port, _ := net.SplitHostPort(master.Addr)
	servertest.Redis(t, "--replicaof", host+" "+port)
	inside := master.RedisClient(t, nil)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(time.Minute); !strings.Contains(inside.Info(t.Context(), "replication").Val(), "connected_slaves:1"); <-tick.C {
		if time.Now().After(end) {
			t.Fatal("the replica doesn't connect")
		}
	}
	var log bytes.Buffer
	b, err := Open(t.Context(), mustParse(t, master.URL()), Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	_ = b.Close() // has waited for the log
	if n := strings.Count(log.String(), "level=WARN"); n != 0 || strings.Count(log.String(), "level=INFO") != 1 || !strings.Contains(log.String(), "connected_slaves=1") {
		t.Errorf("%d warnings: %s", n, log.String())
	}
}
