package bench

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	_ "github.com/turnstile-go/turnstile/backends/file" // opened by URL
	"github.com/turnstile-go/turnstile/internal/servers/servertest"
	"github.com/turnstile-go/turnstile/internal/testmain"
	"github.com/turnstile-go/turnstile/lockclient"
)

// TestMain is a worker as well: the workers of a test are the test's binary.
func TestMain(m *testing.M) {
	if RunWorker(Among(testStrategies())) {
		return
	}
	testmain.Prepare(8)
	goleak.VerifyTestMain(m)
}

// A locker is what every strategy is measured as: take a key, give it back.
type locker interface {
	lock(key string) (unlock func(), err error)
}

// mutexTable is a sync.Mutex a key: what Go offers in process, with no wait
// limit, no fairness and no expiry.
type mutexTable struct {
	mu    sync.Mutex // protects locks
	locks map[string]*sync.Mutex
}

func (m *mutexTable) lock(key string) (func(), error) {
	m.mu.Lock()
	l := m.locks[key]
	if l == nil {
		l = new(sync.Mutex)
		m.locks[key] = l
	}
	m.mu.Unlock()
	l.Lock()
	return l.Unlock, nil
}

// channelTable is the plain keyed channel lock: a one-slot channel a key, which
// a caller can wait for with a timeout. docs/benchmarks.md#goals measure against it.
type channelTable struct {
	mu    sync.Mutex // protects locks
	locks map[string]chan struct{}
}

func (m *channelTable) lock(key string) (func(), error) {
	m.mu.Lock()
	l := m.locks[key]
	if l == nil {
		l = make(chan struct{}, 1)
		m.locks[key] = l
	}
	m.mu.Unlock()
	timer := time.NewTimer(time.Minute)
	defer timer.Stop()
	select {
	case l <- struct{}{}:
	case <-timer.C:
		return nil, context.DeadlineExceeded
	}
	return func() { <-l }, nil
}

// client is ours.
type client struct{ *lockclient.Client }

func (c client) lock(key string) (func(), error) {
	l, err := c.Acquire(context.Background(), key)
	if err != nil {
		return nil, err
	}
	return func() {
		if err := l.Release(); err != nil {
			panic(err)
		}
	}, nil
}

// strategies opens each strategy afresh.
var strategies = []struct {
	name string
	open func(b testing.TB) locker
}{
	{"mutex", func(testing.TB) locker { return &mutexTable{locks: map[string]*sync.Mutex{}} }},
	{"channel", func(testing.TB) locker { return &channelTable{locks: map[string]chan struct{}{}} }},
	{"embedded", func(b testing.TB) locker { return openClient(b, lockclient.Config{Backend: "embedded://" + b.Name()}) }},
	{"file", func(b testing.TB) locker {
		return openClient(b, lockclient.Config{Backend: "file://" + b.TempDir() + "/locks"})
	}},
	{"redis", func(b testing.TB) locker { return openClient(b, lockclient.Config{Backend: servertest.Redis(b).URL()}) }},
	{"redis-linger", func(b testing.TB) locker {
		return openClient(b, lockclient.Config{Backend: servertest.Redis(b).URL(), Linger: time.Second})
	}},
}

// TestEachStrategyLocks keeps the benchmarks runnable: no other test opens what they open.
func TestEachStrategyLocks(t *testing.T) {
	for _, s := range strategies {
		t.Run(s.name, func(t *testing.T) {
			unlock, err := s.open(t).lock("key")
			if err != nil {
				t.Fatal(err)
			}
			unlock()
		})
	}
}

func openClient(b testing.TB, cfg lockclient.Config) client {
	c := newClient(b, cfg)
	b.Cleanup(func() { c.Close() })
	return c
}

// newClient leaves the closing to its caller.
func newClient(b testing.TB, cfg lockclient.Config) client {
	b.Helper()
	c, err := lockclient.Open(cfg)
	if err != nil {
		b.Fatal(err)
	}
	return client{c}
}

