package scripttest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/scripts"
)

// An item is one key of a call of the fast script: to be freed or, with a ttl, to be taken.
type item struct {
	lock *lock
	a    backends.Token
	ttl  int // ms; 0: a free
}

func (l *lock) frees(a backends.Token) item          { return item{lock: l, a: a} }
func (l *lock) takes(a backends.Token, ttl int) item { return item{lock: l, a: a, ttl: ttl} }

// The answers to an item, behind the number of its attempt.
const (
	freed  = "1"
	inFull = "0"
)

// fast calls the fast script and holds each item's answer against what is wanted of it: freed, inFull, or a check of the base.
func (l *lock) fast(items []item, want ...any) {
	l.Helper()
	var keys []string
	argv, frees := []string{""}, 0
	for _, i := range items {
		keys = append(keys, i.lock.keys[itself], i.lock.keys[companion])
		argv = append(argv, i.a.Wire())
		if i.ttl == 0 {
			frees++
		} else {
			argv = append(argv, strconv.Itoa(i.ttl), label(i.a))
		}
	}
	argv[0] = strconv.Itoa(frees)
	got, err := l.exec(scripts.Fast, keys, argv...)
	if err != nil {
		l.Fatalf("fast: %v", err)
	}
	text, _ := got.(string)
	words := strings.Split(text, " ")
	if len(words) != len(items) {
		l.Fatalf("fast replied %v to %d items", got, len(items))
	}
	answers := make([]any, len(items))
	for n, text := range words {
		said, ours := strings.CutPrefix(text, fmt.Sprintf("%012d", items[n].a.Attempt()))
		if !ours {
			l.Fatalf("item %d is answered %q, which is not of attempt %d", n, text, items[n].a.Attempt())
		}
		answers[n] = said
	}
	line, err := compare(answers, want)
	if err != nil {
		l.Fatalf("fast replied %v: %v", got, err)
	}
	l.lines = append(l.lines, "fast "+line)
}

// take and free are calls of one item.
func (l *lock) take(a backends.Token, ttl int, want any) {
	l.Helper()
	l.fast([]item{l.takes(a, ttl)}, want)
}

func (l *lock) free(a backends.Token, want any) {
	l.Helper()
	l.fast([]item{l.frees(a)}, want)
}

// another is a second key of a case.
func (l *lock) another(name string) *lock {
	l.Helper()
	other := *l
	other.keys = scripts.Keys(l.keys[itself] + ":" + name)
	l.do(append([]string{"DEL"}, other.keys...)...)
	return &other
}

// ends expects that nothing was left for good under the keys of others of the case, too.
func (l *lock) ends(others ...*lock) {
	l.Helper()
	for _, other := range slices.Concat([]*lock{l}, others) {
		other.checkTTLs()
		l.do(append([]string{"DEL"}, other.keys...)...)
	}
}

