package keyspace_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/turnstile-go/turnstile/backends/embedded/keyspace"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A clock that stands still until it is moved, in µs.
type clock struct{ now int64 }

func (c *clock) read() int64              { return c.now }
func (c *clock) advance(d time.Duration)  { c.now += d.Microseconds() }
func (c *clock) keys() *keyspace.Keyspace { return keyspace.New(c.read, nil) }
func newClock() *clock                    { return &clock{now: 1_700_000_000_123_456} }
func run(k *keyspace.Keyspace, line string) keyspace.Reply {
	k.Tick()
	return k.Do(strings.Fields(line)...)
}

// show writes a reply as redis-cli does, in one line.
func show(r keyspace.Reply) string {
	switch r.Kind {
	case keyspace.Integer:
		return fmt.Sprint(r.Int)
	case keyspace.Bulk:
		return `"` + r.Str + `"`
	case keyspace.Status:
		return r.Str
	case keyspace.Error:
		return "-" + r.Str
	case keyspace.Array:
		parts := make([]string, len(r.Array))
		for i, e := range r.Array {
			parts[i] = show(e)
		}
		return "[" + strings.Join(parts, " ") + "]"
	}
	return "nil"
}

// Each row is a story on a fresh keyspace: command, reply, command, reply.
func TestCommandsAnswerLikeRedis(t *testing.T) {
	const wrong = "-WRONGTYPE Operation against a key holding the wrong kind of value"
	const notInt = "-ERR value is not an integer or out of range"
	for _, story := range [][]string{
		{"GET k", "nil", "SET k v", "OK", "GET k", `"v"`, "set k w", "OK", "GET k", `"w"`},
		{"SET k v NX", "OK", "SET k w NX", "nil", "SET k w XX", "OK", "SET j w XX", "nil", "SET k x NX XX", "-ERR syntax error"},
		{"SET k v PX 0", "-ERR invalid expire time in 'set' command", "SET k v PX x", notInt, "SET k v PX", "-ERR syntax error"},
		{"SET k v EX 10", "OK", "TTL k", "10", "SET k w KEEPTTL", "OK", "PTTL k", "10000", "SET k w", "OK", "PTTL k", "-1"},
		{"SET k v GET", "nil", "SET k w GET", `"v"`, "HSET h f v", "1", "SET h v GET", wrong, "SET h v", "OK", "TYPE h", "string"},
		{"SET k v NX GET", "nil", "SET k w NX GET", `"v"`, "GET k", `"v"`},
		{"SET k v EX 9223372036854775807", "-ERR invalid expire time in 'set' command"},
		{"SETNX k v", "1", "SETNX k w", "0", "GETSET k x", `"v"`, "GETSET j x", "nil", "HSET h f v", "1", "GETSET h x", wrong},
		{"SET k v", "OK", "SET j w PX 10", "OK", "HSET h f v", "1", "ZADD z 1 m", "1", "MGET k none h z j k", `["v" nil nil nil "w" "v"]`},
		{"MGET k", "[nil]", "MGET", "-ERR Wrong number of args calling Redis command from script", "MGET k k", "[nil nil]"},
		{"INCR n", "1", "INCRBY n 41", "42", "DECR n", "41", "DECRBY n 40", "1", "INCRBY n +1", notInt, "SET n 01", "OK", "INCR n", notInt},
		{"SET n 9223372036854775807", "OK", "INCR n", "-ERR increment or decrement would overflow"},
		{"DECRBY n -9223372036854775808", "-ERR decrement would overflow"},
		{"SET k v", "OK", "EXISTS k k j", "2", "TYPE k", "string", "DEL k j k", "1", "EXISTS k", "0", "TYPE k", "none"},
		{"PTTL k", "-2", "TTL k", "-2", "PEXPIRE k 10", "0", "SET k v", "OK", "PTTL k", "-1", "PEXPIRE k 1500", "1", "TTL k", "2"},
		{"SET k v EX 1", "OK", "PERSIST k", "1", "PERSIST k", "0", "EXPIRE k 0", "1", "EXISTS k", "0", "EXPIRE k x", notInt},
		{"SET k v", "OK", "EXPIRE k 9223372036854775807", "-ERR invalid expire time in 'expire' command", "PEXPIRE k -5", "1", "GET k", "nil"},
		{"HSET h a 1 b 2", "2", "HSET h a 3 c 4", "1", "HGETALL h", `["a" "3" "b" "2" "c" "4"]`, "HLEN h", "3"},
		{"HSET h a", "-ERR Wrong number of args calling Redis command from script", "HSET h a 1 b", "-ERR wrong number of arguments for 'hset' command"},
		{"HMGET h a b", "[nil nil]", "HSETNX h a 1", "1", "HSETNX h a 2", "0", "HMGET h a b", `["1" nil]`, "HGET h a", `"1"`, "HGET h b", "nil"},
		{"HSET h a 1", "1", "HDEL h a b", "1", "EXISTS h", "0", "HDEL h a", "0", "HEXISTS h a", "0", "HGETALL h", "[]"},
		{"HINCRBY h n 5", "5", "HINCRBY h n -7", "-2", "HSET h s x", "1", "HINCRBY h s 1", "-ERR hash value is not an integer", "HINCRBY h n x", notInt},
		{"ZADD z 2 b 1 a 1 c", "3", "ZRANGE z 0 -1", `["a" "c" "b"]`, "ZRANGE z -2 9 WITHSCORES", `["c" "1" "b" "2"]`, "ZRANGE z 5 6", "[]"},
		{"ZADD z 1 a", "1", "ZADD z CH 2 a 3 b", "2", "ZADD z NX 9 a", "0", "ZADD z XX 9 n", "0", "ZCARD z", "2", "ZSCORE z a", `"2"`},
		{"ZMSCORE z a b", "[nil nil]", "ZADD z 1 a 2.5 b", "2", "ZMSCORE z b x a b", `["2.5" nil "1" "2.5"]`, "SET k v", "OK", "ZMSCORE k a", wrong},
		{"ZADD z GT 1 a", "1", "ZADD z GT CH 0 a", "0", "ZADD z LT CH 0 a", "1", "ZADD z GT LT 1 a", "-ERR GT, LT, and/or NX options at the same time are not compatible"},
		{"ZADD z NX XX 1 a", "-ERR XX and NX options at the same time are not compatible", "ZADD z 1", "-ERR Wrong number of args calling Redis command from script", "ZADD z NX 1", "-ERR syntax error"},
		{"ZADD z 1 a nan b", "-ERR value is not a valid float", "EXISTS z", "0", "ZSCORE z a", "nil", "ZRANK z a", "nil"},
		{"ZADD z 0.1 a inf b -inf c 1e17 d", "4", "ZRANGE z 0 -1 WITHSCORES", `["c" "-inf" "a" "0.10000000000000001" "d" "1e+17" "b" "inf"]`},
		{"ZADD z 1 a 2 b 3 c", "3", "ZCOUNT z 2 +inf", "2", "ZCOUNT z (1 (3", "1", "ZCOUNT z 3 1", "0", "ZCOUNT z a b", "-ERR min or max is not a float"},
		{"ZADD z 1 a 2 b 3 c", "3", "ZRANK z c", "2", "ZREM z a x", "1", "ZREMRANGEBYSCORE z -inf (3", "1", "ZREM z c", "1", "EXISTS z", "0"},
		{"SET k v", "OK", "HSET k f v", wrong, "HGET k f", wrong, "HMGET k f", wrong, "ZADD k 1 a", wrong, "ZRANGE k 0 -1", wrong},
		{"HSET k f v", "1", "SET k v", "OK", "DEL k", "1", "HSET k g w", "1", "HGETALL k", `["g" "w"]`, "SET k v", "OK", "HLEN k", wrong, "DEL k", "1", "ZADD k 1 a", "1", "ZCARD k", "1"},
		{"ZADD z 1 a", "1", "GET z", wrong, "INCR z", wrong, "HLEN z", wrong, "DEL z", "1"},
		{"NOPE", "-ERR Unknown Redis command called from script", "GET", "-ERR Wrong number of args calling Redis command from script"},
		{"TIME", `["1700000000" "123456"]`, "PUBLISH c m", "0"},
	} {
		k := newClock().keys()
		for i := 0; i < len(story); i += 2 {
			if got := show(run(k, story[i])); got != story[i+1] {
				t.Errorf("%v: %s says %s, want %s", story[:i], story[i], got, story[i+1])
			}
		}
	}
}

