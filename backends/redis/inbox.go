package redis

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/scripts"
)

// inboxPrefix begins the name of every session's channel: wire format, as the
// scripts write it.
const inboxPrefix = "turnstile:inbox:"

const (
	// heartbeat is how often a waiting attempt is repeated at the latest, which
	// keeps its place in the queue (1 s) and reminds the holder; and how often an
	// inbox in use is tried.
	heartbeat = 300 * time.Millisecond
	// subscribeTimeout bounds Subscribe. Later than that the session begins as a
	// deaf one, and hears when it can.
	subscribeTimeout = 500 * time.Millisecond
	// reconnectFirst to reconnectMost is the pause before the second, third, …
	// connection in a row; the first comes at once.
	reconnectFirst = 50 * time.Millisecond
	reconnectMost  = time.Second
	// refusedPause is the pause after the server has refused the subscription. It
	// will do so again, until somebody changes the user's permissions.
	refusedPause = 2 * time.Second
)

// An inbox is a session's subscription, on a connection of its own.
//
// What proves that it works is an echo: a heartbeat is a message to itself, by
// way of the server, as the scripts' messages are. A confirmed SUBSCRIBE
// proves nothing: the user may not publish, the server may be a master no
// longer, a proxy may swallow pushes. The driver's own health check proves
// less: it sends a PING that nobody awaits, and only for a PubSub's Channel.
//
// An inbox whose last heartbeat was not echoed is deaf, and so is one that
// has no connection. Its session then asks the server as if it had none:
//
//  1. its waiting attempts are queued as poll-only, and repeated every 5 to 25
//     or 50 ms (see the script acquire); or up to 250 ms, if the server refuses
//     what an inbox needs
//  2. it takes it that others wait for whatever it holds, since nobody could
//     tell it: it hands over after a Tenure and doesn't linger
//
// Heartbeats are sent while an attempt of the session waits or a lease of it
// is held; in between, the inbox is a connection that nothing is sent on.
type inbox struct {
	// Immutable.
	pushes  *pushes
	channel string
	wake    func(backends.Wake)
	beater  *beater // nil: nothing is repeated
	log     *slog.Logger
	ctx     context.Context // ends with close
	cancel  context.CancelFunc
	running sync.WaitGroup // listen and beat

	met    bool        // listen's own: there has been a connection
	up     atomic.Bool // there is one; listen writes it
	hears  atomic.Bool
	barred atomic.Bool   // the server refuses what an inbox needs; until the next echo
	beats  atomic.Uint64 // the newest heartbeat's number; beat writes it
	echoed atomic.Uint64 // the newest echo's; listen writes it
	known  bool          // listen's own: this connection has had its first echo
	misses int           // beat's own: heartbeats in a row that were not echoed

	idle  atomic.Bool   // beat waits for poke
	poke  chan struct{} // one slot: there is something to hear of, or a new connection
	fresh atomic.Bool   // a new connection wants its first heartbeat
	again chan struct{} // one slot: listen need not wait for its next connection

	warning sync.Once
	ready   sync.Once
	started chan struct{} // closed by ready: Subscribe need not wait any longer

	mu     sync.Mutex // protects the rest
	sub    *goredis.PubSub
	closed bool
	use    use
}

// newInbox starts an inbox, of which r repeats what waits. Two goroutines run until close.
func newInbox(p *pushes, session backends.Session, wake func(backends.Wake), log *slog.Logger, r *beater) *inbox {
	in := &inbox{
		pushes: p, channel: inboxPrefix + string(session), wake: wake, log: log,
		poke: make(chan struct{}, 1), again: make(chan struct{}, 1), started: make(chan struct{}),
	}
	if in.beater = r; r != nil {
		r.in = in
	}
	in.ctx, in.cancel = context.WithCancel(context.Background())
	in.running.Add(2)
	go in.listen() // both end when ctx does, and close waits for them
	go in.beat()
	return in
}

// await waits until the inbox hears, or is known not to for now.
func (in *inbox) await() {
	late := time.NewTimer(subscribeTimeout)
	defer late.Stop()
	select {
	case <-in.started:
	case <-late.C:
	}
}

// settle lets await return.
func (in *inbox) settle() { in.ready.Do(func() { close(in.started) }) }

// close ends the subscription. When it returns, wake is not called any more. It
// waits for a connection that is just being made, for as long as the client's
// timeouts allow.
func (in *inbox) close() {
	in.cancel()
	in.beater.close()
	in.mu.Lock()
	in.closed = true
	sub := in.sub
	in.mu.Unlock()
	if sub != nil {
		_ = sub.Close() // an error means that it is closed
	}
	in.running.Wait()
}

// adopt makes sub the one that close and reconnect end.
func (in *inbox) adopt(sub *goredis.PubSub) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.sub = sub
	return !in.closed
}

// reconnect ends the connection, which listen then replaces.
func (in *inbox) reconnect() {
	in.mu.Lock()
	sub := in.sub
	in.mu.Unlock()
	if sub != nil {
		_ = sub.Close()
	}
}

// reconnectNow ends the pause before the next connection, or has it skipped.
func (in *inbox) reconnectNow() {
	select {
	case in.again <- struct{}{}:
	default: // it has been told
	}
}

// listen keeps a subscription up and reads it.
func (in *inbox) listen() {
	defer in.running.Done()
	p := pace{passes: in.pushes.passes, again: in.again}
	for in.ctx.Err() == nil {
		in.pushes.afresh()
		sub := in.pushes.open(in.ctx)
		if in.adopt(sub) {
			ctx, cancel := context.WithTimeout(in.ctx, dialTimeout)
			err := in.pushes.subscribe(ctx, sub, in.channel)
			cancel()
			if err == nil {
				err = in.read(sub, &p)
			}
			if in.pushes.lacks(err) {
				err = nil // plain channels are tried next
			}
			in.cut(err)
			p.pause(in.ctx, err)
		}
		_ = sub.Close() // an error means that it is closed
	}
}

