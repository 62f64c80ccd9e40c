package engine_test

import (
	"testing"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/backends/embedded/engine"
	"github.com/turnstile-go/turnstile/backends/embedded/keyspace"
	"github.com/turnstile-go/turnstile/scripts"
)

// BenchmarkPair is acquire and release of a free key, scripts alone.
func BenchmarkPair(b *testing.B) {
	vm := engine.New(keyspace.New(keyspace.WallClock(), nil))
	acquire, release := mutex(b, scripts.Acquire), mutex(b, scripts.Release)
	keys := scripts.Keys("pylock:bench")
	session := backends.NewSession()
	b.ReportAllocs()
	n := uint64(0)
	for b.Loop() {
		n++
		token := session.Token(n).Wire()
		if r, err := vm.Run(acquire, keys, []string{token, "10000", "label", "1", "1", "1000", "1"}); err != nil || r.Array[1].Int != 1 {
			b.Fatal(r, err)
		}
		if r, err := vm.Run(release, keys, []string{token, "0", "1"}); err != nil || r.Array[1].Int != 1 {
			b.Fatal(r, err)
		}
	}
}

// BenchmarkFastPair is the same by the fast path: one item a call.
//
//	go test ./backends/embedded/engine -run - -bench FastPair -count 5
func BenchmarkFastPair(b *testing.B) {
	pair := fastPair(b)
	b.ReportAllocs()
	for b.Loop() {
		pair()
	}
}

// fastPair returns a function that takes and frees one key.
func fastPair(tb testing.TB) func() {
	vm := engine.New(keyspace.New(keyspace.WallClock(), nil))
	fast := mutex(tb, scripts.Fast)
	keys := scripts.Pair("pylock:bench")
	session, n := backends.NewSession(), uint64(0)
	return func() {
		n++
		token := session.Token(n).Wire()
		if r, err := vm.Run(fast, keys[:], []string{"0", token, "10000", "label"}); err != nil || len(r.Str) != 28 {
			tb.Fatal(r, err)
		}
		if r, err := vm.Run(fast, keys[:], []string{"1", token}); err != nil || r.Str[12:] != "1" {
			tb.Fatal(r, err)
		}
	}
}

// A script that makes garbage makes each lock of a process dearer, by its collection.
func TestAFastPairMakesLittleGarbage(t *testing.T) {
	if n := testing.AllocsPerRun(1000, fastPair(t)); n > 14 {
		t.Errorf("a pair allocates %v times, want at most 14", n)
	}
}

// BenchmarkNew is what a failed run costs.
func BenchmarkNew(b *testing.B) {
	keys := keyspace.New(keyspace.WallClock(), nil)
	b.ReportAllocs()
	for b.Loop() {
		engine.New(keys)
	}
}

func mutex(tb testing.TB, s *scripts.Script) *engine.Program {
	tb.Helper()
	p, err := engine.Compile(s.Name, s.Hoisted())
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// BenchmarkThinPair is the least that a lock can be:
// SET NX PX, and GET with DEL. It tells the machine's share from the scripts'.
func BenchmarkThinPair(b *testing.B) {
	vm := engine.New(keyspace.New(keyspace.WallClock(), nil))
	acquire := program(b, "return redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2])")
	release := program(b, "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0")
	keys := []string{"pylock:bench"}
	b.ReportAllocs()
	for b.Loop() {
		if r, err := vm.Run(acquire, keys, []string{"token", "10000"}); err != nil || r.Str != "OK" {
			b.Fatal(r, err)
		}
		if r, err := vm.Run(release, keys, []string{"token"}); err != nil || r.Int != 1 {
			b.Fatal(r, err)
		}
	}
}

func program(tb testing.TB, source string) *engine.Program {
	tb.Helper()
	p, err := engine.Compile("test", source)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}
