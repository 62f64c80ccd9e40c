package strategies

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	gomemcache "github.com/bradfitz/gomemcache/memcache"

	"github.com/turnstile-go/turnstile/bench"
	"github.com/turnstile-go/turnstile/internal/servers"
	"github.com/turnstile-go/turnstile/internal/servers/servertest"
)

// TestPylockAndDistributedLockTryOnceASecond, as their originals do: who comes
// while another holds has the key a second after its first try, not when it is freed.
func TestPylockAndDistributedLockTryOnceASecond(t *testing.T) {
	for _, c := range []struct {
		name       string
		start      func(testing.TB, ...string) *servers.Server
		ask, tries string // where the server counts them
	}{
		{"pylock", servertest.Redis, "INFO commandstats", "cmdstat_setnx:calls="},
		{"distributedlock", servertest.Memcached, "stats", "STAT cmd_set "},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			list, err := Named([]string{c.name})
			if err != nil {
				t.Fatal(err)
			}
			at := bench.Place{Addr: c.start(t).Addr}
			lockers := open(t, list[0], at, 2)
			held := lock(t, lockers[0], "key")
			type got struct {
				held bench.Held
				err  error
				at   time.Time
			}
			gets := make(chan got, 1)
			ctx := within(t, patienceOfTests)
			began := time.Now()
			go func() { // ends with its hold
				h, err := lockers[1].Lock(ctx, "key")
				gets <- got{h, err, time.Now()}
			}()
			eventually(t, "the first try", func() bool { return counter(t, at.Addr, c.ask, c.tries) == 2 })
			unlock(t, held)
			second := <-gets
			if second.err != nil {
				t.Fatal(second.err)
			}
			// Its second try had the key; beyond a second, its delay depends on the
			// machine.
			if waited := second.at.Sub(began); waited < time.Second {
				t.Errorf("it had the key after %v, want a second at least", waited)
			}
			unlock(t, second.held)
			if n := counter(t, at.Addr, c.ask, c.tries); n != 3 {
				t.Errorf("%d tries in all, want 3", n)
			}
		})
	}
}

// TestRetoolsPausesUpToABoundThatDoubles from 5 ms to a second.
func TestRetoolsPausesUpToABoundThatDoubles(t *testing.T) {
	r := newRetools()
	for n, bound := range []time.Duration{5, 10, 20, 40, 80, 160, 320, 640, 1000, 1000} {
		bound *= time.Millisecond
		least, most := bound, time.Duration(0)
		for range 2000 {
			d := r.pause(n)
			least, most = min(least, d), max(most, d)
		}
		if least < 0 || least > bound/20 || most >= bound || most < bound*19/20 {
			t.Errorf("after attempt %d: %v to %v, want 0 to %v", n, least, most, bound)
		}
	}
	if d := r.pause(1 << 20); d < 0 || d >= time.Second {
		t.Errorf("after many attempts: %v", d)
	}
}

// TestAnExpiredHoldTakesNoOthersKey: the seeds' holds end by themselves, and their
// late release leaves the key to whoever has it by then.
func TestAnExpiredHoldTakesNoOthersKey(t *testing.T) {
	for _, s := range []bench.Strategy{
		pylock{2 * time.Second, 10 * time.Millisecond},
		retools{2 * time.Second, time.Millisecond, 10 * time.Millisecond},
		distributedLock{2 * time.Second, 10 * time.Millisecond},
	} {
		t.Run(s.Name(), func(t *testing.T) {
			t.Parallel()
			lockers := open(t, s, placeFor(t, s), 2)
			key := newKey(t)
			first := lock(t, lockers[0], key)
			second := lock(t, lockers[1], key)
			if err := first.Unlock(); err == nil && s.Name() != "pylock" { // which says nothing
				t.Error("the release of a hold that has expired said nothing")
			}
			if h, err := lockers[0].Lock(within(t, 50*time.Millisecond), key); err == nil {
				t.Error("the release of a hold that has expired freed another's")
				unlock(t, h)
			}
			unlock(t, second)
		})
	}
}

