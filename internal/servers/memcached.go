package servers

import (
	"bufio"
	"io"
	"net"
	"os"
)

var memcachedKind = kind{
	binary: "memcached",
	pkg:    "memcached",
	scheme: "memcache",
	args: func(port, _ string) []string {
		args := []string{"-p", port, "-U", "0", "-l", "127.0.0.1"}
		if os.Geteuid() == 0 {
			// memcached refuses to run as root unless it is told so.
			args = append(args, "-u", "root")
		}
		return args
	},
	ask: askMemcached,
}

// StartMemcached starts a memcached server; args are appended to its own, in
// the manner of "-m", "8". The caller closes it.
func StartMemcached(args ...string) (*Server, error) { return start(memcachedKind, args) }

func askMemcached(conn net.Conn) (int, error) {
	if _, err := io.WriteString(conn, "stats\r\n"); err != nil {
		return 0, err
	}
	r := bufio.NewReader(conn)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return 0, err
		}
		if pid, ok := field(line, "STAT pid "); ok {
			return pid, nil
		}
	}
}
