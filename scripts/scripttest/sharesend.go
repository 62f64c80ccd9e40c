package scripttest

import "github.com/turnstile-go/turnstile/scripts"

// How shares end, and what comes late.
var shareEndCases = []testCase{
	{"the marker lasts as long as the longest share that is left", func(l *lock) {
		a, b, c, d := attempt(1, 1), attempt(2, 1), attempt(3, 1), attempt(4, 1)
		l.gets(a, reads, 90_000, 1, 0)
		base := l.gets(b, reads, 40_000, 1, 0)
		l.gets(c, reads, 10_000, 1, 0)
		l.out("s", 89_000, 90_000)
		l.leaves(a, 1, 0)
		l.out("s", 39_000, 40_000)
		l.keeps(b, reads, 2000, base, 1, 1, mint(&base), 2000, 0, "s", 1) // shorter, by the newest base
		l.out("s", 9000, 10_000)
		l.keeps(b, reads, 60_000, "0", 1, 1, mint(&base), 60_000, 0, "s", 1)
		l.out("s", 59_000, 60_000)
		l.lapses(b)
		l.gets(d, reads, 5000, 1, 0)
		l.out("s", 9000, 10_000)
		l.refused(attempt(5, 1), writes, "s", 2)
	}, oddKeys},
	{"a late copy of a renewal shortens nothing", func(l *lock) {
		a := attempt(1, 1)
		first := l.gets(a, reads, 90_000, 1, 0)
		base := first
		l.keeps(a, reads, 2000, first, 1, 1, mint(&base), 2000, 0, "s", 1)
		l.keeps(a, reads, 90_000, base, 1, 1, mint(&base), 90_000, 0, "s", 1)
		l.keeps(a, reads, 2000, first, 1, 1, mint(&base), ms(89_000, 90_000), 0, "s", 1)
		l.out("s", 89_000, 90_000)
	}, nil},
	{"a repeated ask finds its share, and never shortens it or makes it grow", func(l *lock) {
		a, b := attempt(1, 1), attempt(2, 1)
		l.gets(a, permits(9, 2), 20_000, 2, 0)
		base := ""
		l.wants(a, permits(9, 5), 1000, waits, 1, mint(&base), 1000, 0, "p", 2)
		l.out("p", 19_000, 20_000)
		l.wants(a, permits(9, 5), 60_000, once, 1, mint(&base), 60_000, 0, "p", 2)
		l.out("p", 59_000, 60_000)
		l.refused(b, permits(2, 1), "p", 2)
		l.keeps(a, permits(9, 0), 60_000, base, 2, 1, mint(&base), 60_000, 0, "p", 2)
	}, nil},
	{"a share that is made anew by a late copy of the ask is not its holder's", func(l *lock) {
		a, b := attempt(1, 1), attempt(2, 1)
		known := l.gets(a, reads, 5000, 1, 0)
		l.do("DEL", l.keys[itself])
		l.do("SET", l.keys[itself], uuid, "PX", "5000") // another library comes and goes
		l.do("DEL", l.keys[itself])
		base := l.gets(a, reads, 5000, 1, 0)
		l.keeps(a, reads, 5000, known, 1, 0)
		l.out("s", 0, 5000)
		l.keeps(a, reads, 5000, base, 1, 1, mint(&base), 5000, 0, "s", 1)
		l.gets(b, reads, 5000, 1, 0)
	}, nil},
	{"the end of an attempt is known to late copies of its ask", func(l *lock) {
		a, b := attempt(1, 1), attempt(2, 1)
		l.leaves(a, 0, 0)
		l.wants(a, reads, 5000, waits, -1)
		l.gets(b, reads, 5000, 1, 0)
		l.wants(a, reads, 5000, waits, -1)
		l.leaves(b, 1, 0)
		l.wants(b, reads, 5000, waits, -1)
		l.holder(nil)
	}, nil},
	{"a lock becomes a share by a renewal, and is found as that if it is repeated", func(l *lock) {
		a, b, c, first := attempt(1, 1), attempt(2, 1), attempt(3, 1), ""
		told := l.hears()
		l.try(a, 5000, 1, mint(&first), 5000, 0)
		l.wants(b, reads, 5000, waits, 0, "host:1", moments, ms(0, 5000), 1, 0, "x", 0)
		l.behind(c, writes, "host:1", 2, "x", 0)
		told("g")
		base := first
		l.keeps(a, reads, 60_000, first, 1, 1, mint(&base), 60_000, 1, "s", 1)
		l.tells(told("g"), 1)
		l.out("s", 59_000, 60_000)
		l.keeps(a, reads, 60_000, first, 1, 1, mint(&base), 60_000, 1, "s", 1) // its answer was lost
		l.gets(b, reads, 5000, 1, 1)
		l.call(scripts.InspectShares, nil, []any{"s", 2, listed(
			"host:2", moments, ms(0, 5000), 1, 0, masked0, masked0, 0, "host:1", moments, ms(5000, 60_000), 1, 0, first, base, 0)})
		l.release(a, 0) // nothing makes a lock of it
		l.renew(a, 5000, base, 0)
		l.leaves(a, 1, 0)
		l.leaves(b, 1, 1)
		l.holder(&c)
	}, oddKeys},
	{"a lock that was turned and not answered ends as a share", func(l *lock) {
		a, b, base := attempt(1, 1), attempt(2, 1), ""
		l.try(a, 5000, 1, mint(&base), 5000, 0)
		l.keeps(a, reads, 5000, base, 1, 1, mint(&base), 5000, 0, "s", 1)
		l.leaves(a, 1, 0)
		l.holder(nil)
		l.try(b, 5000, 1, fresh(), 5000, 0)
		l.leaves(b, 1, 0) // and one that was not, as a lock
		l.holder(nil)
	}, nil},
	{"a revoked lock becomes no share", func(l *lock) {
		a, base := attempt(1, 1), ""
		l.try(a, 5000, 1, mint(&base), 5000, 0)
		l.revoke("0", 3)
		l.keeps(a, reads, 60_000, base, 1, 2)
		l.wants(a, reads, 60_000, waits, 1, fresh(), ms(0, 5000), 0, "x", 1)
		l.holder(&a)
	}, nil},
	{"a lock of another's, or of later, becomes no share", func(l *lock) {
		a, b, base := attempt(1, 1), attempt(2, 1), ""
		l.try(a, 5000, 1, mint(&base), 5000, 0)
		l.keeps(b, reads, 5000, base, 1, 0)
		l.do("DEL", l.keys[itself])
		l.try(a, 5000, 1, fresh(), 5000, 0) // a late copy of its acquire
		l.keeps(a, reads, 5000, base, 1, 0)
		l.holder(&a)
	}, nil},
	{"a revoked share lasts as long as it has left", func(l *lock) {
		a, b, c := attempt(1, 1), attempt(2, 1), attempt(3, 1)
		base := l.gets(a, reads, 5000, 1, 0)
		l.behind(c, writes, "host:1", 1, "s", 1)
		l.revokeShares("0", "0", 3, 1)
		l.revokeShares("0", "0", 3, 1)
		l.keeps(a, reads, 60_000, base, 1, 2)
		l.wants(a, reads, 60_000, waits, 1, mint(&base), ms(0, 5000), 1, "s", 1)
		l.keeps(a, reads, 60_000, base, 1, 2)
		l.out("s", 0, 5000)
		l.leaves(c, 0, 0)
		l.gets(b, reads, 5000, 1, 0) // it is of those shares alone
		l.leaves(a, 1, 0)
		l.leaves(b, 1, 0)
	}, nil},
	{"a base revokes the share that it began, or that has it, and no other", func(l *lock) {
		a, b, c := attempt(1, 1), attempt(2, 1), attempt(3, 1)
		first := l.gets(a, reads, 60_000, 1, 0)
		newest, between := first, ""
		l.keeps(a, reads, 60_000, first, 1, 1, mint(&newest), 60_000, 0, "s", 1)
		between = newest
		other := l.gets(b, reads, 60_000, 1, 0)
		l.keeps(a, reads, 60_000, newest, 1, 1, mint(&newest), 60_000, 0, "s", 1)
		l.revokeShares(between, "0", 1, 1)
		l.revokeShares(between, "1", 1, 1)
		l.revokeShares("1", "0", 1, 1)
		l.revokeShares(other, "0", 3, 1)
		l.keeps(a, reads, 60_000, newest, 1, 1, mint(&newest), 60_000, 0, "s", 1)
		l.keeps(b, reads, 60_000, other, 1, 2)
		last := l.gets(c, reads, 20_000, 1, 0)
		l.revokeShares(newest, "1", 4, 1)
		l.revokeShares(first, "1", 1, 1)
		l.keeps(a, reads, 60_000, newest, 1, 0)
		l.wants(a, reads, 60_000, waits, -1) // as by a release
		l.revokeShares(last, "1", 4, 1)
		l.revokeShares(other, "1", 4, 1)
		l.holder(nil)
		l.none()
		l.call(scripts.RevokeShares, []string{"0", "0", l.push, "-inf"}, []any{-2, ""})
	}, oddKeys},
	{"several shares of one session are revoked, and all are known as ended", func(l *lock) {
		a, next := attempt(1, 1), attempt(1, 2)
		l.gets(next, permits(9, 1), 5000, 1, 0)
		l.gets(a, permits(9, 1), 60_000, 1, 0)
		l.revokeShares("0", "1", 4, 1)
		l.wants(a, permits(9, 1), 5000, waits, -1)
		l.wants(next, permits(9, 1), 5000, waits, -1)
	}, nil},
}

