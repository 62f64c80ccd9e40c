package servertest

import (
	"io"
	"net"
	"sync"
	"testing"
)

// A NAT carries TCP connections to a server, and can forget them as routers do:
// neither end is told, and nothing gets through any more.
type NAT struct {
	// Addr is host:port.
	Addr string

	listener net.Listener
	running  sync.WaitGroup

	mu       sync.Mutex // protects what follows
	upstream string
	through  map[*carried]struct{}
	closed   bool
}

// carried is one connection's two halves.
type carried struct {
	client, server net.Conn
	forgotten      chan struct{} // closed when it is
}

// NewNAT starts a NAT in front of upstream (host:port) and stops it at the test's end.
func NewNAT(t testing.TB, upstream string) *NAT {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &NAT{Addr: l.Addr().String(), listener: l, upstream: upstream, through: make(map[*carried]struct{})}
	n.running.Go(n.accept) // ends with the listener
	t.Cleanup(n.close)
	return n
}

// Open is how many connections there are, those that were forgotten included.
func (n *NAT) Open() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.through)
}

// Forget drops all that is sent from now on over the connections there are. Later
// ones get through.
func (n *NAT) Forget() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for c := range n.through {
		select {
		case <-c.forgotten:
		default:
			close(c.forgotten)
		}
	}
}

// LeadTo has later connections carried to another server. Those there are stay.
func (n *NAT) LeadTo(upstream string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.upstream = upstream
}

func (n *NAT) to() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.upstream
}

func (n *NAT) accept() {
	for {
		client, err := n.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", n.to())
		if err != nil {
			_ = client.Close() // as far as its client can tell, the server did
			continue
		}
		n.carry(&carried{client: client, server: server, forgotten: make(chan struct{})})
	}
}

// carry copies both ways until either end closes the connection.
func (n *NAT) carry(c *carried) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.through[c] = struct{}{}
	if n.closed {
		c.close()
	}
	for _, way := range [][2]net.Conn{{c.server, c.client}, {c.client, c.server}} {
		n.running.Go(func() {
			_, _ = io.Copy(lossy{way[0], c.forgotten}, way[1]) // its end is that of the connection
			c.close()
			n.mu.Lock()
			defer n.mu.Unlock()
			delete(n.through, c)
		})
	}
}

func (c *carried) close() {
	_ = c.client.Close()
	_ = c.server.Close()
}

// lossy drops what is written once the connection is forgotten.
type lossy struct {
	net.Conn
	forgotten chan struct{}
}

func (l lossy) Write(b []byte) (int, error) {
	select {
	case <-l.forgotten:
		return len(b), nil
	default:
		return l.Conn.Write(b)
	}
}

func (n *NAT) close() {
	_ = n.listener.Close()
	n.mu.Lock()
	n.closed = true
	for c := range n.through {
		c.close()
	}
	n.mu.Unlock()
	n.running.Wait()
}
