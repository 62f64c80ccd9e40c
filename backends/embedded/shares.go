package embedded

import (
	"context"
	"fmt"
	"strconv"
	"sync"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/backends/embedded/engine"
	"github.com/turnstile-go/turnstile/backends/embedded/keyspace"
	"github.com/turnstile-go/turnstile/scripts"
)

var _ backends.Sharer = (*Backend)(nil)

// codeShares is what a verb of the mutex replies where shares are out: nothing was done.
const codeShares = -2

// shareVerbs are the scripts of shares, compiled. Most processes need none.
type shareVerbs struct {
	acquire, renew, release, inspect, revoke *engine.Program
}

var compiledShares = sync.OnceValue(func() *shareVerbs {
	return &shareVerbs{
		acquire: compile(scripts.AcquireShare),
		renew:   compile(scripts.RenewShare),
		release: compile(scripts.ReleaseShare),
		inspect: compile(scripts.InspectShares),
		revoke:  compile(scripts.RevokeShares),
	}
})

// runShares runs a verb of shares.
func (b *Backend) runShares(ctx context.Context, p *engine.Program, key string, argv ...string) (keyspace.Reply, *fault) {
	return b.runOn(ctx, p, scripts.ShareKeys(key), argv)
}

// wish is what the scripts are told of what a request wants: its kind, n, and how many permits.
func wish(r backends.Request) (kind, n, want string) {
	kind = scripts.KindLetters[r.Kind : r.Kind+1]
	if r.Kind != backends.Slots {
		return kind, "0", "0"
	}
	return kind, strconv.Itoa(r.N), strconv.Itoa(r.Want)
}

// acquireShare makes an attempt to get a share, or the lock while shares are out.
func (b *Backend) acquireShare(ctx context.Context, r backends.Request, args []string) (backends.Reply, error) {
	kind, n, want := wish(r)
	reply, err := b.runShares(ctx, compiledShares().acquire, r.Key, append(args, kind, n, want)...)
	if err != nil {
		return backends.Reply{Outcome: err.outcome}, err.cause
	}
	said := to(r.Token, reply)
	switch {
	case shaped(said, 7) && said.Array[0].Int == 1:
		got, err := granted(said)
		share(&got, said.Array[5:])
		return got, err
	case shaped(said, 8) && said.Array[0].Int == 0:
		got := held(said.Array, r.Queue)
		got.Kind, got.Out = kindOf(said.Array[6]), int(said.Array[7].Int)
		return got, nil
	}
	return acquired(reply, r.Token, r.Queue)
}

// RenewShare makes a share last r.TTL from now, or a lock a share; see backends.Sharer.
func (b *Backend) RenewShare(ctx context.Context, r backends.Request, known uint64) (backends.Reply, error) {
	kind, n, _ := wish(r)
	reply, err := b.runShares(ctx, compiledShares().renew, r.Key, r.Token.Wire(), milliseconds(r.TTL), strconv.FormatUint(known, 10), push,
		kind, n, strconv.Itoa(max(1, r.Want)))
	if err != nil {
		return backends.Reply{Outcome: err.outcome}, err.cause
	}
	got, failed := renewed(reply, r.Token)
	if said := to(r.Token, reply); failed == nil && shaped(said, 6) {
		share(&got, said.Array[4:])
	}
	return got, failed
}

// share reads kind, permits.
func share(r *backends.Reply, said []keyspace.Reply) {
	if r.Kind = kindOf(said[0]); r.Kind == backends.Slots {
		r.Permits = int(said[1].Int)
	}
}

// endShare ends an attempt that may have a share, or wait for one. had reports whether it had one, or the lock.
func (b *Backend) endShare(ctx context.Context, a backends.Attempt) (had bool, err error) {
	reply, f := b.runShares(ctx, compiledShares().release, a.Key, a.Token.Wire(), mark(a), push)
	if f != nil {
		return false, f.cause
	}
	said := to(a.Token, reply)
	if !shaped(said, 3) {
		return false, unexpected(reply)
	}
	return said.Array[0].Int == 1, nil
}

