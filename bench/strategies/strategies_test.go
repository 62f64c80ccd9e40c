package strategies

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/turnstile-go/turnstile/bench"
)

// A subject is a strategy that excludes, and what differs between them.
type subject struct {
	bench.Strategy
	deaf   bool // a wait can't be broken off
	fenced bool
}

// subjects are all strategies that exclude, those scripts included that lie beside
// these tests. Loops that pause for a second don't here; that they do by themselves
// is another test's.
func subjects(t testing.TB) []subject {
	t.Helper()
	var list []subject
	for _, s := range Default() {
		switch s.(type) {
		case pylock:
			s = pylock{expires, 2 * time.Millisecond}
		case retools:
			s = retools{expires, time.Millisecond, 8 * time.Millisecond}
		case distributedLock:
			s = distributedLock{expires, 2 * time.Millisecond}
		}
		list = append(list, subject{s, s.Name() == "mutex", strings.HasPrefix(s.Name(), "turnstile-")})
	}
	for _, dir := range []string{"testdata/setnx", "testdata/queue"} {
		for _, s := range fromScripts(t, dir) {
			list = append(list, subject{s, false, dir == "testdata/queue"})
		}
	}
	return list
}

func fromScripts(t testing.TB, dir string) []bench.Strategy {
	t.Helper()
	list, err := Script(dir)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// each runs a test for every subject, side by side.
func each(t *testing.T, test func(t *testing.T, s subject)) {
	for _, s := range subjects(t) {
		t.Run(s.Name(), func(t *testing.T) {
			t.Parallel()
			test(t, s)
		})
	}
}

// TestAClosedLockerLeavesNothing comes before the tests that run side by side: it
// counts goroutines and connections.
func TestAClosedLockerLeavesNothing(t *testing.T) {
	connections := func(t *testing.T) int {
		return counter(t, sharedRedis.Addr, "INFO clients", "connected_clients:") +
			counter(t, sharedMemcached.Addr, "stats", "STAT curr_connections ")
	}
	for _, s := range subjects(t) {
		t.Run(s.Name(), func(t *testing.T) {
			before, goroutines := connections(t), goleak.IgnoreCurrent()
			l, err := s.Open(t.Context(), placeFor(t, s))
			if err != nil {
				t.Fatal(err)
			}
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					h, err := l.Lock(t.Context(), "key")
					if err == nil {
						err = h.Unlock()
					}
					if err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if err := l.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
			if err := goleak.Find(goroutines); err != nil {
				t.Error(err)
			}
			eventually(t, "its connections are gone", func() bool { return connections(t) <= before })
			runtime.KeepAlive(l) // or the collector closes what Close forgot
		})
	}
}

// TestOneIsInside under contention of goroutines, and of two processes' worth.
func TestOneIsInside(t *testing.T) {
	each(t, func(t *testing.T, s subject) {
		const each, holds = 4, 25
		lockers := open(t, s, placeFor(t, s), 2)
		key, ctx := newKey(t), within(t, patienceOfTests)
		var inside, overlaps atomic.Int64
		last, behind := uint64(0), 0 // guarded by the lock that is tested
		var wg sync.WaitGroup
		for g := range each * len(lockers) {
			wg.Go(func() {
				for range holds {
					h, err := lockers[g%len(lockers)].Lock(ctx, key)
					if err != nil {
						t.Errorf("lock: %v", err)
						return
					}
					if inside.Add(1) > 1 {
						overlaps.Add(1)
					} else {
						if s.fenced && h.Fence() <= last {
							behind++
						}
						last = h.Fence()
						runtime.Gosched()
					}
					inside.Add(-1)
					if err := h.Unlock(); err != nil {
						t.Errorf("unlock: %v", err)
						return
					}
				}
			})
		}
		wg.Wait()
		if n := overlaps.Load(); n > 0 {
			t.Errorf("%d times somebody else was inside", n)
		}
		if behind > 0 || !s.fenced && last != 0 {
			t.Errorf("fences: %d did not grow, the last is %d", behind, last)
		}
	})
}

// TestAWaitEndsWithItsContext at once, and leaves nothing behind.
func TestAWaitEndsWithItsContext(t *testing.T) {
	each(t, func(t *testing.T, s subject) {
		lockers := open(t, s, placeFor(t, s), 2)
		key := newKey(t)
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := lockers[0].Lock(ended, key); !errors.Is(err, context.Canceled) {
			t.Errorf("with a context that has ended: %v", err)
		}
		held := lock(t, lockers[0], key)
		for _, l := range lockers {
			deadline, stop := context.WithTimeout(t.Context(), 20*time.Millisecond)
			cancelled, cancel := context.WithCancel(t.Context())
			got := make(chan error, 2)
			for _, ctx := range []context.Context{deadline, cancelled} {
				go func() { // ends with its wait
					h, err := l.Lock(ctx, key)
					if err == nil {
						err = fmt.Errorf("it was granted: %w", h.Unlock())
					}
					if !errors.Is(err, ctx.Err()) {
						err = fmt.Errorf("%w, want %w", err, ctx.Err())
						got <- err
						return
					}
					got <- nil
				}()
			}
			<-deadline.Done()
			cancel()
			if s.deaf {
				unlock(t, held) // it is told when its turn comes
			}
			for range 2 {
				select {
				case err := <-got:
					if err != nil {
						t.Error(err)
					}
				case <-time.After(time.Second):
					t.Fatal("still waiting a second after its context has ended")
				}
			}
			if s.deaf {
				held = lock(t, l, key)
			}
			stop()
		}
		unlock(t, held)
		unlock(t, lock(t, lockers[len(lockers)-1], key))
	})
}

// TestAPauseEndsWithItsContext, however long it is.
func TestAPauseEndsWithItsContext(t *testing.T) {
	long := []bench.Strategy{
		pylock{expires, time.Hour}, retools{expires, time.Hour, time.Hour}, distributedLock{expires, time.Hour},
	}
	dir := write(t, map[string]string{"acquire.lua": `
		if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return {1} end
		return {0, 60000}`})
	for _, s := range append(long, fromScripts(t, dir)...) {
		t.Run(s.Name(), func(t *testing.T) {
			t.Parallel()
			l := open(t, s, placeFor(t, s), 1)[0]
			key := newKey(t)
			held := lock(t, l, key)
			began := time.Now()
			if _, err := l.Lock(within(t, 20*time.Millisecond), key); !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
			if d := time.Since(began); d > patienceOfTests {
				t.Errorf("its wait ended after %v", d)
			}
			unlock(t, held)
		})
	}
}

// TestNoHoldIsLostBetweenGrantAndCancel, whoever wins.
func TestNoHoldIsLostBetweenGrantAndCancel(t *testing.T) {
	each(t, func(t *testing.T, s subject) {
		lockers := open(t, s, placeFor(t, s), 2)
		key := newKey(t)
		var wg sync.WaitGroup
		for g := range 8 {
			wg.Go(func() {
				for range 30 {
					ctx, cancel := context.WithTimeout(t.Context(), rand.N(2*time.Millisecond))
					h, err := lockers[g%len(lockers)].Lock(ctx, key)
					switch {
					case err == nil:
						err = h.Unlock()
					case errors.Is(err, context.DeadlineExceeded):
						err = nil
					}
					cancel()
					if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		for _, l := range lockers {
			unlock(t, lock(t, l, key))
		}
	})
}

// TestOnlyItsHolderEndsAHold: a second Unlock finds the next one's, and leaves it.
func TestOnlyItsHolderEndsAHold(t *testing.T) {
	each(t, func(t *testing.T, s subject) {
		lockers := open(t, s, placeFor(t, s), 2)
		key, other := newKey(t), lockers[len(lockers)-1]
		first := lock(t, lockers[0], key)
		unlock(t, first)
		second := lock(t, other, key)
		if err := first.Unlock(); err == nil {
			t.Error("a second Unlock said nothing")
		}
		if s.deaf {
			unlock(t, second) // and would have been a fatal error
			return
		}
		if h, err := lockers[0].Lock(within(t, 50*time.Millisecond), key); err == nil {
			t.Error("a second Unlock freed another's hold")
			unlock(t, h)
		}
		unlock(t, second)
	})
}

// TestKeysDontWaitForEachOther, also if they look alike.
func TestKeysDontWaitForEachOther(t *testing.T) {
	each(t, func(t *testing.T, s subject) {
		l := open(t, s, placeFor(t, s), 1)[0]
		key := newKey(t)
		for _, k := range []string{key, key + ":", "{" + key + "}", key + "{}x", "{" + key + "}1", "{" + key + "}2"} {
			defer unlock(t, lock(t, l, k))
		}
	})
}

// TestOpenExcludesNobody, says so, and is not chosen by default.
func TestOpenExcludesNobody(t *testing.T) {
	list, err := Named([]string{"turnstile-open"})
	if err != nil {
		t.Fatal(err)
	}
	if !list[0].Describe().Unsafe {
		t.Error("it does not say so")
	}
	l := open(t, list[0], placeFor(t, list[0]), 1)[0]
	defer unlock(t, lock(t, l, "key"))
	defer unlock(t, lock(t, l, "key"))
}

// TestEveryStrategyIsDescribed, and none twice.
func TestEveryStrategyIsDescribed(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range All() {
		d := s.Describe()
		if seen[s.Name()] || !plainName().MatchString(s.Name()) {
			t.Errorf("the name %q", s.Name())
		}
		seen[s.Name()] = true
		if len(d.Settings) < 40 || strings.Contains(d.Settings, "%!") {
			t.Errorf("%s: settings %q", s.Name(), d.Settings)
		}
		seed := slices.Contains([]string{"pylock", "retools", "distributedlock"}, s.Name())
		if d.Peer != seed || d.Unsafe != (s.Name() == "turnstile-open") {
			t.Errorf("%s: %+v", s.Name(), d)
		}
		placeFor(t, s)
	}
	for _, name := range strings.Fields(`mutex channel turnstile-embedded turnstile-embedded-nohandoff turnstile-embedded-linger
		turnstile-file turnstile-file-nohandoff turnstile-file-linger turnstile-redis turnstile-redis-nohandoff turnstile-redis-linger
		turnstile-memcached turnstile-memcached-nohandoff turnstile-memcached-linger turnstile-open pylock retools distributedlock`) {
		if !seen[name] {
			t.Errorf("no %s", name)
		}
	}
}

// TestNamesPickStrategies in their order, and a wrong one is told what there is.
func TestNamesPickStrategies(t *testing.T) {
	list, err := Named([]string{"retools", "mutex"})
	if err != nil || !slices.Equal(namesOf(list), []string{"retools", "mutex"}) {
		t.Errorf("%v, %v", namesOf(list), err)
	}
	for _, c := range []struct {
		names []string
		want  []string
	}{
		{[]string{"mutex", "redis"}, []string{`no strategy "redis"`, "turnstile-redis,", "distributedlock"}},
		{[]string{"pylock", "a", "pylock", "b"}, []string{`no strategy "a"`, `"pylock" is named twice`, `no strategy "b"`}},
		{nil, []string{"none is named", "mutex, channel"}},
	} {
		list, err := Named(c.names)
		if err == nil || len(list) > 0 {
			t.Errorf("%q: %v", c.names, namesOf(list))
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q: %q does not say %q", c.names, err, want)
			}
		}
	}
	mine := fromScripts(t, "testdata/setnx")
	if list, err := Select(append(All(), mine...), []string{"script-setnx-redis"}); err != nil || list[0].Name() != mine[1].Name() {
		t.Errorf("with a script: %v", err)
	}
}

// TestVariantsDiffer in what they ask of the backend, as their names say.
func TestVariantsDiffer(t *testing.T) {
	calls := map[string]uint64{}
	for _, name := range []string{"turnstile-embedded", "turnstile-embedded-nohandoff", "turnstile-embedded-linger"} {
		list, err := Named([]string{name})
		if err != nil {
			t.Fatal(err)
		}
		l := open(t, list[0], placeFor(t, list[0]), 1)[0]
		for range 50 {
			unlock(t, lock(t, l, "key"))
		}
		// A chain of holds whose next waiter is there already.
		held := lock(t, l, "key")
		for range 50 {
			next := make(chan bench.Held, 1)
			go func() { // ends with its hold, which the next turn waits for
				h, err := l.Lock(t.Context(), "key")
				if err != nil {
					t.Error(err)
				}
				next <- h
			}()
			client := l.(clients).client
			eventually(t, "a waiter", func() bool { return client.Stats().Waiters == 1 })
			unlock(t, held)
			held = <-next
		}
		unlock(t, held)
		calls[name] = l.(clients).client.Stats().BackendCalls
	}
	plain, none, long := calls["turnstile-embedded"], calls["turnstile-embedded-nohandoff"], calls["turnstile-embedded-linger"]
	if none < 200 || plain < 3 || plain > 10 || long >= plain { // embedded lingers by default, from the second hold on
		t.Errorf("backend calls for 101 holds: %d; without handoff %d; with Linger %d", plain, none, long)
	}
}

// TestAPoolCanBeSet on Redis, where ours has one.
func TestAPoolCanBeSet(t *testing.T) {
	for _, o := range ours() {
		at := placeFor(t, o)
		bounded := o.WithPool(3).(turnstile)
		u := bounded.backend(at)
		if set := u.Query().Get("pool_size") == "3"; set != (o.place == bench.PlaceRedis) {
			t.Errorf("%s: %s", o.name, &u)
		}
		if told := strings.Contains(bounded.Describe().Settings, "pool_size=3"); told != (o.place == bench.PlaceRedis) {
			t.Errorf("%s: %s", o.name, bounded.Describe().Settings)
		}
		l := open(t, bounded, at, 1)[0]
		unlock(t, lock(t, l, newKey(t)))
	}
}
