package redis_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/backends/redis"
	"github.com/turnstile-go/turnstile/internal/servers/servertest"
	"github.com/turnstile-go/turnstile/scripts"
)

func mustRevoke(t testing.TB, b *redis.Backend, key string, r backends.Revocation, want backends.Revoked) {
	t.Helper()
	if found, err := b.Revoke(bounded(t), key, r); err != nil || found != want {
		t.Fatalf("revoke %+v: %v, %v; want %v", r, found, err, want)
	}
}

// Another library's client can't be told, so its lock is left alone or deleted,
// one without a ttl as well, which nothing else would ever end.
func TestAnotherLibrarysLockIsDeletedOrLeftAlone(t *testing.T) {
	t.Parallel()
	b, inside := open(t, shared.URL()), shared.RedisClient(t, nil)
	for name, ttl := range map[string]time.Duration{"with a ttl": time.Minute, "without": 0} {
		t.Run(name, func(t *testing.T) {
			r := newRequest(newKey(t))
			if err := inside.Set(bounded(t), r.Key, "5c3f6e0a", ttl).Err(); err != nil {
				t.Fatal(err)
			}
			if reply, err := b.Acquire(bounded(t), r); err != nil || reply.Outcome != backends.Held {
				t.Fatalf("%+v, %v", reply, err)
			}
			mustRevoke(t, b, r.Key, backends.Revocation{}, backends.Foreign)
			mustRevoke(t, b, r.Key, backends.Revocation{Base: 1, Now: true}, backends.Superseded)
			if v := inside.Get(bounded(t), r.Key).Val(); v != "5c3f6e0a" {
				t.Fatalf("it was changed to %q", v)
			}
			mustRevoke(t, b, r.Key, backends.Revocation{Now: true}, backends.Deleted)
			mustGrant(t, b, r)
		})
	}
}

