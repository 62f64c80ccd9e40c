package actors

import (
	"hash/maphash"
	"sync"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"
)

// shardCount is how many mutexes the directory is cut into. A power of two.
const shardCount = 128

// retired is the bit of entry.posted that a retired actor leaves: no count of
// messages ever reaches it.
const retired = 1 << 63

// A directory finds the key actor of a key, or spawns it.
//
// protoactor's own get-or-create by name races (a sender can panic, and the
// actor is wedged for good), and its stop drops messages that are still queued.
// So every message is counted before it is posted, and an actor retires only by
// a compare-and-swap of that count against what it has handled:
//
//	post counts first   the swap fails, the actor lives on and handles the message
//	the swap is first   post sees the retired bit, and the sender finds or spawns the next actor
//
// The entry leaves the map in the same critical section as the swap, so whoever
// looks again under the shard's mutex finds no entry, or a live one. A hot entry is
// found without the mutex: the count alone decides there.
type directory struct {
	root       *actor.RootContext
	dispatcher actor.Dispatcher
	spawn      func(e *entry) actor.Actor
	seed       maphash.Seed
	shards     [shardCount]shard
	live       atomic.Int64 // keys that have an actor
	actors     atomic.Int64 // that have not handled their Stopped, spare ones too
	clock      *clock
	alarms     [alarmShards]alarms
	immediate  bool        // what the backend does is done when a message has been handled
	late       func(*Hold) // told of a release that found its hold ended, or failed

	// replies pools the one-slot channels of parked callers: see Hold. Only its caller
	// puts a channel back, with nothing to come: that of an abandoned acquire never returns.
	// The pool is no global, since a channel that was made in a synctest bubble must
	// not be met outside it. It is no part of the directory either: the runtime knows
	// of every used pool for a collection or two, and so it would keep all that a
	// closed client had.
	replies *sync.Pool
}

type shard struct {
	// hot is an entry that was found twice in a row: a key that very many want need not
	// be looked for under the mutex. It may have retired.
	hot atomic.Pointer[entry]

	mu      sync.Mutex        // protects what follows
	entries map[string]*entry // nil before the first
	peak    int               // entries since the map was made
	found   *entry            // last, but for hot
	closed  bool

	props    *actor.Props // nil before the first
	spawning *entry       // props' producers return its actor and mailbox

	// spares are actors that have retired, for the next keys: to stop one and to spawn
	// another is a sixth of what a key costs that is used once. They go with the directory.
	spares []*keyActor

	counters counters // here, so that two processors seldom count in one place
	_        [16]byte // keeps two shards out of one cache line
}

// An entry is a key's place in the directory, and the address of its actor.
// Messages go straight to the mailbox, which is the actor's as protoactor knows
// it: the way there by its pid is eight calls deep, and a waiter's goroutine
// would need a stack of 4 KB for it, where 2 KB do.
type entry struct {
	key      string // as the caller gave it: the end of full
	full     string // with its prefix
	dir      *directory
	counters *counters
	mailbox  *mailbox      // its actor's, which is another key's once the entry has retired
	posted   atomic.Uint64 // messages ever posted; the retired bit

	// idle: a push for all keys can't concern the actor. Only the actor writes it,
	// before and after it handles a message: an acquire that is posted meanwhile asks
	// after the push anyway.
	idle atomic.Bool

	// crowded: so many wait that the next acquire is not handled where it is. A goroutine
	// may have to grow its stack to handle one, and keeps that while it waits: a hundred
	// thousand waiters must not. Only the actor writes it; a late look costs nothing.
	crowded atomic.Bool

	// unused is the number of the attempt whose lease lingers or did so last; with the bit
	// reclaimed, once another session was given it. It is 0 while that lease is in use
	// again. The actor sets and clears it, and others set the bit.
	unused atomic.Uint64

	// Owned by the actor.
	handled uint64

	place      int32 // in dueHeap, and protected by alarms.mu
	alarmShard uint8 // which of the directory's alarms are its own
}

func newDirectory(d actor.Dispatcher, spawn func(*entry) actor.Actor) *directory {
	dir := &directory{
		root: system().Root, dispatcher: d, spawn: spawn, seed: maphash.MakeSeed(), clock: newClock(),
		replies: &sync.Pool{New: func() any { return make(chan struct{}, 1) }},
	}
	for i := range dir.alarms {
		dir.alarms[i].clock = dir.clock
	}
	return dir
}

func (e *entry) alarms() *alarms { return &e.dir.alarms[e.alarmShard] }

// openLocked prepares a shard for its first entry: most clients use few shards.
func (dir *directory) openLocked(s *shard) {
	s.entries = make(map[string]*entry)
	// Props with a closure each would double what a live key costs. One set for a
	// shard returns the actor that is being spawned under its mutex.
	s.props = actor.PropsFromProducer(
		func() actor.Actor { return dir.spawn(s.spawning) },
		actor.WithDispatcher(dir.dispatcher),
		actor.WithMailbox(func() actor.Mailbox { return s.spawning.mailbox }),
	)
}

func (dir *directory) shard(key string) *shard {
	return &dir.shards[maphash.String(dir.seed, key)%shardCount]
}

