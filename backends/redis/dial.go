package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/turnstile-go/turnstile/internal/door"
)

// rollCall is how often a Cluster is asked whether a node that is away is still one of
// its masters.
const rollCall = 50 * time.Millisecond

// A dialer makes the driver's connections, on a way of its own to each server.
//
// The driver's pools count the dials that failed, and after PoolSize of them they
// allow one dial a second. An outage of 150 ms then lasted a second for callers, and
// the smaller the pool, the sooner that happened. So no pool sees a dial fail. A
// server that is away gets a connection on which everything fails, with the error of
// the dial: see nowhere.
type dialer struct {
	// Immutable.
	tls     *tls.Config // nil: plain
	timeout time.Duration
	epoch   time.Time // a conn's times count from it, by the monotonic clock

	// backend hears of it when a server is found again, or was replaced; nil at first.
	backend atomic.Pointer[Backend]

	ctx     context.Context // ends with close
	cancel  context.CancelFunc
	running sync.WaitGroup // the roll calls

	mu   sync.Mutex // protects ways
	ways map[string]*way
}

func newDialer(security *tls.Config, timeout time.Duration) *dialer {
	d := &dialer{tls: security, timeout: timeout, epoch: time.Now(), ways: make(map[string]*way)}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	return d
}

// close ends the waits; wait waits for the probes to end.
func (d *dialer) close() {
	if d == nil {
		return
	}
	d.cancel()
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, w := range d.ways {
		w.door.Close()
	}
}

func (d *dialer) wait() {
	if d == nil {
		return
	}
	d.mu.Lock()
	ways := slices.Collect(maps.Values(d.ways))
	d.mu.Unlock()
	for _, w := range ways {
		w.door.Wait()
	}
	d.running.Wait() // the probes began them
}

func (d *dialer) now() int64 { return int64(time.Since(d.epoch)) }

// back tells all keys that a server is found again, or was replaced.
func (d *dialer) back() {
	if b := d.backend.Load(); b != nil && d.ctx.Err() == nil {
		b.answersAgain()
	}
}

// mistrust has no pool use a connection again that has brought anything so far. One of them brought a reply that
// makes no sense: it may be to an earlier request, and those that follow then are, too.
func (d *dialer) mistrust() {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, w := range d.ways {
		w.doubt(d.now())
	}
}

// to is the way to a server.
func (d *dialer) to(addr string) *way {
	d.mu.Lock()
	defer d.mu.Unlock()
	w := d.ways[addr]
	if w == nil {
		w = &way{dialer: d, addr: addr, door: door.New(d.back)}
		if d.ctx.Err() != nil {
			w.door.Close()
		}
		d.ways[addr] = w
	}
	return w
}

// connect is the driver's Dialer, of a server or of a node of a Cluster.
func (d *dialer) connect(ctx context.Context, network, addr string) (net.Conn, error) {
	w := d.to(addr)
	return w.enter(ctx, func(ctx context.Context) (net.Conn, error) { return w.dial(ctx, network) }), nil
}

// connectBySentinel is the driver's Dialer of Sentinels and of the servers that they
// name. DialHook notices that the master is away, since it first asks where the
// master is.
func (d *dialer) connectBySentinel(ctx context.Context, network, addr string) (net.Conn, error) {
	return d.to(addr).dial(ctx, network)
}

// DialHook makes d a hook of the driver's client of a Sentinels' set. The way leads
// to the current master: each probe asks the Sentinels anew.
func (d *dialer) DialHook(next goredis.DialHook) goredis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		return d.to(addr).enter(ctx, func(ctx context.Context) (net.Conn, error) {
			return next(context.WithValue(ctx, ofDialer{}, d), network, addr)
		}), nil
	}
}

// ProcessHook and ProcessPipelineHook leave commands alone.
func (d *dialer) ProcessHook(next goredis.ProcessHook) goredis.ProcessHook { return next }

func (d *dialer) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return next
}

var _ goredis.Hook = (*dialer)(nil)

// A way is the way to one server, for all keys.
type way struct {
	dialer *dialer
	addr   string
	door   *door.Door

	// suspect is when an unanswered request was sent, in ns since epoch. A
	// connection that has brought nothing since then is not used any more: see conn.
	suspect atomic.Int64
	called  atomic.Int64 // when the Cluster was last asked whether the node is still a master, as above
}

// enter makes a connection, or, where there is none to be had, one on which
// everything fails.
func (w *way) enter(ctx context.Context, dial func(context.Context) (net.Conn, error)) net.Conn {
	if err := w.door.Await(ctx); err != nil {
		return nowhere{err}
	}
	shut := func(err error) {
		w.door.Shut(err, func(ctx context.Context) error { return w.probe(ctx, dial) })
	}
	it, err := dial(ctx)
	switch {
	case err == nil:
		if c, ok := it.(*conn); ok {
			c.mute = shut
		}
		return it
	case errors.Is(ctx.Err(), context.Canceled):
		return nowhere{err} // its caller has left, which proves nothing about the server
	}
	shut(err)
	return nowhere{err}
}

// probe is one try to reach a server that is away: a connection, and any answer to a
// PING. An accepted connection alone proves little, and behind a proxy nothing.
func (w *way) probe(ctx context.Context, dial func(context.Context) (net.Conn, error)) error {
	w.rollCall()
	ctx, cancel := context.WithTimeout(ctx, w.dialer.timeout)
	defer cancel()
	c, err := dial(ctx)
	if err != nil {
		return err
	}
	defer c.Close() // it has served its purpose
	end := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer end()
	if _, err := c.Write([]byte("PING\r\n")); err != nil {
		return err
	}
	_, err = c.Read(make([]byte, 1))
	return err
}

// rollCall asks the Cluster, now and then and beside the probe, whether the node is
// still one of its masters. If not, nobody will ask for it again: the door is opened.
func (w *way) rollCall() {
	b := w.dialer.backend.Load()
	last, now := w.called.Load(), w.dialer.now()
	if b == nil || b.topology.nodes == nil || now-last < int64(rollCall) || !w.called.CompareAndSwap(last, now) {
		return
	}
	w.dialer.running.Go(func() { // ends by its own timeout
		if b.topology.replaced(w.dialer.ctx, w.addr) {
			w.door.Open()
		}
	})
}

// dial connects to the server.
func (w *way) dial(ctx context.Context, network string) (net.Conn, error) {
	plain := &net.Dialer{Timeout: w.dialer.timeout, KeepAliveConfig: keepAlive}
	var conn net.Conn
	var err error
	if w.dialer.tls != nil {
		conn, err = (&tls.Dialer{NetDialer: plain, Config: w.dialer.tls}).DialContext(ctx, network, w.addr)
	} else {
		conn, err = plain.DialContext(ctx, network, w.addr)
	}
	if err != nil {
		return nil, err
	}
	return newConn(conn, w), nil
}

// keepAlive is the driver's own: it finds a dead peer in 45 s.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 30 * time.Second, Interval: 5 * time.Second, Count: 3}
