package memcache

import (
	"context"
	"errors"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/internal/door"
)

const name = "memcache"

// A Backend is one process's view of one or more memcached servers.
type Backend struct {
	// Immutable after Open.
	servers []*server
	clock   clock
	// between is for tests: it puts a wire that misbehaves before a link.
	between func(wire) wire

	memory memory
	wishes atomic.Uint64 // numbers wait items
	closed atomic.Bool
	once   sync.Once
	wake   atomic.Pointer[func(backends.Wake)] // nil until Subscribe
}

var (
	_ backends.Backend   = (*Backend)(nil)
	_ backends.Canceler  = (*Backend)(nil)
	_ backends.Inspector = (*Backend)(nil)
	_ backends.Describer = (*Backend)(nil)
	_ backends.Revoker   = (*Backend)(nil)
)

// Open connects to the servers that u names; see the package's doc. One of them has
// to answer within 2 s. Until then, a server that is not up yet or refuses for now
// (too many connections) is asked again. A server that doesn't answer fails its own
// keys only. With lazy=true nothing is sent before the first call. What is not
// understood is ErrInvalid.
func Open(ctx context.Context, u *url.URL) (*Backend, error) {
	o, err := parse(u)
	if err != nil {
		return nil, err
	}
	b := &Backend{clock: clock{time.Now()}}
	for _, addr := range o.addrs {
		b.servers = append(b.servers, newServer(addr, o, b.answersAgain))
	}
	if o.lazy {
		return b, nil
	}
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	if err := door.Knock(ctx, b.pingOnce, backends.IsRefused, backends.IsPassing); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

// pingOnce asks all servers, and returns nil when the first has answered.
func (b *Backend) pingOnce(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	answers := make(chan error, len(b.servers))
	var asking sync.WaitGroup
	for _, s := range b.servers {
		asking.Go(func() { answers <- b.pingOne(ctx, s) }) // ends with ctx
	}
	defer asking.Wait()
	defer cancel()
	var errs []error
	for range b.servers {
		err := <-answers
		if err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (b *Backend) pingOne(ctx context.Context, s *server) error {
	t := &talk{b: b, ctx: ctx, server: s}
	t.release = context.AfterFunc(ctx, t.interrupt)
	defer t.end()
	return t.do(func(w wire) error {
		_, err := w.get(reserved) // nothing's name, and any answer will do
		return err
	})
}

// Capabilities says what memcached can do. The fences' order is proved by the
// final swap; what it rests on beyond that is in the package's doc. A server
// that is lost comes back with nothing, as another in its place.
func (b *Backend) Capabilities() backends.Capabilities {
	return backends.Capabilities{
		Name: name, Exclusive: true, Fences: true, Inspects: true, Rests: true,
		FailsOver: true, MinExpires: time.Second,
		LateHold: unconfirmed * time.Second,
	}
}

// Close ends the connections; calls under way fail. Nobody is woken after it.
func (b *Backend) Close() error {
	var errs []error
	b.once.Do(func() {
		b.closed.Store(true)
		b.memory.close()
		for _, s := range b.servers {
			errs = append(errs, s.close())
		}
		for _, s := range b.servers {
			s.door.Wait()
		}
	})
	return errors.Join(errs...)
}