// read takes what comes on a subscription until that is of no more use. The
// driver connects and subscribes anew by itself, once, within the Receive that
// failed, and again within the next one; all that is left to us is not to let it
// do so in a loop.
func (in *inbox) read(sub *goredis.PubSub, p *pace) error {
	for {
		m, err := sub.Receive(in.ctx)
		switch m := m.(type) {
		case *goredis.Subscription:
			if m.Kind == "sunsubscribe" {
				return errSlotMoved
			}
			p.connected()
			in.connected()
		case *goredis.Message:
			in.take(m.Payload)
		}
		if err == nil {
			continue
		}
		if in.ctx.Err() != nil || isReply(err) || errors.Is(err, goredis.ErrClosed) || in.pushes.topology.form == cluster {
			return err // by close; refused by the server; by reconnect; or the channel may be another node's by now
		}
		in.cut(err)
		p.pause(in.ctx, err)
	}
}

// errSlotMoved ends a subscription whose node has given the channel's slot away.
var errSlotMoved = errors.New("the channel's slot has moved")

// take reads a message: one byte of kind, and what that kind has: the full key, a lease and the full key, or the
// number of a heartbeat. A message that makes no sense is no message: a session that waits asks at its next heartbeat.
func (in *inbox) take(payload string) {
	kind, rest := payload[:min(1, len(payload))], payload[min(1, len(payload)):]
	switch kind {
	case "g":
		in.wake(backends.Wake{Key: rest, Kind: backends.Given})
	case string(scripts.LeaseMessage):
		if l, ok := scripts.ReadLease(rest); ok {
			in.wake(backends.Wake{
				Key: l.Key, Kind: backends.Gave, Attempt: l.Attempt, Ask: l.Ask, Base: l.Base, TTL: l.TTL, Contended: l.Contended,
			})
		}
	case "w":
		in.wake(backends.Wake{Key: rest, Kind: backends.Wanted})
	case string(scripts.ManyMessage):
		for key := range scripts.ReadMany(rest) {
			in.wake(backends.Wake{Key: key, Kind: backends.Wanted})
		}
	case "r":
		in.wake(backends.Wake{Key: rest, Kind: backends.Revoking})
	case "h":
		in.echo(rest)
	default: // of a version that knows more than this one
	}
}

// connected asks for a first echo. What was lost while there was no connection
// is asked for when it comes, and not now: only then are answers by push again.
//
// Behind a new connection there may be another server, or the same after a
// restart: what is held has to be proved.
func (in *inbox) connected() {
	if in.met {
		in.wake(backends.Wake{Kind: backends.Doubted})
	}
	in.met, in.known = true, false
	in.up.Store(true)
	in.fresh.Store(true)
	in.rouse()
}

// cut takes the end of a connection. Where a replica may take the lost server's
// place, the doubt begins now: others may get there before we do.
func (in *inbox) cut(err error) {
	if in.up.Swap(false) && in.pushes.topology.form != single {
		in.wake(backends.Wake{Kind: backends.Doubted})
	}
	in.lost(err)
}

// lost: without a connection nothing is heard. What is held may be wanted from
// now on, and nobody could say so; what is awaited is asked for by its own pace,
// and again with the first echo of the next connection.
func (in *inbox) lost(err error) {
	if in.hears.Swap(false) {
		in.wake(backends.Wake{Kind: backends.Wanted})
	}
	in.refused(err)
	in.settle()
	if in.ctx.Err() == nil {
		in.pushes.topology.reload(in.ctx)
	}
}

// refused tells an operator, once, what a session without an inbox lacks: it
// works all the same, so nobody would look.
func (in *inbox) refused(err error) {
	if err == nil || in.ctx.Err() != nil || strings.Contains(err.Error(), "initialize connection") {
		return
	}
	var mend string
	switch {
	case goredis.HasErrorPrefix(err, "NOPERM"):
		mend = "grant the user &" + inboxPrefix + "* " + in.pushes.grants()
	case goredis.HasErrorPrefix(err, "unknown command"):
		mend = "it takes SUBSCRIBE and PUBLISH, which rename-command must leave alone"
	default:
		return
	}
	in.barred.Store(true)
	in.warning.Do(func() {
		in.log.Warn("the Redis server refuses a session its inbox, so its waiters poll: "+mend, "error", presentable(err.Error()))
	})
}

// echo takes a heartbeat that came back. An old one, from before a reconnect or
// a pause, says nothing of now.
func (in *inbox) echo(number string) {
	n, err := strconv.ParseUint(number, 10, 64)
	if beats := in.beats.Load(); err != nil || n > beats || n+in.beater.patience() <= beats {
		return
	}
	in.echoed.Store(n)
	in.hears.Store(true)
	in.barred.Store(false)
	in.settle()
	if !in.known {
		in.known = true
		in.wake(backends.Wake{Kind: backends.Given})
	}
}

// hearing reports whether pushes arrive, as far as is known. A backend without
// an inbox hears nothing.
func (in *inbox) hearing() bool { return in != nil && in.hears.Load() }

// deaf reports whether pushes are meant to arrive and don't.
func (in *inbox) deaf() bool { return in != nil && !in.hears.Load() }

// denied reports whether the server refuses what pushes need.
func (in *inbox) denied() bool { return in != nil && in.barred.Load() }

// repeats reports whether the calls of waiting attempts are repeated.
func (in *inbox) repeats() bool { return in != nil && in.beater != nil }

func isReply(err error) bool {
	var reply goredis.Error
	return errors.As(err, &reply) && !errors.Is(err, goredis.Nil)
}
