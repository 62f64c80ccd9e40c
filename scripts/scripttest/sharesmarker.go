package scripttest

import "github.com/turnstile-go/turnstile/scripts"

// The marker, and those that delete, evict or overwrite it.
var markerCases = []testCase{
	{"a new marker has none of the shares of an earlier one", func(l *lock) {
		a, b, c, base := attempt(1, 1), attempt(2, 1), attempt(3, 1), ""
		known := l.gets(a, reads, 60_000, 1, 0)
		l.do("DEL", l.keys[itself]) // a late pylock
		l.try(c, 5000, 1, mint(&base), 5000, 0)
		l.keeps(a, reads, 5000, known, 1, 0)
		l.letGo(c, 1, 0)
		l.gets(b, reads, 5000, 1, 0)
		l.out("s", 4000, 5000)
		l.keeps(a, reads, 5000, known, 1, 0)
		l.leaves(a, 0, 0)
		l.refused(c, writes, "s", 1)
	}, oddKeys},
	{"nobody joins shares that were evicted: those that have one go on for a while", func(l *lock) {
		a, b := attempt(1, 1), attempt(2, 1)
		for _, gone := range [][]int{{holders, shares}, {holders}, {shares}} {
			l.gets(a, permits(9, 1), 5000, 1, 0)
			for _, i := range gone {
				l.do("DEL", l.keys[i])
			}
			l.wants(b, permits(9, 1), 5000, once, 0, "", moments, ms(0, 5000), 0, 0, "p", 0)
			l.wants(a, permits(9, 1), 5000, once, 0, "", moments, ms(0, 5000), 0, 0, "p", 0)
			l.keeps(a, permits(9, 0), 5000, "0", 1, 0)
			l.call(scripts.InspectShares, nil, []any{"p", 0, listed()})
			l.revokeShares("0", "0", 2, 1)
			l.revokeShares("1", "1", 1, 1)
			l.goes(a, 0, 0)
			l.sees(ms(0, 5000), "PTTL", l.keys[itself])
			l.revokeShares("0", "1", 4, 1)
			l.holder(nil)
			l.none()
		}
	}, nil},
	{"fences grow though the clock stepped back, from shares to locks and on", func(l *lock) {
		a, b, base := attempt(1, 1), attempt(2, 1), ""
		l.ahead(3_600_000_000)
		base = l.columns()["last"]
		l.wants(a, reads, 5000, waits, 1, mint(&base), 5000, 0, "s", 1)
		l.keeps(a, reads, 5000, base, 1, 1, mint(&base), 5000, 0, "s", 1)
		l.wants(a, reads, 5000, waits, 1, mint(&base), 5000, 0, "s", 1)
		l.leaves(a, 1, 0)
		l.try(b, 5000, 1, mint(&base), 5000, 0)
		l.keeps(b, reads, 5000, base, 1, 1, mint(&base), 5000, 0, "s", 1)
		l.sees(ms(3_655_000, 3_661_000), "PTTL", l.keys[companion])
	}, nil},
	{"a marker that a pylock has overwritten is put back", func(l *lock) {
		a, b, c, base := attempt(1, 1), attempt(2, 1), attempt(3, 1), ""
		l.leftOver()
		base = l.gets(a, reads, 20_000, 1, 0)
		l.overwritten(11)
		l.gets(b, reads, 5000, 1, 0)
		l.out("s", 19_000, 20_000)
		l.overwritten(-1)
		l.keeps(a, reads, 20_000, base, 1, 1, mint(&base), 20_000, 0, "s", 1)
		l.out("s", 19_000, 20_000)
		l.overwritten(11)
		l.try(c, 5000, -2)
		l.out("s", 19_000, 20_000)
		l.overwritten(11)
		l.refused(c, writes, "s", 2)
		l.overwritten(11)
		l.call(scripts.Inspect, nil, []any{4, "", moments, ms(18_000, 20_000), base, 0, 0, masked0})
		l.revokeShares("1", "0", 1, 1)
		l.out("s", 18_000, 20_000)
		l.overwritten(11)
		l.leaves(a, 1, 0)
		l.out("s", 4000, 5000)
	}, oddKeys},
	{"what stands over a marker is not taken over before its shares are over", func(l *lock) {
		a, b, c := attempt(1, 1), attempt(2, 1), attempt(3, 1)
		l.gets(a, reads, 20_000, 1, 0)
		value := l.overwritten(-1) // in a race that nobody knows of
		for _, w := range []wish{reads, writes} {
			l.wants(b, w, 5000, once, 0, "", -1, -1, 0, 1, "x", 0)
		}
		l.try(c, 5000, 0, "", -1, -1, 0, 1)
		l.sees(masked(value), "GET", l.keys[itself])
		l.do("PEXPIRE", l.keys[companion], "60000")
		l.gets(b, reads, 5000, 1, 0)
	}, nil},
	{"a companion that is made anew names the marker", func(l *lock) {
		a, b, c := attempt(1, 1), attempt(2, 1), attempt(3, 1)
		l.gets(a, reads, 20_000, 1, 0)
		l.evicted()
		l.wants(b, writes, 5000, waits, 0, "host:1", -1, ms(0, 20_000), 1, 0, "s", 1)
		l.out("s", 19_000, 20_000)
		l.overwritten(-1)
		l.forever = true
		l.try(c, 5000, 0, "", -1, -1, 0, 1)
	}, nil},
	{"a share goes back though a pylock has overwritten the marker, which may be put back", func(l *lock) {
		a, b, c := attempt(1, 1), attempt(2, 1), attempt(3, 1)
		l.leftOver()
		l.gets(a, reads, 20_000, 1, 0)
		l.gets(b, reads, 20_000, 1, 0)
		l.overwritten(11)
		l.do("PEXPIRE", l.keys[itself], "5000") // its owner's EXPIRE: it looks like a lock
		l.leaves(a, 0, 0)
		l.overwritten(11) // by another
		l.refused(c, writes, "s", 1)
		l.overwritten(11)
		l.do("PEXPIRE", l.keys[itself], "5000")
		l.leaves(b, 0, 0)
		l.none()
		value := l.overwritten(11)
		l.forever = true
		l.wants(c, reads, 5000, once, 0, "", -1, -1, 0, 1, "x", 0)
		l.sees(masked(value), "GET", l.keys[itself])
	}, nil},
}
