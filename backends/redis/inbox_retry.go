package redis

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	pollFirst = 5 * time.Millisecond
	pollMost  = 50 * time.Millisecond
	// pollHead is the most for the first in the queue: the scripts keep a lock
	// for a poll-only session for three times that, and no longer.
	pollHead = 25 * time.Millisecond
	// pollSeldom is the most for a session that the server refuses an inbox; the
	// scripts keep a lock for it for three times that. See seldom.
	pollSeldom = 250 * time.Millisecond
	// pollCrowd is the least time between two polls of a session that waits for very many keys. Otherwise one that
	// was slow for a moment, and counts as deaf, would ask for more than it can, for ever.
	pollCrowd = 125 * time.Microsecond
	// pollShare is how late such a session may take its turn after a lease's end, as
	// a share of the lease's age: one part in 40.
	pollShare = 40
	// pollLate is how long after a lease's end the next try comes at most. Redis
	// counts ttls in whole ms, and the reply took its time to arrive.
	pollLate = 2 * time.Millisecond
)

// pacing is what decides when a held key is asked for again, beside the reply.
type pacing struct {
	probe  int // how often the attempt was answered Held before
	queued bool
	hears  bool // the session's inbox does
	seldom bool // it never will, as far as is known: the server refuses an inbox

	repeats bool // the session's beater does, for those that hear
	crowd   int  // the session is deaf for now, and this many of its keys are waited for; 0: not too many
}

// retry is when to repeat an attempt, unless a wake comes first. free is when
// the lock is free unless renewed: negative if never, 0 if it is and nobody
// knows yet whose turn it is. held is how long its holder has had it, negative if that
// is not known. place is the attempt's in the queue.
//
// Who hears is told of its turn, and asks only to keep its place, and where
// there may be nobody to tell it: when the lease ends, since its holder may be
// dead; and, if it is first, while the holder is another library's client. A beater does the first two for it.
func (p pacing) retry(free, held time.Duration, place int, foreign bool) time.Duration {
	var d time.Duration
	switch {
	case p.seldom && p.queued:
		d = pollSeldomly(p.probe, place, held)
	case !p.hears || !p.queued:
		d = poll(p.probe, place)
	case free == 0:
		d = pollFirst
	case foreign && place == 1:
		d = pollMost
	case p.repeats && !foreign:
		return newsAfter - rand.N(newsAfter/2)
	default:
		d = heartbeat
	}
	if least := time.Duration(p.crowd) * pollCrowd; d < least {
		return least - rand.N(least/2)
	}
	if p.hears && p.queued {
		d -= rand.N(d / 10) // or sessions that met once would keep asking in step
	}
	if free > 0 {
		d = min(d, free+rand.N(pollLate))
	}
	return d
}

// poll is the pace without pushes: twice as long after every probe. Up to half
// of it is jitter.
func poll(probe, place int) time.Duration {
	most := pollMost
	if place == 1 {
		most = pollHead
	}
	d := min(pollFirst<<min(max(probe, 0), 4), most)
	return d - rand.N(d/2)
}

// pollSeldomly is the pace of a session that the server refuses an inbox. A refusal
// lasts, and it may concern all sessions: many of them would each ask some 50 times
// a second. So a session asks less often the farther back it is, and the longer the
// holder has had the lock. The delay of its turn is little beside that time.
func pollSeldomly(probe, place int, held time.Duration) time.Duration {
	most := min(max(pollHead*time.Duration(min(place, 10)), held/pollShare), pollSeldom)
	d := min(pollFirst<<min(max(probe, 0), 6), most)
	return d - rand.N(d/2)
}

// A pace keeps an inbox whose connections keep failing from making new ones,
// and from waking everybody, as fast as they fail.
type pace struct {
	failures int
	since    time.Time // of the newest connection
	passes   func(error) bool
	again    <-chan struct{} // ends a pause
}

func (p *pace) connected() { p.since = time.Now() }

// next returns how long to wait before the next connection, after err: 0 if the last
// one lasted.
func (p *pace) next(err error) time.Duration {
	if !p.since.IsZero() && time.Since(p.since) >= reconnectMost {
		p.failures = 0
	}
	p.since = time.Time{}
	p.failures++
	switch {
	case isReply(err) && !p.passes(err):
		return refusedPause
	case p.failures == 1:
		return 0
	}
	return min(reconnectFirst<<min(p.failures-2, 8), reconnectMost)
}

// pause waits as long as next says, less some jitter, or until the server
// is found again after an outage.
func (p *pace) pause(ctx context.Context, err error) {
	d := p.next(err)
	if d == 0 {
		return
	}
	rest := time.NewTimer(d/2 + rand.N(d/2))
	defer rest.Stop()
	select {
	case <-rest.C:
	case <-p.again:
	case <-ctx.Done():
	}
}
