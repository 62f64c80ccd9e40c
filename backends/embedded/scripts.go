package embedded

import (
	"sync/atomic"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/backends/embedded/engine"
	"github.com/turnstile-go/turnstile/backends/embedded/keyspace"
)

// Scripts runs scripts of the caller's own over a store, in the shards and on
// the clock that a Backend of the same name has: what is measured of them can be
// laid beside ours.
type Scripts struct {
	store  *store
	closed atomic.Bool
}

// OpenScripts opens the store of this name, which may be empty, and shares it
// with whoever else has it open.
func OpenScripts(name string) *Scripts { return &Scripts{store: openStore(name)} }

// Run runs a program where its first key lives; without one, the first key is
// taken for empty. All the program's keys have to be in KEYS, and belong to the
// first: another key's shard is not locked, and is not looked at.
//
// An error is an *engine.ErrorReply, or backends.ErrClosed. What the program
// publishes reaches nobody, since the inboxes of a store are for ours alone.
func (s *Scripts) Run(p *engine.Program, keys, argv []string) (keyspace.Reply, error) {
	if s.closed.Load() {
		return keyspace.Reply{}, backends.ErrClosed
	}
	first := ""
	if len(keys) > 0 {
		first = keys[0]
	}
	reply, _, err := s.store.shard(first).run(p, keys, argv)
	return reply, err
}

// Close gives the store back. The last of those that have it open frees its
// keys. Closing again is nil.
func (s *Scripts) Close() error {
	if !s.closed.Swap(true) {
		s.store.close()
	}
	return nil
}
