package memcache

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/turnstile-go/turnstile/internal/door"
)

// maxOpen is how many connections to one server a process has at the most;
// memcached by default serves 1024 in all, and lets the next ones hang.
const maxOpen = 256

// idleLife is how long a connection is kept that nobody uses: what a burst has
// opened must not take a server's connections from other processes for good.
const idleLife = 30 * time.Second

// A server is one memcached with this process's connections to it.
type server struct {
	// Immutable.
	addr     string
	dialer   net.Dialer
	timeout  time.Duration
	maxIdle  int
	idleLife time.Duration
	slots    chan struct{} // one for each busy connection, or one being dialled: see take
	done     chan struct{} // closed by close
	door     *door.Door    // the way to a new connection, shut while the server is away

	mu     sync.Mutex // protects what follows
	idle   []*link    // in the order of their last use
	reaper *time.Timer
	busy   map[*link]struct{}
	closed bool
}

// newServer makes a server that calls back when it answers again after an outage.
func newServer(addr string, o options, back func()) *server {
	return &server{
		addr: addr, dialer: net.Dialer{Timeout: o.timeout}, timeout: o.timeout, maxIdle: o.maxIdle, idleLife: idleLife,
		slots: make(chan struct{}, maxOpen), done: make(chan struct{}), busy: make(map[*link]struct{}), door: door.New(back),
	}
}

// pick chooses a key's server by rendezvous (Thaler and Ravishankar 1998): the
// one with the highest score of server and key together. The order of the list
// doesn't matter, and a server that is added or taken away moves no keys but
// those it gets or had.
func pick(servers []*server, digest [sha256.Size]byte) *server {
	var best *server
	var most uint64
	for _, s := range servers {
		score := sha256.Sum256(append(digest[:], s.addr...))
		// Two scores are never equal, or the list's order would matter after all.
		if n := binary.BigEndian.Uint64(score[:]); best == nil || n > most {
			best, most = s, n
		}
	}
	return best
}

// take lends a connection, the one that was used last or a new one. That is only
// dialled while none is idle, so all that are open then have a slot, and the idle
// ones that come of it are never more than there were slots.
func (s *server) take(ctx context.Context) (*link, error) {
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-s.done:
		return nil, net.ErrClosed
	}
	s.mu.Lock()
	if s.closed { // the slot may have come at the same time
		s.mu.Unlock()
		<-s.slots
		return nil, net.ErrClosed
	}
	if n := len(s.idle); n > 0 {
		l := s.idle[n-1]
		s.idle = s.idle[:n-1]
		l.used = true
		s.busy[l] = struct{}{}
		s.mu.Unlock()
		return l, nil
	}
	s.mu.Unlock()
	l, err := s.connect(ctx)
	if err != nil {
		<-s.slots
	}
	return l, err
}

// dial makes a connection, unless close comes first.
func (s *server) dial(ctx context.Context) (*link, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // and so the goroutine ends
	go func() {
		select {
		case <-s.done:
			cancel()
		case <-ctx.Done():
		}
	}()
	conn, err := s.dialer.DialContext(ctx, "tcp", s.addr)
	if err != nil {
		return nil, err
	}
	l := newLink(conn, s.timeout)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = conn.Close()
		return nil, net.ErrClosed
	}
	s.busy[l] = struct{}{}
	return l, nil
}

// give takes a connection back, whose last command was answered.
func (s *server) give(l *link) {
	s.mu.Lock()
	delete(s.busy, l)
	keep := !s.closed && len(s.idle) < s.maxIdle
	if keep {
		l.since = time.Now()
		s.idle = append(s.idle, l)
		if len(s.idle) == 1 {
			s.reapLaterLocked(s.idleLife)
		}
	}
	s.mu.Unlock()
	if !keep {
		_ = l.conn.Close()
	}
	<-s.slots
}

// reapLaterLocked has reap look once more. Close stops it.
func (s *server) reapLaterLocked(d time.Duration) {
	if s.reaper == nil {
		s.reaper = time.AfterFunc(d, s.reap)
		return
	}
	s.reaper.Reset(d)
}

// reap closes the connections that nobody has used for idleLife. It comes by
// itself, as a process that has nothing more to ask would keep them otherwise.
func (s *server) reap() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.idle) > 0 {
		left := s.idleLife - time.Since(s.idle[0].since)
		if left > 0 {
			s.reapLaterLocked(left)
			return
		}
		_ = s.idle[0].conn.Close()
		s.idle = slices.Delete(s.idle, 0, 1)
	}
}

// drop takes a connection back that is of no more use. If it failed and had been
// idle, the server may have been restarted meanwhile, or a NAT has forgotten it. So
// the other connections that have been idle since before its command was sent go as
// well: each would cost its next verb a failure.
func (s *server) drop(l *link, failed bool) {
	_ = l.conn.Close()
	s.mu.Lock()
	delete(s.busy, l)
	if failed && l.used {
		s.idle = slices.DeleteFunc(s.idle, func(i *link) bool {
			stale := i.since.Before(l.sent)
			if stale {
				_ = i.conn.Close()
			}
			return stale
		})
	}
	s.mu.Unlock()
	<-s.slots
}

// close ends all connections, and with them the calls under way. It is called once.
// The door's Wait waits for a probe that is under way.
func (s *server) close() error {
	s.door.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	close(s.done)
	var errs []error
	for _, l := range s.idle {
		errs = append(errs, l.conn.Close())
	}
	for l := range s.busy {
		_ = l.conn.Close() // its verb closes it once more
	}
	s.idle = nil
	if s.reaper != nil {
		s.reaper.Stop() // if it is too late for that, it finds nothing
	}
	return errors.Join(errs...)
}
