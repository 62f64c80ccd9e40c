// Package door keeps the callers of one server from dialling it each on their own
// while it is away.
//
// A Door is open until a dial fails. Then it is shut: one prober dials, again and
// again. Everybody else waits for the outcome of its next dial, and fails if that
// does. When the server is found again the door opens, and everybody concerned is
// told at once, so that nobody need wait for the end of a pause of his own.
package door

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	// pauseShare sets the pause before the next probe: the time that the server has
	// been away, divided by it. A 64th hardly adds to an outage of any length. The
	// pause is leastPause to mostPause.
	pauseShare = 64
	leastPause = 5 * time.Millisecond
	mostPause  = 250 * time.Millisecond
	// hanging is how long a probe goes without an outcome before another is sent
	// beside it: a lost packet is only sent again after a second. There are at most
	// mostProbes of them.
	hanging    = 100 * time.Millisecond
	mostProbes = 4
	// unasked is how long a server is probed for nobody. The next dial then finds
	// out.
	unasked = 3 * time.Second
)

// ErrClosed is the error of callers that wait at a door that is closed for good.
var ErrClosed = errors.New("door: closed")

// A Door is the way to one server. It is safe for concurrent use.
type Door struct {
	back    func()          // immutable
	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	running sync.WaitGroup // the probers

	mu     sync.Mutex // protects outage, and what is in it
	outage *outage    // nil while the door is open
}

// An outage is the time in which a server is away.
type outage struct {
	began time.Time                       // immutable
	probe func(ctx context.Context) error // immutable
	over  chan struct{}                   // closed when the outage ends

	err   error         // of the last dial
	asked time.Time     // when somebody last wanted in
	next  chan struct{} // closed with the outcome of the next dial
}

// New makes a door, which is open. back is called, by a goroutine of the door's, each
// time that it has opened again; it must not wait for the door's end.
func New(back func()) *Door {
	d := &Door{back: back}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	return d
}

// Close ends what waits at the door and its prober, for good.
func (d *Door) Close() {
	d.mu.Lock() // no prober begins later
	defer d.mu.Unlock()
	d.cancel()
}

// Wait waits, after Close, until nothing of the door runs.
func (d *Door) Wait() { d.running.Wait() }

// Await returns nil when the door is open. If it is shut, Await waits for the next
// probe and returns its error. If ctx ends before that, it returns the error of the
// last.
func (d *Door) Await(ctx context.Context) error {
	d.mu.Lock()
	o := d.outage
	if o == nil {
		d.mu.Unlock()
		return nil
	}
	o.asked = time.Now()
	next, last := o.next, o.err
	d.mu.Unlock()
	select {
	case <-next:
	case <-ctx.Done():
		return last
	case <-d.ctx.Done():
		return ErrClosed
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.outage != nil {
		return d.outage.err
	}
	return nil
}

// Shut shuts the door, after a dial that failed with err. probe dials once more; nil
// means that the server is back. A door that is shut stays as it is.
func (d *Door) Shut(err error, probe func(ctx context.Context) error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.outage != nil || d.ctx.Err() != nil {
		return
	}
	now := time.Now()
	o := &outage{began: now, probe: probe, over: make(chan struct{}), err: err, asked: now, next: make(chan struct{})}
	d.outage = o
	d.running.Go(func() { d.prober(o) }) // ends with the outage, or by Close
}

// Open opens the door, for a caller that knows that the wait is over.
func (d *Door) Open() {
	d.mu.Lock()
	o := d.outage
	d.mu.Unlock()
	d.end(o)
}

// end ends an outage, if that has not happened yet.
func (d *Door) end(o *outage) {
	d.mu.Lock()
	mine := o != nil && d.outage == o
	if mine {
		d.outage = nil
		close(o.over)
		close(o.next)
	}
	d.mu.Unlock()
	if mine {
		d.back()
	}
}

// prober dials until the server is back, or nobody asks for it any more.
func (d *Door) prober(o *outage) {
	ctx, cancel := context.WithCancel(d.ctx)
	defer cancel()
	outcomes := make(chan error, mostProbes)
	probes := 0 // on their way
	next := time.NewTimer(o.pause())
	defer next.Stop()
	for {
		select {
		case <-next.C:
			probes++
			d.running.Go(func() { outcomes <- o.dial(ctx) }) // ends with ctx
			if probes < mostProbes {
				next.Reset(hanging)
			}
			continue
		case err := <-outcomes:
			probes--
			if d.ctx.Err() != nil {
				return
			}
			if err == nil || !d.again(o, err) {
				d.end(o)
				return
			}
		case <-o.over:
			return
		case <-d.ctx.Done():
			return
		}
		next.Reset(o.pause())
	}
}

// dial is one probe. It runs the user's code too, such as the callbacks of a tls.Config:
// a panic there is a probe that failed.
func (o *outage) dial(ctx context.Context) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("door: a probe panicked: %v", r)
		}
	}()
	return o.probe(ctx)
}

func (o *outage) pause() time.Duration {
	d := min(max(time.Since(o.began)/pauseShare, leastPause), mostPause)
	return d/2 + rand.N(d)
}

// again notes a probe's failure, for the waiters. It returns false if nobody has
// asked for long: then it is not known any more whether the server is away.
func (d *Door) again(o *outage, err error) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.outage != o {
		return true // opened meanwhile: over says so
	}
	o.err = err
	close(o.next)
	o.next = make(chan struct{})
	return time.Since(o.asked) < unasked
}
