//go:build unix

package faults

import (
	"bytes"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// A fate is what becomes of what one read brought.
type fate int

const (
	pass fate = iota
	swallow
	cut // the connection ends instead
)

// A look decides the fate of p, which came over a link. It may take its time:
// what comes behind p on the same link waits as well.
type look func(l *link, p []byte) fate

// A wire is a proxy in front of servers that looks at every byte. The proxy of
// package servers disturbs connections as a network does; this one knows what
// it disturbs: one request of one verb, one push, one answer.
//
// A request that is held back stays on its way when the client gives its
// connection up, as it would in a router's queue: the server gets it later.
type wire struct {
	t *testing.T

	// Of what clients send and what the server answers; nil lets all pass.
	requests, replies atomic.Pointer[look]

	running sync.WaitGroup

	mu     sync.Mutex              // protects what follows
	doors  map[string]net.Listener // by the server's address
	links  map[*link]struct{}
	closed bool
}

// A link is one connection through a wire.
type link struct {
	client, server net.Conn
	pushes         atomic.Bool // it is a subscription's
}

func newWire(t *testing.T) *wire {
	w := &wire{t: t, doors: make(map[string]net.Listener), links: make(map[*link]struct{})}
	t.Cleanup(w.close)
	return w
}

// door is an address that leads to a server's by way of the wire.
func (w *wire) door(server string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if listener := w.doors[server]; listener != nil {
		return listener.Addr().String()
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Error(err)
		return ""
	}
	if w.closed {
		_ = listener.Close() // a client that dials at its own end
		return listener.Addr().String()
	}
	w.doors[server] = listener
	w.running.Go(func() { w.accept(listener, server) }) // ends with the listener
	return listener.Addr().String()
}

func (w *wire) close() {
	w.mu.Lock()
	w.closed = true
	for _, listener := range w.doors {
		_ = listener.Close()
	}
	for l := range w.links {
		l.end()
	}
	w.mu.Unlock()
	w.running.Wait()
}

func (w *wire) accept(listener net.Listener, upstream string) {
	for {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", upstream)
		if err != nil {
			_ = client.Close()
			continue
		}
		l := &link{client: client, server: server}
		w.mu.Lock()
		w.links[l] = struct{}{}
		if w.closed {
			l.end()
		}
		w.mu.Unlock()
		w.running.Go(func() { w.pump(l, client, server, &w.requests) }) // both end with the link
		w.running.Go(func() { w.pump(l, server, client, &w.replies) })
	}
}

// pump carries one direction. On loopback a read brings what one write sent, a
// command or a pipeline of them, unless the server's answers crowd.
func (w *wire) pump(l *link, from, to net.Conn, looks *atomic.Pointer[look]) {
	buf := make([]byte, 256<<10)
	for {
		n, err := from.Read(buf)
		if err != nil && from == l.client {
			// What the client sent before it left is still on its way to the server,
			// whose answer nobody reads but the test.
			_ = l.server.(*net.TCPConn).CloseWrite()
			return
		}
		if err != nil {
			w.drop(l)
			return
		}
		if from == l.client && bytes.Contains(buf[:n], []byte("subscribe\r\n")) {
			l.pushes.Store(true)
		}
		do := pass
		if see := looks.Load(); see != nil {
			do = (*see)(l, buf[:n])
		}
		switch do {
		case cut:
			w.drop(l)
			return
		case pass:
			if _, err := to.Write(buf[:n]); err != nil {
				w.drop(l)
				return
			}
		}
	}
}

// drop ends a link, and with it both its pumps.
func (w *wire) drop(l *link) {
	l.end()
	w.mu.Lock()
	delete(w.links, l)
	w.mu.Unlock()
}

func (l *link) end() {
	_ = l.client.Close()
	_ = l.server.Close()
}

// onRequest and onReply set what looks; nil lets all pass again.
func (w *wire) onRequest(see look) { w.requests.Store(orNil(see)) }
func (w *wire) onReply(see look)   { w.replies.Store(orNil(see)) }

func orNil(see look) *look {
	if see == nil {
		return nil
	}
	return &see
}

// scriptCalls is how many scripts are called in p.
func scriptCalls(p []byte) int {
	return strings.Count(string(p), "\r\nevalsha\r\n") + strings.Count(string(p), "\r\neval\r\n")
}

// acquires tells whether p asks for a lock: of all requests, only these carry
// the label of whoever asks.
func acquires(p []byte, owner string) bool {
	return scriptCalls(p) > 0 && bytes.Contains(p, []byte("\r\n"+owner+"\r\n"))
}

// A pen holds the first request back that is picked, until it is let go.
type pen struct {
	caught chan struct{} // closed when it has one
	open   chan struct{} // closed by letGo
	answer chan string   // what the server said to it, at last
	once   sync.Once
	from   atomic.Pointer[link]
}

// holdBack makes the wire hold back the first request that picks says yes to.
func (w *wire) holdBack(t *testing.T, picks func(p []byte) bool) *pen {
	t.Helper()
	p := &pen{caught: make(chan struct{}), open: make(chan struct{}), answer: make(chan string, 1)}
	w.onRequest(func(l *link, b []byte) fate {
		if p.from.Load() == nil && picks(b) && p.from.CompareAndSwap(nil, l) {
			close(p.caught)
			<-p.open
		}
		return pass
	})
	w.onReply(func(l *link, b []byte) fate {
		if l == p.from.Load() {
			select {
			case p.answer <- string(b):
			default: // the first answer counts
			}
		}
		return pass
	})
	t.Cleanup(p.letGo) // or the wire would wait for it
	return p
}

func (p *pen) letGo() { p.once.Do(func() { close(p.open) }) }
