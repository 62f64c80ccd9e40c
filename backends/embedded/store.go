package embedded

import (
	"hash/maphash"
	"runtime"
	"sync"

	"github.com/turnstile-go/turnstile/backends/embedded/keyspace"
)

// A store is one named keyspace, split into shards.
type store struct {
	name    string
	users   int // backends that have it open; protected by stores.mu
	seed    maphash.Seed
	shards  []*shard
	inboxes inboxes
}

// stores finds a store by its name. It has to be the process's: who opens
// embedded://jobs twice, perhaps in two libraries that know nothing of each
// other, means one place.
var stores = struct {
	mu     sync.Mutex // protects byName, and every store's users
	byName map[string]*store
}{byName: make(map[string]*store)}

func openStore(name string) *store {
	stores.mu.Lock()
	defer stores.mu.Unlock()
	s := stores.byName[name]
	if s == nil {
		s = newStore(name)
		stores.byName[name] = s
	}
	s.users++
	return s
}

// close gives a store back; the last one to do so frees it.
func (s *store) close() {
	stores.mu.Lock()
	defer stores.mu.Unlock()
	if s.users--; s.users > 0 {
		return
	}
	delete(stores.byName, s.name)
	for _, sh := range s.shards {
		sh.close()
	}
}

func newStore(name string) *store {
	s := &store{name: name, seed: maphash.MakeSeed(), shards: make([]*shard, shardCount())}
	// One clock for all shards: fences of different keys may be compared by eye.
	clock := keyspace.WallClock()
	for i := range s.shards {
		s.shards[i] = newShard(keyspace.New(clock, s.inboxes.listeners))
	}
	return s
}

// shardCount is a power of two, some four times what can run at once: then two
// running scripts seldom want the same shard, and each has an interpreter of
// its own; making one allocates 109 KB.
func shardCount() int {
	n := 8
	for n < 4*runtime.GOMAXPROCS(0) && n < 64 {
		n *= 2
	}
	return n
}

// shard is where a lock lives, by its first key.
func (s *store) shard(key string) *shard {
	return s.shards[maphash.String(s.seed, key)%uint64(len(s.shards))]
}
