package redis

import (
	"errors"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// A conn is a connection that knows when it last heard from its server.
//
// A NAT or a firewall forgets idle connections without telling either end. A request
// on such a connection gets no answer. A dozen of them in a pool would cost a dozen
// timeouts, one after the other. So when a request is not answered in time, all
// connections on which nothing has come since it was sent are suspect: the pool's
// look at an idle connection (see SyscallConn) then finds them broken. A connection
// that was in use meanwhile has proved itself, so a server that is merely slow keeps
// those.
type conn struct {
	net.Conn
	way   *way
	heard atomic.Int64 // when something last came, in ns since epoch; at first, when it was made
	sent  atomic.Int64 // when the oldest request without an answer was sent

	// mute is called when the server, or a proxy in its place, ends the connection
	// before it has said anything; nil does nothing.
	mute func(error)
	met  atomic.Bool // something has come
}

func newConn(c net.Conn, w *way) *conn {
	it := &conn{Conn: c, way: w}
	it.heard.Store(w.dialer.now())
	return it
}

func (c *conn) Write(b []byte) (int, error) {
	if c.sent.Load() <= c.heard.Load() {
		c.sent.Store(c.way.dialer.now())
	}
	n, err := c.Conn.Write(b)
	if err != nil && !c.met.Load() && !errors.Is(err, os.ErrDeadlineExceeded) {
		// A server may say why before it ends the connection: by an alert of TLS.
		if _, said := c.Read(make([]byte, 1)); said != nil {
			err = said
		}
	}
	return n, err
}

func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	switch {
	case n > 0:
		c.met.Store(true)
		c.heard.Store(c.way.dialer.now())
	case errors.Is(err, os.ErrDeadlineExceeded):
		if sent := c.sent.Load(); sent > c.heard.Load() {
			c.way.doubt(sent)
		}
	case err != nil && !c.met.Load() && c.mute != nil && !errors.Is(err, net.ErrClosed):
		c.mute(err)
	}
	return n, err
}

// doubt makes all connections suspect that have heard nothing since then.
func (w *way) doubt(since int64) {
	for {
		last := w.suspect.Load()
		if since <= last || w.suspect.CompareAndSwap(last, since) {
			return
		}
	}
}

var errSuspect = errors.New("the connection has been silent since before a request that was never answered")

// SyscallConn is how a pool of the driver's looks at an idle connection before it
// hands it out: it peeks at the socket, and drops the connection after an error. (On
// Windows it doesn't look.) It can't peek through TLS.
func (c *conn) SyscallConn() (syscall.RawConn, error) {
	if c.heard.Load() < c.way.suspect.Load() {
		return nil, errSuspect
	}
	if socket, ok := c.Conn.(syscall.Conn); ok {
		return socket.SyscallConn()
	}
	return opaque{}, nil
}

// opaque is a socket that can't be peeked at, so it counts as sound.
type opaque struct{}

func (opaque) Control(func(fd uintptr)) error    { return nil }
func (opaque) Read(func(fd uintptr) bool) error  { return nil }
func (opaque) Write(func(fd uintptr) bool) error { return nil }

// nowhere is a connection to a server that is away: everything fails on it, as the
// dial did. A pool hands it to the one caller it was made for, and drops it.
type nowhere struct{ err error }

func (n nowhere) Read([]byte) (int, error)              { return 0, away{n.err} }
func (n nowhere) Write([]byte) (int, error)             { return 0, away{n.err} }
func (n nowhere) SyscallConn() (syscall.RawConn, error) { return nil, n.err }
func (nowhere) Close() error                            { return nil }
func (nowhere) LocalAddr() net.Addr                     { return nowhereAddr{} }
func (nowhere) RemoteAddr() net.Addr                    { return nowhereAddr{} }
func (nowhere) SetDeadline(time.Time) error             { return nil }
func (nowhere) SetReadDeadline(time.Time) error         { return nil }
func (nowhere) SetWriteDeadline(time.Time) error        { return nil }

type nowhereAddr struct{}

func (nowhereAddr) Network() string { return "none" }
func (nowhereAddr) String() string  { return "none" }

// away is a dial's error. The driver unwraps the error of a connection's first
// request once, and would leave of a dial's own only "connection refused".
type away struct{ error }

func (a away) Unwrap() error { return a.error }
