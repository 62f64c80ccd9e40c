package scripttest

import (
	"strings"
	"time"

	"github.com/turnstile-go/turnstile/scripts"
)

// What is not about waiting: a free key, a held one, repeats, inspection.
var holdCases = []testCase{
	{"a free key is granted", func(l *lock) {
		a, base := attempt(1, 1), ""
		before := l.now()
		l.try(a, 5000, 1, mint(&base), 5000, 0)
		if n := number(l, base); n < before || n > l.now() {
			l.Errorf("base %d is not the server's time", n)
		}
		l.holder(&a)
		l.sees(ms(4000, 5000), "PTTL", l.keys[itself])
		l.column("last", base)
		l.column("version", "2")
		l.column("label", "host:1")
		l.column("lease", member(a))
	}, oddKeys},
	{"a held key is refused, and one try leaves no trace", func(l *lock) {
		a, b := attempt(1, 1), attempt(2, 1)
		l.try(a, 5000, 1, fresh(), 5000, 0)
		l.try(b, 5000, 0, "host:1", moments, ms(0, 5000), 0, 0)
		l.sees(0, "EXISTS", l.keys[queue])
		l.sees(0, "EXISTS", l.keys[alive])
		l.sees(0, "EXISTS", l.keys[queue])
		l.holder(&a)
	}, nil},
	{"a key is granted again after its release", func(l *lock) {
		base := ""
		for s := range uint64(3) {
			a := attempt(s, 1)
			l.try(a, 5000, 1, mint(&base), 5000, 0)
			l.release(a, 1, 0)
			l.holder(nil)
		}
	}, oddKeys},
	{"a repeat finds its own lease and never shortens it", func(l *lock) {
		a, base := attempt(1, 1), ""
		l.try(a, 10_000, 1, mint(&base), 10_000, 0)
		l.try(a, 10_000, 1, mint(&base), 10_000, 0)
		l.wait(a, 1000, 1, mint(&base), 1000, 0)
		l.sees(ms(9000, 10_000), "PTTL", l.keys[itself])
		l.try(a, 20_000, 1, mint(&base), 20_000, 0)
		l.sees(ms(19_000, 20_000), "PTTL", l.keys[itself])
		l.sees(0, "EXISTS", l.keys[queue])
	}, nil},
	{"another attempt of the same session is another's", func(l *lock) {
		l.try(attempt(1, 1), 5000, 1, fresh(), 5000, 0)
		l.try(attempt(1, 2), 5000, 0, "host:1", moments, ms(0, 5000), 0, 0)
	}, nil},
	{"the label follows the holder", func(l *lock) {
		a, b := attempt(1, 1), attempt(2, 1)
		l.try(a, 5000, 1, fresh(), 5000, 0)
		l.release(a, 1, 0)
		l.try(b, 5000, 1, fresh(), 5000, 0)
		l.try(attempt(3, 1), 5000, 0, "host:2", moments, ms(0, 5000), 0, 0)
	}, nil},
	{"a lease ends by itself", func(l *lock) {
		a, b, base := attempt(1, 1), attempt(2, 1), ""
		l.try(a, 20, 1, mint(&base), 20, 0)
		for deadline := time.Now().Add(time.Minute); l.do("EXISTS", l.keys[itself]) != int64(0); {
			if time.Now().After(deadline) {
				l.Fatal("a lease of 20 ms is still there after a minute")
			}
		}
		l.release(a, 0)
		l.try(b, 5000, 1, mint(&base), 5000, 0)
	}, nil},
	{"the release of another's lease touches nothing", func(l *lock) {
		a, b := attempt(1, 1), attempt(2, 1)
		l.try(a, 5000, 1, fresh(), 5000, 0)
		l.release(b, 0)
		l.holder(&a)
		l.sees(ms(4000, 5000), "PTTL", l.keys[itself])
	}, nil},
	{"inspect tells what is known", func(l *lock) {
		a, base := attempt(1, 1), ""
		l.inspect(0, "", -1, -2, "", 0)
		l.try(a, 5000, 1, mint(&base), 5000, 0)
		l.inspect(1, "host:1", moments, ms(0, 5000), base, 0)
		l.wait(attempt(2, 1), 5000, 0, "host:1", moments, ms(0, 5000), 1, 0)
		l.inspect(1, "host:1", moments, ms(0, 5000), base, 1)
		l.release(a, 1, 1)
		l.column("last", mint(&base))
		l.inspect(1, "host:2", moments, ms(0, 1000), base, 0) // given, and not confirmed
		l.cancel(attempt(2, 1), 1)
		l.inspect(0, "", -1, -2, base, 0)
	}, oddKeys},
	{"a key that holds something else is an error that changes nothing", func(l *lock) {
		a := attempt(1, 1)
		l.do("HSET", l.keys[itself], "f", "v")
		l.do("PEXPIRE", l.keys[itself], "5000")
		l.fails("WRONGTYPE", a)
		l.sees(0, "EXISTS", l.keys[companion])
		l.do("DEL", l.keys[itself])
		l.do("SET", l.keys[companion], "v", "PX", "5000")
		l.fails("WRONGTYPE", a)
		l.sees(0, "EXISTS", l.keys[itself])
		l.do("DEL", l.keys[companion])
		l.try(a, 5000, 1, fresh(), 5000, 0)
	}, nil},
}

// fails expects an acquire to end in an error of the server's.
func (l *lock) fails(code string, a interface{ Wire() string }) {
	l.Helper()
	v, err := l.exec(scripts.Acquire, scripts.Keys(l.keys[itself]), a.Wire(), "5000", "x", "1", "1", "1000", l.push)
	if err == nil || !strings.Contains(err.Error(), code) {
		l.Fatalf("acquire: %v, %v; want an error that says %s", v, err, code)
	}
	l.lines = append(l.lines, "acquire "+code)
}
