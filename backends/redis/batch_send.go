package redis

import (
	"context"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/turnstile-go/turnstile/scripts"
)

// send sends one command.
func (q *batcher) send(ctx context.Context, c *command) {
	q.process(ctx, c)
	if c.unknown() {
		// A restart or SCRIPT FLUSH: nothing ran.
		c.bySource()
		q.process(ctx, c)
	}
}

func (q *batcher) process(ctx context.Context, c *command) {
	if err := q.client.Process(ctx, c); err != nil {
		c.SetErr(err) // a hook's own error is not in the command yet
	}
}

// A flusher sends batches; its slices are used again for the next.
type flusher struct {
	*batcher
	list []goredis.Cmder
	told []*command
}

// flush sends batches until nothing waits any more.
func (f *flusher) flush(batch []*command) {
	for len(batch) > 0 {
		f.sendAll(batch)
		batch = f.next(batch)
	}
}

// sendAll sends a batch, and settles each of its commands. The commands that
// find their script missing, and only these, are sent again; it takes three
// rounds at most however often the server's scripts are flushed meanwhile:
//
//	all by SHA
//	one of each missing script with its source, the others behind it by SHA
//	all with their source: flushed again, or on different nodes of a Cluster
func (f *flusher) sendAll(batch []*command) {
	ctx, cancel := context.WithDeadline(context.Background(), latest(batch))
	defer cancel()
	again := f.round(ctx, batch, true)
	if len(again) == 0 {
		return
	}
	brought := make(map[*scripts.Script]bool)
	for _, c := range again {
		if brought[c.script] {
			c.bySHA()
		} else {
			brought[c.script] = true
			c.bySource()
		}
	}
	if again = f.round(ctx, again, true); len(again) == 0 {
		return
	}
	for _, c := range again {
		c.bySource()
	}
	f.round(ctx, again, false)
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
func (f *flusher) round(ctx context.Context, batch []*command, repair bool) (missing []*command) {
	since := time.Now()
	f.pipeline(ctx, batch)
	took, answered := time.Since(since), batch[0].answered()
	f.told = f.told[:0]
	for _, c := range batch {
		switch {
		case repair && c.unknown():
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

// pipeline sends commands in one go. What became of each of them is in the
// command.
func (f *flusher) pipeline(ctx context.Context, batch []*command) {
	if len(batch) == 1 {
		f.process(ctx, batch[0])
		return
	}
	f.list = f.list[:0]
	for _, c := range batch {
		f.list = append(f.list, c)
	}
	p := f.client.Pipeline()
	_ = p.BatchProcess(ctx, f.list...) // it only collects
	_, err := p.Exec(ctx)
	for _, c := range batch {
		// A hook that ends the pipeline early leaves commands without a word.
		if err != nil && c.Err() == nil && c.Val() == nil {
			c.SetErr(err)
		}
	}
	clear(f.list)
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