// Quiet keys, and others.
var fastCases = []testCase{
	{"a quiet key is taken and freed, again and again", func(l *lock) {
		base := ""
		for n := range uint64(3) {
			a := attempt(n, 7)
			l.take(a, 5000, mint(&base))
			l.holder(&a)
			l.sees(ms(4000, 5000), "PTTL", l.keys[itself])
			l.sees(ms(64_000, 65_000), "PTTL", l.keys[companion])
			l.sees(masked("20"+base+"+"+base+member(a)+label(a)), "GET", l.keys[companion])
			l.free(a, freed)
			l.holder(nil)
			l.sees(ms(64_000, 65_000), "PTTL", l.keys[companion])
		}
	}, oddKeys},
	{"a call has many items, of which each is answered for itself", func(l *lock) {
		base, others := "", []*lock{l.another("b"), l.another("c"), l.another("d"), l.another("e")}
		b, c, d, e := others[0], others[1], others[2], others[3]
		l.take(attempt(1, 1), 5000, mint(&base))
		l.fast([]item{b.takes(attempt(1, 2), 5000), c.takes(attempt(2, 1), 10)}, fresh(), fresh())
		l.fast([]item{
			l.frees(attempt(1, 1)), b.frees(attempt(2, 2)), // the second has another's token
			b.takes(attempt(1, 5), 5000), d.takes(attempt(1, 3), 5000), e.takes(attempt(3, 4), 100_000),
		}, freed, inFull, inFull, mint(&base), fresh())
		l.holder(nil)
		for i, a := range map[*lock]backends.Token{b: attempt(1, 2), d: attempt(1, 3), e: attempt(3, 4)} {
			i.holder(&a)
		}
		l.ends(others...)
	}, oddKeys},
	{"a key that a call names twice is granted once", func(l *lock) {
		a, b := attempt(1, 1), attempt(2, 1)
		l.fast([]item{l.takes(a, 5000), l.takes(b, 5000), l.takes(a, 5000)}, fresh(), inFull, inFull)
		l.holder(&a)
		l.fast([]item{l.frees(a), l.takes(b, 5000)}, freed, inFull) // it was judged before the free
		l.holder(nil)
	}, nil},
	{"a held key is left alone", func(l *lock) {
		a, b := attempt(1, 1), attempt(2, 1)
		l.take(a, 5000, fresh())
		for range 2 {
			l.take(b, 60_000, inFull)
			l.take(a, 60_000, inFull) // a repeat is told in full
			l.free(b, inFull)
		}
		l.holder(&a)
		l.sees(ms(4000, 5000), "PTTL", l.keys[itself])
		l.do("SET", l.keys[itself], uuid, "PX", "5000")
		l.take(b, 60_000, inFull)
		l.free(a, inFull)
		l.sees(uuid, "GET", l.keys[itself])
	}, nil},
	{"a key that is not quiet is left alone", func(l *lock) {
		a, past, ahead := attempt(1, 1), "0001700000000000", strconv.FormatInt(l.now()+3_600_000_000, 10)
		for _, lives := range []string{
			"21" + past + "+" + past + member(a) + "host:1",  // something to remember
			"20" + ahead + "+" + past + member(a) + "host:1", // the clock stepped back
			"20" + past + "-" + past + member(a),             // given, and not confirmed
			"20" + past + "+" + past + member(a)[1:],         // too short
			"10" + past + "+" + past + member(a), "2", "",
			"2010-01-01T00:00:00.000000 is how a note of somebody else's may begin, whatever it says",
		} {
			l.do("SET", l.keys[companion], lives, "PX", "65000")
			l.take(a, 5000, inFull)
			l.holder(nil)
			l.do("SET", l.keys[itself], a.Wire(), "PX", "5000")
			l.free(a, inFull)
			l.holder(&a)
			l.sees(masked(lives), "GET", l.keys[companion])
			l.do("DEL", l.keys[itself])
		}
	}, nil},
	{"without a companion a key is taken, and not freed", func(l *lock) {
		a := attempt(1, 1)
		l.take(a, 5000, fresh())
		l.do("DEL", l.keys[companion])
		l.free(a, inFull)
		l.holder(&a)
		l.sees(0, "EXISTS", l.keys[companion])
	}, nil},
	{"what is no string is left alone, be it under the lock's name or the companion's", func(l *lock) {
		a, b, other := attempt(1, 1), attempt(2, 1), l.another("b")
		for _, name := range []string{l.keys[itself], l.keys[companion]} {
			l.do("HSET", name, "f", "v")
			l.do("PEXPIRE", name, "5000")
			l.fast([]item{l.takes(a, 5000), other.takes(b, 5000)}, inFull, fresh())
			l.fast([]item{l.frees(a), other.frees(b)}, inFull, freed)
			l.sees("v", "HGET", name, "f")
			l.sees(1, "EXISTS", l.keys[itself], l.keys[companion])
			l.do("DEL", name)
		}
		l.ends(other)
	}, nil},
	{"a free leaves the companion for as long as the lease had made it last, and a release in full does not", func(l *lock) {
		a, b := attempt(1, 1), attempt(2, 1)
		l.take(a, 86_400_000, fresh())
		l.letGo(a, 1, 0)
		l.sees(ms(59_000, 60_000), "PTTL", l.keys[companion])
		l.take(b, 60_000, fresh())
		l.free(b, freed)
		l.sees(ms(119_000, 120_000), "PTTL", l.keys[companion])
	}, nil},
	{"a ttl that is none leaves all as it was", func(l *lock) {
		a, b, other := attempt(1, 1), attempt(2, 1), l.another("b")
		l.take(a, 5000, fresh())
		if _, err := l.exec(scripts.Fast, []string{l.keys[itself], l.keys[companion], other.keys[itself], other.keys[companion]},
			"1", a.Wire(), b.Wire(), "soon", "x"); err == nil {
			l.Fatalf("a ttl of \"soon\" went through")
		}
		l.holder(&a)
		l.fast([]item{other.takes(b, -5), other.takes(attempt(3, 1), 5000)}, inFull, fresh())
		l.ends(other)
	}, nil},
}
