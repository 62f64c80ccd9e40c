package servers

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

var redisKind = kind{
	binary: "redis-server",
	pkg:    "redis-server",
	scheme: "redis",
	args: func(port, dir string) []string {
		return []string{
			"--port", port, "--bind", "127.0.0.1", "--dir", dir,
			"--save", "", "--appendonly", "no", "--daemonize", "no",
		}
	},
	ask: askRedis,
}

// StartRedis starts a Redis server; args are appended to its own, in the
// manner of "--maxmemory", "10mb". The caller closes it.
func StartRedis(args ...string) (*Server, error) { return start(redisKind, args) }

// RedisClient is a client of a test's own, to look inside a server; it is closed at
// the end of t, a *testing.T. options may be nil, or carry a name and password.
func (s *Server) RedisClient(t interface {
	Helper()
	Cleanup(func())
}, options *goredis.Options) *goredis.Client {
	t.Helper()
	client := newClient(s.Addr, options)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func newClient(addr string, options *goredis.Options) *goredis.Client {
	var o goredis.Options
	if options != nil {
		o = *options
	}
	o.Addr, o.DisableIdentity = addr, true
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return goredis.NewClient(&o)
}

// askRedisAfter gives the server commands that are answered by OK, and then
// asks for its process id.
func askRedisAfter(commands ...string) func(conn net.Conn) (int, error) {
	return func(conn net.Conn) (int, error) {
		for _, command := range commands {
			if _, err := io.WriteString(conn, command+"\r\n"); err != nil {
				return 0, err
			}
			// Nothing can follow the answer, as nothing more was asked: what the
			// reader took ahead is not lost with it.
			answer, err := bufio.NewReader(conn).ReadString('\n')
			if err == nil && answer != "+OK\r\n" {
				err = fmt.Errorf("unexpected answer %q", answer)
			}
			if err != nil {
				return 0, err
			}
		}
		return askRedis(conn)
	}
}

// askRedis asks for the process id; a server that wants a password answers, too.
func askRedis(conn net.Conn) (int, error) {
	if _, err := io.WriteString(conn, "INFO server\r\n"); err != nil {
		return 0, err
	}
	r := bufio.NewReader(conn)
	head, err := r.ReadString('\n')
	switch {
	case err != nil:
		return 0, err
	case strings.HasPrefix(head, "-NOAUTH"), strings.HasPrefix(head, "-NOPERM"):
		return 0, nil
	case !strings.HasPrefix(head, "$"):
		return 0, fmt.Errorf("unexpected answer %q", head)
	}
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return 0, err
		}
		if pid, ok := field(line, "process_id:"); ok {
			return pid, nil
		}
	}
}