func TestAKeyLivesForAtLeastItsTime(t *testing.T) {
	c := newClock()
	k := c.keys()
	run(k, "SET k v PX 10")
	c.advance(10 * time.Millisecond)
	if got := show(run(k, "GET k")); got != `"v"` {
		t.Errorf("after just its 10 ms: %s", got)
	}
	c.advance(time.Millisecond)
	for _, line := range []string{"GET k", "SET k w XX"} {
		if got := show(run(k, line)); got != "nil" {
			t.Errorf("%s a millisecond later: %s", line, got)
		}
	}
}

func TestSweepFreesWhatNobodyAsksFor(t *testing.T) {
	c := newClock()
	k := c.keys()
	if _, pending := k.NextSweep(); pending {
		t.Error("an empty keyspace wants a sweep")
	}
	run(k, "SET forever v")
	for i := range 100 {
		run(k, fmt.Sprintf("SET k%d v PX %d", i, 10+i))
	}
	run(k, "PEXPIRE k0 1000") // lengthened: its place in the heap is stale
	in, _ := k.NextSweep()
	if in < 10_000 || in > 12_000 {
		t.Errorf("the next sweep is in %d µs, want about 10 000", in)
	}
	c.advance(200 * time.Millisecond)
	k.Tick()
	if more := k.Sweep(10); !more || k.Len() < 90 {
		t.Errorf("a sweep of 10 left %d keys, more: %v", k.Len(), more)
	}
	if k.Sweep(1000) || k.Len() != 2 {
		t.Errorf("%d keys left, want forever and k0", k.Len())
	}
	run(k, "PERSIST k0")
	if _, pending := k.NextSweep(); pending {
		t.Error("a sweep is due although nothing will expire")
	}
}

