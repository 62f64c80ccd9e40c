package redis

import (
	"container/heap"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

const (
	// beatKeys is how many keys can be waited for with a beat of each every heartbeat. With more, the beats are as many
	// a second as of these, and each attempt's are farther apart.
	beatKeys = 2000
	// beatMost is the most that an attempt's beats are apart.
	beatMost = 2300 * time.Millisecond
	// beatGrace is how much longer than that an attempt is kept alive by each: with few keys for a second in all.
	beatGrace = aliveFor - heartbeat
	// beatQuanta is how often in that time some are sent. Those that are due in between travel together.
	beatQuanta = 12
	// beatBatch bounds what is sent at once.
	beatBatch = 1024
	// beatLasting is how often a beat has the attempt's queue last for a minute more.
	beatLasting = 20 * time.Second
	// newsAfter is how long an attempt that beats is not asked for in full, less up to half of it by chance: what is told
	// of its place is that old. A beat finds it out sooner where the lock's holder is another.
	newsAfter = 3 * time.Minute
	// beatUntil is when an attempt is given up that was not asked for in full for longer.
	beatUntil = newsAfter + 20*time.Second
	// beatFlights is how many requests of a lane are on their way at most; another leaves when the last has not
	// been answered for beatStandstill, so that a dead connection costs nobody its place.
	beatFlights    = 8
	beatStandstill = 200 * time.Millisecond
)

// A beater repeats the calls of a session's attempts that wait, those of many keys in one request: the script
// beat keeps each in its queue, as its acquire did. So 20 000 keys that are waited for cost next to nothing.
//
//	acquire is answered "held by another session"   the attempt begins to beat
//	it is asked for in full again, or cancelled     it beats no more
//	a push of its key comes                         so it does, since the actor asks or has the lease
//	a beat finds that it has to be asked for        so it does, and the actor is told to ask
//	the request of its beat fails                   the same
//	the session is deaf                             the same: it has to be queued as poll-only
//
// A beat that comes late does no harm: see the script.
type beater struct {
	// Immutable.
	backend *Backend
	in      *inbox
	number  func(key string, attempt uint64, alive time.Duration) uint64
	began   time.Time
	least   time.Duration // that an attempt's beats are apart: heartbeat, but for a test

	flying sync.WaitGroup // requests, with what is done about their answers

	mu     sync.Mutex // protects what follows, and all beats
	closed bool
	crowd  int              // how many keys were waited for when the last was added
	beats  map[string]*beat // by key
	lanes  map[*batcher]*lane
}

// A lane has the beats of one server: one that doesn't answer holds up no others'.
type lane struct {
	*beater
	to     *batcher
	due    beatHeap
	timer  *time.Timer
	flying int       // requests on their way
	left   time.Time // when the newest left
}

// A beat is that of one attempt.
type beat struct {
	key   string
	token backends.Token
	lane  *lane
	place int       // in lane.due, from 1; 0: it is on its way, or over
	at    time.Time // when it is due
	until time.Time // when acquire's answer is too old
	sent  int       // how often it was
	// lasting is until when its queue is left to last by itself. Its flight's alone.
	lasting time.Time
	over    bool
	// holder is the member that has the lock, as the last beat found it; "" before the first.
	holder string
	// For the request: the names of the lock and of its hash alive, the token, the number.
	lock, alive, wire any
	ask               string
}

// newBeater returns a beater for the next inbox; nil where nothing is to be repeated.
func newBeater(b *Backend) *beater {
	if b.number == nil {
		return nil
	}
	return &beater{
		backend: b, number: b.number, began: time.Now(), least: heartbeat,
		beats: make(map[string]*beat), lanes: make(map[*batcher]*lane),
	}
}

// spacingLocked returns how far apart an attempt's beats are, which depends on how many keys are waited for.
func (b *beater) spacingLocked() time.Duration {
	return max(b.least, min(heartbeat*time.Duration(len(b.beats))/beatKeys, beatMost))
}

// patience returns how many heartbeats of the inbox are to be missed before it is deaf. Very many keys ask for much at
// once when it is, which may be all that keeps the echo away. So it has as long as an attempt's beats are apart.
func (b *beater) patience() uint64 {
	if b == nil {
		return 1
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return uint64((b.spacingLocked() + heartbeat - 1) / heartbeat)
}

// crowded returns how many keys were waited for by a session that hears, if it is more than may poll as they please.
func (b *beater) crowded() int {
	if b == nil {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.crowd <= beatKeys {
		return 0
	}
	return b.crowd
}

// add has an attempt beat, whose lock is free in so long unless it is renewed; 0: never.
func (b *beater) add(to *batcher, a backends.Attempt, free time.Duration) {
	now := time.Now()
	e := newBeat(a, now)
	b.mu.Lock()
	defer b.mu.Unlock()
	old := b.beats[a.Key]
	if b.closed || old != nil && old.token.Attempt() > a.Token.Attempt() { // an answer that nobody waits for any more
		return
	}
	if old != nil {
		b.endLocked(old)
	}
	if e.lane = b.lanes[to]; e.lane == nil {
		e.lane = &lane{beater: b, to: to}
		e.lane.timer = time.AfterFunc(time.Hour, e.lane.fly)
		b.lanes[to] = e.lane
	}
	b.beats[a.Key] = e
	b.crowd = len(b.beats)
	e.planLocked(now, b.spacingLocked(), free)
}

// drop ends the beats of a key.
func (b *beater) drop(key string) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if e := b.beats[key]; e != nil {
		b.endLocked(e)
	}
}

func (b *beater) endLocked(e *beat) {
	e.over = true
	if b.beats[e.key] == e {
		delete(b.beats, e.key)
	}
	if e.place != 0 {
		heap.Remove(&e.lane.due, e.place-1)
	}
	if len(b.beats) == 0 {
		b.beats = make(map[string]*beat) // lets go of the buckets of very many
	}
}

// planLocked plans the next beat: the first as soon as a heartbeat, since acquire keeps the attempt for a second only,
// the second by chance, so that keys that were asked for together don't beat together, and then one each spacing, always
// at one of the moments at which some are sent. Where the lock may end before, its holder may be dead: it is looked for then.
func (e *beat) planLocked(now time.Time, spacing, free time.Duration) {
	wait := spacing
	switch e.sent {
	case 0:
		wait = heartbeat - rand.N(heartbeat/2)
	case 1:
		wait = rand.N(spacing)
	}
	quantum := spacing / beatQuanta
	began := e.lane.began
	e.at = began.Add(max(now.Add(wait).Sub(began).Round(quantum), now.Sub(began).Truncate(quantum)+quantum))
	if free > 0 && free < e.at.Sub(now) {
		e.at = now.Add(free + rand.N(pollLate))
	}
	if heap.Push(&e.lane.due, e); e.place == 1 {
		e.lane.armLocked(now)
	}
}

// armLocked sets the timer for the next request.
func (l *lane) armLocked(now time.Time) {
	if l.closed || len(l.due) == 0 || l.flying >= beatFlights {
		return
	}
	at := l.due[0].at
	if stands := l.left.Add(beatStandstill); l.flying > 0 && at.Before(stands) {
		at = stands
	}
	l.timer.Reset(at.Sub(now))
}

// fly sends what is due, on the timer's goroutine, which ends by the request's own time.
func (l *lane) fly() {
	batch := l.take()
	if len(batch) == 0 {
		return
	}
	defer l.beater.flying.Done()
	l.send(batch)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flying--
	l.armLocked(time.Now())
}

// take takes what is due, unless the request before stands in the way, and arms the timer for the rest.
func (l *lane) take() (batch []*beat) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if l.closed || l.flying >= beatFlights {
		return nil
	}
	if l.flying == 0 || now.Sub(l.left) >= beatStandstill {
		for len(l.due) > 0 && len(batch) < beatBatch && !l.due[0].at.After(now) {
			batch = append(batch, heap.Pop(&l.due).(*beat))
		}
	}
	if len(batch) > 0 {
		l.beater.flying.Add(1)
		l.flying++
		l.left = now
	}
	l.armLocked(now)
	return batch
}

// close ends all beats. A request may be on its way yet: see wait.
func (b *beater) close() {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	for _, l := range b.lanes {
		l.timer.Stop() // a lane that is about to fly sees that it is closed
	}
}

// wait waits for the requests that were on their way.
func (b *beater) wait() {
	if b != nil {
		b.flying.Wait()
	}
}

// A beatHeap is a heap of container/heap by time.
type beatHeap []*beat

func (h beatHeap) Len() int           { return len(h) }
func (h beatHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h beatHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i+1, j+1
}

// Push is that of heap.Interface.
func (h *beatHeap) Push(x any) {
	e := x.(*beat)
	*h = append(*h, e)
	e.place = len(*h)
}

// Pop is that of heap.Interface.
func (h *beatHeap) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last], e.place = nil, 0
	if *h = (*h)[:last]; last == 0 {
		*h = nil
	}
	return e
}
