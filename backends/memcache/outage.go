package memcache

import (
	"context"
	"errors"
	"io"
	"syscall"

	"github.com/turnstile-go/turnstile/backends"
)

var _ backends.Waker = (*Backend)(nil)

// Subscribe has wake called when a server answers again after an outage
// (backends.Answering), and for nothing else: see backends.Waker. memcached has no
// pushes, so Capabilities declares no Wakes. A second subscription takes the place of
// the first.
func (b *Backend) Subscribe(_ backends.Session, wake func(backends.Wake)) error {
	if b.closed.Load() {
		return errClosed
	}
	b.wake.Store(&wake)
	return nil
}

// answersAgain has all keys try again at once. Each would do so by itself, but only when
// the pause after its last failure is over.
func (b *Backend) answersAgain() {
	if wake := b.wake.Load(); wake != nil && !b.closed.Load() {
		(*wake)(backends.Wake{Kind: backends.Answering})
	}
}

// connect makes a connection for the holder of a slot. While the server is away, one
// probe at a time is made for all keys, and all that want a connection wait for its
// result.
func (s *server) connect(ctx context.Context) (*link, error) {
	if err := s.door.Await(ctx); err != nil {
		return nil, err
	}
	l, err := s.dial(ctx)
	if err != nil && !errors.Is(ctx.Err(), context.Canceled) { // a canceled call proves nothing about the server
		s.door.Shut(err, s.probe)
	}
	return l, err
}

// mute handles the failure of a connection's first command. A proxy accepts
// connections while its server is away, and ends them at once.
func (s *server) mute(err error) {
	if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
		s.door.Shut(err, s.probe)
	}
}

// probe is one try to reach a server that is away: a connection, and an answer to a
// command that any server and any proxy knows.
func (s *server) probe(ctx context.Context) error {
	conn, err := s.dialer.DialContext(ctx, "tcp", s.addr)
	if err != nil {
		return err
	}
	defer conn.Close()                                          // it has served its purpose
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })() // when the door is closed, or the outage is over
	if _, err := newLink(conn, s.timeout).get(reserved); !answered(err) {
		return err
	}
	return nil
}
