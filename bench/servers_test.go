package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/turnstile-go/turnstile/internal/servers/servertest"
)

// setnx is the plainest lock on Redis: SET NX PX, asked again each ms; DEL. Each is
// one command a try, or, as a script, one request and one command inside.
type setnx struct {
	name    string
	script  bool
	expires time.Duration
}

func (s setnx) Name() string                         { return s.name }
func (setnx) Describe() Description                  { return Description{Place: PlaceRedis} }
func (s setnx) Inner() []string                      { return map[bool][]string{true: {"set", "del"}}[s.script] }
func (s setnx) WithExpires(d time.Duration) Strategy { s.expires = d; return s }

func (s setnx) Open(ctx context.Context, p Place) (Locker, error) {
	client := goredis.NewClient(&goredis.Options{
		Addr: p.Addr, MaxRetries: -1, DisableIdentity: true, MinIdleConns: 2,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	return setnxLocks{s, client}, client.Ping(ctx).Err()
}

type setnxLocks struct {
	setnx
	client *goredis.Client
}

func (s setnxLocks) Close() error { return s.client.Close() }

func (s setnxLocks) Lock(ctx context.Context, key string) (Held, error) {
	for {
		var err error
		if s.script {
			err = s.client.Do(ctx, "eval", "return redis.call('set', KEYS[1], 1, 'nx', 'px', ARGV[1])", 1, key, s.expires.Milliseconds()).Err()
		} else {
			err = s.client.Do(ctx, "set", key, 1, "nx", "px", s.expires.Milliseconds()).Err()
		}
		if err == nil {
			return hold{unlock: func() error { return s.unlock(key) }}, nil
		}
		if !errors.Is(err, goredis.Nil) {
			return nil, err
		}
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (s setnxLocks) unlock(key string) error {
	if s.script {
		return s.client.Do(context.Background(), "eval", "return redis.call('del', KEYS[1])", 1, key).Err()
	}
	return s.client.Del(context.Background(), key).Err()
}

// adds is the plainest lock on memcached: add, asked again each ms; delete.
type adds struct{ *memcache.Client }

func (a adds) Lock(ctx context.Context, key string) (Held, error) {
	for {
		err := a.Add(&memcache.Item{Key: key, Expiration: 60})
		if err == nil {
			return hold{unlock: func() error { return a.Delete(key) }}, nil
		}
		if !errors.Is(err, memcache.ErrNotStored) {
			return nil, err
		}
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func serverStrategies() []Strategy {
	return []Strategy{
		setnx{"setnx", false, time.Minute},
		setnx{"setnx, script", true, time.Minute},
		testStrategy{"add", PlaceMemcached, func(p Place) Locker { return adds{memcache.New(p.Addr)} }},
	}
}

// Alone, each hold is two commands, however they travel.
func TestCommandsAreCounted(t *testing.T) {
	w := Workload{Goroutines: 1, Keys: 1, Warmup: 20 * time.Millisecond, Duration: 200 * time.Millisecond}
	for name, want := range map[string][2]float64{
		"setnx": {2, 2}, "setnx, script": {2, 4}, "add": {2, 2},
	} {
		// The readings are taken a moment beside the phases; in a longer run that
		// matters less.
		right := func(m Measured) bool {
			return m.Run.Sent != nil && m.Run.Executed != nil &&
				math.Abs(*m.Run.Sent-want[0]) <= 0.1 && math.Abs(*m.Run.Executed-want[1]) <= 0.2
		}
		if m := measureUntil(t, name, w, right); len(m.Failures) > 0 || !right(m) {
			t.Errorf("%s: %+v, failures %v; want %v commands a hold", name, m.Run, m.Failures, want)
		}
		if m := measure(t, name, w); !strings.Contains(m.Server, ".") {
			t.Errorf("%s: server %q", name, m.Server)
		}
	}
}

func TestAServerOfTheUsersIsUsed(t *testing.T) {
	s := servertest.Redis(t)
	m := New(Setup{Addrs: map[string]string{PlaceRedis: s.Addr}}).
		Measure(t.Context(), Case{Strategy: strategyNamed("setnx"), Workload: oneKey()})
	info, err := s.RedisClient(t, nil).Info(t.Context(), "commandstats").Result()
	if err != nil || len(m.Failures) > 0 {
		t.Fatal(err, m.Failures)
	}
	counts, err := redisCounts(info)
	if err != nil || counts["set"] < int64(m.Run.Holds) {
		t.Errorf("%d holds, but the server saw %v (%v)", m.Run.Holds, counts, err)
	}
}

// A round trip to the server is in each acquire of a free key.
func TestTheProxyAddsItsRoundTrip(t *testing.T) {
	t.Parallel() // it mostly sleeps
	shows(t, func(v *verdict) {
		for _, name := range []string{"setnx", "add"} {
			for _, d := range []time.Duration{time.Millisecond, 10 * time.Millisecond} {
				w := Workload{Goroutines: 1, Keys: 1, Duration: 300 * time.Millisecond, RoundTrip: d}
				m := measure(t, name, w)
				p50 := m.Run.Wait.At(0.5)
				t.Logf("%s: +%v: measured %.6f s, p50 of an acquire %.6f s", name, d, m.Run.Delay, p50)
				if len(m.Failures) > 0 || m.Run.Delay < d.Seconds() || p50 < d.Seconds() {
					v.Errorf("%s: +%v: measured %v, p50 %v, failures %v", name, d, m.Run.Delay, p50, m.Failures)
				}
				// Alone it adds less than 0.5 ms more; a busy machine may add any
				// time.
				if m.Run.Delay > d.Seconds()+0.02 {
					v.Errorf("%s: +%v: the proxy adds %v", name, d, m.Run.Delay)
				}
			}
		}
	})
}

// A holder that is killed leaves its lease behind, of which the queueing took 200 ms.
func TestRecoveryTakesTheRestOfTheLease(t *testing.T) {
	t.Parallel() // it mostly sleeps
	shows(t, func(v *verdict) {
		w := Workload{Goroutines: 4, Keys: 1, Processes: 2, Warmup: recoveryQueue, Duration: 1}
		m := New(Setup{}).Measure(t.Context(), Case{Strategy: strategyNamed("setnx"), Experiment: Recovery, X: 1, Workload: w, Lease: time.Second})
		if len(m.Failures) > 0 || len(m.Run.Recovery) != kills {
			t.Fatalf("recovery %v, failures %v", m.Run.Recovery, m.Failures)
		}
		for _, s := range m.Run.Recovery {
			if s < 0.5 || s > 1.2 {
				v.Errorf("the next grant came after %v s, want about 0.8", s)
			}
		}
		t.Log(m.Run.Recovery)
	})
}

func TestWhatCannotBeMeasuredIsAnError(t *testing.T) {
	for what, c := range map[string]Case{
		"several processes in one process's memory": {Strategy: strategyNamed("channel"), Workload: Workload{Goroutines: 1, Keys: 1, Processes: 2, Duration: 1}},
		"no server of that kind":                    {Strategy: testStrategy{"etcd", PlaceEtcd, nil}, Workload: oneKey()},
		"a worker that doesn't know the strategy":   {Strategy: testStrategy{"unknown", PlaceFile, nil}, Workload: Workload{Goroutines: 1, Keys: 1, Processes: 2, Duration: 1}},
		"a bad workload":                            {Strategy: strategyNamed("channel")},
	} {
		m := New(Setup{}).Measure(t.Context(), c)
		if !slices.Equal(kinds(m), []string{kindError}) {
			t.Errorf("%s: failures %v", what, m.Failures)
		}
	}
	setup := Setup{Start: map[string]func(context.Context) (Server, error){
		PlaceEtcd: func(context.Context) (Server, error) { return nil, fmt.Errorf("it does not start") },
	}}
	m := New(setup).Measure(t.Context(), Case{Strategy: testStrategy{"etcd", PlaceEtcd, nil}, Workload: oneKey()})
	if len(m.Failures) != 1 || !strings.Contains(m.Failures[0].What, "it does not start") {
		t.Errorf("a server that does not start: %v", m.Failures)
	}
}
