package redis

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	// remembered is how long at least a session remembers a key: as long as a mark stays with the server.
	remembered = time.Minute
	// mostRecent bounds the keys that one span holds. With keys of 512 bytes two spans take some 20 MB.
	mostRecent = 16_384
)

// recent is a set of keys, each of which stays for one to two times remembered after it was
// last noted. It is kept in two spans of that length, so that a key needs no time of its own and
// nothing has to be swept.
//
// A span that is full takes no more keys. It is then as if all keys had been noted: the session
// does the slower and safe thing, and never takes a noted key for a forgotten one. Hints are
// forgotten instead.
//
// Where nothing was noted, which is so while a server answers, a look costs one atomic load.
type recent struct {
	hints bool        // a key that is not found may have been noted all the same
	used  atomic.Bool // something may be in it

	mu        sync.Mutex // protects what follows
	now, last span
	began     time.Time // of the span now
}

type span struct {
	keys map[string]struct{}
	all  bool // more keys were noted than it holds
}

func (s *span) empty() bool { return len(s.keys) == 0 && !s.all }

func (s *span) has(key string) bool {
	_, is := s.keys[key]
	return is || s.all
}

// note remembers a key.
func (r *recent) note(key string, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turnLocked(at)
	if r.now.empty() {
		r.now.keys = map[string]struct{}{}
	}
	if _, is := r.now.keys[key]; !is && len(r.now.keys) >= mostRecent {
		r.now.all = !r.hints
	} else {
		r.now.keys[key] = struct{}{}
	}
	r.used.Store(true)
}

// has reports whether a key was noted not long ago.
func (r *recent) has(key string, at time.Time) bool {
	if !r.used.Load() {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turnLocked(at)
	return r.now.has(key) || r.last.has(key)
}

// forget drops a key. One of a span that was full stays.
func (r *recent) forget(key string) {
	if !r.used.Load() {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.now.keys, key)
	delete(r.last.keys, key)
}

// turnLocked begins the next span if the time of this one is over.
func (r *recent) turnLocked(at time.Time) {
	switch age := at.Sub(r.began); {
	case age < remembered:
		return
	case age < 2*remembered:
		r.last = r.now
	default:
		r.last = span{}
	}
	r.now, r.began = span{}, at
	r.used.Store(!r.last.empty())
}
