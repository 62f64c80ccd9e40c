package redis_test

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/backends/embedded/engine"
	"github.com/turnstile-go/turnstile/backends/embedded/keyspace"
	"github.com/turnstile-go/turnstile/internal/servers/servertest"
	"github.com/turnstile-go/turnstile/scripts"
	"github.com/turnstile-go/turnstile/scripts/scripttest"
)

// TestBothEnginesAgree holds the embedded engine against a real server, reply
// for reply. Bases and times, which no two runs share, are held against the
// same bounds on both.
func TestBothEnginesAgree(t *testing.T) {
	t.Parallel()
	var server, embedded []string
	t.Run("server", func(t *testing.T) {
		exec, raw := onServer(t, servertest.Redis(t))
		server = scripttest.Run(t, exec, raw)
	})
	t.Run("embedded", func(t *testing.T) {
		exec, raw := onEngine(t, keyspace.WallClock())
		embedded = scripttest.Run(t, exec, raw)
	})
	for i := range max(len(server), len(embedded)) {
		if i >= len(server) || i >= len(embedded) || server[i] != embedded[i] {
			t.Fatalf("line %d differs:\nserver   %q\nembedded %q", i+1, server[i:min(i+1, len(server))], embedded[i:min(i+1, len(embedded))])
		}
	}
	t.Logf("%d replies agree", len(server))
}

// The cases are about windows of 75 ms and more. A machine that stands still for
// longer, in the middle of one, fails none of them.
func TestTheCasesPassOnAMachineThatStandsStill(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2)) // always the same moments
	now := time.Now().UnixMicro()
	exec, raw := onEngine(t, func() int64 {
		if rng.IntN(30) == 0 {
			now += 100_000
		}
		now++
		return now
	})
	scripttest.Run(t, exec, raw)
}

// onEngine runs scripts and commands on an embedded engine of the test's own.
func onEngine(t *testing.T, clock func() int64) (scripttest.Exec, scripttest.Raw) {
	keys := keyspace.New(clock, nil)
	vm := engine.New(keys)
	programs := map[*scripts.Script]*engine.Program{}
	for _, s := range append(append(scripts.Mutex(), scripts.Shares()...), scripts.Fast, scripts.Beat) {
		p, err := engine.Compile(s.Name, s.Hoisted())
		if err != nil {
			t.Fatal(err)
		}
		programs[s] = p
	}
	exec := func(s *scripts.Script, names []string, args ...string) (any, error) {
		r, err := vm.Run(programs[s], names, args)
		if err != nil {
			return nil, err
		}
		return plain(r)
	}
	raw := func(cmd ...string) (any, error) {
		keys.Tick()
		return plain(keys.Do(cmd...))
	}
	return exec, raw
}

// plain is an embedded reply as a RESP2 client has it.
func plain(r keyspace.Reply) (any, error) {
	switch r.Kind {
	case keyspace.Nil:
		return nil, nil
	case keyspace.Integer:
		return r.Int, nil
	case keyspace.Error:
		return nil, errors.New(r.Str)
	case keyspace.Array:
		list := make([]any, len(r.Array))
		for i, item := range r.Array {
			v, err := plain(item)
			if err != nil {
				return nil, err
			}
			list[i] = v
		}
		return list, nil
	default:
		return r.Str, nil
	}
}
