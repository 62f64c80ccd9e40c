// Package redis keeps leases on Redis or Valkey, by the scripts of package
// scripts: on one server, on the master of a set that Sentinels watch, or on a
// Cluster.
//
// One call of a verb is one script, sent once. What goes wrong is told apart
// with care, since everything above builds on it: a request whose last byte was
// never handed to a connection did not run, and anything that ended later may
// have run, unless the server itself said that it refused to start. No error
// of the driver and no reply of the server leaves this package as it came.
//
// The driver never sends a command twice by itself. It would do so after a
// timeout, when the first copy may have been executed; resending is safe only
// with the same token, and the key actor does that.
//
// A session is told by pub/sub when its turn has come and when others wait for
// what it holds. See inbox for what happens while that doesn't get through.
package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/internal/logqueue"
	"github.com/turnstile-go/turnstile/scripts"
)

// name is how errors and the table of backends call this one.
const name = "redis"

var (
	_ backends.Backend   = (*Backend)(nil)
	_ backends.Starter   = (*Backend)(nil)
	_ backends.Canceler  = (*Backend)(nil)
	_ backends.Repeater  = (*Backend)(nil)
	_ backends.Inspector = (*Backend)(nil)
	_ backends.Describer = (*Backend)(nil)
	_ backends.Revoker   = (*Backend)(nil)
	_ backends.Lister    = (*Backend)(nil)
)

// Options of New. The zero value is good.
type Options struct {
	// Logger gets what an operator should know; nil discards it. Its handler runs in
	// the background and may block or panic; records beyond 1024 are dropped and counted.
	Logger *slog.Logger
	// TLS is how Open's servers are talked to, in place of the URL's tls_ parameters;
	// for rediss:// schemes only. New doesn't look at it: its client is made.
	TLS *tls.Config
	// Owned hands the client over: Close closes it. Otherwise the client stays
	// the caller's, and calls under way at Close end as they would have.
	Owned bool
}

// A Backend keeps leases on one server, on what Sentinels take for the master,
// or on a Cluster. It is safe for concurrent use.
type Backend struct {
	client   goredis.UniversalClient
	owned    bool
	log      *slog.Logger // never blocks: a user's handler must not deafen the inbox
	closeLog func()
	closed   atomic.Bool
	let      atomic.Bool // the servers have let us in once: see refusal
	wrote    atomic.Bool // and taken a write of ours
	topology *topology
	batch    *batcher // of all keys, but see routes
	routes   *routes  // a batcher for each node of a Cluster; nil elsewhere
	pushes   *pushes
	memory   *memory
	// deliverer publishes what the scripts hand over; nil where they never do.
	deliverer *deliverer
	// dialer makes the connections of Open's client; nil of New's.
	dialer *dialer
	// aloneBudget is how long a lone caller sends a started call at most:
	// backends.AloneBudget, but for a test.
	aloneBudget time.Duration

	// number is what Repeats was given; nil: nothing is repeated.
	number func(key string, attempt uint64, alive time.Duration) uint64

	inbox       atomic.Pointer[inbox] // nil until Subscribe
	subscribing sync.Mutex            // protects inbox against two writers: Subscribe, Close
}

// New makes a backend over a client of the caller's own, which may be shared
// and need not be connected: of one server, of Sentinel (NewFailoverClient) or
// of a Cluster. Set ContextTimeoutEnabled in its options: without it a call is
// bounded by the client's timeouts alone and not by its ctx. Retries need not be
// turned off; a script's command refuses them by itself. A client that reads
// from replicas is no worse: scripts go to masters.
//
// The client's connections are made as its options say, and not as Open's are: after
// PoolSize dials that failed, go-redis tries one a second, so up to a second after
// an outage all calls still fail; each idle connection that a NAT has forgotten
// costs a timeout. Connections live for as long as ConnMaxIdleTime (30m by default)
// and ConnMaxLifetime (for ever) allow, also to a server that was replaced behind
// its name.
//
// A goredis.Ring is refused by every call: when one of its servers doesn't
// answer, it looks for that server's keys on another, where nobody holds them.
func New(client goredis.UniversalClient, o Options) *Backend {
	log, closeLog := logqueue.Wrap(o.Logger)
	b := &Backend{client: client, owned: o.Owned, log: log, closeLog: closeLog, topology: topologyOf(client), batch: newBatcher(client), memory: newMemory(), aloneBudget: backends.AloneBudget}
	b.pushes = newPushes(client, b.topology)
	if b.topology.nodes != nil {
		b.routes = newRoutes(b.topology.nodes)
		b.batch.single = true // see routes.of
		b.deliverer = newDeliverer(b.pushes.publish, b.topology.nodeOf)
	}
	return b
}