// post sends a message to the key's actor, which is spawned if there is none;
// message makes it for the entry that was found. It returns false if the directory
// is closed.
func (dir *directory) post(key string, message func(*entry) any) bool {
	s := dir.shard(key)
	if e := s.hot.Load(); e != nil && e.key == key && e.postOrRun(message(e)) {
		return true // also while the directory closes: then the actor refuses it
	}
	for {
		e := dir.findOrAdd(s, key)
		if e == nil {
			return false
		}
		if e.postOrRun(message(e)) {
			return true
		}
	}
}

// findOrAdd returns nil if the directory is closed.
func (dir *directory) findOrAdd(s *shard, key string) *entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	e := s.entries[key]
	switch {
	case e == nil:
		e = dir.addLocked(s, key)
	case s.found == e:
		s.hot.Store(e)
	}
	s.found = e
	return e
}

// postOrRun is run, or post where so many wait that a caller handles no message itself.
func (e *entry) postOrRun(message any) bool {
	if e.crowded.Load() {
		return e.post(message)
	}
	return e.run(message)
}

// find returns the entry of a key that is live, or nil.
func (dir *directory) find(key string) *entry {
	s := dir.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.entries[key]
}

func (dir *directory) addLocked(s *shard, key string) *entry {
	if s.props == nil {
		dir.openLocked(s)
	}
	e := &entry{key: key, dir: dir, counters: &s.counters, alarmShard: uint8(len(s.entries) % alarmShards)}
	if last := len(s.spares) - 1; last >= 0 {
		s.spares[last].own(e)
		s.spares[last], s.spares = nil, s.spares[:last]
	} else {
		dir.actors.Add(1)
		s.spawning = e
		e.mailbox.pid = dir.root.Spawn(s.props)
		s.spawning = nil
	}
	s.entries[e.key] = e
	s.peak = max(s.peak, len(s.entries))
	dir.live.Add(1)
	return e
}

// post counts and sends a message, which a worker handles. It returns false, without
// sending, if the actor has retired.
func (e *entry) post(message any) bool {
	if e.posted.Add(1)&retired != 0 {
		return false
	}
	e.mailbox.PostUserMessage(message)
	return true
}

// run is post for a message that may be handled on the caller's goroutine: see
// mailbox. The caller must hold no lock that a backend or another key waits for.
func (e *entry) run(message any) bool {
	if e.posted.Add(1)&retired != 0 {
		return false
	}
	if s := e.mailbox.run(message); s != nil {
		s.alone()
	}
	return true
}

// work is run for a worker that has other actors to look at.
func (e *entry) work(message any) {
	if e.posted.Add(1)&retired == 0 {
		e.mailbox.work(message)
	}
}

// answer is run for the result of a call, and for those that wait for nothing: a call
// that follows is not made on the caller's goroutine.
func (e *entry) answer(message any) bool {
	if e.posted.Add(1)&retired != 0 {
		return false
	}
	if s := e.mailbox.run(message); s != nil {
		e.mailbox.hand(s)
	}
	return true
}

// retire takes the entry out of the directory if its actor has handled every
// message that was ever posted to it. The actor calls it, with nothing left to do.
func (dir *directory) retire(e *entry) bool {
	s := dir.shard(e.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !e.posted.CompareAndSwap(e.handled, e.handled|retired) {
		return false
	}
	delete(s.entries, e.key)
	s.hot.CompareAndSwap(e, nil) // nothing is kept of it
	if s.found == e {
		s.found = nil
	}
	if len(s.entries) == 0 && s.peak > 64 {
		// Go's maps keep their buckets: a million one-off keys must not.
		s.entries, s.peak = make(map[string]*entry), 0
	}
	dir.live.Add(-1)
	return true
}

// sparesKept is how many actors a shard keeps for its next keys: 1 MB in all.
const sparesKept = 8

// spare keeps an actor that has retired for the next key of its shard, or stops it. Its
// mailbox is empty: every message to the entry has been handled, and none is sent to it
// any more. Whoever runs the mailbox may still do so when the next key's first message
// comes, which then is queued behind, as ever.
func (dir *directory) spare(a *keyActor) {
	s := dir.shard(a.entry.key)
	s.mu.Lock()
	kept := !s.closed && len(s.spares) < sparesKept
	if kept {
		a.entry = nil
		s.spares = append(s.spares, a)
	}
	s.mu.Unlock()
	if !kept {
		dir.root.Stop(a.mailbox.pid)
	}
}

// each calls f for the entries that are live, shard by shard, outside the mutex.
func (dir *directory) each(f func(*entry) bool) {
	for i := range dir.shards {
		s := &dir.shards[i]
		s.mu.Lock()
		entries := make([]*entry, 0, len(s.entries))
		for _, e := range s.entries {
			entries = append(entries, e)
		}
		s.mu.Unlock()
		for _, e := range entries {
			if !f(e) {
				return
			}
		}
	}
}

// silence returns when no alarm rings any more, once all actors have retired.
func (dir *directory) silence() {
	for i := range dir.alarms {
		dir.alarms[i].armed.Wait()
	}
}

// close lets nobody in any more, and stops the spare actors.
func (dir *directory) close() {
	for i := range dir.shards {
		s := &dir.shards[i]
		s.mu.Lock()
		s.closed = true
		spares := s.spares
		s.spares = nil
		s.mu.Unlock()
		for _, a := range spares {
			dir.root.Stop(a.mailbox.pid)
		}
	}
}
