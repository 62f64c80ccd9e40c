package redis

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/turnstile-go/turnstile/backends"
)

// The limits of a batcher. They were measured with BenchmarkPairs, on loopback
// and two cores, at 1 to 512 callers.
const (
	// aloneMost is how many callers may send alone at once, before others have
	// to wait and share: so few lose more by waiting than by a request each (with
	// 4 here, 8 callers lost a quarter; 64 and more are the same either way).
	aloneMost = 8
	// flushersMost is how many batches travel at once while they come back soon:
	// one is encoded or read while the server works on another. More only make
	// each of them smaller.
	flushersMost = 2
	// shareLeast is what must wait for a second flusher to go on: fewer commands
	// travel better together, with the first. (Without this, 8 callers lost a fifth.)
	shareLeast = 16
	// batchMost bounds how long a reply stands behind others'.
	batchMost = 128
	// patience is how long commands wait for a batch to land before another
	// takes them: a long round trip is no reason to wait for two.
	patience = 200 * time.Microsecond
	// standstill is how long no batch may have left or landed for one more than
	// flushersMost to leave; for each further one it is twice as long. So a round
	// trip of 10 ms gets five, and a dead connection, or ten, block nobody.
	standstill = time.Millisecond
	// callBudget bounds a batch whose commands have no deadline of their own.
	callBudget = 2 * time.Second
)

// What became of a command. Its caller and its flush settle by a compare-and-swap who
// is first, so that it has one outcome and is written to by one of them:
//
//	waiting → taken → settled   the caller gets the answer, even if its ctx ended meanwhile
//	waiting → left              the ctx ended first: it did not run, and no batch will take it
//	waiting → taken → left      the ctx ended on the way: it may have run
const (
	waiting uint32 = iota
	taken
	settled
	left
)

// A batcher lets commands of many keys travel together (flat combining: Hendler
// et al., SPAA 2010). A caller that finds nobody on the way sends its own
// command, on its own goroutine, for the price of a plain round trip. Those
// that come meanwhile wait, and travel in one pipeline when it is back.
//
// Such a pipeline is run by a goroutine of the batcher, a flusher, and not by
// one of its callers: no caller can be held beyond its own ctx by the deadline
// of others, and none has to go on for them. It takes what waits until nothing
// does. A lone caller is held until its own deadline at the latest, by the
// connection's; the driver doesn't notice a mere cancel on the way.
type batcher struct {
	client goredis.UniversalClient
	alone  int // aloneMost, but for a benchmark

	mu       sync.Mutex // protects what follows
	pending  []*command // not taken yet; renewals first
	renewals int        // how many of pending are renewals
	since    time.Time  // when the first of them came
	moved    time.Time  // when a batch last left or landed
	lone     int        // callers sending alone
	flushers int        // goroutines sending batches
	closed   bool
	// late fires when pending has waited for patience. It is armed while pending
	// is not empty, so that no stuck flush can make others wait with it.
	late *time.Timer

	running sync.WaitGroup // the flushers
}

func newBatcher(client goredis.UniversalClient) *batcher {
	q := &batcher{client: client, alone: aloneMost}
	q.late = time.AfterFunc(time.Hour, q.overdue)
	q.late.Stop()
	return q
}

// do has a command sent. Either it is settled, and its answer can be read; or
// ctx ended before, and the outcome says whether it may still run.
func (q *batcher) do(ctx context.Context, c *command) (o backends.Outcome, isSettled bool) {
	if q.join(c) {
		defer q.landed()
		q.send(ctx, c)
		return o, true
	}
	select {
	case <-c.done:
		return o, true
	case <-ctx.Done():
	}
	switch {
	case c.state.CompareAndSwap(waiting, left):
		return backends.NotRun, false
	case c.state.CompareAndSwap(taken, left):
		return backends.MayHaveRun, false
	}
	<-c.done // it was settled in this moment
	return o, true
}

// join lets the caller send alone, or puts its command with those that wait.
func (q *batcher) join(c *command) (alone bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closed:
		c.refuse()
		return false
	case q.flushers == 0 && len(q.pending) == 0 && q.lone < q.alone:
		q.lone++
		return true
	}
	if c.first {
		q.pending = slices.Insert(q.pending, q.renewals, c)
		q.renewals++
	} else {
		q.pending = append(q.pending, c)
	}
	switch n := len(q.pending); {
	case n == 1:
		q.since = time.Now()
		q.late.Reset(patience)
	case n >= batchMost && q.flushers < flushersMost:
		q.startLocked()
	}
	return false
}

// landed ends a lone caller's turn. Whoever came meanwhile gets a flusher: the
// caller has its answer and does not stay for them.
func (q *batcher) landed() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.lone--
	if len(q.pending) > 0 && q.flushers == 0 && !q.closed {
		q.startLocked()
	}
}

// overdue is called when commands have waited for long: a batch of theirs
// leaves beside those that are out.
func (q *batcher) overdue() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.pending) == 0 || q.closed {
		return
	}
	wait := patience - time.Since(q.since) // it may have been armed for others
	if q.flushers >= flushersMost {
		wait = max(wait, standstill<<min(q.flushers-flushersMost, 10)-time.Since(q.moved))
	}
	if wait > 0 {
		q.late.Reset(wait)
		return
	}
	q.startLocked()
}

// startLocked starts a flusher with the commands that wait.
func (q *batcher) startLocked() {
	batch := q.takeLocked(nil)
	if len(batch) == 0 {
		return // all their callers left
	}
	q.flushers++
	q.running.Go(func() { q.flush(batch) }) // ends when nothing waits; a batch is bounded by callBudget
}

// flush sends batches until nothing waits any more.
func (q *batcher) flush(batch []*command) {
	var spare []goredis.Cmder
	for len(batch) > 0 {
		spare = q.sendAll(batch, spare)
		batch = q.next(batch)
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

// takeLocked takes up to batchMost commands, without those whose callers left.
// spare is a slice to use again.
func (q *batcher) takeLocked(spare []*command) []*command {
	clear(spare) // they are their callers' again
	batch, rest := spare[:0], q.pending
	for len(rest) > 0 && len(batch) < batchMost {
		if rest[0].state.CompareAndSwap(waiting, taken) {
			batch = append(batch, rest[0])
		}
		rest = rest[1:]
	}
	q.renewals = max(0, q.renewals-(len(q.pending)-len(rest)))
	n := copy(q.pending, rest)
	clear(q.pending[n:])
	q.pending = q.pending[:n]
	q.moved = time.Now()
	if q.late.Stop(); n > 0 {
		q.since = q.moved
		q.late.Reset(patience)
	}
	return batch
}

// close refuses what waits and what comes. Batches on their way end as they
// do: with the client, if that is closed now, or by their deadline.
func (q *batcher) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.late.Stop()
	for _, c := range q.pending {
		c.refuse()
	}
	q.pending, q.renewals = nil, 0
}

// wait waits for the flushers to end.
func (q *batcher) wait() { q.running.Wait() }

// refuse settles a command that was never sent.
func (c *command) refuse() {
	if c.state.CompareAndSwap(waiting, settled) {
		c.SetErr(goredis.ErrClosed)
		c.done <- struct{}{}
	}
}
