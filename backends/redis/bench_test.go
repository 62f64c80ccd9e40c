package redis_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
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

const benchKeys = 10_000

// BenchmarkPairs acquires and releases 10 000 keys by many callers, batched,
// each command alone, by calls that are started, and as a ceiling by the same commands encoded beforehand
// and written in pipelines of 128 over four connections, whose replies are
// only counted (what redis-benchmark -P does, which can't number attempts).
// An op is a pair; ops/s counts scripts.
func BenchmarkPairs(b *testing.B) {
	for _, callers := range []int{1, 2, 4, 8, 64, 512} {
		b.Run(fmt.Sprintf("batched/%d", callers), func(b *testing.B) { pairs(b, callers, false) })
		b.Run(fmt.Sprintf("alone/%d", callers), func(b *testing.B) { pairs(b, callers, true) })
		b.Run(fmt.Sprintf("started/%d", callers), func(b *testing.B) { startedPairs(b, callers) })
	}
	b.Run("ceiling", ceiling)
}

func pairs(b *testing.B, callers int, alone bool) {
	backend := open(b, servertest.Redis(b).URL())
	if alone {
		backend.SendAlone()
	}
	session := backends.NewSession()
	var left, numbers atomic.Int64
	names := benchNames()
	pair := func(ctx context.Context, i int64) {
		r := backends.Request{
			Attempt: backends.Attempt{Key: names[i%benchKeys], Token: session.Token(uint64(numbers.Add(1)))},
			TTL:     time.Minute, Label: "bench", Queue: true,
		}
		reply, err := backend.Acquire(ctx, r)
		if err == nil && reply.Outcome == backends.Granted {
			err = backend.Release(ctx, r.Attempt)
		}
		if err != nil || reply.Outcome != backends.Granted {
			b.Errorf("%+v, %v", reply, err)
		}
	}
	var wg sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	left.Store(int64(b.N))
	for range callers {
		wg.Go(func() {
			for i := left.Add(-1); i >= 0; i = left.Add(-1) {
				ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
				pair(ctx, i)
				cancel()
			}
		})
	}
	wg.Wait()
	b.ReportMetric(2*float64(b.N)/b.Elapsed().Seconds(), "ops/s")
}

// A starting caller starts one call from within the answer of another, as a key actor
// does; only what it has to run itself does it run on a goroutine of its own.
type startingCaller struct {
	b       *testing.B
	backend *redis.Backend
	next    func() (backends.Request, bool)
	r       backends.Request
	got     bool
	runs    chan func() // one slot
}

func (c *startingCaller) Answered(reply backends.Reply, err error) {
	verb := backends.Acquiring
	if c.got = !c.got && err == nil && reply.Outcome == backends.Granted; c.got {
		verb = backends.Releasing
	} else if err != nil {
		c.b.Errorf("%+v, %v", reply, err)
	}
	c.start(verb)
}

func (c *startingCaller) start(verb backends.Verb) {
	if verb == backends.Acquiring {
		var more bool
		if c.r, more = c.next(); !more {
			close(c.runs)
			return
		}
	}
	if run := c.backend.Start(backends.Call{Verb: verb, Request: c.r, Deadline: time.Now().Add(2 * time.Second)}, c); run != nil {
		c.runs <- run
	}
}

func startedPairs(b *testing.B, callers int) {
	backend := open(b, servertest.Redis(b).URL())
	session := backends.NewSession()
	var left, numbers atomic.Int64
	names := benchNames()
	next := func() (backends.Request, bool) {
		n := numbers.Add(1)
		return backends.Request{
			Attempt: backends.Attempt{Key: names[n%benchKeys], Token: session.Token(uint64(n))},
			TTL:     time.Minute, Label: "bench", Queue: true,
		}, left.Add(-1) >= 0
	}
	var wg sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	left.Store(int64(b.N))
	for range callers {
		wg.Go(func() {
			c := &startingCaller{b: b, backend: backend, next: next, runs: make(chan func(), 1)}
			c.start(backends.Acquiring)
			for run := range c.runs {
				run()
			}
		})
	}
	wg.Wait()
	b.ReportMetric(2*float64(b.N)/b.Elapsed().Seconds(), "ops/s")
}

func benchNames() []string {
	names := make([]string, benchKeys)
	for i := range names {
		names[i] = "pylock:bench:" + strconv.Itoa(i)
	}
	return names
}