// Capabilities says what a Redis server can do for locks.
func (b *Backend) Capabilities() backends.Capabilities {
	return backends.Capabilities{
		Name: name, Exclusive: true, Fair: true, Wakes: true, Fences: true, Inspects: true, Kinds: true, Rests: true,
		FailsOver: b.topology.form != single,
	}
}

// Subscribe starts the session's inbox; see backends.Waker. It gives the server
// half a second to prove that pushes arrive, and succeeds without: the session
// then polls until they do. A second subscription takes the place of the first.
func (b *Backend) Subscribe(session backends.Session, wake func(backends.Wake)) error {
	b.subscribing.Lock()
	if b.closed.Load() {
		b.subscribing.Unlock()
		return errClosed
	}
	if b.topology.refusal != nil {
		b.subscribing.Unlock()
		return b.topology.refusal
	}
	in := newInbox(b.pushes, session, b.noting(wake), b.log, newBeater(b))
	if old := b.inbox.Swap(in); old != nil {
		old.close()
		old.beater.wait()
	}
	b.subscribing.Unlock()
	in.await()
	return nil
}

// Repeats has the calls of attempts that wait repeated; see backends.Repeater.
func (b *Backend) Repeats(number func(key string, attempt uint64, alive time.Duration) (ask uint64)) {
	b.number = number
}

// noting is wake, and notes the keys that something is about: they are not quiet. An attempt that is woken asks in full.
func (b *Backend) noting(wake func(backends.Wake)) func(backends.Wake) {
	return func(w backends.Wake) {
		if w.Key != "" {
			b.memory.found(w.Key, false)
		}
		if in := b.inbox.Load(); in != nil && w.Key != "" && (w.Kind == backends.Given || w.Kind == backends.Gave) {
			in.beater.drop(w.Key)
		}
		wake(w)
	}
}

// Inspect tells who holds a key; see backends.Inspector.
func (b *Backend) Inspect(ctx context.Context, key string) (backends.Info, error) {
	for range turnsMost {
		v, f := b.run(ctx, scripts.Inspect, key)
		if f != nil {
			return backends.Info{}, f.err
		}
		info, shared, err := readInspect(v)
		if err != nil {
			b.dialer.mistrust()
		}
		if shared {
			shared, err = b.inspectShares(ctx, key, &info)
			if !shared && err == nil {
				continue
			}
		}
		return info, err
	}
	return backends.Info{}, errTurns()
}

// Revoke asks for the end of a key's lease, or ends it; see backends.Revoker.
func (b *Backend) Revoke(ctx context.Context, key string, r backends.Revocation) (backends.Revoked, error) {
	for range turnsMost {
		push := b.pushes.push()
		v, f := b.run(ctx, scripts.Revoke, key, strconv.FormatUint(r.Base, 10), scripts.Flag(r.Now), push)
		if f != nil {
			return backends.NobodyHolds, f.err
		}
		found, lock, messages, err := readRevoke(v, push)
		if err != nil {
			b.dialer.mistrust()
		}
		b.deliver(messages)
		if lock {
			return found, err
		}
		if found, out, err := b.revokeShares(ctx, key, r); out {
			return found, err
		}
	}
	return backends.NobodyHolds, errTurns()
}

// Close ends the backend. Calls after it fail with ErrClosed; with a client of
// its own, calls under way do so as well. Of the inbox nothing is left. (On a
// Cluster the driver may have a look at its nodes under way, which nothing ends but
// its timeouts.)
func (b *Backend) Close() error {
	if b.closed.Swap(true) {
		return nil
	}
	b.subscribing.Lock()
	in := b.inbox.Load()
	b.subscribing.Unlock()
	if in != nil {
		in.close()
		defer in.beater.wait() // after the client's end, which ends what is on its way
	}
	b.batch.close()
	defer b.batch.wait() // after the client's end, which ends what is on its way
	if b.routes != nil {
		b.routes.close()
		defer b.routes.wait()
	}
	b.deliverer.close()
	defer b.deliverer.wait()
	b.dialer.close()
	defer b.dialer.wait()
	defer b.closeLog()
	if !b.owned {
		return nil
	}
	if err := b.client.Close(); err != nil && !errors.Is(err, goredis.ErrClosed) {
		return backends.Unavailable(name, byDriver(err))
	}
	return nil
}

// answersAgain has all keys try again at once, after an outage of a server. Each
// would do so by itself, but only when the pause after its last failure is over.
func (b *Backend) answersAgain() {
	if in := b.inbox.Load(); in != nil && !b.closed.Load() {
		in.wake(backends.Wake{Kind: backends.Answering})
		in.reconnectNow()
	}
}
