package embedded

import (
	"context"
	"strconv"
	"time"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/backends/embedded/keyspace"
	"github.com/turnstile-go/turnstile/scripts"
)

// The fast path: a quiet key is taken and freed by one small script. Where that leaves
// the key as it is, the full script of the verb is asked.
//
// An attempt of which a call failed goes in full, for the contract's sake: its end is
// remembered. Nothing else has to be. A call has run, or it has not, when it returns,
// whether or not its script failed, its ctx ended or the backend was closed meanwhile:
// no copy of it comes later.

// take takes a quiet key. done is false if the acquire has to be asked in full.
func (b *Backend) take(ctx context.Context, r backends.Request) (got backends.Reply, done bool, err error) {
	if r.Ambiguous {
		return got, false, nil
	}
	keys, ttl, token := scripts.Pair(r.Key), milliseconds(r.TTL), r.Token.Wire()
	if !b.store.shard(r.Key).mayTake(keys[0]) {
		return got, false, nil
	}
	reply, failed := b.runOn(ctx, b.verbs.fast, keys[:], []string{"0", token, ttl, r.Label})
	if failed != nil {
		return backends.Reply{Outcome: failed.outcome}, true, failed.cause
	}
	base, ok := scripts.ReadTake(onlyItem(reply), token)
	switch {
	case !ok:
		return backends.Reply{Outcome: backends.MayHaveRun}, true, unexpected(reply)
	case base == 0:
		return got, false, nil
	}
	ms, _ := strconv.ParseInt(ttl, 10, 64)
	return backends.Reply{Outcome: backends.Granted, Base: base, TTL: time.Duration(ms) * time.Millisecond}, true, nil
}

// free frees a quiet key. done is false if the release has to be asked in full.
func (b *Backend) free(ctx context.Context, a backends.Attempt) (done bool, err error) {
	if a.Ambiguous || a.Long || a.AtLeast > 0 {
		return false, nil
	}
	keys, token := scripts.Pair(a.Key), a.Token.Wire()
	if !b.store.shard(a.Key).mayFree(keys[1]) {
		return false, nil
	}
	reply, failed := b.runOn(ctx, b.verbs.fast, keys[:], []string{"1", token})
	if failed != nil {
		return true, failed.cause
	}
	freed, ok := scripts.ReadFree(onlyItem(reply), token)
	if !ok {
		return true, unexpected(reply)
	}
	return freed, nil
}

// mayTake reports whether a look at the key lets the fast script take it. It costs a
// tenth of the script's no.
func (s *shard) mayTake(lock string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return true // which the run says
	}
	_, held := s.keys.String(lock)
	return !held
}

// mayFree is the same for freeing a key: somebody may wait for it.
func (s *shard) mayFree(companion string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return true
	}
	value, known := s.keys.String(companion)
	return known && scripts.Quiet(value)
}

// onlyItem is fast's reply to a call with one item; empty if it is no such reply.
func onlyItem(r keyspace.Reply) string {
	if r.Kind != keyspace.Bulk {
		return ""
	}
	return r.Str
}