// Permits, of which callers say how many there are.
var permitCases = []testCase{
	{"a permit is given while fewer are out than the caller says there are", func(l *lock) {
		a, b, c := attempt(1, 1), attempt(2, 1), attempt(3, 1)
		base := l.gets(a, permits(3, 1), 5000, 1, 0)
		l.gets(b, permits(3, 3), 5000, 2, 0) // what is left
		l.refused(c, permits(3, 1), "p", 3)
		l.refused(c, permits(2, 1), "p", 3)
		l.gets(c, permits(5, 1), 5000, 1, 0)
		l.keeps(b, permits(3, 0), 5000, "0", 1, 1, fresh(), 5000, 0, "p", 1) // gives one back
		l.refused(attempt(4, 1), permits(3, 1), "p", 3)
		l.leaves(c, 1, 0)
		l.refused(attempt(4, 1), permits(2, 1), "p", 2)
		l.gets(attempt(4, 1), permits(3, 2), 5000, 1, 0)
		l.keeps(a, permits(3, 0), 5000, base, 9, 1, fresh(), 5000, 0, "p", 1) // and never gets more
	}, oddKeys},
	{"one of a larger n leaves to one before it what that may still get", func(l *lock) {
		a, b, c, d := attempt(1, 1), attempt(2, 1), attempt(3, 1), attempt(4, 1)
		told := l.hears()
		l.gets(a, permits(5, 1), 5000, 1, 0)
		l.gets(d, permits(5, 1), 5000, 1, 0)
		l.behind(b, permits(2, 1), "host:1", 1, "p", 2)
		l.refused(c, permits(5, 1), "p", 2) // it can't get one now, and must not be overtaken
		told("g")
		l.leaves(d, 1, 0)
		l.tells(told("g"), 1)
		l.refused(c, permits(5, 1), "p", 1) // or there would be two again
		l.gets(b, permits(2, 1), 5000, 1, 0)
		l.gets(c, permits(5, 1), 5000, 1, 0)
	}, nil},
	{"one behind others gets what these leave", func(l *lock) {
		a, b, c, d := attempt(1, 1), attempt(2, 1), attempt(3, 1), attempt(4, 1)
		told := l.hears()
		l.gets(a, permits(4, 4), 5000, 4, 0)
		l.behind(b, permits(4, 2), "host:1", 1, "p", 4)
		l.behind(c, permits(9, 3), "host:1", 2, "p", 4)
		l.behind(d, permits(4, 1), "host:1", 3, "p", 4)
		told("g")
		l.keeps(a, permits(4, 0), 5000, "0", 1, 1, fresh(), 5000, 1, "p", 1)
		l.tells(told("g"), 2) // with b's two there are three, and c may have one; d none
		l.gets(c, permits(9, 3), 5000, 1, 1)
		l.tells(told("g"), 1) // b, as the first that fits
		l.gets(b, permits(4, 2), 5000, 2, 1)
		l.wants(d, permits(4, 1), 5000, waits, 0, masked0, moments, ms(0, 5000), 1, 0, "p", 4)
	}, nil},
	{"the permit of a dead process is free when its share is over", func(l *lock) {
		a, b, c := attempt(1, 1), attempt(2, 1), attempt(3, 1)
		l.gets(a, permits(2, 1), 5000, 1, 0)
		l.gets(b, permits(2, 1), 60_000, 1, 0)
		l.wants(c, permits(2, 1), 5000, waits, 0, masked0, moments, ms(0, 5000), 1, 0, "p", 2) // it learns when
		l.wants(attempt(4, 1), writes, 5000, once, 0, masked0, moments, ms(50_000, 60_000), 0, 0, "p", 2)
		l.lapses(a)
		l.gets(c, permits(2, 1), 5000, 1, 0)
		l.sees(nil, "HGET", l.keys[shares], member(a))
		l.sees("2", "HGET", l.keys[shares], "out")
	}, nil},
}
