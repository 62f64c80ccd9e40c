package redis

import (
	"context"
	"runtime"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/turnstile-go/turnstile/scripts"
)

// send sends one command. Should its key not be quiet after all, it does so again by the
// verb's own script, at once, and by that of shares if some are out.
func (q *batcher) send(ctx context.Context, c *command) {
	if c.fast {
		q.sendFast(ctx, c)
		if !c.goesOn() {
			return
		}
	}
	for on := true; on; on = c.goesOn() {
		q.process(ctx, c)
		if c.unknown() {
			// A restart or SCRIPT FLUSH: nothing ran.
			c.bySource()
			q.process(ctx, c)
		}
	}
}

// sendFast sends one command by the script fast.
func (q *batcher) sendFast(ctx context.Context, c *command) {
	call := &c.lone
	for _, source := range []bool{false, true} {
		call.load(c)
		if source {
			call.bySource()
		}
		q.process(ctx, call)
		if call.deal(); !c.unknown() {
			return
		}
	}
}

func (q *batcher) process(ctx context.Context, r goredis.Cmder) {
	if err := q.client.Process(ctx, r); err != nil {
		r.SetErr(err) // a hook's own error is not in the command yet
	}
}

// A request is one request of the driver's: a command by itself, or a fastCall with several.
type request interface {
	goredis.Cmder
	of() *scripts.Script
	bySHA()
	bySource()
	silent() bool
}

// A flusher sends batches; its slices are used again for the next.
type flusher struct {
	*batcher
	work     chan []*command // one slot: its next batch, while it is idle
	fast     []*command      // of a batch, those of quiet keys
	call     fastCall        // and their request
	requests []request       // of a batch
	list     []goredis.Cmder
	told     []*command
	more     []*command // that have to be sent once more
}

// run flushes a batch, and those that it gets later. A goroutine for each would have to grow its stack anew.
func (f *flusher) run(batch []*command) {
	for len(batch) > 0 {
		f.flush(batch)
		batch = f.rest()
	}
}

// rest waits for a batch. There is none after close, and where others wait already.
func (f *flusher) rest() []*command {
	f.mu.Lock()
	if f.closed || len(f.idle) == flushersMost {
		f.mu.Unlock()
		return nil
	}
	f.idle = append(f.idle, f)
	f.mu.Unlock()
	return <-f.work
}

// flush sends batches until nothing waits any more.
func (f *flusher) flush(batch []*command) {
	for len(batch) > 0 {
		f.sendAll(batch)
		batch = f.next(batch)
	}
}

// next takes a flusher's next batch; without one the flusher is done.
func (q *batcher) next(spare []*command) []*command {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.pending) == 0 {
		// Those who just got their answers are about to come back. Let them run
		// first, and they travel together again instead of one by one.
		q.mu.Unlock()
		runtime.Gosched()
		q.mu.Lock()
	}
	if q.flushers > 1 && len(q.pending) < shareLeast {
		q.flushers--
		return nil // another is out, or late will tell
	}
	batch := q.takeLocked(spare)
	if len(batch) == 0 {
		q.flushers--
	}
	return batch
}

// naming is how the requests of a round name their scripts.
type naming int

const (
	bySHA     naming = iota // all by SHA
	oneBrings               // one of each script with its source, the others behind it by SHA
	bySource                // all with their source: flushed again, or on different nodes of a Cluster
)

// sendAll sends a batch, and settles each of its commands. The commands that
// find their script missing, and only these, are sent again; it takes three
// rounds at most however often the server's scripts are flushed meanwhile.
//
// Those whose keys turn out not to be quiet are not settled here: they travel in the next
// batch, by their own scripts.
func (f *flusher) sendAll(batch []*command) {
	ctx, cancel := context.WithDeadline(context.Background(), latest(batch))
	defer cancel()
	for how := bySHA; len(batch) > 0; how++ {
		batch = f.round(ctx, batch, how)
	}
}

