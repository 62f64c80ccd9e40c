package redis_test

import (
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/turnstile-go/turnstile/backends/redis"
	"github.com/turnstile-go/turnstile/internal/servers/servertest"
)

// TestAServerThatWasReplacedBehindItsName is found by conn_max_lifetime, and stayed with
// for as long as it lives without, as the docs say. The inbox has no lifetime: it follows
// when its heartbeats, which go where the calls go, are not echoed.
func TestAServerThatWasReplacedBehindItsName(t *testing.T) {
	t.Parallel()
	old, next := servertest.Redis(t), servertest.Redis(t)
	name := servertest.NewNAT(t, old.Addr)
	goes := open(t, "redis://"+name.Addr+"?pool_size=1&conn_max_lifetime=50ms")
	stays := open(t, "redis://"+name.Addr+"?pool_size=1")
	atOld, atNext := old.RedisClient(t, nil), next.RedisClient(t, nil)
	lands := func(b *redis.Backend, at *goredis.Client) bool {
		key := newKey(t)
		mustGrant(t, b, newRequest(key))
		return exists(t, at, key)
	}
	for _, b := range []*redis.Backend{goes, stays} {
		if !lands(b, atOld) {
			t.Fatal("the old server is not asked: the test proves nothing")
		}
	}
	s := subscribe(t, goes)
	eventually(t, "its inbox is at the old server", func() bool { return subscribers(t, atOld, s) == 1 })
	name.LeadTo(next.Addr)
	eventually(t, "the new server is found", func() bool { return lands(goes, atNext) })
	held := s.request(newKey(t)) // now there is something to hear of
	held.TTL = lease
	mustGrant(t, s, held)
	eventually(t, "its inbox follows", func() bool { return subscribers(t, atNext, s) == 1 })
	for range 20 {
		if !lands(goes, atNext) {
			t.Error("and left again")
		}
		if !lands(stays, atOld) {
			t.Error("a connection without a lifetime was left: the docs say that it is not")
		}
	}
}
