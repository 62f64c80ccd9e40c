package embedded

import (
	"context"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/scripts"
)

// Reclaims has give called when another session wants a key that this one has.
func (b *Backend) Reclaims(give func(backends.Attempt) bool) {
	if box := b.inbox.Load(); box != nil {
		box.mu.Lock()
		defer box.mu.Unlock()
		box.give = give
	}
}

// reclaim reports whether a key that was found held may be by's now, since it ended a
// lease that lingered with a session of this store. The session itself may have been
// quicker: then the key is free, or it was given to by.
func (b *Backend) reclaim(ctx context.Context, by backends.Attempt) bool {
	lock, held := b.store.shard(by.Key).lock(scripts.Keys(by.Key)[0])
	if !held {
		return true
	}
	holder, ours := backends.ParseToken(lock)
	if ours && holder.Session() == scripts.NoSession {
		return b.reclaimShares(ctx, by, backends.Kind(holder.Attempt()))
	}
	if !ours || holder == by.Token {
		return ours
	}
	box := b.store.inboxes.find(inboxPrefix + string(holder.Session()))
	a := backends.Attempt{Key: by.Key, Token: holder}
	if box == nil || !box.gives(a) {
		return false
	}
	// If this doesn't run, since ctx has ended or this backend is closed, the lease goes
	// when its own session is told.
	_ = b.Release(ctx, a)
	return true
}

// gives asks the session to let go of its lease.
func (box *inbox) gives(a backends.Attempt) bool {
	box.mu.RLock()
	defer box.mu.RUnlock()
	return !box.closed && box.give != nil && box.give(a)
}

// lock returns what stands under a lock; held is false if nothing does.
func (s *shard) lock(key string) (value string, held bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return "", false
	}
	s.keys.Tick()
	return s.keys.String(key)
}
