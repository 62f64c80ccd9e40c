package actors

import "sync"

// idleWorkers bounds how many workers stay when there is nothing to do: a
// burst of many keys may need thousands, and they must not stay for ever.
const idleWorkers = 256

// dispatcher runs mailboxes, and calls to backends, on goroutines that are
// used again. protoactor's default starts one for each wake-up of an actor: a
// lock cycle took 3.0 µs that way and 0.76 µs on pooled workers (measured).
type dispatcher struct {
	work    chan func()
	idle    chan struct{} // a slot for each worker that may wait for work
	closed  chan struct{}
	workers sync.WaitGroup
}

func newDispatcher() *dispatcher {
	return &dispatcher{
		work:   make(chan func()),
		idle:   make(chan struct{}, idleWorkers),
		closed: make(chan struct{}),
	}
}

// Schedule runs fn on an idle worker, or on a new one: it never waits, since
// whoever posts a message must not be held up by other keys.
func (d *dispatcher) Schedule(fn func()) {
	select {
	case d.work <- fn:
	default:
		d.workers.Add(1)
		go d.worker(fn) // ends when idleWorkers others wait, or by Close
	}
}

// Throughput implements protoactor's Dispatcher. Our mailbox doesn't ask: it
// yields by itself.
func (d *dispatcher) Throughput() int { return 1 }

func (d *dispatcher) worker(fn func()) {
	defer d.workers.Done()
	for {
		fn()
		select {
		case d.idle <- struct{}{}:
		default:
			return
		}
		select {
		case fn = <-d.work:
			<-d.idle
		case <-d.closed:
			return
		}
	}
}

// Close ends the idle workers and waits for the busy ones. The caller makes
// sure that nothing is scheduled any more.
func (d *dispatcher) Close() {
	close(d.closed)
	d.workers.Wait()
}
