package redis_test

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/turnstile-go/turnstile/internal/servers"
	"github.com/turnstile-go/turnstile/internal/servers/servertest"
	"github.com/turnstile-go/turnstile/scripts"
	"github.com/turnstile-go/turnstile/scripts/scripttest"
)

// TestScripts runs the scripts' cases on a real server, without the backend.
func TestScripts(t *testing.T) {
	t.Parallel()
	exec, raw := onServer(t, servertest.Redis(t))
	scripttest.Run(t, exec, raw)
}

// onServer runs scripts and commands on a server, with RESP2's plain replies.
func onServer(t *testing.T, server *servers.Server) (scripttest.Exec, scripttest.Raw) {
	client := server.RedisClient(t, &goredis.Options{Protocol: 2})
	exec := func(s *scripts.Script, keys []string, args ...string) (any, error) {
		return client.Eval(bounded(t), s.Source(), keys, anys(args)...).Result()
	}
	raw := func(cmd ...string) (any, error) {
		v, err := client.Do(bounded(t), anys(cmd)...).Result()
		if errors.Is(err, goredis.Nil) {
			return nil, nil
		}
		return v, err
	}
	return exec, raw
}

func anys(list []string) []any {
	out := make([]any, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out
}

func TestScriptMessages(t *testing.T) {
	t.Parallel()
	server := servertest.Redis(t)
	exec, raw := onServer(t, server)
	client := server.RedisClient(t, nil)
	scripttest.RunMessages(t, exec, raw, func(channel string) func() (string, bool) {
		ctx := bounded(t)
		sub := client.Subscribe(ctx, channel)
		t.Cleanup(func() { _ = sub.Close() })
		if _, err := sub.Receive(ctx); err != nil {
			t.Fatal(err)
		}
		return func() (string, bool) {
			m, err := sub.ReceiveMessage(ctx)
			if err != nil {
				return err.Error(), false
			}
			return m.Payload, true
		}
	})
}

// A script may touch its keys on a Cluster only if they share a slot, and it is
// the server that says which slot a key has.
func TestTheKeysOfALockShareASlot(t *testing.T) {
	t.Parallel()
	client := servertest.Redis(t, "--cluster-enabled", "yes").RedisClient(t, nil)
	for _, key := range []string{
		"a", "pylock:a_key", "{tag}k", "pylock:{tag}:{other}", "{}k", "k{}", "}k{", "k{", "k}", "{{k}}", "{k", "a{b}c{d}", "{a{b}", "sch\u00f6n", "\xff\x01", "two words",
	} {
		var slots []int64
		for _, k := range scripts.Keys(key) {
			slot, err := client.ClusterKeySlot(bounded(t), k).Result()
			if err != nil {
				t.Fatal(err)
			}
			slots = append(slots, slot)
		}
		if slots[0] != int64(scripts.Slot(key)) {
			t.Errorf("%q: Slot says %d, the server %d", key, scripts.Slot(key), slots[0])
		}
		for i, slot := range slots {
			if slot != slots[0] {
				t.Errorf("%q is in slot %d, its %q in %d", key, slots[0], scripts.Keys(key)[i], slot)
			}
		}
	}
}

// The same of 10 000 keys of random bytes, half of which are braces: with a seed
// of the day's own, which a failure tells.
func TestTheKeysOfRandomLocksShareASlot(t *testing.T) {
	t.Parallel()
	client := servertest.Redis(t, "--cluster-enabled", "yes").RedisClient(t, nil)
	seed := uint64(time.Now().UnixNano())
	rng := rand.New(rand.NewPCG(seed, 0))
	const keys, batch = 10_000, 250
	for range keys / batch {
		pipe := client.Pipeline()
		var asked []*goredis.IntCmd
		var names [][]string
		for range batch {
			names = append(names, scripts.Keys(randomKey(rng)))
			for _, k := range names[len(names)-1] {
				asked = append(asked, pipe.ClusterKeySlot(t.Context(), k))
			}
		}
		if _, err := pipe.Exec(bounded(t)); err != nil {
			t.Fatal(err)
		}
		for i, cmd := range asked {
			lock, first := names[i/scripts.KeyCount][0], asked[i-i%scripts.KeyCount].Val()
			if cmd.Val() != first || first != int64(scripts.Slot(lock)) {
				t.Fatalf("seed %d: %q is in slot %d (Slot says %d), its %q in %d",
					seed, lock, first, scripts.Slot(lock), names[i/scripts.KeyCount][i%scripts.KeyCount], cmd.Val())
			}
		}
	}
}

// randomKey is 1 to 512 bytes, any but NUL.
func randomKey(rng *rand.Rand) string {
	key := make([]byte, 1+rng.IntN(512)>>rng.IntN(9))
	for i := range key {
		key[i] = "{}{}{}\x00\x00\x00\x00\x00\x00"[rng.IntN(12)]
		if key[i] == 0 {
			key[i] = byte(1 + rng.IntN(255))
		}
	}
	return string(key)
}
