package scripttest

import "strconv"

// How long things stay, and what the clock does to the fence.
var keepCases = []testCase{
	{"the companion outlives the lease by a minute", func(l *lock) {
		a, base := attempt(1, 1), ""
		l.try(a, 5000, 1, mint(&base), 5000, 0)
		l.sees(ms(64_000, 65_000), "PTTL", l.keys[companion])
		l.renew(a, 3_600_000, base, 1, mint(&base), 3_600_000, 0)
		l.sees(ms(3_659_000, 3_660_000), "PTTL", l.keys[companion])
		l.release(a, 1, 0)
		l.sees(ms(59_000, 60_000), "PTTL", l.keys[companion])
	}, oddKeys},
	{"the companion of a cancelled lease goes as soon", func(l *lock) {
		a := attempt(1, 1)
		l.try(a, 3_600_000, 1, fresh(), 3_600_000, 0)
		l.cancel(a, 1)
		l.sees(ms(59_000, 60_000), "PTTL", l.keys[companion])
	}, nil},
	{"a stranger's release or cancel does not shorten it", func(l *lock) {
		a := attempt(1, 1)
		l.try(a, 3_600_000, 1, fresh(), 3_600_000, 0)
		l.release(attempt(2, 1), 0)
		l.cancel(attempt(3, 1), 0)
		l.sees(ms(3_659_000, 3_660_000), "PTTL", l.keys[companion])
	}, nil},
	{"a late copy of the acquire leaves a renewed lease its companion", func(l *lock) {
		a := attempt(1, 1)
		l.try(a, 1000, 1, fresh(), 1000, 0)
		l.renew(a, 600_000, "0", 1, fresh(), 600_000, 0)
		l.try(a, 1000, 1, fresh(), 1000, 0)
		l.sees(ms(659_000, 660_000), "PTTL", l.keys[companion])
	}, nil},
	{"what was just settled stays known for a minute", func(l *lock) {
		for i, end := range []func(n uint64){
			func(n uint64) { l.release(attempt(1, n), 0) },
			func(n uint64) { l.cancel(attempt(1, n), 0) },
		} {
			a := attempt(9, uint64(i+1))
			l.try(a, 5000, 1, fresh(), 5000, 0)
			l.release(a, 1, 0)
			l.do("PEXPIRE", l.keys[companion], "900") // nearly forgotten
			end(uint64(i + 1))
			l.sees(ms(59_000, 60_000), "PTTL", l.keys[companion])
		}
	}, nil},
	{"the queue is kept for a minute, and its companion", func(l *lock) {
		a := attempt(1, 1)
		l.do("SET", l.keys[itself], uuid, "PX", "100000")
		l.wait(a, 5000, 0, "", -1, ms(0, 100_000), 1, 1)
		l.sees(ms(59_000, 60_000), "PTTL", l.keys[queue])
		l.sees(ms(59_000, 60_000), "PTTL", l.keys[alive])
		l.sees(ms(59_000, 60_000), "PTTL", l.keys[companion])
	}, nil},
	{"waiting for what never ends still has a ttl", func(l *lock) {
		l.forever = true
		l.do("SET", l.keys[itself], uuid)
		l.wait(attempt(1, 1), 5000, 0, "", -1, -1, 1, 1)
		l.sees(ms(59_000, 60_000), "PTTL", l.keys[companion])
	}, nil},
	{"fences grow though the clock stepped back", func(l *lock) {
		a, b := attempt(1, 1), attempt(2, 1)
		ahead := l.ahead(3_600_000_000)
		next := func(n int64) string { return strconv.FormatInt(ahead+n, 10) }
		l.try(a, 5000, 1, next(1), 5000, 0)
		l.renew(a, 5000, next(1), 1, next(2), 5000, 0)
		l.heldBy(b, "host:1", 1)
		l.release(a, 1, 1)
		l.column("last", next(3))
		l.wait(b, 5000, 1, next(4), 5000, 0)
		// The companion stays until the clock has caught up with last, and a minute.
		l.sees(ms(3_655_000, 3_661_000), "PTTL", l.keys[companion])
		l.release(b, 1, 0)
		l.sees(ms(3_655_000, 3_661_000), "PTTL", l.keys[companion])
	}, nil},
	{"the later of the lease's end and the time that last names counts, not their sum", func(l *lock) {
		l.ahead(20_000_000)
		l.try(attempt(1, 1), 100_000, 1, fresh(), 100_000, 0)
		l.sees(ms(159_000, 160_000), "PTTL", l.keys[companion])
	}, nil},
}
