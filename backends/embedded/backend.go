package embedded

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/backends/embedded/engine"
	"github.com/turnstile-go/turnstile/backends/embedded/keyspace"
	"github.com/turnstile-go/turnstile/scripts"
)

// backendName is how errors and capabilities call this backend.
const backendName = "embedded"

// push has the scripts publish what sessions are told: the store delivers it.
const push = "1"

var (
	_ backends.Backend   = (*Backend)(nil)
	_ backends.Canceler  = (*Backend)(nil)
	_ backends.Waker     = (*Backend)(nil)
	_ backends.Reclaimer = (*Backend)(nil)
	_ backends.Inspector = (*Backend)(nil)
	_ backends.Describer = (*Backend)(nil)
	_ backends.Revoker   = (*Backend)(nil)
	_ backends.Lister    = (*Backend)(nil)
)

// verbs are the lock's scripts, compiled.
type verbs struct {
	acquire, renew, release, rest, cancel, inspect, revoke, fast *engine.Program
}

// compiled compiles the scripts once a process, when the first backend opens.
var compiled = sync.OnceValue(func() *verbs {
	return &verbs{
		acquire: compile(scripts.Acquire),
		renew:   compile(scripts.Renew),
		release: compile(scripts.Release),
		rest:    compile(scripts.Rest),
		cancel:  compile(scripts.Cancel),
		inspect: compile(scripts.Inspect),
		revoke:  compile(scripts.Revoke),
		fast:    compile(scripts.Fast),
	}
})

func compile(s *scripts.Script) *engine.Program {
	p, err := engine.Compile(s.Name, s.Hoisted())
	if err != nil {
		panic("embedded: a script of this very module: " + err.Error())
	}
	return p
}

// A Backend is one session's view of a store in this process.
type Backend struct {
	store *store
	verbs *verbs

	// gate is held for reading while a script runs, so that Close, which writes
	// closed, knows that no lease is granted once it has returned. It protects
	// the two below as well, and writes of inbox.
	gate    sync.RWMutex
	closed  bool
	session backends.Session
	inbox   atomic.Pointer[inbox] // nil until Subscribe
}

// Open opens the store of this name, which may be empty. Backends of one name
// share it; it ends with the last of them.
func Open(name string) *Backend {
	return &Backend{store: openStore(name), verbs: compiled()}
}

// Close ends the session's part in the store. Its leases stay until they
// expire or the store goes. Closing again is nil.
func (b *Backend) Close() error {
	b.gate.Lock()
	if b.closed {
		b.gate.Unlock()
		return nil
	}
	b.closed = true
	box := b.inbox.Load()
	b.gate.Unlock()
	// Outside the gate: a wake under way may be calling us.
	if box != nil {
		b.store.inboxes.remove(b.session, box)
	}
	b.store.close()
	return nil
}

// Capabilities declares what this backend can do: everything, while the
// process lives.
func (b *Backend) Capabilities() backends.Capabilities {
	return backends.Capabilities{
		Name:      backendName,
		Exclusive: true,
		Fair:      true,
		Wakes:     true,
		Fences:    true,
		Inspects:  true,
		Kinds:     true,
		Rests:     true,
		Immediate: true,
	}
}

// Subscribe has wake called for what other sessions do to this one. A second
// subscription takes the place of the first.
func (b *Backend) Subscribe(session backends.Session, wake func(backends.Wake)) error {
	b.gate.Lock()
	defer b.gate.Unlock()
	if b.closed {
		return backends.ErrClosed
	}
	b.session = session
	b.inbox.Store(b.store.inboxes.add(session, wake))
	return nil
}

// Acquire makes one attempt. If the key is held by a lease that lingers, it makes it
// again without that lease.
func (b *Backend) Acquire(ctx context.Context, r backends.Request) (backends.Reply, error) {
	got, err := b.acquire(ctx, r)
	if err == nil && got.Outcome == backends.Held && b.reclaim(ctx, r.Attempt) {
		if again, err := b.acquire(ctx, r); again.Outcome != backends.NotRun {
			return again, err
		}
	}
	return got, err
}

func (b *Backend) acquire(ctx context.Context, r backends.Request) (backends.Reply, error) {
	if r.Probe == 0 && r.AtLeast == 0 && r.Kind == backends.Exclusive {
		if got, done, err := b.take(ctx, r); done {
			return got, err
		}
	}
	queue, lives := "0", aliveFor
	if r.Queue {
		queue = "1"
	}
	if r.Alive > 0 {
		lives = min(r.Alive, aliveMost)
	}
	args := []string{r.Token.Wire(), milliseconds(r.TTL), r.Label, queue, strconv.FormatUint(r.Ask, 10), milliseconds(lives), push}
	if r.Kind != backends.Exclusive {
		return b.acquireShare(ctx, r, args)
	}
	reply, err := b.run(ctx, b.verbs.acquire, r.Key, args...)
	if err != nil {
		return backends.Reply{Outcome: err.outcome}, err.cause
	}
	if said := to(r.Token, reply); shaped(said, 1) && said.Array[0].Int == codeShares {
		return b.acquireShare(ctx, r, args)
	}
	return acquired(reply, r.Token, r.Queue)
}

