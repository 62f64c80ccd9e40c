package redis

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/internal/servers/servertest"
)

// A forger changes the replies to fast calls, and those to others into what makes no sense.
type forger struct {
	forge     atomic.Pointer[func(parts []string) []string]
	senseless atomic.Bool
}

func (*forger) DialHook(next goredis.DialHook) goredis.DialHook { return next }

func (*forger) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return next
}

func (f *forger) ProcessHook(next goredis.ProcessHook) goredis.ProcessHook {
	return func(ctx context.Context, cmd goredis.Cmder) error {
		err := next(ctx, cmd)
		if call, ok := cmd.(*fastCall); ok && err == nil {
			if forge := f.forge.Load(); forge != nil {
				call.SetVal(strings.Join((*forge)(strings.Split(call.Val(), " ")), " "))
			}
		}
		if full, ok := cmd.(*command); ok && err == nil && f.senseless.Load() {
			full.SetVal([]any{})
		}
		return err
	}
}

// TestASenselessReplyLeavesItsKeyInDoubt, by any verb.
func TestASenselessReplyLeavesItsKeyInDoubt(t *testing.T) {
	t.Parallel()
	client := servertest.Redis(t).RedisClient(t, nil)
	f := &forger{}
	client.AddHook(f)
	b := New(client, Options{})
	t.Cleanup(func() { _ = b.Close() })
	f.senseless.Store(true)
	for i, a := range attemptsOf(t, 4) {
		a.Ambiguous = true // or some were no requests of their own
		verb := []backends.Verb{backends.Acquiring, backends.Renewing, backends.Releasing, backends.Cancelling}[i]
		reply, err := b.call(t.Context(), backends.Call{Verb: verb, Request: backends.Request{Attempt: a, TTL: time.Minute}})
		if reply.Outcome != backends.MayHaveRun || !errors.Is(err, backends.ErrUnavailable) || !b.InDoubt(a.Key) {
			t.Errorf("%v: %+v, %v, in doubt: %v", verb, reply, err, b.InDoubt(a.Key))
		}
	}
}

// TestNoReplyToAnotherGrants: one of an earlier request, read by a later one, settles nothing. The key is in doubt from then on.
func TestNoReplyToAnotherGrants(t *testing.T) {
	t.Parallel()
	server := servertest.Redis(t)
	const base = "1700000000000000"
	number := func(n int) string { return fmt.Sprintf("%012d", n) }
	for name, row := range map[string]struct {
		verb  backends.Verb
		forge func([]string) []string
	}{
		"of the attempts before": {backends.Acquiring, func([]string) []string { return []string{number(8) + base, number(9) + base} }},
		"in another order":       {backends.Acquiring, func(p []string) []string { return []string{p[1], p[0]} }},
		"too short":              {backends.Acquiring, func(p []string) []string { return p[:1] }},
		"too long":               {backends.Acquiring, func(p []string) []string { return append(p, number(3)+base) }},
		"empty":                  {backends.Acquiring, func([]string) []string { return []string{} }},
		"to a release":           {backends.Acquiring, func([]string) []string { return []string{number(1) + "1", number(2) + "1"} }},
		"to an acquire":          {backends.Releasing, func([]string) []string { return []string{number(1) + base, number(2) + base} }},
		"no base": {backends.Acquiring, func([]string) []string {
			return []string{number(1) + "0000000000000000", number(2) + "17000000000000.0"}
		}},
		"nothing behind the number": {backends.Acquiring, func([]string) []string { return []string{number(1), number(2)} }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := server.RedisClient(t, nil)
			f := &forger{}
			client.AddHook(f)
			b := New(client, Options{})
			t.Cleanup(func() { _ = b.Close() })
			list := attemptsOf(t, 2)
			if row.verb == backends.Releasing {
				flushes(b, fastAll(backends.Acquiring, list))
			}
			f.forge.Store(&row.forge)
			batch := fastAll(row.verb, list)
			flushes(b, batch)
			for i, c := range batch {
				reply, err := outcome(t, b, c)
				if !errors.Is(err, backends.ErrUnavailable) || reply.Outcome != backends.MayHaveRun {
					t.Errorf("item %d: %+v, %v; want may have run", i, reply, err)
				}
				if quiet, mark := b.memory.way(backends.Call{Verb: backends.Acquiring, Request: backends.Request{Attempt: list[i]}}); quiet || !mark {
					t.Errorf("item %d: the next attempt is quiet %v, marked %v; want in full, and marked", i, quiet, mark)
				}
			}
		})
	}
}
