package redis

import (
	"context"
	"sync"
	"time"
)

const (
	// deliverLanes is how many messages are published at once. Each node of a
	// Cluster has a lane of its own, as long as there are enough: one that doesn't
	// answer holds up its own inboxes and no others.
	deliverLanes = 16
	// deliverMost is how many messages wait in a lane at most. What comes
	// beyond is dropped: a server that is so far behind has let the receivers'
	// heartbeats pass as well, by which they find out for themselves.
	deliverMost = 1024
	// deliverLast is how long Close lets what waits be published. Those that a
	// last release gave a lock would lose a heartbeat otherwise; and no more than
	// that, so a longer wait gains nothing.
	deliverLast = heartbeat
)

// told is a message for a session's inbox, as a script hands it over.
type told struct{ session, message string }

// A publisher publishes one message.
type publisher func(ctx context.Context, channel, message string) error

// A deliverer publishes what scripts hand to their caller. That is so where they
// can't publish themselves: on a Cluster with sharded channels, whose nodes each
// have some of the channels, as they have some of the keys.
//
// Messages are hints, as everywhere: a lost one costs its receiver a heartbeat.
// So no caller waits for them, and none hears of an error: a user who may not
// publish is told by the inbox (see inbox.refused).
type deliverer struct {
	publish publisher
	nodeOf  func(channel string) string // the address of a channel's node; "" if not known
	lanes   [deliverLanes]chan told     // callers write, a run each reads
	closing chan struct{}               // closed by close: a run ends when its lane is empty
	running sync.WaitGroup              // the runs
	done    chan struct{}               // closed when these have ended
	ctx     context.Context             // ends what is being published
	cancel  context.CancelFunc

	mu    sync.Mutex     // protects what follows
	nodes map[string]int // their lanes, in the order in which they were met
}

// newDeliverer starts a deliverer. A goroutine for each lane runs until close.
func newDeliverer(publish publisher, nodeOf func(channel string) string) *deliverer {
	d := &deliverer{
		publish: publish, nodeOf: nodeOf, nodes: make(map[string]int),
		closing: make(chan struct{}), done: make(chan struct{}),
	}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	for i := range d.lanes {
		lane := make(chan told, deliverMost)
		d.lanes[i] = lane
		d.running.Go(func() { d.run(lane) }) // ends after close, which wait waits for
	}
	go func() { // ends with them
		d.running.Wait()
		close(d.done)
	}()
	return d
}

// lane is that of a session's node, so its messages stay in their order.
func (d *deliverer) lane(session string) chan<- told {
	node := d.nodeOf(inboxPrefix + session)
	d.mu.Lock()
	defer d.mu.Unlock()
	n, met := d.nodes[node]
	if !met {
		n = len(d.nodes) % deliverLanes
		d.nodes[node] = n
	}
	return d.lanes[n]
}

// deliver has messages published, in their order, and returns at once.
func (b *Backend) deliver(list []told) {
	for _, m := range list {
		select {
		case b.deliverer.lane(m.session) <- m:
		default: // full: see deliverMost
		}
	}
}

func (d *deliverer) run(lane <-chan told) {
	for d.ctx.Err() == nil { // a select may go on taking from lane when closing is closed, too
		select {
		case m := <-lane:
			d.send(m)
		case <-d.closing:
			d.drain(lane)
			return
		}
	}
}

// drain publishes what waits, until ctx ends. A message that is queued later
// stays where it is.
func (d *deliverer) drain(lane <-chan told) {
	for d.ctx.Err() == nil {
		select {
		case m := <-lane:
			d.send(m)
		default:
			return
		}
	}
}

// send publishes one message. By the next heartbeat its receiver has found out for
// itself, so it is not tried for longer than that.
func (d *deliverer) send(m told) {
	ctx, cancel := context.WithTimeout(d.ctx, heartbeat)
	defer cancel()
	_ = d.publish(ctx, inboxPrefix+m.session, m.message) // see deliverer
}

// close lets what waits be published for deliverLast, and then ends what is on
// its way. The driver may notice that only by its deadline or by the client's
// end, so there is a wait beside it.
func (d *deliverer) close() {
	if d == nil {
		return
	}
	close(d.closing)
	late := time.NewTimer(deliverLast)
	defer late.Stop()
	select {
	case <-d.done:
	case <-late.C:
	}
	d.cancel()
}

// wait waits for the goroutines to end.
func (d *deliverer) wait() {
	if d != nil {
		<-d.done
	}
}
