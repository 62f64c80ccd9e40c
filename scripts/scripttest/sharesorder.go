package scripttest

import (
	"slices"

	"github.com/turnstile-go/turnstile/backends"
)

// Who comes first, and who hears of what.
var shareOrderCases = []testCase{
	{"a reader that comes after a writer waits behind it", func(l *lock) {
		a, b, c := attempt(1, 1), attempt(2, 1), attempt(3, 1)
		l.gets(a, reads, 5000, 1, 0)
		l.behind(b, writes, "host:1", 1, "s", 1)
		l.refused(c, reads, "s", 1)
		l.behind(c, reads, "host:1", 2, "s", 1)
		l.leaves(a, 1, 1) // the last goes to the first that waits
		l.holder(&b)
		l.none()
		l.wait(b, 5000, 1, fresh(), 5000, 1)
		l.release(b, 1, 1)
		l.holder(&c) // given as a lock, and made a share by its next ask
		l.gets(c, reads, 5000, 1, 0)
		l.out("s", 4000, 5000)
	}, oddKeys},
	{"one that is dead or has ended is in nobody's way", func(l *lock) {
		a, b, c, d := attempt(1, 1), attempt(2, 1), attempt(3, 1), attempt(4, 1)
		l.gets(a, reads, 5000, 1, 0)
		l.behind(b, writes, "host:1", 1, "s", 1)
		l.silence(b)
		l.gets(c, reads, 5000, 1, 0)
		l.behind(b, writes, "host:1", 1, "s", 2)
		l.cancel(b.Session().Token(9), 0) // it or a later one of its session is settled
		l.gets(d, reads, 5000, 1, 0)
	}, nil},
	{"one that polls lets those that hear go first, for a while", func(l *lock) {
		a, b, c, d := attempt(1, 1), attempt(2, 1), attempt(3, 1), attempt(4, 1)
		l.gets(a, reads, 5000, 1, 0)
		l.wants(b, writes, 5000, deaf, 0, "host:1", moments, ms(0, 5000), 1, 0, "s", 1)
		l.young(b)
		l.wants(c, reads, 5000, deaf, 0, "host:1", moments, ms(0, 5000), 2, 0, "s", 1)
		l.gets(d, reads, 5000, 1, 1)
		l.aged(b)
		l.behind(attempt(5, 1), reads, "host:1", 3, "s", 2)
	}, nil},
	{"a session asks for the next beside the share that it has", func(l *lock) {
		a, b, next := attempt(1, 1), attempt(2, 1), attempt(1, 2)
		base := l.gets(a, reads, 5000, 1, 0)
		l.behind(next, writes, "host:1", 1, "s", 1)
		l.refused(b, reads, "s", 1)
		l.keeps(a, reads, 5000, base, 1, 1, mint(&base), 5000, 0, "s", 1) // nobody else waits
		l.behind(b, reads, "host:1", 2, "s", 1)
		l.keeps(a, reads, 5000, base, 1, 1, mint(&base), 5000, 1, "s", 1)
		l.leaves(a, 1, 1)
		l.holder(&next)
	}, nil},
	{"a lock that was given to a reader becomes a share, and those that fit are told", func(l *lock) {
		a, b, c, d, e := attempt(1, 1), attempt(2, 1), attempt(3, 1), attempt(4, 1), attempt(5, 1)
		told := l.hears()
		l.try(a, 5000, 1, fresh(), 5000, 0)
		for place, reader := range []backends.Token{b, c, d} {
			l.wants(reader, reads, 5000, waits, 0, "host:1", moments, ms(0, 5000), place+1, 0, "x", 0)
		}
		l.behind(e, writes, "host:1", 4, "x", 0)
		l.tells(told("w"), 1)
		l.release(a, 1, 1)
		l.tells(told("g"), 1) // it is to ask: a lease that it holds by the push would be a lock
		l.gets(b, reads, 5000, 1, 1)
		l.tells(told("g"), 2)
		l.gets(c, reads, 5000, 1, 1)
		l.gets(d, reads, 5000, 1, 1)
		l.tells(told("g"), 0) // nobody is in reach that was not before
		l.refused(attempt(6, 1), reads, "s", 3)
	}, nil},
	{"one that stood in the way of others, and is given up, lets them in", func(l *lock) {
		a, b, c := attempt(1, 1), attempt(2, 1), attempt(3, 1)
		told := l.hears()
		l.gets(a, reads, 5000, 1, 0)
		l.behind(b, writes, "host:1", 1, "s", 1)
		l.behind(c, reads, "host:1", 2, "s", 1)
		told("g")
		l.leaves(b, 0, 0)
		l.tells(told("g"), 1)
		l.gets(c, reads, 5000, 1, 0)
	}, nil},
	{"holders are told in turns", func(l *lock) {
		told := l.hears()
		for n := range uint64(100) {
			l.gets(attempt(10+n, 1), reads, 60_000+int(n), 1, 0) // no two end together
		}
		l.tells(told("w"), 0)
		w, x := attempt(1, 1), attempt(2, 1)
		l.wants(w, writes, 5000, once, 0, masked0, moments, ms(0, 61_000), 0, 0, "s", 100)
		l.tells(told("w"), 0)
		var heard []string
		for _, most := range []int{64, 36} {
			l.wants(w, writes, 5000, waits, 0, masked0, moments, ms(0, 61_000), 1, 0, "s", 100)
			now := told("w")
			l.tells(now, most)
			heard = append(heard, now...)
		}
		slices.Sort(heard)
		l.tells(slices.Compact(heard), 100)
		l.wants(w, writes, 5000, waits, 0, masked0, moments, ms(0, 61_000), 1, 0, "s", 100)
		l.tells(told("w"), 64) // and again from the first
		l.wants(x, reads, 5000, waits, 0, masked0, moments, ms(0, 61_000), 2, 0, "s", 100)
		l.tells(told("w"), 0) // only the first that waits has them told
		l.revokeShares("0", "0", 3, 2)
		l.tells(told("r"), 100)
		l.revokeShares("0", "1", 4, 2)
		l.tells(told("r"), 100)
		l.holder(&w)
		l.none()
	}, nil},
	{"of many readers those come in that are in reach, and each lets in the next", func(l *lock) {
		told := l.hears()
		w := attempt(1, 1)
		l.try(w, 60_000, 1, fresh(), 60_000, 0)
		reader := func(n int) backends.Token { return attempt(uint64(10+n), 1) }
		for n := range 70 {
			l.wants(reader(n), reads, 60_000, waits, 0, "host:1", moments, ms(0, 60_000), n+1, 0, "x", 0)
			l.do("HSET", l.keys[alive], member(reader(n)), ask("9999999999999", "1", label(reader(n)))[:38]+"s0000000"+label(reader(n)))
		}
		l.release(w, 1, 1)
		told("g")
		l.wants(reader(0), reads, 60_000, waits, 1, fresh(), 60_000, 1, "s", 1)
		l.tells(told("g"), 64)
		l.wants(reader(69), reads, 60_000, once, 0, masked0, moments, ms(0, 60_000), 0, 0, "s", 1)
		l.wants(reader(2), reads, 60_000, waits, 1, fresh(), 60_000, 1, "s", 1)
		l.tells(told("g"), 1) // the one that is in reach now
		l.wants(reader(66), reads, 60_000, waits, 1, fresh(), 60_000, 1, "s", 1)
		l.wants(reader(69), reads, 60_000, waits, 0, masked0, moments, ms(0, 60_000), 67, 0, "s", 3)
	}, nil},
}
