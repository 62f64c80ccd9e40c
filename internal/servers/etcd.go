package servers

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"net"
)

// etcdKind is an etcd of that name, one node and a cluster of its own. etcd tells
// nobody its process id; its name, which no other has, stands in for it.
func etcdKind(name string) kind {
	return kind{
		binary: "etcd",
		pkg:    "etcd-server",
		scheme: "http",
		args: func(port, dir string) []string {
			clients := "http://127.0.0.1:" + port
			// Nobody joins it. A socket in its directory, where it runs, takes no port.
			const peers = "unix://peers:0"
			return []string{
				"--name", name, "--data-dir", dir,
				"--listen-client-urls", clients, "--advertise-client-urls", clients,
				"--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers, "--initial-cluster", name + "=" + peers,
				"--logger", "zap", "--log-level", "warn",
			}
		},
		ask: func(conn net.Conn) (int, error) { return 0, askEtcd(conn, name) },
	}
}

// StartEtcd starts an etcd server; args are appended to its own, in the manner of
// "--quota-backend-bytes", "1000000". What it is asked to keep it writes to the disk
// and syncs, as etcd does; its directory goes with it. The caller closes it.
func StartEtcd(args ...string) (*Server, error) {
	return start(etcdKind("turnstile-"+rand.Text()), args)
}

// askEtcd asks for the members of the cluster. A member has its name once it takes
// part, which is when it serves.
func askEtcd(conn net.Conn, name string) error {
	if _, err := io.WriteString(conn, "POST /v3/cluster/member/list HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}"); err != nil {
		return err
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		return err
	}
	if !bytes.Contains(answer, []byte(`"name":"`+name+`"`)) {
		return fmt.Errorf("no member %s in %q", name, answer)
	}
	return nil
}