// run has each of n goroutines take its next key, until b.N are done in all. It
// reports holds a second and Jain's index over the goroutines.
func run(b *testing.B, l locker, goroutines int, key func(g, i int) string) {
	b.Helper()
	b.ReportAllocs()
	var left atomic.Int64
	left.Store(int64(b.N))
	counts := make([]int64, goroutines)
	gate := make(chan struct{})
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			<-gate
			for i := 0; left.Add(-1) >= 0; i++ {
				unlock, err := l.lock(key(g, i))
				if err != nil {
					b.Error(err)
					return
				}
				unlock()
				counts[g]++
			}
		})
	}
	b.ResetTimer()
	close(gate)
	wg.Wait()
	b.StopTimer()
	sum, squares := 0.0, 0.0
	for _, n := range counts {
		sum += float64(n)
		squares += float64(n) * float64(n)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "holds/s")
	b.ReportMetric(sum*sum/(float64(goroutines)*squares), "jain")
	if c, ok := l.(client); ok {
		s := c.Stats()
		b.ReportMetric(float64(s.BackendCalls)/float64(s.Holds), "calls/hold")
	}
}

func BenchmarkHotKey(b *testing.B) {
	for _, s := range strategies {
		b.Run(s.name, func(b *testing.B) { run(b, s.open(b), 64, func(int, int) string { return "hot" }) })
	}
}

func BenchmarkFreeKey(b *testing.B) {
	for _, s := range strategies {
		b.Run(s.name, func(b *testing.B) { run(b, s.open(b), 1, func(int, int) string { return "free" }) })
	}
}

func BenchmarkManyKeys(b *testing.B) {
	var names [10_000]string
	for i := range names {
		names[i] = "key" + strconv.Itoa(i)
	}
	for _, goroutines := range []int{64, 512} {
		for _, s := range strategies {
			b.Run(fmt.Sprintf("%s-%d", s.name, goroutines), func(b *testing.B) {
				// Each goroutine walks the keys in an order of its own.
				run(b, s.open(b), goroutines, func(g, i int) string { return names[(g*7919+i*104_729)%len(names)] })
			})
		}
	}
}

// BenchmarkLiveKeys reports what a key costs that is held: one hold each.
func BenchmarkLiveKeys(b *testing.B) {
	for _, backend := range []string{"open://", "embedded://live"} {
		b.Run(backend[:4], func(b *testing.B) {
			c := openClient(b, lockclient.Config{Backend: backend, Expires: time.Hour})
			locks := make([]*lockclient.Lock, b.N)
			before := heap()
			b.ResetTimer()
			for i := range locks {
				l, err := c.Acquire(context.Background(), strconv.Itoa(i))
				if err != nil {
					b.Fatal(err)
				}
				locks[i] = l
			}
			b.StopTimer()
			b.ReportMetric(float64(heap()-before)/float64(b.N), "bytes/key")
			runtime.KeepAlive(locks)
		})
	}
}

// BenchmarkWaiters reports what b.N waiters on one key cost, and how long they
// take to be served one after another.
func BenchmarkWaiters(b *testing.B) {
	c := openClient(b, lockclient.Config{Backend: "embedded://waiters", MaxWaiters: lockclient.MaxMaxWaiters, Timeout: time.Hour})
	holder, err := c.Acquire(context.Background(), "k", lockclient.Renew())
	if err != nil {
		b.Fatal(err)
	}
	before := memory()
	var wg sync.WaitGroup
	for range b.N {
		wg.Go(func() {
			l, err := c.Acquire(context.Background(), "k")
			if err != nil {
				b.Error(err)
				return
			}
			if err := l.Release(); err != nil {
				b.Error(err)
			}
		})
	}
	for c.Stats().Waiters < int64(b.N) {
		runtime.Gosched()
	}
	waiting := memory() - before
	b.ResetTimer()
	if err := holder.Release(); err != nil {
		b.Fatal(err)
	}
	wg.Wait()
	b.ReportMetric(float64(waiting)/float64(b.N), "bytes/waiter") // ResetTimer forgets earlier ones
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// memory is what the process has from the system: heap and stacks.
func memory() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