// round sends commands once, and hands them back to their callers, apart from those
// whose script was missing, if they are to be repaired. Those it returns; a caller that
// left has been told that its command may have run, and needs no repair.
//
// The commands that were started are finished here, one after the other: each tells an
// actor, whose step may start the next call. That holds up nobody for long. No lock is
// held; a step takes some µs and blocks on nothing, by the contract of
// backends.Starter; calls that are started meanwhile wait for patience at most until
// another flusher takes them; and should one asker block after all, those behind it are
// not settled yet, and end by their deadlines (see begun) as what may have run.
func (f *flusher) round(ctx context.Context, batch []*command, how naming) (missing []*command) {
	since := time.Now()
	f.pack(batch, how)
	f.pipeline(ctx)
	took, answered := time.Since(since), batch[0].answered()
	batch = f.sendAgain(batch)
	f.told = f.told[:0]
	for _, c := range batch {
		switch {
		case how != bySource && c.unknown():
			if c.state.Load() == taken {
				missing = append(missing, c)
			}
		case !c.state.CompareAndSwap(taken, settled): // its caller has left
		case c.to == nil:
			c.done <- struct{}{} // from here on it is the caller's
		default:
			f.told = append(f.told, c)
			c.read = c.finish()
		}
	}
	f.mu.Lock()
	f.gauge.note(took, answered)
	f.begun.remove(f.told)
	f.mu.Unlock()
	for _, c := range f.told {
		if c.read {
			c.recycle() // not before it is out of begun
		}
	}
	clear(f.told)
	return missing
}

// sendAgain has those commands of a batch wait once more for which the script fast did
// nothing, or the mutex's since shares are out, and returns the others. Those wait from here on, and are no longer this flusher's.
func (f *flusher) sendAgain(batch []*command) (rest []*command) {
	rest, f.more = batch[:0], f.more[:0]
	for _, c := range batch {
		again := c.apart || c.wantsFull() || c.wantsShares()
		switch {
		case !again:
			rest = append(rest, c)
		case c.state.CompareAndSwap(taken, waiting): // otherwise its caller has left
			if c.apart {
				c.written.Store(false)
			} else {
				c.goesOn()
			}
			f.more = append(f.more, c)
		}
	}
	if len(f.more) > 0 {
		f.again(f.more)
		clear(f.more)
	}
	return rest
}

// pack makes the requests of a batch: one for all quiet keys, and one for each of the
// others. Where keys may not travel together, each has a request of its own.
func (f *flusher) pack(batch []*command, how naming) {
	f.requests, f.fast = f.requests[:0], f.fast[:0]
	apart := f.apart()
	for _, c := range batch {
		switch {
		case !c.fast:
			f.requests = append(f.requests, c)
		case apart:
			c.lone.load(c)
			f.requests = append(f.requests, &c.lone)
		default:
			f.fast = append(f.fast, c)
		}
	}
	if len(f.fast) > 0 {
		f.call.load(f.fast...)
		f.requests = append(f.requests, &f.call)
		clear(f.fast)
	}
	if how == bySHA {
		return // as they were made
	}
	brought := make(map[*scripts.Script]bool)
	for _, r := range f.requests {
		if s := r.of(); how == bySource || !brought[s] {
			brought[s] = true
			r.bySource()
		} else {
			r.bySHA()
		}
	}
}

// part has quiet keys travel by a request each for a while, after the server has refused
// several together. One that is forbidden may never be asked for again, and rights change.
func (q *batcher) part() { q.parted.Store(new(time.Now().Add(partedFor))) }

// apart reports whether quiet keys have a request each at present.
func (q *batcher) apart() bool {
	until := q.parted.Load()
	return q.single || until != nil && time.Now().Before(*until)
}

// pipeline sends the requests in one go. Each command gets its answer or its error.
func (f *flusher) pipeline(ctx context.Context) {
	if len(f.requests) == 1 {
		f.process(ctx, f.requests[0])
	} else {
		f.list = f.list[:0]
		for _, r := range f.requests {
			f.list = append(f.list, r)
		}
		p := f.client.Pipeline()
		_ = p.BatchProcess(ctx, f.list...) // it only collects
		_, err := p.Exec(ctx)
		for _, r := range f.requests {
			// A hook that ends the pipeline early leaves commands without a word.
			if err != nil && r.silent() {
				r.SetErr(err)
			}
		}
		clear(f.list)
	}
	for _, r := range f.requests {
		if call, ok := r.(*fastCall); ok && !call.deal() {
			f.part()
		}
	}
	clear(f.requests)
}

// latest is the deadline of a batch: that of its most patient caller, and no
// later than a call may take.
func latest(batch []*command) time.Time {
	most := time.Now().Add(callBudget)
	var last time.Time
	for _, c := range batch {
		if c.deadline.IsZero() || c.deadline.After(most) {
			return most
		}
		if c.deadline.After(last) {
			last = c.deadline
		}
	}
	return last
}
