package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/bench"
	"github.com/turnstile-go/turnstile/bench/strategies"
	"github.com/turnstile-go/turnstile/lockclient"
	"github.com/turnstile-go/turnstile/scripts"
)

// yardsticks are what ours is held against and are no locks: each is right in the
// one workload that it is made for, and is measured in no other. They are peers to
// the bench, which excuses them for waiters that they leave behind at the end. The last two are
// ours in a special case.
func yardsticks(pool int) []bench.Strategy {
	return []bench.Strategy{ceiling{}, wake{pool}, bare{pool: pool}, bare{pool: pool, trivial: true}, beside{pool: pool}, beside{pool: pool, apart: true}}
}

const (
	// owner is the label that our leases carry. The ceiling's carry it as well: its
	// length is part of what a server has to read.
	owner       = "bench"
	leaseMillis = "10660" // what a hold of 10 s asks for: slack and margin on top
	push        = "1"     // by the script itself
	mark        = "0"     // every request is answered
)

// ourInner are the commands of our scripts, which the yardsticks send.
func ourInner() []string {
	list, err := strategies.Named([]string{ours})
	if err != nil {
		panic("peers: " + err.Error()) // it is always there
	}
	return list[0].(bench.Scripted).Inner()
}

// plainClient sets go-redis up as Turnstile's backend does.
func plainClient(addr string, pool int) *goredis.Client {
	return goredis.NewClient(&goredis.Options{
		Addr: addr, PoolSize: pool, MaxRetries: -1, ContextTimeoutEnabled: true, DialerRetries: 1, DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
}

// acquireArgs is one attempt on a key, as Turnstile's backend sends it.
func acquireArgs(verb, script, key string, token backends.Token) []any {
	return command(verb, script, key, token.Wire(), leaseMillis, owner, "0", "0", "1000", push)
}

// command is a script's request with all its keys.
func command(verb, script, key string, args ...string) []any {
	list := []any{verb, script, scripts.KeyCount}
	for _, k := range scripts.Keys(key) {
		list = append(list, k)
	}
	for _, a := range args {
		list = append(list, a)
	}
	return list
}

// bare is the EVALSHA that a lock on Redis can't do without, sent by go-redis as
// Turnstile's backend has set it up: acquire.lua and release.lua on a key that
// nobody wants. It does not wait, so that it is no lock.
type bare struct {
	pool int
	// trivial sends a script that does nothing instead, which tells what of an
	// EVALSHA is the way there and back.
	trivial bool
}

func (b bare) Name() string {
	if b.trivial {
		return "evalsha-return-1"
	}
	return "evalsha-acquire"
}

func (b bare) Describe() bench.Description {
	what := "acquire.lua and release.lua"
	if b.trivial {
		what = "return 1"
	}
	return bench.Description{Settings: "no lock: go-redis as Turnstile sets it up, EVALSHA of " + what, Place: bench.PlaceRedis, Peer: true}
}

func (bare) Inner() []string { return ourInner() }

// trivialScript still is a script: what it saves is the work, not the way.
const trivialScript = "return 1"

var trivialSHA = goredis.NewScript(trivialScript).Hash()

// Open loads the scripts first, or the first samples would be NOSCRIPT.
func (b bare) Open(ctx context.Context, at bench.Place) (bench.Locker, error) {
	l := &bareLocks{client: plainClient(at.Addr, b.pool), session: backends.NewSession(), trivial: b.trivial}
	for _, source := range []string{scripts.Acquire.Source(), scripts.Release.Source(), trivialScript} {
		if err := l.client.ScriptLoad(ctx, source).Err(); err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", b.Name(), err), l.Close())
		}
	}
	return l, nil
}

type bareLocks struct {
	client  *goredis.Client
	session backends.Session
	attempt atomic.Uint64
	trivial bool
}

func (b *bareLocks) Lock(ctx context.Context, key string) (bench.Held, error) {
	if b.trivial {
		return unlock(func() error { return nil }), b.client.Do(ctx, "evalsha", trivialSHA, 1, key).Err()
	}
	// A new token each time: an attempt that was released is settled, and
	// acquire.lua would return at once.
	token := b.session.Token(b.attempt.Add(1))
	full := lockclient.DefaultKeyPrefix + key
	reply, err := b.client.Do(ctx, acquireArgs("evalsha", scripts.Acquire.SHA(), full, token)...).Slice()
	if err != nil {
		return nil, err
	}
	if !yes(reply) {
		return nil, fmt.Errorf("evalsha: not granted: %v", reply)
	}
	return unlock(func() error {
		return b.client.Do(context.Background(), command("evalsha", scripts.Release.SHA(), full, token.Wire(), mark, push)...).Err()
	}), nil
}

func (b *bareLocks) Close() error { return b.client.Close() }

// yes is the scripts' word for granted. The attempt's number stands before it.
func yes(reply []any) bool { return len(reply) > 1 && reply[1] == int64(1) }
