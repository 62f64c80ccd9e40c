package redis

import (
	"context"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/turnstile-go/turnstile/scripts"
)

// send sends one command, with its caller's ctx.
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

// sendAll sends a batch, and settles each of its commands. The commands that
// find their script missing, and only these, are sent again; it takes three
// rounds at most however often the server's scripts are flushed meanwhile:
//
//	all by SHA
//	one of each missing script with its source, the others behind it by SHA
//	all with their source: flushed again, or on different nodes of a Cluster
//
// spare is a slice to use again; it is returned for the next batch.
func (q *batcher) sendAll(batch []*command, spare []goredis.Cmder) []goredis.Cmder {
	ctx, cancel := context.WithDeadline(context.Background(), latest(batch))
	defer cancel()
	spare = q.pipeline(ctx, batch, spare)
	again := settle(batch, true)
	if len(again) == 0 {
		return spare
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
	spare = q.pipeline(ctx, again, spare)
	if again = settle(again, true); len(again) == 0 {
		return spare
	}
	for _, c := range again {
		c.bySource()
	}
	spare = q.pipeline(ctx, again, spare)
	settle(again, false)
	return spare
}

// pipeline sends commands in one go. What became of each of them is in the
// command.
func (q *batcher) pipeline(ctx context.Context, batch []*command, spare []goredis.Cmder) []goredis.Cmder {
	if len(batch) == 1 {
		q.process(ctx, batch[0])
		return spare
	}
	list := spare[:0]
	for _, c := range batch {
		list = append(list, c)
	}
	p := q.client.Pipeline()
	_ = p.BatchProcess(ctx, list...) // it only collects
	_, err := p.Exec(ctx)
	for _, c := range batch {
		// A hook that ends the pipeline early leaves commands without a word.
		if err != nil && c.Err() == nil && c.Val() == nil {
			c.SetErr(err)
		}
	}
	clear(list)
	return list
}

// settle hands the commands back to their callers, apart from those whose
// script was missing, if they are to be repaired. Those it returns; a caller
// that left has been told that its command may have run, and needs no repair.
func settle(batch []*command, repair bool) []*command {
	var missing []*command
	for _, c := range batch {
		switch {
		case repair && c.unknown():
			if c.state.Load() == taken {
				missing = append(missing, c)
			}
		case c.state.CompareAndSwap(taken, settled):
			c.done <- struct{}{} // from here on it is the caller's
		}
	}
	return missing
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
