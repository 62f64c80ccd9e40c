package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	recipe "go.etcd.io/etcd/client/v3/experimental/recipes"
	"go.uber.org/zap"

	"github.com/turnstile-go/turnstile/bench"
	"github.com/turnstile-go/turnstile/internal/servers"
)

// etcdMost is where its curve ends. The server refuses requests while more than 5 000
// are committed and not applied yet, and its lock hands that to the caller.
const etcdMost = 1000

// etcdDial bounds how long a client waits for its first connection.
const etcdDial = 10 * time.Second

// etcdRivals is etcd's own lock. Its server is one node with its defaults, so that
// every change is synced to the disk before it is answered: that is what one takes
// etcd for. --unsafe-no-fsync would show a faster etcd that nobody runs.
func etcdRivals() []rival {
	return []rival{{
		name: "etcd", place: bench.PlaceEtcd, expires: expires, maxContenders: etcdMost,
		settings: func(r rival) string {
			return fmt.Sprintf("concurrency.Mutex, a session (WithTTL(%d)) for each caller at a time, kept for the next; one client; one node, data in the system's temporary directory, fsync on, its defaults; up to %d contenders (of 10 000 some get \"too many requests\")", r.ttl(), etcdMost)
		},
		open: openEtcd,
	}, {
		name: "etcd-rwmutex", place: bench.PlaceEtcd, expires: expires, maxContenders: etcdMost, kinds: []string{bench.KindShared},
		settings: func(rival) string {
			return "client/v3/experimental/recipes.RWMutex, otherwise as etcd; a wait can't be broken off: ctx is looked at before it and after it"
		},
		open: func(ctx context.Context, r rival, at bench.Place) (bench.Locker, error) {
			l, err := openEtcd(ctx, r, at)
			if err != nil {
				return nil, err
			}
			return etcdReaders{l.(*etcdLocks)}, nil
		},
	}}
}

// ttl rounds up: a session takes whole seconds, and the server none below 2.
func (r rival) ttl() int { return int((r.expires + time.Second - 1) / time.Second) }

// etcdLocks have a session for each caller at a time. Two Mutexes of one session
// don't exclude each other: to etcd the session is the holder.
type etcdLocks struct {
	client *clientv3.Client
	ttl    int

	mu   sync.Mutex // protects free and all
	free []*concurrency.Session
	all  []*concurrency.Session
}

func openEtcd(ctx context.Context, r rival, at bench.Place) (bench.Locker, error) {
	client, err := clientv3.New(clientv3.Config{
		Endpoints: []string{"http://" + at.Addr}, DialTimeout: etcdDial, Logger: zap.NewNop(), Context: context.WithoutCancel(ctx),
	})
	if err != nil {
		return nil, err
	}
	e := &etcdLocks{client: client, ttl: r.ttl()}
	// The connection stands, or the run would measure how it came about.
	s, err := e.session(ctx)
	if err != nil {
		_ = client.Close() // its first question failed
		return nil, err
	}
	e.giveBack(s)
	return e, nil
}

// session takes a free one or opens another. It ends with the client, not with ctx.
func (e *etcdLocks) session(ctx context.Context) (*concurrency.Session, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	e.mu.Lock()
	if last := len(e.free) - 1; last >= 0 {
		s := e.free[last]
		e.free = e.free[:last]
		e.mu.Unlock()
		return s, nil
	}
	e.mu.Unlock()
	lease, err := e.client.Grant(ctx, int64(e.ttl))
	if err != nil {
		return nil, err
	}
	s, err := concurrency.NewSession(e.client, concurrency.WithTTL(e.ttl), concurrency.WithLease(lease.ID))
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, s)
	return s, nil
}

func (e *etcdLocks) giveBack(s *concurrency.Session) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.free = append(e.free, s)
}

func (e *etcdLocks) Lock(ctx context.Context, key string) (bench.Held, error) {
	s, err := e.session(ctx)
	if err != nil {
		return nil, err
	}
	mutex := concurrency.NewMutex(s, key)
	if err := mutex.Lock(ctx); err != nil {
		// What it left in the queue, if anything, goes with its lease.
		s.Orphan()
		return nil, err
	}
	return unlock(func() error {
		err := mutex.Unlock(e.client.Ctx())
		e.giveBack(s)
		return err
	}), nil
}

// etcdReaders are etcd's recipe for readers and writers.
type etcdReaders struct{ *etcdLocks }

func (e etcdReaders) Lock(ctx context.Context, key string) (bench.Held, error) {
	return e.take(ctx, key, (*recipe.RWMutex).Lock, (*recipe.RWMutex).Unlock)
}

func (e etcdReaders) Share(ctx context.Context, key string) (bench.Held, error) {
	return e.take(ctx, key, (*recipe.RWMutex).RLock, (*recipe.RWMutex).RUnlock)
}

func (e etcdReaders) take(ctx context.Context, key string, lock, release func(*recipe.RWMutex) error) (bench.Held, error) {
	s, err := e.session(ctx)
	if err != nil {
		return nil, err
	}
	m := recipe.NewRWMutex(s, key)
	give := func() error {
		err := release(m)
		e.giveBack(s)
		return err
	}
	if err := lock(m); err != nil {
		s.Orphan() // what it left in the queue, if anything, goes with its lease
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, errors.Join(err, give())
	}
	return unlock(give), nil
}

// Close lets the leases end by themselves: revoking thousands, one synced write
// each, would take longer than the run.
func (e *etcdLocks) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, s := range e.all {
		s.Orphan()
	}
	return e.client.Close()
}

// An etcdServer is a started server as the bench takes it.
type etcdServer struct{ *servers.Server }

func startEtcd(context.Context) (bench.Server, error) {
	s, err := servers.StartEtcd()
	if err != nil {
		return nil, err
	}
	return etcdServer{s}, nil
}

func (s etcdServer) Addr() string { return s.Server.Addr }
func (s etcdServer) Close() error { s.Server.Close(); return nil }