// TestPylockTakesWhatACrashedOneLeft: a time in the past, and no ttl. A time to come
// is waited for, and what is no time ends it.
func TestPylockTakesWhatACrashedOneLeft(t *testing.T) {
	t.Parallel()
	p := pylock{expires, 5 * time.Millisecond}
	client := sharedRedis.RedisClient(t, nil)
	l := open(t, p, placeFor(t, p), 1)[0]
	leave := func(value string) (key string) {
		key = newKey(t)
		if err := client.Set(t.Context(), prefix+key, value, 0).Err(); err != nil {
			t.Fatal(err)
		}
		return key
	}
	seconds := func(d time.Duration) string { return fmt.Sprintf("%.2f", float64(time.Now().Add(d).UnixMicro())/1e6) }

	key := leave(seconds(-time.Second))
	held := lock(t, l, key)
	value, err := client.Get(t.Context(), prefix+key).Float64()
	if end := time.UnixMicro(int64(value * 1e6)); err != nil || time.Until(end) > expires+time.Second || time.Until(end) < expires-time.Second {
		t.Errorf("the lock's value is %v, %v: want in %v", end, err, expires+time.Second)
	}
	if ttl := client.PTTL(t.Context(), prefix+key).Val(); ttl > expires || ttl < expires-2*time.Second {
		t.Errorf("the lock's ttl is %v, want %v", ttl, expires)
	}
	unlock(t, held)
	if n := client.Exists(t.Context(), prefix+key).Val(); n != 0 {
		t.Error("it is not free after its release")
	}

	if _, err := l.Lock(within(t, 100*time.Millisecond), leave(seconds(time.Hour))); err == nil {
		t.Error("it took a lock whose time is to come")
	}
	if _, err := l.Lock(within(t, patienceOfTests), leave("mine")); err == nil || within(t, patienceOfTests).Err() != nil {
		t.Errorf("what is no time: %v", err)
	}
}

// TestTheSeedsValuesAreTheirs: what others find under the key is what the originals
// would have written, for as long.
func TestTheSeedsValuesAreTheirs(t *testing.T) {
	client := sharedRedis.RedisClient(t, nil)
	for _, s := range []bench.Strategy{newPylock(), newRetools()} {
		key := newKey(t)
		held := lock(t, open(t, s, placeFor(t, s), 1)[0], key)
		ttl, err := client.PTTL(t.Context(), prefix+key).Result()
		if err != nil || ttl > expires || ttl < expires-2*time.Second {
			t.Errorf("%s: a ttl of %v, %v", s.Name(), ttl, err)
		}
		value := client.Get(t.Context(), prefix+key).Val()
		if _, err := strconv.ParseFloat(value, 64); (err == nil) != (s.Name() == "pylock") && len(value) != 32 {
			t.Errorf("%s: the value %q", s.Name(), value)
		}
		unlock(t, held)
	}
	inside := gomemcache.New(sharedMemcached.Addr)
	defer inside.Close()
	key := newKey(t)
	held := lock(t, open(t, newDistributedLock(), bench.Place{Addr: sharedMemcached.Addr}, 1)[0], key)
	if item, err := inside.Get("lock:" + key); err != nil || len(item.Value) != 32 {
		t.Errorf("distributedlock: %v, %v", item, err)
	}
	unlock(t, held)
}

// TestAServerThatIsNotThereIsAnError, and no endless wait.
func TestAServerThatIsNotThereIsAnError(t *testing.T) {
	t.Parallel()
	gone := servertest.Redis(t)
	gone.Stop()
	at := bench.Place{Addr: gone.Addr}
	list := append(All(), fromScripts(t, "testdata/setnx")...)
	for _, s := range list {
		if place := s.Describe().Place; place != bench.PlaceRedis && place != bench.PlaceMemcached {
			continue
		}
		l, err := s.Open(t.Context(), at)
		if err == nil {
			_, err = l.Lock(within(t, patienceOfTests), "key")
			if closing := l.Close(); closing != nil {
				t.Errorf("%s: close: %v", s.Name(), closing)
			}
		}
		if err == nil || within(t, patienceOfTests).Err() != nil {
			t.Errorf("%s: %v", s.Name(), err)
		}
	}
}