// Whoever must end a lease now is likely to do so in an emergency.
func TestARevokeWorksOnAFullServer(t *testing.T) {
	t.Parallel()
	server := servertest.Redis(t)
	b, inside := open(t, server.URL()), server.RedisClient(t, nil)
	held, ended, waiter := newRequest(newKey(t)), newRequest(newKey(t)), newRequest("")
	waiter.Key = ended.Key
	base := mustGrant(t, b, held).Base
	mustGrant(t, b, ended)
	if reply, err := b.Acquire(bounded(t), waiter); err != nil || reply.Place != 1 {
		t.Fatalf("%+v, %v", reply, err)
	}
	if err := inside.ConfigSet(bounded(t), "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	mustRevoke(t, b, held.Key, backends.Revocation{}, backends.Marked)
	if _, err := b.Renew(bounded(t), held.Attempt, held.TTL, base); !backends.IsRevoked(err) {
		t.Errorf("renew: %v, want ErrRevoked", err)
	}
	mustRevoke(t, b, ended.Key, backends.Revocation{Now: true}, backends.Deleted)
	if err := b.Release(bounded(t), held.Attempt); err != nil {
		t.Errorf("release: %v", err)
	}
}

// lists insists on what is listed under a prefix.
func lists(t testing.TB, b *redis.Backend, prefix string, want ...string) {
	t.Helper()
	keys, err := b.List(bounded(t), prefix)
	slices.Sort(want)
	if err != nil || !slices.Equal(keys, want) {
		t.Errorf("list %q: %q, %v; want %q", prefix, keys, err, want)
	}
}

// A server has other data, in which only a prefix, or a companion, tells a lock.
func TestAListIsOfLocksAlone(t *testing.T) {
	t.Parallel()
	server := servertest.Redis(t)
	b, inside := open(t, server.URL()), server.RedisClient(t, nil)
	put := func(cmd ...any) {
		t.Helper()
		if err := inside.Do(bounded(t), cmd...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	put("SET", "pylock:theirs", "5c3f6e0a", "PX", 60_000)
	put("SET", "pylock:forever", "1")
	put("HSET", "pylock:hash", "f", "v")
	put("SET", "session:1", "x")
	companion := "20" + strings.Repeat("0", 16) + "+" + strings.Repeat("0", 16) + strings.Repeat(" ", 32)
	put("SET", "{session:2}:turnstile", companion) // outlived its lock
	put("SET", "{}:turnstile", companion)
	put("SET", "{session:1}:turnstile", "no companion")
	put("SET", "{pylock:hash}:turnstile", companion)
	put("SET", "session:3", "x")
	put("HSET", "{session:3}:turnstile", "v", "1")
	var ours []string
	for _, key := range []string{"pylock:a", "pylock:{tag}b", "pylock:{}c", "bare", "{bare}", "}x{"} {
		r, waiter := newRequest(key), newRequest(key)
		mustGrant(t, b, r)
		if reply, err := b.Acquire(bounded(t), waiter); err != nil || reply.Place != 1 {
			t.Fatalf("%+v, %v", reply, err)
		}
		ours = append(ours, key)
	}
	freed := newRequest("pylock:freed")
	mustGrant(t, b, freed)
	if err := b.Release(bounded(t), freed.Attempt); err != nil {
		t.Fatal(err)
	}
	lists(t, b, "pylock:", append(slices.Clone(ours[:3]), "pylock:theirs", "pylock:forever")...)
	lists(t, b, "", ours...)
	lists(t, b, "{", "{bare}", "{}:turnstile") // a companion is a string as well, told by its name: the last is nobody's
	lists(t, b, "session:", "session:1", "session:3")
	lists(t, b, "nobody's:")
}

func TestAListThatFails(t *testing.T) {
	t.Parallel()
	server := servertest.Redis(t)
	inside := server.RedisClient(t, nil)
	if err := inside.Do(bounded(t), "ACL", "SETUSER", "lame", "on", ">p", "~*", "+@all", "-scan").Err(); err != nil {
		t.Fatal(err)
	}
	for _, prefix := range []string{"", "pylock:"} {
		b := open(t, server.URL())
		_, err := open(t, "redis://lame:p@"+server.Addr).List(bounded(t), prefix)
		if !backends.IsRefused(err) || !strings.Contains(err.Error(), "+scan") {
			t.Errorf("without +scan: %v, want refused, with what to grant", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := b.List(ctx, prefix); !errors.Is(err, context.Canceled) || !errors.Is(err, backends.ErrUnavailable) {
			t.Errorf("cancelled: %v", err)
		}
		away := open(t, server.URL()+"?lazy=true")
		server.Stop()
		_, err = away.List(bounded(t), prefix)
		var raw goredis.Error
		if !errors.Is(err, backends.ErrUnavailable) || backends.IsRefused(err) || errors.As(err, &raw) {
			t.Errorf("with the server away: %v, want ErrUnavailable", err)
		}
		if err := server.Restart(); err != nil {
			t.Fatal(err)
		}
		if err := inside.Do(bounded(t), "ACL", "SETUSER", "lame", "on", ">p", "~*", "+@all", "-scan").Err(); err != nil {
			t.Fatal(err)
		}
	}
	ring := goredis.NewRing(&goredis.RingOptions{Addrs: map[string]string{"a": server.Addr}})
	b := redis.New(ring, redis.Options{Owned: true})
	defer b.Close() // nothing depends on it
	if _, err := b.List(bounded(t), "pylock:"); !backends.IsRefused(err) {
		t.Errorf("a Ring: %v, want refused", err)
	}
}

// Each node of a Cluster has some of the keys, and each is asked once.
func TestAListIsOfAllNodes(t *testing.T) {
	t.Parallel()
	c := onCluster(t)
	b := open(t, c.URL())
	prefix := newKey(t) + ":"
	nodes := map[string]bool{}
	var held []string
	for i := range 60 {
		r := newRequest(prefix + strings.Repeat("x", i+1))
		mustGrant(t, b, r)
		held = append(held, r.Key)
		home, err := c.Master(scripts.Slot(r.Key))
		if err != nil {
			t.Fatal(err)
		}
		nodes[home.Addr] = true
	}
	if len(nodes) != 3 {
		t.Fatalf("the keys are on %d nodes, want all 3", len(nodes))
	}
	lists(t, b, prefix, held...)
	all, err := b.List(bounded(t), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range held {
		if _, found := slices.BinarySearch(all, key); !found {
			t.Errorf("%q is held and not listed", key)
		}
	}
}
