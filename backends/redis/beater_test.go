package redis_test

import (
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/backends/redis"
	"github.com/turnstile-go/turnstile/internal/servers/servertest"
	"github.com/turnstile-go/turnstile/scripts"
)

// A repeated session's waiting attempts are repeated by its backend.
type repeated struct {
	*session
	asks atomic.Uint64

	mu     sync.Mutex // protects what follows
	begun  map[string]int
	newest map[string]uint64 // number by key
	alive  []time.Duration
	ended  map[string]bool // keys that are not to be repeated any more
}

// repeats makes a session of a backend, which hears.
func repeats(t testing.TB, b *redis.Backend) *repeated {
	t.Helper()
	s := &repeated{begun: map[string]int{}, newest: map[string]uint64{}, ended: map[string]bool{}}
	b.Repeats(func(key string, attempt uint64, alive time.Duration) uint64 {
		n := s.asks.Add(1)
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.ended[key] {
			return 0
		}
		s.begun[key]++
		s.newest[key] = n
		s.alive = append(s.alive, alive)
		return n
	})
	s.session = subscribe(t, b)
	s.hears(t, true)
	s.drain()
	return s
}

// repetitions returns how often a key's call was repeated.
func (s *repeated) repetitions(key string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.begun[key]
}

// beating waits until a key was repeated some times more.
func (s *repeated) beating(t testing.TB, key string, times int) {
	t.Helper()
	from := s.repetitions(key)
	eventually(t, "the call of "+key+" is repeated", func() bool { return s.repetitions(key) >= from+times })
}

// silent fails if a key's call is repeated in three heartbeats in which another key's is.
func (s *repeated) silent(t testing.TB, key, other string) {
	t.Helper()
	s.beating(t, other, 1) // one may have been under way
	from := s.repetitions(key)
	s.beating(t, other, 3)
	if n := s.repetitions(key) - from; n != 0 {
		t.Errorf("the call of %s was repeated %d times", key, n)
	}
}

// said is what the queue has of an attempt's newest ask.
func said(t testing.TB, inside *goredis.Client, a backends.Attempt) string {
	t.Helper()
	text, err := inside.HGet(bounded(t), scripts.Keys(a.Key)[4], strings.TrimPrefix(a.Token.Wire(), backends.Stamp)).Result()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestWaitingCallsAreRepeatedTogether: of 300 keys that are waited for no call is made but the repetitions, of very many keys
// in each, and each attempt keeps its place and its newest number.
func TestWaitingCallsAreRepeatedTogether(t *testing.T) {
	t.Parallel()
	server := servertest.Redis(t)
	inside := server.RedisClient(t, nil)
	holder, s := newSession(t, server.URL()), repeats(t, openPatient(t, server.URL()))
	const keys = 300
	var waiting []backends.Request
	for i := range keys {
		key := newKey(t) + ":" + strconv.Itoa(i)
		held := holder.request(key)
		held.TTL = lease
		mustGrant(t, holder, held)
		r, reply := s.waits(t, key)
		if reply.Retry < 30*time.Second {
			t.Fatalf("asks again after %v", reply.Retry)
		}
		waiting = append(waiting, r)
	}
	s.beating(t, waiting[keys-1].Key, 2)
	inside.ConfigResetStat(bounded(t))
	from := map[string]int{}
	for _, r := range waiting {
		from[r.Key] = s.repetitions(r.Key)
	}
	for _, r := range waiting {
		eventually(t, "the call of "+r.Key+" is repeated", func() bool { return s.repetitions(r.Key) > from[r.Key]+1 })
	}
	calls, times := servertest.Calls(t, inside, "evalsha"), servertest.Calls(t, inside, "hget")
	if calls == 0 || times < keys || calls > times/4 {
		t.Errorf("%d calls for %d repetitions", calls, times)
	}
	if n := servertest.Calls(t, inside, "publish"); n > times/2 {
		t.Errorf("%d messages for %d repetitions", n, times)
	}
	unheard := map[string]bool{}
	for _, r := range waiting {
		unheard[r.Key] = true
	}
	holder.drain()
	eventually(t, "the holder hears that each key is wanted", func() bool {
		for len(holder.wakes) > 0 {
			if w := <-holder.wakes; w.Kind == backends.Wanted {
				delete(unheard, w.Key)
			}
		}
		return len(unheard) == 0
	})
	if n := servertest.Calls(t, inside, "zadd"); n != 0 {
		t.Errorf("%d were queued anew", n)
	}
	for _, r := range waiting {
		eventually(t, r.Key+" has its newest number", func() bool {
			s.mu.Lock()
			newest := s.newest[r.Key]
			s.mu.Unlock()
			n, err := strconv.ParseUint(said(t, inside, r.Attempt)[22:38], 10, 64)
			return err == nil && n == newest
		})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, alive := range s.alive {
		if alive != time.Second {
			t.Errorf("kept alive for %v, with %d keys", alive, keys)
		}
	}
}

// TestARepeatedCallIsGiven: the push that gives the key echoes the newest repetition, and ends the repetitions.
func TestARepeatedCallIsGiven(t *testing.T) {
	t.Parallel()
	for name, rawURL := range map[string]string{"one server": shared.URL(), "Cluster": onCluster(t).URL(), "Sentinel": onSentinel(t).URL()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			holder, s := newSession(t, rawURL), repeats(t, openPatient(t, rawURL))
			key, other := newKey(t), newKey(t)
			held := holder.request(key)
			held.TTL = lease
			mustGrant(t, holder, held)
			mustGrant(t, holder, newRequest(other))
			r, _ := s.waits(t, key)
			s.waits(t, other)
			s.beating(t, key, 3)
			holder.drain()
			holder.woken(t, backends.Wake{Key: key, Kind: backends.Wanted}) // by each
			asked := s.repetitions(key)
			if err := holder.Release(bounded(t), held.Attempt); err != nil {
				t.Fatal(err)
			}
			w := s.wakeOf(t, key)
			s.mu.Lock()
			newest := s.newest[key]
			s.mu.Unlock()
			if w.Kind != backends.Gave || w.Attempt != r.Token.Attempt() || w.TTL != time.Second || w.Ask == 0 {
				t.Errorf("woken by %+v", w)
			}
			if w.Ask != newest && s.repetitions(key) == asked {
				t.Errorf("given to call %d, and the newest is %d", w.Ask, newest)
			}
			s.silent(t, key, other)
		})
	}
}

