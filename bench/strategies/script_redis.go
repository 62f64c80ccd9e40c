package strategies

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/turnstile-go/turnstile/backends/embedded/keyspace"
	"github.com/turnstile-go/turnstile/bench"
)

const (
	// scriptAnswer is how long a server may take for a script.
	scriptAnswer = 3 * time.Second
	// scriptKill is how long it may take for SCRIPT KILL: a server that runs a
	// script looks up from it after 5 s (busy-reply-threshold), and not before.
	scriptKill = 10 * time.Second
)

// A redisRunner runs scripts on a server.
type redisRunner struct{ client *goredis.Client }

// openRedis opens a server that has so long for the answer of a script. The
// scripts are left with it, so that the first hold costs what all others do; one
// that is no Lua to the server is told from one that fails.
func openRedis(answer time.Duration) func(context.Context, bench.Place, verbs) (runner, error) {
	return func(ctx context.Context, at bench.Place, v verbs) (runner, error) {
		options := seedOptions(at.Addr)
		options.ReadTimeout = answer
		r := redisRunner{goredis.NewClient(options)}
		for _, verb := range []*verb{&v.acquire, &v.renew, &v.release} {
			if err := verb.server.Load(ctx, r.client).Err(); err != nil {
				return nil, errors.Join(r.fault(ctx, verb, err), r.close())
			}
		}
		return r, nil
	}
}

func (r redisRunner) run(ctx context.Context, v *verb, keys, argv []string) (reply, error) {
	args := make([]any, len(argv))
	for i := range argv {
		args[i] = argv[i]
	}
	// EVALSHA, and EVAL if the server was told to forget its scripts.
	answer, err := v.server.Run(ctx, r.client, keys, args...).Result()
	if err != nil && !errors.Is(err, goredis.Nil) {
		return reply{}, r.fault(ctx, v, err)
	}
	return replyOf(answer), nil
}

func (r redisRunner) close() error { return r.client.Close() }

// replyOf is the driver's reply as the engine has it.
func replyOf(answer any) reply {
	switch v := answer.(type) {
	case nil:
		return reply{}
	case int64:
		return reply{Kind: keyspace.Integer, Int: v}
	case string:
		return reply{Kind: keyspace.Bulk, Str: v}
	case []any:
		r := reply{Kind: keyspace.Array, Array: make([]reply, len(v))}
		for i, e := range v {
			r.Array[i] = replyOf(e)
		}
		return r
	}
	return reply{Kind: keyspace.Error, Str: fmt.Sprint(answer)}
}

// fault says what a script's error means, and frees a server that a script keeps
// from answering: everybody else waits for it as well.
func (r redisRunner) fault(ctx context.Context, v *verb, err error) error {
	var said goredis.Error
	var timeout net.Error
	switch {
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return ctx.Err()
	case errors.As(err, &said) && strings.HasPrefix(said.Error(), "BUSY "):
		return fmt.Errorf("%s: not run: the server is busy with another script: does one loop for ever?", v.path)
	case errors.As(err, &said):
		return failure(v.path, said.Error())
	case errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("%s: no answer in %v; %s", v.path, r.client.Options().ReadTimeout, r.kill(ctx))
	}
	return fmt.Errorf("%s: not run, or its answer is lost: %w", v.path, err)
}

// kill ends the script that keeps the server, and says what came of it.
func (r redisRunner) kill(ctx context.Context) string {
	// A client of its own: the pool's connections may all wait for the script.
	options := seedOptions(r.client.Options().Addr)
	options.PoolSize, options.ReadTimeout = 1, scriptKill
	client := goredis.NewClient(options)
	defer client.Close() // it has answered already
	err := client.ScriptKill(context.WithoutCancel(ctx)).Err()
	switch {
	case err == nil:
		return "it was still running and was killed: does it loop for ever?"
	case strings.HasPrefix(err.Error(), "NOTBUSY"):
		return "the server was slow, and no script runs there now"
	case strings.HasPrefix(err.Error(), "UNKILLABLE"):
		return "it still runs, and can't be killed since it has written: does it loop for ever? The server has to be stopped"
	}
	return "SCRIPT KILL: " + err.Error()
}