func ceiling(b *testing.B) {
	const conns, batch = 4, 64 // pairs
	server := servertest.Redis(b)
	client := server.RedisClient(b, nil)
	for _, s := range scripts.Mutex() {
		if err := client.ScriptLoad(b.Context(), s.Source()).Err(); err != nil {
			b.Fatal(err)
		}
	}
	names := benchNames()
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	b.ResetTimer()
	for range conns {
		wg.Go(func() {
			conn, err := net.Dial("tcp", server.Addr)
			if err != nil {
				b.Error(err)
				return
			}
			defer conn.Close() // nothing depends on it
			replies := bufio.NewReaderSize(conn, 64<<10)
			session := backends.NewSession()
			var attempt uint64
			var buf []byte
			for {
				first := left.Add(-batch) + batch
				if first <= 0 {
					return
				}
				buf = buf[:0]
				n := min(first, batch)
				for i := range n {
					attempt++
					key, token := names[(first-i)%benchKeys], session.Token(attempt).Wire()
					buf = appendScript(buf, scripts.Acquire, key, token, "60000", "bench", "1", "1", "1000", "1")
					buf = appendScript(buf, scripts.Release, key, token, "0", "1")
				}
				if _, err := conn.Write(buf); err != nil {
					b.Error(err)
					return
				}
				// {1, base, ttl, contended} has six lines, {1, given} three.
				for range n * 9 {
					line, err := replies.ReadSlice('\n')
					if err != nil || line[0] == '-' {
						b.Errorf("%q, %v", line, err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(2*float64(b.N)/b.Elapsed().Seconds(), "ops/s")
}

// appendScript appends an EVALSHA as it is on the wire.
func appendScript(buf []byte, s *scripts.Script, key string, args ...string) []byte {
	keys := scripts.Keys(key)
	buf = append(buf, '*')
	buf = strconv.AppendInt(buf, int64(3+len(keys)+len(args)), 10)
	buf = append(buf, "\r\n"...)
	text := func(t string) {
		buf = append(buf, '$')
		buf = strconv.AppendInt(buf, int64(len(t)), 10)
		buf = append(append(append(buf, "\r\n"...), t...), "\r\n"...)
	}
	text("evalsha")
	text(s.SHA())
	text(strconv.Itoa(len(keys)))
	for _, t := range slices.Concat(keys, args) {
		text(t)
	}
	return buf
}

// BenchmarkLone compares a lone caller's script with the driver's bare EVALSHA
// of the same script over the same client, in turns.
func BenchmarkLone(b *testing.B) {
	client := shared.RedisClient(b, &goredis.Options{ContextTimeoutEnabled: true, MaxRetries: -1})
	backend := redis.New(client, redis.Options{})
	b.Cleanup(func() { _ = backend.Close() })
	ctx, key := bounded(b), newKey(b)
	keys := scripts.Keys(key)
	if _, err := backend.Inspect(ctx, key); err != nil {
		b.Fatal(err)
	}
	var bare, ours []time.Duration
	for b.Loop() {
		start := time.Now()
		if err := client.EvalSha(ctx, scripts.Inspect.SHA(), keys).Err(); err != nil {
			b.Fatal(err)
		}
		middle := time.Now()
		if _, err := backend.Inspect(ctx, key); err != nil {
			b.Fatal(err)
		}
		bare, ours = append(bare, middle.Sub(start)), append(ours, time.Since(middle))
	}
	slices.Sort(bare)
	slices.Sort(ours)
	p50 := func(d []time.Duration) float64 { return float64(d[len(d)/2].Nanoseconds()) }
	b.ReportMetric(p50(bare), "bare-p50-ns")
	b.ReportMetric(p50(ours), "ours-p50-ns")
	b.ReportMetric(p50(ours)/p50(bare), "ratio")
}

// BenchmarkOneDeafSessionOfFour takes turns by four sessions, of which all hear or
// one polls; an op is a turn of one of the first three. With one deaf they have more
// than half of the turns per second that they have beside one that hears.
func BenchmarkOneDeafSessionOfFour(b *testing.B) {
	sessions := map[string][]*session{"one is deaf": threeHearAndOneIsDeaf(b)}
	for range 4 {
		sessions["all hear"] = append(sessions["all hear"], newSession(b, shared.URL()))
	}
	for name, of := range sessions {
		b.Run(name, func(b *testing.B) {
			turns(b, of, func(each []*atomic.Int64) bool { return sum(each[:3]) >= int64(b.N) })
		})
	}
}