// The heap against a plain list, under random commands that move expiries.
func TestSweepsAreInStepWithExpiries(t *testing.T) {
	c := newClock()
	k := c.keys()
	random := rand.New(rand.NewPCG(1, 2))
	ends := map[string]int64{} // in ms
	for range 20_000 {
		key, ms := fmt.Sprintf("k%d", random.IntN(200)), int64(1+random.IntN(500))
		switch random.IntN(5) {
		case 0, 1:
			run(k, fmt.Sprintf("SET %s v PX %d", key, ms))
			ends[key] = c.now/1000 + ms
		case 2:
			if run(k, fmt.Sprintf("PEXPIRE %s %d", key, ms)).Int == 1 {
				ends[key] = c.now/1000 + ms
			}
		case 3:
			run(k, "DEL "+key)
			delete(ends, key)
		case 4:
			c.advance(time.Duration(random.IntN(20)) * time.Millisecond)
			k.Tick()
			k.Sweep(1 << 20)
			for key, end := range ends {
				if c.now/1000 > end {
					delete(ends, key)
				}
			}
			if k.Len() != len(ends) {
				t.Fatalf("%d keys are left, want %d", k.Len(), len(ends))
			}
		}
	}
}

func TestLargeHashesAndSetsAnswerLikeSmallOnes(t *testing.T) {
	k := newClock().keys()
	const n = 300
	for i := range n {
		run(k, fmt.Sprintf("HSET h f%d %d", i, i))
		run(k, fmt.Sprintf("ZADD z %d m%03d", i%7, i))
	}
	for i := range n {
		if got := show(run(k, fmt.Sprintf("HGET h f%d", i))); got != fmt.Sprintf(`"%d"`, i) {
			t.Fatalf("field %d: %s", i, got)
		}
	}
	if r := run(k, "ZRANGE z 0 -1 WITHSCORES"); !slices.IsSortedFunc(pairs(r), compareLines) || len(r.Array) != 2*n {
		t.Errorf("out of order: %s", show(r))
	}
	for i := range n - 3 {
		run(k, fmt.Sprintf("HDEL h f%d", i))
		run(k, fmt.Sprintf("ZREM z m%03d", i))
	}
	if got := show(run(k, "HMGET h f296 f297 f298 f299")); got != `[nil "297" "298" "299"]` {
		t.Error(got)
	}
	if got := show(run(k, "ZRANGE z 0 -1")); got != `["m297" "m298" "m299"]` {
		t.Error(got)
	}
}

