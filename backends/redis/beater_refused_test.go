package redis_test

import (
	"errors"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/internal/servers/servertest"
)

// TestOneForbiddenKeyStopsNoOthersRepetitions: each key then has a request of its own.
func TestOneForbiddenKeyStopsNoOthersRepetitions(t *testing.T) {
	t.Parallel()
	server := servertest.Redis(t)
	inside := server.RedisClient(t, nil)
	holder, s := open(t, server.URL()), repeats(t, openPatient(t, server.URL()))
	allowed, forbidden := newKey(t), "forbidden:"+newKey(t)
	for _, k := range []string{allowed, forbidden} {
		mustGrant(t, holder, newRequest(k))
	}
	again, _ := s.waits(t, allowed)
	s.waits(t, forbidden)
	s.beating(t, allowed, 2)
	s.beating(t, forbidden, 2)
	if err := inside.Do(bounded(t), "ACL", "SETUSER", "default", "resetkeys", "~pylock:*", "~{pylock:*").Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the allowed one, or both, are woken", func() bool { return len(s.wakes) > 0 })
	s.steadily(t, again)
}

// steadily waits until the calls are each repeated four times in a row. One that is woken, as its request was refused with
// others', asks in full, as an actor would.
func (s *repeated) steadily(t testing.TB, waiting ...backends.Request) {
	t.Helper()
	from := make([]int, len(waiting))
	eventually(t, "all are repeated, again and again", func() bool {
		woken := map[string]bool{}
		for len(s.wakes) > 0 {
			woken[(<-s.wakes).Key] = true
		}
		steady := true
		for i := range waiting {
			r := &waiting[i]
			if woken[r.Key] {
				r.Probe++
				if reply, err := s.Acquire(bounded(t), *r); err != nil || reply.Outcome != backends.Held {
					t.Fatalf("%+v, %v", reply, err)
				}
			}
			if n := s.repetitions(r.Key); woken[r.Key] || from[i] == 0 {
				from[i] = n
			}
			steady = steady && s.repetitions(r.Key) >= from[i]+4
		}
		return steady
	})
}

// TestKeysOfDifferentSlotsAreRepeatedApart, also over one server's client: it may be a Cluster of one node.
func TestKeysOfDifferentSlotsAreRepeatedApart(t *testing.T) {
	t.Parallel()
	server := servertest.Redis(t, "--cluster-enabled", "yes")
	inside := server.RedisClient(t, nil)
	slots := []any{"CLUSTER", "ADDSLOTS"}
	for slot := range 16384 {
		slots = append(slots, slot)
	}
	if err := inside.Do(bounded(t), slots...).Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it serves", func() bool { return errors.Is(inside.Get(bounded(t), "a").Err(), goredis.Nil) })
	holder, s := open(t, server.URL()), repeats(t, openPatient(t, server.URL()))
	var waiting []backends.Request
	for range 100 { // some are always due together
		key := newKey(t)
		mustGrant(t, holder, newRequest(key))
		r, _ := s.waits(t, key)
		waiting = append(waiting, r)
	}
	s.steadily(t, waiting...)
}

// TestADeafSessionIsNotRepeated: each of its keys is asked for in full, so that it is queued as poll-only.
func TestADeafSessionIsNotRepeated(t *testing.T) {
	t.Parallel()
	server := servertest.Redis(t)
	inside := server.RedisClient(t, nil)
	lame(t, inside, "allchannels")
	holder, s := open(t, server.URL()), repeats(t, openPatient(t, "redis://lame:pw@"+server.Addr))
	key := newKey(t)
	mustGrant(t, holder, newRequest(key))
	r, _ := s.waits(t, key)
	s.beating(t, key, 2)
	lame(t, inside, "-publish")
	s.woken(t, backends.Wake{Key: key, Kind: backends.Given})
	ended := s.repetitions(key)
	r.Probe = 1
	if reply, err := s.Acquire(bounded(t), r); err != nil || reply.Retry > time.Second {
		t.Fatalf("%+v, %v; want to poll", reply, err)
	}
	lame(t, inside, "+publish")
	s.hears(t, true)
	if n := s.repetitions(key); n != ended {
		t.Errorf("a deaf session's call was repeated %d times", n-ended)
	}
	if reply, err := s.Acquire(bounded(t), r); err != nil || reply.Retry < 30*time.Second {
		t.Fatalf("%+v, %v; want to be repeated", reply, err)
	}
	s.beating(t, key, 2)
}