// TestOpenHeedsItsContext: one that has ended opens nothing.
func TestOpenHeedsItsContext(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, s := range append(All(), fromScripts(t, "testdata/setnx")...) {
		if l, err := s.Open(ended, placeFor(t, s)); err == nil {
			t.Errorf("%s: opened", s.Name())
			_ = l.Close()
		}
	}
}

// TestLeasesCanBeSet where a holder may be killed, and are what a server then has.
func TestLeasesCanBeSet(t *testing.T) {
	t.Parallel()
	client := sharedRedis.RedisClient(t, nil)
	for _, s := range append(All(), fromScripts(t, "testdata/setnx")...) {
		place := s.Describe().Place
		leased, ok := s.(bench.Leased)
		if !ok {
			if place != bench.PlaceProcess {
				t.Errorf("%s: no lease to set", s.Name())
			}
			continue
		}
		shorter := leased.WithExpires(1500 * time.Millisecond)
		if d := shorter.Describe(); shorter.Name() != s.Name() || d.Settings == s.Describe().Settings {
			t.Errorf("%s: %+v", shorter.Name(), d)
		}
		if place != bench.PlaceRedis {
			continue
		}
		key := newKey(t)
		held := lock(t, open(t, shorter, placeFor(t, s), 1)[0], key)
		// Ours asks for a little more, and for as long as it lingers; the seeds for
		// whole seconds.
		most := 2200 * time.Millisecond
		if strings.HasSuffix(s.Name(), "-linger") {
			most += linger
		}
		if ttl := client.PTTL(t.Context(), prefix+key).Val(); ttl <= time.Second || ttl > most {
			t.Errorf("%s: a ttl of %v", s.Name(), ttl)
		}
		unlock(t, held)
	}
}

// TestInnerCommandsAreThoseOfTheScripts: what the server counts beside them is what
// a lone caller has sent, once a script each way.
func TestInnerCommandsAreThoseOfTheScripts(t *testing.T) {
	t.Parallel()
	for _, s := range append(All(), append(fromScripts(t, "testdata/setnx"), fromScripts(t, "testdata/queue")...)...) {
		scripted, ok := s.(bench.Scripted)
		if !ok || s.Describe().Place != bench.PlaceRedis || s.Name() == "turnstile-redis-linger" {
			continue
		}
		server := servertest.Redis(t)
		l := open(t, s, bench.Place{Addr: server.Addr}, 1)[0]
		client := server.RedisClient(t, nil)
		unlock(t, lock(t, l, "key")) // what is sent once
		if err := client.ConfigResetStat(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		const holds = 20
		for range holds {
			unlock(t, lock(t, l, "key"))
		}
		text, err := client.Info(t.Context(), "commandstats").Result()
		if err != nil {
			t.Fatal(err)
		}
		sent, inner := 0, 0
		for line := range strings.Lines(text) {
			name, rest, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "cmdstat_"), ":calls=")
			n := 0
			if _, err := fmt.Sscanf(rest, "%d", &n); !ok || err != nil || name == "info" || name == "config|resetstat" {
				continue
			}
			if slices.Contains(scripted.Inner(), name) {
				inner += n
				continue
			}
			// Our heartbeat is the one thing that may come in between.
			if name != "publish" {
				sent += n
			}
		}
		if sent != 2*holds || inner < 2*holds {
			t.Errorf("%s: %d sent and %d run in scripts for %d holds: %s", s.Name(), sent, inner, holds, text)
		}
	}
}