// wakeOf waits for the next wake of a key.
func (s *session) wakeOf(t testing.TB, key string) backends.Wake {
	t.Helper()
	ctx := bounded(t)
	for {
		select {
		case w := <-s.wakes:
			if w.Key == key {
				return w
			}
		case <-ctx.Done():
			t.Fatal("no wake")
		}
	}
}

// TestRepetitionsEnd as soon as the attempt is asked for in full or cancelled, or nobody knows of it.
func TestRepetitionsEnd(t *testing.T) {
	t.Parallel()
	holder, s := open(t, shared.URL()), repeats(t, openPatient(t, shared.URL()))
	key, other := newKey(t), newKey(t)
	for _, k := range []string{key, other} {
		mustGrant(t, holder, newRequest(k))
	}
	s.waits(t, other)
	cancelled, _ := s.waits(t, key)
	s.beating(t, key, 1)
	if err := s.Cancel(bounded(t), cancelled.Attempt); err != nil {
		t.Fatal(err)
	}
	s.silent(t, key, other)

	forgotten, _ := s.waits(t, key)
	s.beating(t, key, 1)
	s.mu.Lock()
	s.ended[key] = true
	s.mu.Unlock()
	s.silent(t, key, other)
	s.mu.Lock()
	s.ended[key] = false
	s.mu.Unlock()
	s.silent(t, key, other)
	forgotten.Probe = 1
	if reply, err := s.Acquire(bounded(t), forgotten); err != nil || reply.Outcome != backends.Held {
		t.Fatalf("%+v, %v", reply, err)
	}
	s.beating(t, key, 2)
}

// TestARepetitionThatFindsMoreHasItAskedInFull, by a wake, and ends.
func TestARepetitionThatFindsMoreHasItAskedInFull(t *testing.T) {
	t.Parallel()
	inside := shared.RedisClient(t, nil)
	for name, row := range map[string]func(t *testing.T, r backends.Request){
		"the lock is free": func(t *testing.T, r backends.Request) { inside.Del(bounded(t), r.Key) },
		"another library's client has it": func(t *testing.T, r backends.Request) {
			inside.Set(bounded(t), r.Key, "theirs", lease)
		},
		"it holds something else": func(t *testing.T, r backends.Request) {
			inside.Del(bounded(t), r.Key)
			inside.HSet(bounded(t), r.Key, "a", "b")
		},
		"the attempt does not wait": func(t *testing.T, r backends.Request) {
			inside.Del(bounded(t), scripts.Keys(r.Key)[3:]...)
		},
		"another session has it": func(t *testing.T, r backends.Request) {
			inside.Set(bounded(t), r.Key, backends.NewSession().Token(1).Wire(), lease)
		},
		"the lease's end has come": func(t *testing.T, r backends.Request) {
			inside.PExpire(bounded(t), r.Key, 10*time.Millisecond)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			holder, s := open(t, shared.URL()), repeats(t, openPatient(t, shared.URL()))
			key, other := newKey(t), newKey(t)
			for _, k := range []string{key, other} {
				mustGrant(t, holder, newRequest(k))
				s.waits(t, k)
			}
			s.beating(t, key, 2)
			s.drain()
			row(t, s.request(key))
			if w := s.wakeOf(t, key); w.Kind != backends.Given {
				t.Errorf("woken by %+v", w)
			}
			s.silent(t, key, other)
			inside.Del(bounded(t), key)
		})
	}
}

// TestALeasesEndIsLookedForAtOnce: a dead holder's key is asked for when its lease ends, however far apart the repetitions are.
func TestALeasesEndIsLookedForAtOnce(t *testing.T) {
	t.Parallel()
	holder, s := open(t, shared.URL()), repeats(t, openPatient(t, shared.URL()))
	s.Spread(24 * time.Hour)
	r := newRequest(newKey(t))
	r.TTL = 2 * time.Second
	mustGrant(t, holder, r)
	waiting, _ := s.waits(t, r.Key)
	w := s.wakeOf(t, r.Key)
	waiting.Probe++
	if reply, err := s.Acquire(bounded(t), waiting); w.Kind != backends.Given || err != nil || reply.Outcome != backends.Granted {
		t.Errorf("woken by %+v, then %+v, %v", w, reply, err)
	}
}

// TestRepetitionsWithoutTheScript bring it along.
func TestRepetitionsWithoutTheScript(t *testing.T) {
	t.Parallel()
	server := servertest.Redis(t)
	inside := server.RedisClient(t, nil)
	holder, s := open(t, server.URL()), repeats(t, openPatient(t, server.URL()))
	key := newKey(t)
	mustGrant(t, holder, newRequest(key))
	r, _ := s.waits(t, key)
	for range 3 {
		s.beating(t, key, 1)
		before := said(t, inside, r.Attempt)
		inside.ScriptFlush(bounded(t))
		eventually(t, "the queue has the next number", func() bool { return said(t, inside, r.Attempt) != before })
	}
	if len(s.wakes) != 0 {
		t.Errorf("woken by %+v", <-s.wakes)
	}
}
