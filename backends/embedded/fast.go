package embedded

import (
	"context"
	"strconv"
	"time"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/backends/embedded/keyspace"
	"github.com/turnstile-go/turnstile/scripts"
)

// The fast path: a quiet key is taken and freed by one small script. What that leaves
// as it is, the full script of the verb is asked.
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
	keys, ttl := scripts.Pair(r.Key), milliseconds(r.TTL)
	reply, failed := b.runOn(ctx, b.verbs.fast, keys[:], []string{"0", r.Token.Wire(), ttl, r.Label})
	if failed != nil {
		return backends.Reply{Outcome: failed.outcome}, true, failed.cause
	}
	said, ok := fastItem(reply, r.Token)
	if ok && said == inFull {
		return got, false, nil
	}
	base, cause := strconv.ParseUint(said, 10, 64)
	if !ok || cause != nil {
		return backends.Reply{Outcome: backends.MayHaveRun}, true, unexpected(reply)
	}
	ms, _ := strconv.ParseInt(ttl, 10, 64)
	return backends.Reply{Outcome: backends.Granted, Base: base, TTL: time.Duration(ms) * time.Millisecond}, true, nil
}

// free frees a quiet key. done is false if the release has to be asked in full.
func (b *Backend) free(ctx context.Context, a backends.Attempt) (done bool, err error) {
	if a.Ambiguous {
		return false, nil
	}
	keys := scripts.Pair(a.Key)
	reply, failed := b.runOn(ctx, b.verbs.fast, keys[:], []string{"1", a.Token.Wire()})
	if failed != nil {
		return true, failed.cause
	}
	switch said, ok := fastItem(reply, a.Token); {
	case ok && said == freed:
		return true, nil
	case ok && said == inFull:
		return false, nil
	}
	return true, unexpected(reply)
}

// What fast.lua says of an item, besides a base.
const (
	inFull = "0"
	freed  = "1"
)

// attemptDigits is the length of the attempt's number, with which an item's answer begins.
const attemptDigits = 12

// fastItem reads the reply of fast.lua to one item. ok is false if it is no answer to the attempt.
func fastItem(r keyspace.Reply, t backends.Token) (said string, ok bool) {
	if r.Kind != keyspace.Array || len(r.Array) != 1 || len(r.Array[0].Str) <= attemptDigits {
		return "", false
	}
	item := r.Array[0].Str
	n, err := strconv.ParseUint(item[:attemptDigits], 10, 64)
	return item[attemptDigits:], err == nil && n == t.Attempt()
}