// pairs joins score and member so that they sort as a set does.
func pairs(r keyspace.Reply) []string {
	var out []string
	for i := 0; i < len(r.Array); i += 2 {
		out = append(out, r.Array[i+1].Str+r.Array[i].Str)
	}
	return out
}

func compareLines(a, b string) int { return strings.Compare(a, b) }

func TestOneOffKeysLeaveNoMemoryBehind(t *testing.T) {
	const n = 100_000
	c := newClock()
	k := c.keys()
	before := heap()
	for i := range n {
		run(k, fmt.Sprintf("SET pylock:%d 4102444800.10123456789012345678 PX 10000", i))
		run(k, fmt.Sprintf("SET {pylock:%d}:turnstile 201700000000123456+170000000012345601234567890123456789000000000001host:1 PX 70000", i))
		if i%10 == 0 { // one that somebody waits for
			run(k, fmt.Sprintf("HSET {pylock:%d}:turnstile:more 01234567890123456789 host:2", i))
			run(k, fmt.Sprintf("PEXPIRE {pylock:%d}:turnstile:more 60000", i))
			run(k, fmt.Sprintf("ZADD {pylock:%d}:turnstile:queue 1700000000123456 01234567890123456789000000000001", i))
			run(k, fmt.Sprintf("PEXPIRE {pylock:%d}:turnstile:queue 60000", i))
		}
	}
	live := heap() - before
	t.Logf("%d B a live lock with its companion, its strings' memory included", live/n)
	c.advance(80 * time.Second)
	k.Tick()
	for k.Sweep(1000) {
	}
	if k.Len() != 0 {
		t.Fatalf("%d keys are left", k.Len())
	}
	if left := heap() - before; left > 256<<10 {
		t.Errorf("%d KiB are left behind by %d keys that took %d", left>>10, n, live>>10)
	}
	runtime.KeepAlive(k)
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// A list is of live strings alone, by a prefix that is no pattern.
func TestStringsAreListedByTheirPrefix(t *testing.T) {
	c := newClock()
	k := c.keys()
	for _, line := range []string{"SET a* v PX 1000", "SET ab v PX 5000", "SET b v", "HSET a:h f v", "ZADD a:z 1 m"} {
		run(k, line)
	}
	for _, row := range []struct{ prefix, want string }{{"", "a* ab b"}, {"a", "a* ab"}, {"a*", "a*"}, {"ab", "ab"}, {"abc", ""}} {
		found := k.Strings(nil, row.prefix)
		slices.Sort(found)
		if got := strings.Join(found, " "); got != row.want {
			t.Errorf("prefix %q: %q, want %q", row.prefix, got, row.want)
		}
	}
	c.advance(2 * time.Second)
	k.Tick()
	if found := k.Strings([]string{"x"}, "a"); !slices.Equal(found, []string{"x", "ab"}) {
		t.Errorf("after the first has expired: %q", found)
	}
}