// shared reports whether shares of a key are out.
func (b *Backend) shared(key string) bool {
	lock, _ := b.store.shard(key).lock(key)
	holder, ours := backends.ParseToken(lock)
	return ours && holder.Session() == scripts.NoSession
}

// inspectShares adds what is known of the shares that are out. It returns false if none are.
func (b *Backend) inspectShares(ctx context.Context, key string, info *backends.Info) (bool, error) {
	reply, f := b.runShares(ctx, compiledShares().inspect, key)
	if f != nil {
		return false, f.cause
	}
	if reply.Kind != keyspace.Array || len(reply.Array) != 3 {
		return false, unexpected(reply)
	}
	var holders []backends.Holder
	for said := reply.Array[2].Array; len(said) >= 8; said = said[8:] { // label, held, ends, permits, n, first, base, revoked
		h := backends.Holder{
			HeldFor: knownTime(said[1].Int), ExpiresIn: knownTime(said[2].Int), Permits: int(said[3].Int), N: int(said[4].Int),
			Revoked: said[7].Int == 1,
		}
		h.First, _ = strconv.ParseUint(said[5].Str, 10, 64)
		h.Base, _ = strconv.ParseUint(said[6].Str, 10, 64)
		if label := said[0].Str; label != "" {
			h.Label = &label
		}
		holders = append(holders, h)
	}
	kind := kindOf(reply.Array[0])
	info.ShareOut(kind, int(reply.Array[1].Int), holders)
	return kind != backends.Exclusive, nil
}

// revokeShares revokes the shares that r means, which takes a call for each so many. out is false if there are none.
func (b *Backend) revokeShares(ctx context.Context, key string, r backends.Revocation) (what backends.Revoked, out bool, err error) {
	what = backends.Superseded
	for from := "-inf"; from != ""; {
		reply, f := b.runShares(ctx, compiledShares().revoke, key, strconv.FormatUint(r.Base, 10), scripts.Flag(r.Now), push, from)
		switch {
		case f != nil:
			return what, true, f.cause
		case !shaped(reply, 2):
			return what, true, unexpected(reply)
		case reply.Array[0].Int == codeShares:
			return what, from != "-inf", nil // those that were left have gone meanwhile
		}
		what, from = max(what, found[reply.Array[0].Int]), reply.Array[1].Str
		if r.Base != 0 && what != backends.Superseded {
			break
		}
	}
	return what, true, nil
}

// holders are the attempts that have a share of a key: those whose shares end first.
func (s *shard) holders(key string) (all []backends.Token) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.keys.Tick()
	for _, m := range s.keys.Do("ZRANGE", key, "0", strconv.Itoa(backends.MostWanted-1)).Array {
		if t, ours := backends.ParseToken(backends.Stamp + m.Str); ours {
			all = append(all, t)
		}
	}
	return all
}

// reclaimShares ends the shares that linger, as reclaim does a lease. It reports whether any did.
func (b *Backend) reclaimShares(ctx context.Context, by backends.Attempt, of backends.Kind) (any bool) {
	keys := scripts.ShareKeys(by.Key)
	for _, t := range b.store.shard(keys[0]).holders(keys[scripts.KeyCount]) {
		a := backends.Attempt{Key: by.Key, Token: t, Kind: of}
		if box := b.store.inboxes.find(inboxPrefix + string(t.Session())); box != nil && box.gives(a) {
			_, _ = b.endShare(ctx, a) // see reclaim
			any = true
		}
	}
	return any
}

// turnsMost is how often a key may turn from a lock to shares and back while one call looks at it.
const turnsMost = 8

// errTurns is what a call says that met a lock and shares in turn.
func errTurns() error {
	return backends.Unavailable(backendName, fmt.Errorf("the key has been locked and shared in turn %d times", turnsMost))
}
