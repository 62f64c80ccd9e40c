package redis

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
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
	// partedFor is how long quiet keys don't share a request after one was refused: a
	// refusal in a minute is a small price.
	partedFor = time.Minute
	// callBudget bounds a batch whose commands have no deadline of their own.
	callBudget = 2 * time.Second
)

// What became of a command. Its caller and its flush settle by a compare-and-swap who
// is first, so that it has one outcome and is written to by one of them:
//
//	waiting → taken → settled   the caller gets the answer, even if its ctx ended meanwhile
//	waiting → left              the ctx ended first: it did not run, and no batch will take it
//	waiting → taken → left      the ctx ended on the way: it may have run
//
// A command that was started has no ctx; its deadline takes that part: see begun.
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
// does. A lone caller that blocks is held until its own deadline at the latest, by the
// connection's; the driver doesn't notice a mere cancel on the way. One that was started
// sends alone only where that is soon over: see gauge.
type batcher struct {
	client goredis.UniversalClient
	alone  int  // aloneMost, but for a benchmark
	prompt bool // the client ends a request with its ctx
	single bool // quiet keys have a request each, as on a Cluster
	// parted is until when it is so elsewhere; nil: it never was.
	parted atomic.Pointer[time.Time]

	mu       sync.Mutex // protects what follows
	pending  []*command // not taken yet; renewals first
	renewals int        // how many of pending are renewals
	since    time.Time  // when the first of them came
	moved    time.Time  // when a batch last left or landed
	lone     int        // callers sending alone
	flushers int        // goroutines sending batches
	idle     []*flusher // goroutines that wait for one, flushersMost at most
	closed   bool
	begun    begun
	gauge    gauge
	// late fires when pending has waited for patience. It is armed while pending
	// is not empty, so that no stuck flush can make others wait with it.
	late *time.Timer

	running sync.WaitGroup // the flushers
}

func newBatcher(client goredis.UniversalClient) *batcher {
	q := &batcher{client: client, alone: aloneMost, prompt: prompt(client)}
	q.late = time.AfterFunc(time.Hour, q.overdue)
	q.late.Stop()
	q.begun.lapse = time.AfterFunc(time.Hour, q.lapse)
	q.begun.lapse.Stop()
	return q
}

// prompt reports whether a client ends a request with its ctx, and not by its own
// timeouts alone.
func prompt(client goredis.UniversalClient) bool {
	switch c := client.(type) {
	case *goredis.Client:
		return c.Options().ContextTimeoutEnabled
	case *goredis.ClusterClient:
		return c.Options().ContextTimeoutEnabled
	}
	return false
}

// do has a command sent. Either it is settled, and its answer can be read; or
// ctx ended before, and the outcome says whether it may still run.
func (q *batcher) do(ctx context.Context, c *command) (o backends.Outcome, isSettled bool) {
	if q.join(c) {
		q.sendAlone(ctx, c)
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

// join lets the caller send alone, or puts its command with those that wait. A started
// command that is refused goes alone as well, and finds that it is settled: nobody is
// told within Start.
func (q *batcher) join(c *command) (alone bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closed:
		if c.refuse(); c.to == nil {
			c.done <- struct{}{}
		}
		return c.to != nil
	case q.flushers == 0 && len(q.pending) == 0 && q.lone < q.alone && (c.to == nil || q.prompt && q.gauge.quick()):
		q.lone++
		return true
	}
	if c.first {
		q.pending = slices.Insert(q.pending, q.renewals, c)
		q.renewals++
	} else {
		q.pending = append(q.pending, c)
	}
	if c.to != nil {
		q.begun.add(c)
	}
	switch n := len(q.pending); {
	case c.to != nil && q.flushers == 0 && q.lone == 0: // nobody is on the way who would see to it
		q.startLocked()
	case n == 1:
		q.since = time.Now()
		q.late.Reset(patience)
	case n >= batchMost && q.flushers < flushersMost:
		q.startLocked()
	}
	return false
}

// sendAlone sends one command, with its caller's ctx. Whoever came meanwhile gets a
// flusher: the caller has its answer and does not stay for them.
func (q *batcher) sendAlone(ctx context.Context, c *command) {
	defer q.landed(c, time.Now())
	q.send(ctx, c)
}

// landed ends a lone caller's turn.
func (q *batcher) landed(c *command, since time.Time) {
	took := time.Since(since)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.gauge.note(took, c.answered())
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
	if last := len(q.idle) - 1; last >= 0 {
		q.idle[last].work <- batch // it waits for one, or is about to
		q.idle = q.idle[:last]
		return
	}
	f := &flusher{batcher: q, work: make(chan []*command, 1)}
	q.running.Go(func() { f.run(batch) }) // ends with close; a batch is bounded by callBudget
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

// spawn runs f on a goroutine that wait waits for. It returns false, and does not, after
// close.
func (q *batcher) spawn(f func()) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.closed {
		q.running.Go(f)
	}
	return !q.closed
}

// close refuses what waits and what comes. Batches on their way end as they
// do: with the client, if that is closed now, or by their deadline.
func (q *batcher) close() {
	q.mu.Lock()
	q.closed = true
	q.late.Stop()
	refused := q.refuseLocked(q.pending)
	q.pending, q.renewals = nil, 0
	for _, f := range q.idle {
		close(f.work)
	}
	q.idle = nil
	q.mu.Unlock()
	for _, c := range refused {
		c.finish()
	}
}

// refuseLocked settles commands that wait, and returns those that were started: their
// askers are yet to be told.
func (q *batcher) refuseLocked(list []*command) (started []*command) {
	for _, c := range list {
		switch {
		case !c.refuse():
		case c.to == nil:
			c.done <- struct{}{}
		default:
			started = append(started, c)
		}
	}
	q.begun.remove(started)
	return started
}

// again has commands wait once more, first of all but for renewals.
func (q *batcher) again(list []*command) {
	q.mu.Lock()
	var refused []*command
	if q.closed {
		refused = q.refuseLocked(list)
	} else {
		q.pending = slices.Insert(q.pending, q.renewals, list...)
		if len(q.pending) == len(list) {
			q.since = time.Now()
			q.late.Reset(patience)
		}
	}
	q.mu.Unlock()
	for _, c := range refused {
		c.finish()
	}
}

// wait waits for the flushers to end.
func (q *batcher) wait() {
	q.running.Wait()
	q.begun.lapse.Stop() // what it was set for is settled by now
}

// refuse settles a command that was never sent, unless its caller has left.
func (c *command) refuse() bool {
	if !c.state.CompareAndSwap(waiting, settled) {
		return false
	}
	c.SetErr(goredis.ErrClosed)
	return true
}