// Renew makes the lease last ttl from now.
func (b *Backend) Renew(ctx context.Context, a backends.Attempt, ttl time.Duration, known uint64) (backends.Reply, error) {
	reply, err := b.run(ctx, b.verbs.renew, a.Key, a.Token.Wire(), milliseconds(ttl), strconv.FormatUint(known, 10))
	if err != nil {
		return backends.Reply{Outcome: err.outcome}, err.cause
	}
	return renewed(reply, a.Token)
}

// Release gives the lease back.
func (b *Backend) Release(ctx context.Context, a backends.Attempt) error {
	if a.Kind != backends.Exclusive {
		had, err := b.endShare(ctx, a)
		if err == nil && !had {
			err = backends.ErrNotHeld
		}
		return err
	}
	if done, err := b.free(ctx, a); done {
		return err
	}
	verb, argv := b.verbs.release, []string{a.Token.Wire(), mark(a), push}
	if a.AtLeast > 0 {
		verb, argv = b.verbs.rest, append(argv, milliseconds(a.AtLeast))
	}
	reply, err := b.run(ctx, verb, a.Key, argv...)
	if err != nil {
		return err.cause
	}
	return released(reply, a.Token)
}

// Cancel ends an attempt that nobody awaits.
func (b *Backend) Cancel(ctx context.Context, a backends.Attempt) error {
	if a.Kind != backends.Exclusive || b.shared(a.Key) { // those behind one that waits for shares to end are told
		_, err := b.endShare(ctx, a)
		return err
	}
	reply, err := b.run(ctx, b.verbs.cancel, a.Key, a.Token.Wire(), mark(a), push)
	if err != nil {
		return err.cause
	}
	return cancelled(reply, a.Token)
}

// mark says whether an end has to settle its attempt. A call here has run when it returns, so no
// other attempt of the session leaves a copy behind.
func mark(a backends.Attempt) string { return scripts.Flag(a.Ambiguous) }

// Inspect tells what is known of a key.
func (b *Backend) Inspect(ctx context.Context, key string) (backends.Info, error) {
	for range turnsMost {
		reply, f := b.run(ctx, b.verbs.inspect, key)
		if f != nil {
			return backends.Info{}, f.cause
		}
		info, shared, err := inspected(reply)
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

// Revoke asks for the end of a key's lease, or ends it. One that lingers is nobody's
// hold.
func (b *Backend) Revoke(ctx context.Context, key string, r backends.Revocation) (backends.Revoked, error) {
	b.reclaim(ctx, backends.Attempt{Key: key})
	for range turnsMost {
		reply, f := b.run(ctx, b.verbs.revoke, key, strconv.FormatUint(r.Base, 10), scripts.Flag(r.Now), push)
		if f != nil {
			return backends.NobodyHolds, f.cause
		}
		if !shaped(reply, 1) || reply.Array[0].Int != codeShares {
			return revoked(reply)
		}
		if found, out, err := b.revokeShares(ctx, key, r); out {
			return found, err
		}
	}
	return backends.NobodyHolds, errTurns()
}

// List returns the keys that are held. A store has nothing but locks.
func (b *Backend) List(ctx context.Context, prefix string) ([]string, error) {
	b.gate.RLock()
	defer b.gate.RUnlock()
	if b.closed {
		return nil, backends.ErrClosed
	}
	var keys []string
	for _, s := range b.store.shards {
		if ctx.Err() != nil {
			return nil, backends.Interrupted(ctx, backendName)
		}
		keys = s.list(keys, prefix)
	}
	keys = slices.DeleteFunc(keys, scripts.IsCompanion)
	slices.Sort(keys)
	return keys, nil
}

// run runs a verb's script.
func (b *Backend) run(ctx context.Context, p *engine.Program, key string, argv ...string) (keyspace.Reply, *fault) {
	return b.runOn(ctx, p, scripts.Keys(key), argv)
}

// runOn runs a script where its keys live, and delivers what it published.
func (b *Backend) runOn(ctx context.Context, p *engine.Program, keys, argv []string) (keyspace.Reply, *fault) {
	if ctx.Err() != nil {
		return keyspace.Reply{}, &fault{backends.NotRun, backends.Interrupted(ctx, backendName)}
	}
	reply, sent, err := b.exclusive(p, keys, argv)
	b.store.inboxes.deliver(sent)
	if err != nil {
		return reply, faultOf(err)
	}
	if reply.Kind == keyspace.Error {
		return reply, faultOf(&engine.ErrorReply{Message: reply.Str})
	}
	return reply, nil
}

// exclusive runs a script while the backend can't be closed.
func (b *Backend) exclusive(p *engine.Program, keys, argv []string) (keyspace.Reply, []keyspace.Message, error) {
	b.gate.RLock()
	defer b.gate.RUnlock()
	if b.closed {
		return keyspace.Reply{}, nil, backends.ErrClosed
	}
	return b.store.shard(keys[0]).run(p, keys, argv)
}

// milliseconds is a lease's length as the scripts take it: rounded up, since a
// lease must not end early, and at least one.
func milliseconds(d time.Duration) string {
	ms := max(1, (d+time.Millisecond-1)/time.Millisecond)
	return strconv.FormatInt(int64(ms), 10)
}
