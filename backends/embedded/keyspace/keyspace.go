package keyspace

import (
	"strings"
	"time"
)

// kind is the type of a key's value.
type kind uint8

const (
	stringKind kind = iota
	hashKind
	zsetKind
)

// An entry is one key and its value: 48 bytes, since a process may well hold a
// million locks, of two strings each. Values of other types are few, and stand
// beside the entries: see Keyspace.hashes.
type entry struct {
	key     string
	str     string // of stringKind
	expires int64  // ms since the epoch; 0: never
	slot    int32  // 1 + its place in the expiry heap; 0: not there
	kind    kind
}

// A Message is what PUBLISH sent.
type Message struct {
	Channel, Payload string
}

// A Keyspace holds the keys of one owner; see the package for what it keeps
// true.
type Keyspace struct {
	entries map[string]*entry
	peak    int // the most keys entries has held since it was made
	hashes  beside[hash]
	zsets   beside[zset]
	due     dueHeap
	clock   func() int64
	now     int64 // µs since the epoch, as of Tick

	listeners func(channel string) int
	published []Message

	scratch []Reply // backs the arrays of replies, one command at a time
	seconds string  // now's whole seconds as text, which change once a second
	second  int64
}

// New makes an empty keyspace. clock tells the time in µs since the epoch and
// must not go back; WallClock is one. listeners tells how many subscribers a
// channel has, which is PUBLISH's reply; nil means none.
func New(clock func() int64, listeners func(channel string) int) *Keyspace {
	k := &Keyspace{entries: make(map[string]*entry), clock: clock, listeners: listeners}
	k.Tick()
	return k
}

// WallClock is the wall clock now, and from then on monotonic time: when
// somebody sets the machine's clock, no lease ends early and no fence goes back.
func WallClock() func() int64 {
	start := time.Now()
	wall := start.UnixMicro()
	return func() int64 { return wall + time.Since(start).Microseconds() }
}

// Tick reads the clock. Between two ticks time stands still, as it does for a
// script in Redis.
func (k *Keyspace) Tick() {
	k.now = k.clock()
	if cap(k.scratch) > maxScratch {
		k.scratch = nil
	}
}

// maxScratch is the longest array of replies whose memory is worth keeping.
const maxScratch = 256

// Now is the time as of the last Tick, in µs since the epoch.
func (k *Keyspace) Now() int64 { return k.now }

// Len is the number of keys held, those included that expired and were not
// swept yet.
func (k *Keyspace) Len() int { return len(k.entries) }

// Strings adds the keys to list that begin with prefix and hold a string, in no
// order: what SCAN tells by MATCH and TYPE, without patterns.
func (k *Keyspace) Strings(list []string, prefix string) []string {
	for key, e := range k.entries {
		if e.kind == stringKind && strings.HasPrefix(key, prefix) && !k.expired(e) {
			list = append(list, key)
		}
	}
	return list
}

// String returns the string under a key, as of the last Tick.
func (k *Keyspace) String(key string) (value string, ok bool) {
	e := k.entries[key]
	if e == nil || e.kind != stringKind || k.expired(e) {
		return "", false
	}
	return e.str, true
}

// Published hands over what was published since it was last called.
func (k *Keyspace) Published() []Message {
	sent := k.published
	k.published = nil
	return sent
}

func (k *Keyspace) millis() int64 { return k.now / 1000 }

// expired: a key lives through the millisecond it expires in, as in Redis, and
// so never less than it was given.
func (k *Keyspace) expired(e *entry) bool { return e.expires != 0 && k.millis() > e.expires }

// lookup finds a live key; one that it finds expired is freed.
func (k *Keyspace) lookup(key string) *entry {
	e := k.entries[key]
	if e == nil || !k.expired(e) {
		return e
	}
	k.remove(e)
	return nil
}

// lookupKind finds a live key of one type; wrong is true for another type.
func (k *Keyspace) lookupKind(key string, want kind) (e *entry, wrong bool) {
	e = k.lookup(key)
	return e, e != nil && e.kind != want
}

// add makes a key that lookup did not find.
func (k *Keyspace) add(key string, of kind) *entry {
	e := &entry{key: key}
	k.become(e, of)
	k.entries[key] = e
	k.peak = max(k.peak, len(k.entries))
	return e
}

// become gives a key an empty value of another kind.
func (k *Keyspace) become(e *entry, of kind) {
	switch e.kind {
	case hashKind:
		k.hashes.remove(e)
	case zsetKind:
		k.zsets.remove(e)
	}
	switch e.kind, e.str = of, ""; of {
	case hashKind:
		k.hashes.add(e, new(hash))
	case zsetKind:
		k.zsets.add(e, new(zset))
	}
}

// remove frees a key.
func (k *Keyspace) remove(e *entry) {
	k.become(e, stringKind)
	delete(k.entries, e.key)
	k.due.remove(e)
	k.shrink()
}

// removeIfEmpty frees a hash or sorted set that lost its last element: in
// Redis there are no empty ones.
func (k *Keyspace) removeIfEmpty(e *entry) {
	if (e.kind == hashKind && k.hashes.of(e).len() == 0) || (e.kind == zsetKind && k.zsets.of(e).len() == 0) {
		k.remove(e)
	}
}

// shrinkFrom is the size below which an oversized map isn't worth a copy.
const shrinkFrom = 512

// shrink copies the keys to a map of their size once seven in eight are gone.
// Each copy of n keys is paid for by 7n removals.
func (k *Keyspace) shrink() {
	if k.peak < shrinkFrom || len(k.entries) > k.peak/8 {
		return
	}
	entries := make(map[string]*entry, 2*len(k.entries))
	for key, e := range k.entries {
		entries[key] = e
	}
	k.entries, k.peak = entries, len(entries)
}

// expireAt sets when a key ends, in ms since the epoch; 0: never.
func (k *Keyspace) expireAt(e *entry, at int64) {
	e.expires = at
	k.due.set(e)
}
